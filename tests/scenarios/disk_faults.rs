//! A disk that fails under the running programs: they say what is wrong, lose nothing that was acknowledged, go on
//! running, and go on working when the disk does.

use std::time::Duration;

use roadstead_tests::{DiskFault, Dockerd, ImageOptions, busybox_image, eventually};
use serde_json::Value;

use crate::site::{Dial, Member, SOON, Site, logged};

/// The longest pause of the back-off, and something for the attempt itself.
const BACK: Duration = Duration::from_secs(75);

/// What each run of a container makes the engine tell, in this order.
const LIFE: [&str; 4] = ["create", "start", "die", "destroy"];

const SYNCS: &str = "fsync,fdatasync";

async fn stage() -> (Site, Dockerd, Member) {
    let (site, engine) = tokio::join!(Site::start(), Dockerd::start());
    busybox_image(&engine, "app:1", &ImageOptions::default()).await;
    let member = site.join(Dial::Outbound, &engine, "host").await;
    (site, engine, member)
}

pub async fn live_and_die(engine: &Dockerd, name: &str) {
    engine.docker(["run", "--rm", "--name", name, "app:1", "true"]).await;
}

/// What is known to have happened to a container, oldest first.
async fn life(site: &Site, name: &str) -> Vec<String> {
    let mut events = site.api.get("/api/events?limit=500").await.expect_status(200)["events"].clone();
    let events = events.as_array_mut().unwrap();
    events.reverse();
    let of_it = events.iter().filter(|event| event["what"]["name"] == name);
    let actions = of_it.filter_map(|event| event["what"]["action"].as_str());
    actions.filter(|action| LIFE.contains(action)).map(str::to_owned).collect()
}

/// Waits until all that happened to a container is known, and sees that it is known once and in order.
pub async fn whole_life(site: &Site, name: &str) {
    eventually(&format!("the whole life of {name}"), BACK, async || {
        let life = life(site, name).await;
        life.contains(&"destroy".to_owned()).then_some(())
    })
    .await;
    assert_eq!(life(site, name).await, LIFE, "{name}");
}

async fn controllers_health(site: &Site) -> (u16, Value) {
    let answer = site.api.get("/health").await;
    (answer.status.as_u16(), answer.body)
}

#[tokio::test]
async fn a_controller_whose_disk_fails_says_so_acknowledges_nothing_and_goes_on_when_the_disk_does() {
    let (mut site, engine, member) = stage().await;
    live_and_die(&engine, "before").await;
    whole_life(&site, "before").await;
    let running = site.controller.id();
    let database = site.controller.data().join("roadstead.db");
    let log = site.controller.data().join("roadstead.db-wal");
    let files = [database.as_path(), log.as_path()];
    let faults = [(SYNCS, "EIO", "I/O error"), ("write,pwrite64", "ENOSPC", "full")];
    for (calls, error, words) in faults {
        let name = format!("during-{error}");
        let fault = DiskFault::on(running, calls, error, &files).await;
        live_and_die(&engine, &name).await;
        logged(site.controller.log(), &["could not commit", words]).await;
        eventually("the controller to call itself unwell", SOON, async || {
            let (status, said) = controllers_health(&site).await;
            let named = said["detail"].as_str().is_some_and(|detail| detail.contains(words));
            (status == 503 && named).then_some(())
        })
        .await;
        assert!(life(&site, &name).await.is_empty(), "what is not on disk is not shown as if it were");
        fault.lift().await;
        eventually("the controller to be well again", SOON, async || {
            (controllers_health(&site).await.0 == 200).then_some(())
        })
        .await;
        whole_life(&site, &name).await;
        assert_eq!(site.controller.id(), running, "the same process all the time");
    }
    site.controller.kill().await;
    site.controller.start_again().await;
    site.api = site.controller.api().await;
    for name in ["before", "during-EIO", "during-ENOSPC"] {
        assert_eq!(life(&site, name).await, LIFE, "{name}, after the controller was killed");
    }
    site.link_is("live", BACK, &member.id).await;
}

#[tokio::test]
async fn an_agent_whose_disk_fails_says_so_and_tells_everything_when_the_disk_works_again() {
    let (site, engine, mut member) = stage().await;
    let running = member.agent.id();
    for (calls, error, words) in [(SYNCS, "EIO", "os error 5"), ("pwrite64", "ENOSPC", "no space left")] {
        let name = format!("during-{error}");
        let fault = DiskFault::on(running, calls, error, &[]).await;
        live_and_die(&engine, &name).await;
        logged(member.agent.log(), &["cannot record events", words, "outbox"]).await;
        // The picture does not wait for the disk.
        engine.docker(["run", "--detach", "--name", &format!("{name}-shown"), "app:1"]).await;
        eventually("the picture to go on", SOON, async || {
            let path = format!("/api/instances/{}/containers", member.id);
            let shown = site.api.get(&path).await.expect_status(200).to_string();
            shown.contains(&format!("{name}-shown")).then_some(())
        })
        .await;
        assert!(life(&site, &name).await.is_empty(), "only what is on the agent's disk is told");
        fault.lift().await;
        whole_life(&site, &name).await;
        assert_eq!(member.agent.id(), running, "the same process all the time");
    }
    member.agent.kill().await;
    member.agent.start_again().await;
    live_and_die(&engine, "after").await;
    whole_life(&site, "after").await;
    for name in ["during-EIO", "during-ENOSPC"] {
        assert_eq!(life(&site, name).await, LIFE, "{name}, after the agent was killed");
    }
}
