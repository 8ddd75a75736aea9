//! Everything that goes away comes back by itself, and the picture tells the truth in between and afterwards.

use std::time::Duration;

use roadstead_tests::{Dockerd, ImageOptions, Netns, busybox_image, eventually};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::site::{BOTH, Dial, Member, SOON, Site, logged};
use crate::truth;

/// How long after its return the picture may differ from the engine's truth.
const TRUE_AGAIN: Duration = Duration::from_secs(2);

/// The longest pause of the back-off, and something for the attempt itself.
const BACK: Duration = Duration::from_secs(75);

/// An engine with the containers `kept`, `stopped` and `gone`, all running.
async fn engine() -> Dockerd {
    let engine = Dockerd::start().await;
    busybox_image(&engine, "app:1", &ImageOptions::default()).await;
    for name in ["kept", "stopped", "gone"] {
        engine.docker(["run", "--detach", "--restart", "always", "--name", name, "app:1"]).await;
    }
    engine
}

/// What happens on a host while nobody looks.
async fn change(engine: &Dockerd) {
    engine.docker(["stop", "stopped"]).await;
    engine.docker(["rm", "--force", "gone"]).await;
    engine.docker(["run", "--detach", "--name", "new", "app:1"]).await;
}

/// Every event about containers, oldest first: `name action`.
async fn history(site: &Site, id: &str) -> Vec<Value> {
    let path = format!("/api/events?instance={id}&limit=500");
    let mut events = site.api.get(&path).await.expect_status(200)["events"].as_array().unwrap().clone();
    events.reverse();
    events
}

/// Waits until the link is live in another session than `since` says, and the picture true soon after.
async fn back_and_true(site: &Site, member: &Member, engine: &Dockerd, before: &Value) {
    let since = before["link"]["since"].clone();
    let id = &member.id;
    let back = site
        .instance_when("its link to be live again", BACK, id, |it| {
            it["link"]["state"] == "live" && it["link"]["since"] != since
        })
        .await;
    assert_eq!(back["link"]["direction"], before["link"]["direction"]);
    truth::equal(&site.api, id, engine, TRUE_AGAIN).await;
    site.instance_when("it to be healthy and fresh", TRUE_AGAIN, id, |it| {
        it["health"] == "healthy" && it["stale"] == false
    })
    .await;
}

#[tokio::test]
async fn a_killed_controller_comes_back_and_knows_everything_again() {
    for dial in BOTH {
        let (mut site, engine) = tokio::join!(Site::start(), engine());
        let member = site.join(dial, &engine, "host").await;
        truth::equal(&site.api, &member.id, &engine, SOON).await;
        let before = site.instance(&member.id).await;
        site.controller.kill().await;
        change(&engine).await;
        site.controller.start_again().await;
        site.api = site.controller.api().await;
        let list = site.api.instances().await;
        assert_eq!(list.len(), 1);
        assert_eq!(list[0]["created_at"], before["created_at"]);
        back_and_true(&site, &member, &engine, &before).await;
        // What happened meanwhile is in the log, once each.
        let stopped = eventually("the events of meanwhile", SOON, async || {
            let events = history(&site, &member.id).await;
            let text: Vec<_> = events.iter().map(|event| event["what"].to_string()).collect();
            let mentions =
                |name: &str| text.iter().filter(|what| what.contains(&format!("\"{name}\""))).count();
            (mentions("new") > 0 && mentions("gone") > 0).then_some(events)
        })
        .await;
        let mut ids: Vec<_> = stopped.iter().map(|event| event["id"].as_i64().unwrap()).collect();
        let count = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }
}

#[tokio::test]
async fn a_killed_agent_is_lost_at_once_and_comes_back_with_what_happened_meanwhile() {
    for dial in BOTH {
        let (site, engine) = tokio::join!(Site::start(), engine());
        let mut member = site.join(dial, &engine, "host").await;
        truth::equal(&site.api, &member.id, &engine, SOON).await;
        let before = site.instance(&member.id).await;
        member.agent.kill().await;
        let lost = site.link_is("lost", SOON, &member.id).await;
        assert_eq!((&lost["health"], &lost["stale"]), (&json!("unhealthy"), &json!(true)));
        assert!(!lost["link"]["reason"].as_str().unwrap().is_empty());
        assert_eq!(lost["containers"], before["containers"], "absent is unknown, not empty");
        change(&engine).await;
        // Neither a join token nor anybody's help is needed.
        member.agent.options.join = None;
        member.agent.start_again().await;
        back_and_true(&site, &member, &engine, &before).await;
        eventually("the agent's account of what happened without it", SOON, async || {
            let events = history(&site, &member.id).await;
            let died = events.iter().any(|event| event["what"].to_string().contains("\"gone\""));
            let starts = events.iter().filter(|event| event["kind"] == "agent_started").count();
            (died && starts == 2).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn an_engine_that_restarts_is_unreachable_and_then_true_again_without_a_new_session() {
    let (site, mut engine) = tokio::join!(Site::start(), engine());
    let member = site.join(Dial::Outbound, &engine, "host").await;
    truth::equal(&site.api, &member.id, &engine, SOON).await;
    let before = site.instance(&member.id).await;
    for fault in ["stop", "kill"] {
        match fault {
            "stop" => engine.stop().await,
            _ => engine.kill().await,
        }
        let down = site
            .instance_when("its engine to be unreachable", SOON, &member.id, |it| {
                it["engine"]["reachable"] == false
            })
            .await;
        assert_eq!(
            (&down["health"], &down["link"]["state"]),
            (&json!("unhealthy"), &json!("live")),
            "{fault}"
        );
        assert!(!down["engine"]["reason"].as_str().unwrap().is_empty());
        engine.start_again().await;
        site.healthy(&member.id).await;
        truth::equal(&site.api, &member.id, &engine, SOON).await;
    }
    let after = site.instance(&member.id).await;
    assert_eq!(after["link"]["since"], before["link"]["since"], "the link has nothing to do with the engine");
}

#[tokio::test]
async fn a_cable_out_for_90_s_is_late_then_lost_with_reason_and_age_then_live_and_true_by_itself() {
    tokio::join!(cable(Dial::Outbound), cable(Dial::Inbound));
}

async fn cable(dial: Dial) {
    let machine = Netns::start().await;
    let (site, engine) = tokio::join!(Site::start_beside(&machine), engine());
    let member = site.join_on(&machine, dial, &engine, "host").await;
    let id = &member.id;
    truth::equal(&site.api, id, &engine, SOON).await;
    let before = site.instance(id).await;
    let mut live = site.api.live().await;

    machine.link_down().await;
    let cut = Instant::now();
    let late = site.link_is("late", Duration::from_secs(50), id).await;
    assert_eq!(late["stale"], true, "{dial:?}");
    assert!(late["health_reason"].as_str().unwrap().contains("late"), "{late}");
    change(&engine).await;
    let lost = site.link_is("lost", Duration::from_secs(75), id).await;
    assert_eq!(lost["health"], "unhealthy");
    assert!(lost["link"]["reason"].as_str().unwrap().contains("nothing was heard"), "{lost}");
    assert_eq!(lost["containers"], before["containers"], "absent is unknown, not empty");
    let aged = site
        .instance_when("90 s to pass", Duration::from_secs(95), id, |_| {
            cut.elapsed() >= Duration::from_secs(90)
        })
        .await;
    let age = aged["last_seen_age_seconds"].as_f64().unwrap();
    assert!((65.0..=115.0).contains(&age), "{dial:?}: last seen {age} s ago");
    assert!(aged["as_of_age_seconds"].as_f64().unwrap() >= 65.0, "{aged}");
    assert!(aged["link"]["age_seconds"].as_f64().unwrap() >= 15.0, "{aged}");

    machine.link_up().await;
    back_and_true(&site, &member, &engine, &before).await;
    // Whoever followed has seen all of it, in order.
    for state in ["late", "lost", "live"] {
        live.until(&format!("{state} in the live view"), SOON, |event| {
            (event.name == "instance" && event.data["link"]["state"] == state).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_removed_instance_ends_its_link_within_5_s_and_is_refused_by_name() {
    for dial in BOTH {
        let (site, engine) = tokio::join!(Site::start(), engine());
        let member = site.join(dial, &engine, "host").await;
        let id = member.id.clone();
        let asked = Instant::now();
        site.api.delete(&format!("/api/instances/{id}")).await.expect_status(204);
        logged(site.controller.log(), &["an agent is gone", &id]).await;
        logged(member.agent.log(), &["disconnected"]).await;
        assert!(asked.elapsed() < Duration::from_secs(5), "{dial:?}: {:?}", asked.elapsed());
        site.api.get(&format!("/api/instances/{id}")).await.expect_problem(404);
        let containers = engine.docker(["ps", "--quiet"]).await;
        assert_eq!(containers.lines().count(), 3, "the host itself is not touched");
        if dial == Dial::Outbound {
            logged(member.agent.log(), &["refused", "was removed from the controller"]).await;
            logged(site.controller.log(), &["refused an agent", "was removed"]).await;
        } else {
            // Nobody dials it any more; registered again under its address, it still is refused.
            let url = format!("wss://{}", member.agent.link().unwrap());
            let again = json!({ "name": "again", "url": url });
            let (again, _) = site.api.register(&again).await;
            let removed = site
                .instance_when("the refusal to show", SOON, &again, |it| {
                    it["link"]["reason"].as_str().is_some_and(|reason| reason.contains("was removed"))
                })
                .await;
            assert_eq!(removed["link"]["state"], "never");
        }
    }
}
