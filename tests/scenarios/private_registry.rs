//! Images that only a login may pull.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roadstead_tests::images::push_image;
use roadstead_tests::registry::{PASSWORD, USER};
use roadstead_tests::{
    AgentOptions, AgentProcess, ControllerOptions, ControllerProcess, Dockerd, ImageOptions, Registry,
    eventually,
};
use serde_json::json;

const SOON: Duration = Duration::from_secs(60);

#[tokio::test]
async fn the_logins_of_the_agents_host_are_used_and_their_absence_is_named() {
    let (maker, host, mut registry) = tokio::join!(Dockerd::start(), Dockerd::start(), Registry::start());
    push_image(&maker, &registry, "secret:1", &ImageOptions::default()).await;
    registry.require_login().await;
    let controller = ControllerProcess::start(ControllerOptions::default()).await;
    let api = controller.api().await;
    let (instance, token) = api.register(&json!({ "name": "host" })).await;
    let logins = tempfile::tempdir().expect("a folder");
    let options = AgentOptions::outbound(&host, &token)
        .set("ROADSTEAD_ALLOW", "all")
        .set("DOCKER_CONFIG", logins.path().display());
    let _agent = AgentProcess::start(options).await;
    eventually("the agent", SOON, async || {
        let host = api.instance_named("host").await?;
        (host["health"] == "healthy").then_some(())
    })
    .await;
    let install = async || {
        let work = json!({ "name": "app", "image": registry.image("secret:1"), "network": "none" });
        let path = format!("/api/instances/{instance}/install");
        let command = api.post(&path, &work).await.expect_status(202);
        api.wait_command(command["id"].as_str().expect("an id"), SOON).await
    };

    let refused = install().await;
    assert_eq!(refused["state"], "failed", "{refused}");
    let reason = refused["outcome"]["reason"].as_str().expect("a reason");
    assert!(reason.contains("registry") && reason.contains("secret:1"), "{reason}");

    // What `docker login` writes.
    let auth = STANDARD.encode(format!("{USER}:{PASSWORD}"));
    let config = json!({ "auths": { registry.address(): { "auth": auth } } });
    std::fs::write(logins.path().join("config.json"), config.to_string()).expect("a file");
    let installed = install().await;
    assert_eq!(installed["state"], "succeeded", "{installed}");
}
