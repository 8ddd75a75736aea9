//! Many simulated agents behind one real controller that is killed: all of them come back at once, every event is
//! there once, and whoever uses the API and tries again once never hears a refusal.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::Method;
use roadstead_tests::processes::PASSWORD;
use roadstead_tests::scratch::Scratch;
use roadstead_tests::simulator::{Invitation, Script};
use roadstead_tests::{Api, ControllerOptions, ControllerProcess, Simulator, eventually};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::site::SOON;

const AGENTS: usize = 200;

/// Of those, so many are dialled by the controller.
const DIALLED: usize = 10;

const CONTAINERS: usize = 5;

/// Events of each agent that are under way when the controller is killed.
const STORM: usize = 20;

/// How long agents may take to come back: the longer the controller was away, the longer their pauses have become.
const BACK: Duration = Duration::from_secs(20);

#[expect(clippy::print_stderr, reason = "how long it took is of interest, also where it is not too long")]
#[tokio::test]
async fn two_hundred_agents_come_back_after_a_kill_and_no_operation_is_refused_to_who_tries_again() {
    let mut controller = ControllerProcess::start(ControllerOptions::default()).await;
    let keys = Scratch::new().unwrap();
    let invitation = Invitation::with_password(&controller.url(), PASSWORD, AGENTS - DIALLED, None).await;
    let script = Script {
        agents: AGENTS,
        inbound: DIALLED,
        containers: CONTAINERS,
        command_takes: 0.2,
        ..Script::default()
    };
    let fleet = Simulator::start(script, invitation.unwrap(), keys.path()).await.unwrap();
    fleet.all_live(SOON).await.unwrap();
    let api = controller.api().await;
    let instances = whole(&api).await;

    fleet.storm(STORM);
    controller.kill().await;
    fleet.none_live(SOON).await.unwrap();
    let (operations, back) = tokio::join!(operate(&api, &instances), async {
        controller.start_again().await;
        fleet.all_live(BACK).await.unwrap()
    });
    eprintln!("{AGENTS} agents were back {back:.2?} after the controller");
    whole(&api).await;
    for command in &operations {
        let ended = api.wait_command(command, SOON).await;
        assert_eq!(ended["state"], "succeeded", "{ended}");
    }

    let told = eventually("every event to be acknowledged", SOON, async || {
        let summary = fleet.summary();
        (summary.acknowledged == summary.events).then_some(summary)
    })
    .await;
    assert_eq!(told.events, (AGENTS + AGENTS * STORM + operations.len()) as u64);
    assert_eq!(stored(&api).await, told.events, "each once");
    assert_eq!((told.late, told.refusals.len()), (0, 0), "{told:?}");
    fleet.stop().await;
}

/// Waits until the controller has every picture whole, and gives the instances' ids.
async fn whole(api: &Api) -> Vec<String> {
    eventually("every picture to be whole", SOON, async || {
        let list = api.instances().await;
        let whole = |one: &&Value| {
            one["health"] == "healthy" && one["stale"] == false && one["containers"]["total"] == CONTAINERS
        };
        let ids: Vec<_> =
            list.iter().filter(whole).map(|one| one["id"].as_str().unwrap().to_owned()).collect();
        (ids.len() == AGENTS).then_some(ids)
    })
    .await
}

/// Syncs a project on every tenth instance, one after another, and gives the commands' ids.
async fn operate(api: &Api, instances: &[String]) -> Vec<String> {
    let mut commands = Vec::new();
    for instance in instances.iter().step_by(10) {
        let path = format!("/api/instances/{instance}/sync");
        let command = match sync(api, &path).await {
            Ok(command) => command,
            Err(_) => {
                eventually("the controller to be up", SOON, async || {
                    let asked = timeout(Duration::from_secs(1), api.request(Method::GET, "/health").send());
                    asked.await.ok()?.ok()?.status().is_success().then_some(())
                })
                .await;
                sync(api, &path).await.expect("the second attempt")
            }
        };
        commands.push(command);
    }
    commands
}

async fn sync(api: &Api, path: &str) -> Result<String, String> {
    // An agent that is still on its way back does it then.
    let request = api.request(Method::POST, path).json(&json!({ "project": "shop", "queue_for": "1m" }));
    let answer = request.send().await.map_err(|error| error.to_string())?;
    let (status, text) = (answer.status(), answer.text().await.map_err(|error| error.to_string())?);
    if status.as_u16() != 202 {
        return Err(format!("{status}: {text}"));
    }
    let body: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    Ok(body["command_id"].as_str().ok_or("no id")?.to_owned())
}

/// How many different events the log holds.
async fn stored(api: &Api) -> u64 {
    let mut ids = BTreeSet::new();
    let mut cursor = String::new();
    loop {
        let page = api.get(&format!("/api/events?limit=500{cursor}")).await.expect_status(200);
        ids.extend(page["events"].as_array().unwrap().iter().map(|event| event["id"].as_i64().unwrap()));
        match page["next"].as_i64() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return ids.len() as u64,
        }
    }
}
