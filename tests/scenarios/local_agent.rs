//! The agent that a controller runs for its own host.

use std::time::Duration;

use roadstead_tests::{Api, ControllerOptions, ControllerProcess, Dockerd, eventually, tool};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(30);

async fn this_instance(api: &Api, health: &str) -> Value {
    eventually(&format!("this instance to be {health}"), SOON, async || {
        let instances = api.get("/api/instances").await.expect_status(200);
        let this = instances["this_instance"].clone();
        (this["health"] == health && this["link"]["state"] == "live").then_some(this)
    })
    .await
}

#[tokio::test]
async fn it_joins_by_itself_and_comes_and_goes_with_the_controller() {
    let engine = Dockerd::start().await;
    let options = ControllerOptions { local_agent: "on".to_owned(), ..ControllerOptions::default() };
    let mut controller = ControllerProcess::start(options.set("DOCKER_HOST", engine.host())).await;
    let api = controller.api().await;
    let first = this_instance(&api, "healthy").await;
    assert_eq!(first["link"]["direction"], "outbound");

    // Killed without a word: the agent must not outlive it, or the next one would meet a stranger.
    controller.kill().await;
    controller.start_again().await;
    let api = controller.api().await;
    let again = this_instance(&api, "healthy").await;
    assert_eq!(again["id"], first["id"]);
    let events = api.get("/api/events?kind=agent_started").await.expect_status(200);
    assert_eq!(events["events"].as_array().map(Vec::len), Some(2), "one start for each controller: {events}");

    assert!(controller.stop().await.success());
}

#[tokio::test]
async fn one_that_is_told_to_end_ends_and_is_started_again() {
    let engine = Dockerd::start().await;
    let options = ControllerOptions { local_agent: "on".to_owned(), ..ControllerOptions::default() };
    let controller = ControllerProcess::start(options.set("DOCKER_HOST", engine.host())).await;
    let api = controller.api().await;
    let first = this_instance(&api, "healthy").await;
    let parent = controller.id().to_string();
    tool::run("pkill", ["-TERM", "-P", &parent, "-x", "roadstead-agent"]).await.unwrap();
    eventually("another agent of this host", SOON, async || {
        let this = this_instance(&api, "healthy").await;
        (this["link"]["since"] != first["link"]["since"]).then_some(())
    })
    .await;
}
