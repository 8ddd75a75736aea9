//! The images and the compose files of docker/, on a private engine that can pull nothing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use roadstead_tests::{Api, Dockerd, eventually, tool};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(60);
const PASSWORD: &str = "correct horse battery staple";

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Builds both images from the static binaries in docker/out.
async fn build(engine: &Dockerd) {
    for program in ["agent", "controller"] {
        let binary = repository(&format!("docker/out/{program}/roadstead-{program}"));
        assert!(binary.is_file(), "no static binaries: run `scripts/images.sh --no-images`");
        let file = repository(&format!("docker/Dockerfile.{program}"));
        let tag = format!("roadstead-{program}:latest");
        let folder = repository("docker");
        let arguments = ["build", "--quiet", "--tag", &tag, "--file"].map(PathBuf::from);
        engine.docker(arguments.into_iter().chain([file, folder])).await;
    }
}

async fn compose(engine: &Dockerd, file: &str, settings: &[(&str, &str)], arguments: &[&str]) -> String {
    let run = async {
        let mut command = engine.command("docker-compose")?;
        command.arg("--file").arg(repository(file)).args(["--project-name", "roadstead"]).args(arguments);
        command.env("ROADSTEAD_DOCKER_SOCKET", engine.socket()).envs(settings.iter().copied());
        tool::succeed(&mut command).await
    };
    run.await.unwrap_or_else(|error| panic!("{error:#}"))
}

/// The web address of the controller that compose started, by the port that the engine chose.
async fn api(engine: &Dockerd) -> Api {
    let port = engine.docker(["port", "roadstead_controller_1", "8080/tcp"]).await;
    let api = Api::anonymous(&format!("http://{port}"));
    api.login(PASSWORD).await.expect_status(200);
    api
}

async fn live_instance(api: &Api, name: &str) -> Value {
    eventually(&format!("{name} to be live"), SOON, async || {
        api.instance_named(name).await.filter(|instance| instance["health"] == "healthy")
    })
    .await
}

#[tokio::test]
async fn compose_brings_up_a_controller_whose_agent_joins_by_itself() {
    let engine = Dockerd::start().await;
    build(&engine).await;
    let settings = [
        ("ROADSTEAD_PASSWORD", PASSWORD),
        ("ROADSTEAD_WEB_PORT", "127.0.0.1:0"),
        ("ROADSTEAD_AGENT_PORT", "127.0.0.1:0"),
        ("ROADSTEAD_INSTANCE_NAME", "harbour"),
    ];
    compose(&engine, "docker/compose.yaml", &settings, &["up", "--detach"]).await;

    let controller = api(&engine).await;
    let instance = live_instance(&controller, "harbour").await;
    let id = instance["id"].as_str().unwrap();
    let names: Vec<_> = controller.containers(id).await.iter().map(|it| it["name"].to_string()).collect();
    assert!(names.iter().any(|name| name.contains("roadstead_agent_1")), "{names:?}");

    // The images' own checks see what is so, and the controller is not root.
    eventually("both to be healthy", SOON, async || {
        let healthy = engine.docker(["ps", "--quiet", "--filter", "health=healthy"]).await;
        (healthy.lines().count() == 2).then_some(())
    })
    .await;
    let user = engine.docker(["inspect", "--format", "{{.Config.User}}", "roadstead_controller_1"]).await;
    assert_eq!(user, "10001:10001");

    // Down and up again: the same instance, without a new token.
    compose(&engine, "docker/compose.yaml", &settings, &["down"]).await;
    compose(&engine, "docker/compose.yaml", &settings, &["up", "--detach"]).await;
    let again = live_instance(&api(&engine).await, "harbour").await;
    assert_eq!(again["id"], instance["id"]);
}
