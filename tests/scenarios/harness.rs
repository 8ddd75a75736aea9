//! The harness itself: engines and a registry that start, fail, come back and leave nothing behind.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use roadstead_tests::images::push_image;
use roadstead_tests::{
    Dockerd, DockerdOptions, ImageOptions, Netns, Registry, busybox_image, eventually, tool,
};
use tokio::net::TcpListener;

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn two_engines_run_side_by_side_with_networks_of_their_own() {
    let (one, other) = tokio::join!(Dockerd::start(), Dockerd::start());
    for engine in [&one, &other] {
        busybox_image(engine, "app:1", &ImageOptions::default()).await;
        engine.docker(["network", "create", "back"]).await;
        engine.docker(["run", "--detach", "--name", "app", "--network", "back", "app:1"]).await;
        engine.docker(["run", "--detach", "--publish", "127.0.0.1::80", "app:1"]).await;
        assert_eq!(engine.docker(["ps", "--quiet"]).await.lines().count(), 2);
    }
    one.docker(["rm", "--force", "app"]).await;
    assert_eq!(other.docker(["ps", "--quiet"]).await.lines().count(), 2);
}

#[tokio::test]
async fn an_image_travels_through_the_registry_which_may_go_away_and_come_back() {
    let (maker, user, mut registry) = tokio::join!(Dockerd::start(), Dockerd::start(), Registry::start());
    let image = registry.image("app:1");
    let digest = push_image(&maker, &registry, "app:1", &ImageOptions::default().layer(2 << 20)).await;

    registry.stop().await;
    assert!(!user.docker_output(["pull", &image]).await.status.success());
    registry.start_again().await;
    assert!(user.docker(["pull", &image]).await.contains(&digest));
}

#[tokio::test]
async fn an_engine_survives_stop_kill_and_power_cut_with_its_containers() {
    let mut engine = Dockerd::start().await;
    busybox_image(&engine, "app:1", &ImageOptions::default()).await;
    engine.docker(["run", "--detach", "--restart", "always", "--name", "app", "app:1"]).await;
    for fault in ["stop", "kill", "power cut"] {
        match fault {
            "stop" => engine.stop().await,
            "kill" => engine.kill().await,
            _ => engine.power_cut(),
        }
        assert!(!engine.docker_output(["ps"]).await.status.success(), "{fault}");
        engine.start_again().await;
        eventually(&format!("the container after {fault}"), SOON, async || {
            (engine.docker(["ps", "--format", "{{.Names}}"]).await == "app").then_some(())
        })
        .await;
    }
}

/// The bridge of the machine's own engine, made for as long as this is there where there is none.
struct MachinesBridge {
    made: bool,
}

impl MachinesBridge {
    const NAME: &str = "docker0";

    async fn make() -> Self {
        let made = tool::run("ip", ["link", "add", "name", Self::NAME, "type", "bridge"]).await.is_ok();
        assert!(Self::is_there(), "neither made nor there before");
        Self { made }
    }

    fn is_there() -> bool {
        Path::new("/sys/class/net").join(Self::NAME).exists()
    }
}

impl Drop for MachinesBridge {
    fn drop(&mut self) {
        if let (true, Ok(ip)) = (self.made, tool::find("ip")) {
            let _ = Command::new(ip).args(["link", "delete", Self::NAME]).output();
        }
    }
}

#[tokio::test]
async fn an_engine_that_starts_again_leaves_the_bridge_of_the_machines_own_engine_alone() {
    let _bridge = MachinesBridge::make().await;
    let mut engine = Dockerd::start().await;
    engine.stop().await;
    engine.start_again().await;
    assert!(MachinesBridge::is_there());
}

#[tokio::test]
async fn an_engine_with_a_paused_container_ends_all_the_same() {
    let mut engine = Dockerd::start().await;
    busybox_image(&engine, "app:1", &ImageOptions::default()).await;
    engine.docker(["run", "--detach", "--name", "app", "app:1"]).await;
    engine.docker(["pause", "app"]).await;
    engine.power_cut();
    engine.start_again().await;
    engine.docker(["start", "app"]).await;
    engine.docker(["pause", "app"]).await;
}

#[tokio::test]
async fn a_small_disk_runs_full() {
    let engine = Dockerd::start_with(DockerdOptions { data_megabytes: Some(24), ..Default::default() }).await;
    busybox_image(&engine, "app:1", &ImageOptions::default()).await;
    let fill = ["run", "--rm", "app:1", "dd", "if=/dev/zero", "of=/big", "bs=1048576", "count=64"];
    let output = engine.docker_output(fill).await;
    assert!(String::from_utf8_lossy(&output.stderr).contains("No space left"), "{output:?}");
}

#[tokio::test]
async fn an_engine_on_tcp_asks_for_a_client_certificate() {
    let engine = Dockerd::start_with(DockerdOptions { tls: true, ..Default::default() }).await;
    let (host, certificates) = engine.tls_host();
    let mut known = engine.command("docker").unwrap();
    known.env("DOCKER_HOST", &host).env("DOCKER_TLS_VERIFY", "1").env("DOCKER_CERT_PATH", certificates);
    tool::succeed(known.arg("version")).await.unwrap();
    let mut stranger = engine.command("docker").unwrap();
    stranger.env("DOCKER_HOST", &host).args(["--tls", "version"]);
    assert!(tool::succeed(&mut stranger).await.is_err());
}

#[tokio::test]
async fn a_machine_of_its_own_loses_its_cable_and_its_packets() {
    let machine = Netns::start().await;
    let listener = TcpListener::bind((machine.outside(), 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let reach = async || {
        let connect = format!("</dev/tcp/{}/{port}", machine.outside());
        let mut command = machine.command("timeout").unwrap();
        tool::succeed(command.args(["1", "bash", "-c", &connect])).await.is_ok()
    };
    assert!(reach().await, "it reaches this machine");
    machine.link_down().await;
    assert!(!reach().await, "nothing passes a pulled cable");
    machine.link_up().await;
    eventually("the cable to carry again", SOON, async || reach().await.then_some(())).await;
    machine.lose(100).await;
    assert!(!reach().await, "everything is lost");
    machine.lose(0).await;
    assert!(reach().await, "nothing is lost any more");
    machine.limit_rate(1000).await;
    assert!(reach().await);
}
