//! Engines that are away, come back, are behind TLS, or are asked for what must not be asked.

use futures_util::StreamExt;
use roadstead_agent::engine::docker::{DockerEngine, TlsFiles};
use roadstead_agent::engine::{EngineControl, EngineView};
use roadstead_protocol::message::command::ContainerAction;
use roadstead_tests::{Dockerd, DockerdOptions, ImageOptions, busybox_image};

use super::{agent_of, kind};

#[tokio::test]
async fn an_engine_that_is_away_is_unreachable_until_it_is_back() {
    let nowhere =
        DockerEngine::connect(Some("unix:///tmp/no-such-engine.sock"), None).expect("nothing is dialled yet");
    let (kind_of, text) = kind(&nowhere.identify().await.expect_err("nothing is there"));
    assert_eq!(kind_of, "unreachable");
    assert!(text.contains("No such file"), "{text}");

    let mut engine = Dockerd::start().await;
    let agent = agent_of(&engine);
    busybox_image(&engine, "app:1", &ImageOptions::default()).await;
    engine.docker(["create", "--name", "app", "--network", "none", "app:1"]).await;
    let whole = agent.containers().await.expect("the engine answers");
    assert_eq!(whole.len(), 1);
    engine.stop().await;
    for error in [
        agent.identify().await.expect_err("it is stopped"),
        agent.containers().await.expect_err("it is stopped"),
        agent.container("app").await.expect_err("it is stopped"),
        agent.act("app", ContainerAction::Start).await.expect_err("it is stopped"),
        agent.events(None, None).await.map(|_| ()).expect_err("it is stopped"),
        agent.pull("app:1").next().await.expect("an item").expect_err("it is stopped"),
    ] {
        assert_eq!(kind(&error).0, "unreachable", "{error}");
    }
    engine.start_again().await;
    assert_eq!(agent.containers().await, Ok(whole), "the same as before");
}

#[tokio::test]
async fn an_engine_on_tcp_is_spoken_to_with_its_own_certificates_only() {
    let engine = Dockerd::start_with(DockerdOptions { tls: true, ..Default::default() }).await;
    let other = Dockerd::start_with(DockerdOptions { tls: true, ..Default::default() }).await;
    let (host, certificates) = engine.tls_host();
    let files = TlsFiles::in_directory(&certificates);
    let agent = DockerEngine::connect(Some(&host), Some(&files)).expect("good files");
    busybox_image(&engine, "app:1", &ImageOptions::default()).await;
    engine.docker(["create", "--name", "app", "--network", "none", "app:1"]).await;
    assert_eq!(agent.containers().await.expect("it answers")[0].name, "app");
    assert!(agent.events(None, None).await.is_ok());

    let (_, foreign) = other.tls_host();
    let foreign = TlsFiles::in_directory(&foreign);
    // The engine is not the one that these certificates know.
    let stranger = DockerEngine::connect(Some(&host), Some(&foreign)).expect("good files");
    assert_eq!(kind(&stranger.identify().await.expect_err("another authority")).0, "unreachable");
    // The engine does not know this client.
    let mixed = TlsFiles { authorities: files.authorities.clone(), ..foreign };
    let stranger = DockerEngine::connect(Some(&host), Some(&mixed)).expect("good files");
    assert_eq!(kind(&stranger.identify().await.expect_err("unknown client")).0, "unreachable");
    let plain = DockerEngine::connect(Some(&host), None).expect("loopback");
    assert!(plain.identify().await.is_err(), "it speaks TLS only");
}

#[tokio::test]
async fn names_cannot_leave_their_place_in_the_engines_api() {
    let engine = Dockerd::start().await;
    let agent = agent_of(&engine);
    for name in ["../version", "a/../../info", "x?all=1", "x%2f..", "", "."] {
        assert_eq!(kind(&agent.container(name).await.expect_err(name)).0, "refused");
        assert_eq!(kind(&agent.act(name, ContainerAction::Kill).await.expect_err(name)).0, "refused");
        assert_eq!(kind(&agent.rename("app", name).await.expect_err(name)).0, "refused");
        assert_eq!(kind(&agent.remove(name, true).await.expect_err(name)).0, "refused");
        assert_eq!(kind(&agent.log_tail(name, 1).await.expect_err(name)).0, "refused");
        assert_eq!(kind(&agent.create_like(name, "new", "app").await.expect_err(name)).0, "refused");
        assert!(agent.image(name).await.is_err() && agent.registry_digest(name).await.is_err(), "{name}");
    }
}
