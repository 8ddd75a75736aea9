//! Joining by what a token gives, and by what the controller's configuration file declares.

use roadstead_tests::api::text;
use roadstead_tests::{AgentOptions, AgentProcess, ControllerOptions, Dockerd, eventually};
use serde_json::{Value, json};

use crate::site::{Dial, SOON, Site, logged};

#[tokio::test]
async fn what_joins_with_a_token_gets_what_it_grants_and_may_be_asked_no_more() {
    let (site, engine) = tokio::join!(Site::start(), Dockerd::start());
    let wish = json!({ "name": "for the shop", "tags": ["shop"], "environment": "production",
        "ceiling": ["view", "logs"] });
    let made = site.api.post("/api/join-tokens", &wish).await.expect_status(201);
    let options = AgentOptions::outbound(&engine, &text(&made, "token")).set("ROADSTEAD_TAGS", "amd64");
    let _agent = AgentProcess::start(options).await;
    let joined = eventually("it to join", SOON, async || site.api.instances().await.pop()).await;
    let id = text(&joined, "id");
    assert_eq!((&joined["tags"], &joined["environment"]), (&json!(["amd64", "shop"]), &json!("production")));
    assert_eq!(joined["ceiling"], json!(["view", "logs"]));
    site.healthy(&id).await;
    let path = format!("/api/instances/{id}/sync");
    let refused = site.api.post(&path, &json!({ "project": "shop" })).await.expect_problem(403);
    assert!(refused.contains("whatever its owner allows"), "{refused}");
    let listed = site.api.get("/api/join-tokens").await.expect_status(200);
    assert_eq!(listed["tokens"][0]["name"], "for the shop");
    let printed = site.controller.command(&["join-tokens"]).await;
    assert!(printed.contains("for the shop") && printed.contains("used"), "{printed}");
    site.api.post("/api/join-tokens", &json!({ "ceiling": ["everything"] })).await.expect_problem(422);
}

#[tokio::test]
async fn a_declared_agent_joins_with_its_secret_and_is_what_the_file_says_after_every_reload() {
    let engine = Dockerd::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (file, secret) = (folder.path().join("controller.toml"), folder.path().join("nas.secret"));
    let declare = |tags: &str, more: &str| {
        let agent = format!(
            "{more}\n[[agents]]\nname = 'nas'\nsecret-file = '{}'\ntags = [{tags}]\n",
            secret.display()
        );
        std::fs::write(&file, agent).unwrap();
    };
    std::fs::write(&secret, "k".repeat(43)).unwrap();
    declare("'home'", "");
    let options = ControllerOptions::default().set("ROADSTEAD_CONFIG", file.display());
    let site = Site::start_with(options).await;
    let token = site.controller.command(&["join-token", "--agent", "NAS"]).await;
    assert_eq!(
        token,
        site.controller.command(&["join-token", "--agent", "nas"]).await,
        "made anew, the same"
    );
    let agent = AgentProcess::start(AgentOptions::outbound(&engine, &token)).await;
    let nas = site.api.instance_named("nas").await.unwrap();
    let id = text(&nas, "id");
    assert_eq!((&nas["declared"], &nas["tags"]), (&json!(true), &json!(["home"])));
    let old = site.healthy(&id).await["key"].clone();

    let path = format!("/api/instances/{id}");
    for refused in [site.api.delete(&path).await, site.api.patch(&path, &json!({ "tags": [] })).await] {
        assert!(refused.expect_problem(409).contains("configuration file"));
    }
    site.api.patch(&path, &json!({ "description": "under the desk" })).await.expect_status(200);

    let reload = async || site.api.post("/api/config/reload", &json!({})).await;
    assert_eq!(reload().await.expect_status(200)["agents"]["unchanged"], json!(["nas"]));
    declare("'home', 'ups'", "rotate-keys-days = 90\ninstance-name = 'other'");
    let reloaded = reload().await.expect_status(200);
    assert_eq!(reloaded["agents"]["changed"], json!(["nas"]));
    assert_eq!(reloaded["applied"], json!(["agents", "rotate-keys-days"]));
    assert_eq!(reloaded["needs_restart"], json!(["instance-name"]));
    assert_eq!(site.instance(&id).await["tags"], json!(["home", "ups"]));
    std::fs::write(&file, "lisen = 'x'").unwrap();
    assert!(reload().await.expect_problem(409).contains("the old one goes on"));

    // A used secret lets nobody in again; a new one lets the reinstalled host take its place.
    drop(agent);
    let again = AgentProcess::start(AgentOptions::outbound(&engine, &token)).await;
    logged(again.log(), &["refused", "has been used"]).await;
    drop(again);
    std::fs::write(&secret, "n".repeat(43)).unwrap();
    declare("'home'", "");
    reload().await.expect_status(200);
    let token = site.controller.command(&["join-token", "--agent", "nas"]).await;
    let _reinstalled = AgentProcess::start(AgentOptions::outbound(&engine, &token)).await;
    let link = |it: &Value| it["link"]["state"] == "live" && it["key"] != old;
    site.instance_when("the reinstalled host to take its place", SOON, &id, link).await;

    // No longer declared: it stays, and can be removed.
    std::fs::write(&file, "").unwrap();
    assert_eq!(reload().await.expect_status(200)["agents"]["released"], json!(["nas"]));
    site.api.delete(&path).await.expect_status(204);
}

#[tokio::test]
async fn of_two_agents_with_one_token_one_gets_in_and_a_replayed_token_lets_nobody_in() {
    let (site, engine) = tokio::join!(Site::start(), Dockerd::start());
    let token = site.token(Dial::Outbound).await;
    let (one, two) = tokio::join!(
        AgentProcess::start(AgentOptions::outbound(&engine, &token)),
        AgentProcess::start(AgentOptions::outbound(&engine, &token)),
    );
    let refused = eventually("one of them to be refused", SOON, async || {
        [&one, &two]
            .into_iter()
            .find(|agent| crate::site::logged_now(agent.log(), &["refused", "has been used"]).is_some())
    })
    .await;
    let instances = site.api.instances().await;
    assert_eq!(instances.len(), 1);
    assert!(crate::site::logged_now(refused.log(), &["connected as"]).is_none());
}
