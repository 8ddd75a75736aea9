//! Keys are replaced while everything goes on, and a controller that comes back from a backup is known again.

use std::time::Duration;

use roadstead_tests::{AgentOptions, AgentProcess, Dockerd, eventually};
use serde_json::{Value, json};

use crate::site::{BOTH, Dial, Member, SOON, Site};

/// The longest pause of the back-off, twice: a key is refused before the other is tried.
const BACK: Duration = Duration::from_secs(150);

async fn keys(site: &Site) -> Value {
    site.api.get("/api/controller/keys").await.expect_status(200)
}

/// Waits until every agent knows the controller's newest key.
async fn all_know(site: &Site) {
    eventually("all agents to know the new key", SOON, async || {
        (keys(site).await["waiting_for"] == 0).then_some(())
    })
    .await;
}

async fn replace_agents_key(site: &Site, id: &str) -> String {
    let before = site.instance(id).await["key"].clone();
    site.api.post(&format!("/api/instances/{id}/rotate-key"), &json!({})).await.expect_status(202);
    let after = site
        .instance_when("its new key to be shown", SOON, id, |it| {
            it["key"] != before && it["next_key"].is_null() && it["health"] == "healthy"
        })
        .await;
    after["key"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_agents_key_and_its_controllers_are_replaced_over_the_session_whoever_dials() {
    let (mut site, engine) = tokio::join!(Site::start(), Dockerd::start());
    let mut members = Vec::new();
    for dial in BOTH {
        members.push(site.join(dial, &engine, dial.word()).await);
    }
    let old_token = site.token(Dial::Outbound).await;
    let before = keys(&site).await;
    for member in &members {
        replace_agents_key(&site, &member.id).await;
    }
    let after = site.api.post("/api/controller/rotate-key", &json!({})).await.expect_status(200);
    assert_eq!(after["earlier"], before["key"], "the earlier key still counts");
    assert_ne!(after["key"], before["key"]);
    all_know(&site).await;
    site.api.post("/api/controller/rotate-key", &json!({})).await.expect_problem(409);
    // Killed, all of them, and back with the new keys alone.
    for member in &mut members {
        member.agent.kill().await;
    }
    site.controller.kill().await;
    site.controller.start_again().await;
    site.api = site.controller.api().await;
    for member in &mut members {
        member.agent.start_again().await;
        site.instance_when("it to be healthy again", BACK, &member.id, |it| it["health"] == "healthy").await;
        replace_agents_key(&site, &member.id).await;
    }
    // Whoever has a token from before the change joins all the same.
    let late = AgentProcess::start(AgentOptions::outbound(&engine, &old_token)).await;
    eventually("the late one", SOON, async || (site.api.instances().await.len() == 3).then_some(())).await;
    drop(late);
}

#[tokio::test]
async fn a_controller_restored_from_a_backup_is_recognised_although_keys_were_replaced_since() {
    let (mut site, engine) = tokio::join!(Site::start(), Dockerd::start());
    let mut members: Vec<Member> = Vec::new();
    for dial in BOTH {
        members.push(site.join(dial, &engine, dial.word()).await);
    }
    let before = keys(&site).await;
    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("backup.db");
    site.controller.command(&["backup", backup.to_str().unwrap()]).await;
    // What the backup knows nothing of.
    let mut newer = Vec::new();
    for member in &members {
        newer.push(replace_agents_key(&site, &member.id).await);
    }
    site.api.post("/api/controller/rotate-key", &json!({})).await.expect_status(200);
    all_know(&site).await;

    site.controller.restore(&backup).await;
    site.controller.start_again().await;
    site.api = site.controller.api().await;
    assert_eq!(keys(&site).await["key"], before["key"]);
    for (member, newer) in members.iter().zip(newer) {
        site.instance_when("its agent to be back with its newer key", BACK, &member.id, |it| {
            it["health"] == "healthy" && it["key"] == *newer
        })
        .await;
    }
    assert_eq!(site.api.instances().await.len(), members.len(), "nobody came back as somebody else");
}
