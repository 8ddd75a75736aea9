//! Programs killed in the middle of a command: it ends once, under its own id, and its log is whole.

use std::net::SocketAddr;
use std::time::Duration;

use roadstead_tests::images::push_image;
use roadstead_tests::{
    AgentOptions, AgentProcess, Api, ControllerOptions, ControllerProcess, Dockerd, ImageOptions, Proxy,
    Registry, eventually,
};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(60);

/// A host with a one-service project whose image comes through a proxy and has a newer one in the registry.
struct Stage {
    controller: ControllerProcess,
    agent: AgentProcess,
    proxy: Proxy,
    instance: String,
    host: Dockerd,
    _registry: Registry,
}

impl Stage {
    async fn start() -> Self {
        let (maker, host, registry) = tokio::join!(Dockerd::start(), Dockerd::start(), Registry::start());
        let proxy = Proxy::start(registry.address().parse::<SocketAddr>().expect("an address"));
        let proxy = proxy.await.expect("a proxy");
        push_image(&maker, &registry, "app:1", &ImageOptions::default()).await;
        let image = format!("{}/app:1", proxy.address());
        host.docker(["pull", &image]).await;
        let labels = ["com.docker.compose.project=shop", "com.docker.compose.service=web"];
        let run =
            ["run", "--detach", "--name", "shop_web_1", "--label", labels[0], "--label", labels[1], &image];
        host.docker(run).await;
        let newer = ImageOptions::default().with("LABEL generation=2").layer(4 << 20);
        push_image(&maker, &registry, "app:1", &newer).await;

        let controller = ControllerProcess::start(ControllerOptions::default()).await;
        let (instance, token) = controller.api().await.register(&json!({ "name": "host" })).await;
        let options = AgentOptions::outbound(&host, &token).set("ROADSTEAD_ALLOW", "all");
        let agent = AgentProcess::start(options).await;
        let stage = Self { controller, agent, proxy, instance, host, _registry: registry };
        stage.healthy().await;
        stage
    }

    async fn healthy(&self) {
        let api = self.controller.api().await;
        eventually("the agent", SOON, async || {
            let host = api.instance_named("host").await?;
            (host["health"] == "healthy").then_some(())
        })
        .await;
    }

    /// Begins a sync whose pull gets no answer, and returns its id and log when it is waiting for one.
    async fn held_sync(&self) -> (String, Vec<Value>) {
        self.proxy.go_silent();
        let api = self.controller.api().await;
        let id = api.sync(&self.instance, &json!({ "project": "shop", "strategy": "engine" })).await;
        let lines = eventually("the pull to begin", SOON, async || {
            let lines = log(&api, &id).await;
            lines.iter().any(|line| line.to_string().contains("\"pull\"")).then_some(lines)
        })
        .await;
        (id, lines)
    }

    /// Waits for the end of a sync, which worked, and returns its log, which is whole.
    async fn succeeded(&self, id: &str) -> Vec<Value> {
        let api = self.controller.api().await;
        let ended = api.wait_command(id, SOON).await;
        assert_eq!(ended["state"], "succeeded", "{ended}");
        let label =
            self.host.docker(["inspect", "--format", "{{.Config.Labels.generation}}", "shop_web_1"]).await;
        assert_eq!(label, "2");
        eventually("the log's last line", SOON, async || {
            let lines = log(&api, id).await;
            let verified = lines.last()?.to_string().contains("done");
            verified.then_some(lines)
        })
        .await
    }

    /// Checks that the event of this command's end is stored once.
    ///
    /// The agent's answer to an enquiry may end a command before that event arrives. Events arrive in order, so once
    /// the end of a later command is there, nothing more comes of this one.
    async fn told_once(&self, id: &str) {
        let api = self.controller.api().await;
        let path = format!("/api/instances/{}/check", self.instance);
        let answer = api.post(&path, &json!({})).await.expect_status(202);
        let later = answer["id"].as_str().expect("an id").to_owned();
        let ends = eventually("the later command's event", SOON, async || {
            let ends = ended_commands(&api).await;
            ends.contains(&later).then_some(ends)
        })
        .await;
        assert_eq!(ends.iter().filter(|ended| *ended == id).count(), 1, "{ends:?}");
    }
}

/// The commands of which an end was told, once for each event.
async fn ended_commands(api: &Api) -> Vec<String> {
    let answer = api.get("/api/events?kind=command_ended").await.expect_status(200);
    let events = answer["events"].as_array().expect("events");
    events.iter().filter_map(|event| event["what"]["command"].as_str().map(str::to_owned)).collect()
}

async fn log(api: &Api, id: &str) -> Vec<Value> {
    let answer = api.get(&format!("/api/commands/{id}/log")).await.expect_status(200);
    answer["lines"].as_array().expect("lines").clone()
}

fn is_whole(lines: &[Value]) -> bool {
    let numbered = lines.iter().enumerate().all(|(number, line)| line["line"] == number);
    numbered && !lines.iter().any(|line| line.to_string().contains("dropped"))
}

#[tokio::test]
async fn a_sync_whose_agent_is_killed_in_a_pull_ends_well_under_its_own_id_and_in_its_own_log() {
    let mut stage = Stage::start().await;
    let (id, before) = stage.held_sync().await;
    stage.agent.kill().await;
    stage.proxy.speak();
    stage.agent.start_again().await;
    let lines = stage.succeeded(&id).await;
    assert!(is_whole(&lines), "{lines:#?}");
    assert_eq!(lines[..before.len()], before, "what was told stays as it was");
    let restarts = lines.iter().filter(|line| line.to_string().contains("the agent restarted")).count();
    assert_eq!(restarts, 1, "{lines:#?}");
    stage.told_once(&id).await;
}

#[tokio::test]
async fn a_sync_whose_controller_is_killed_goes_on_into_the_same_log() {
    let mut stage = Stage::start().await;
    let (id, before) = stage.held_sync().await;
    stage.controller.kill().await;
    stage.proxy.speak();
    stage.controller.start_again().await;
    let lines = stage.succeeded(&id).await;
    assert!(is_whole(&lines), "{lines:#?}");
    assert_eq!(lines[..before.len()], before);
}

#[tokio::test]
async fn a_stop_whose_agent_is_killed_ends_as_interrupted_once() {
    let mut stage = Stage::start().await;
    let api = stage.controller.api().await;
    // The engine answers nothing while the agent asks it to stop the container.
    stage.host.freeze().await;
    let path = format!("/api/instances/{}/containers/shop_web_1/stop", stage.instance);
    let answer = api.post(&path, &json!({})).await.expect_status(202);
    let id = answer["id"].as_str().expect("an id").to_owned();
    eventually("the command to run", SOON, async || {
        let command = api.get(&format!("/api/commands/{id}")).await.expect_status(200);
        (command["state"] == "running").then_some(())
    })
    .await;
    stage.agent.kill().await;
    stage.host.resume().await;
    stage.agent.start_again().await;
    let ended = api.wait_command(&id, SOON).await;
    assert_eq!(ended["state"], "failed", "{ended}");
    assert!(
        ended["outcome"]["reason"].as_str().is_some_and(|reason| reason.starts_with("interrupted")),
        "{ended}"
    );
    stage.told_once(&id).await;
}
