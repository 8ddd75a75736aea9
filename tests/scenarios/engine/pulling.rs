//! Pulling from a real registry: bytes as they come, and failures by their names.

use futures_util::TryStreamExt;
use roadstead_agent::engine::docker::DockerEngine;
use roadstead_agent::engine::{EngineControl, EngineError, PullProgress};
use roadstead_tests::images::push_image;
use roadstead_tests::{Dockerd, DockerdOptions, ImageOptions, Registry};

use super::{agent_of, kind};

const LAYER: usize = 6 << 20;

async fn pulled(agent: &DockerEngine, image: &str) -> Result<Vec<PullProgress>, EngineError> {
    agent.pull(image).try_collect().await
}

#[tokio::test]
async fn a_pull_tells_the_bytes_of_every_layer_and_ends_with_the_registrys_digest() {
    let (maker, user, registry) = tokio::join!(Dockerd::start(), Dockerd::start(), Registry::start());
    let digest = push_image(
        &maker,
        &registry,
        "app:1",
        &ImageOptions::default().layer(LAYER).with("LABEL made.by=somebody"),
    )
    .await;
    let (agent, image) = (agent_of(&user), registry.image("app:1"));
    assert_eq!(agent.image(&image).await, Ok(None));
    assert_eq!(agent.registry_digest(&image).await, Ok(digest.clone()));

    let lines = pulled(&agent, &image).await.expect("it is there");
    let downloads: Vec<_> = lines
        .iter()
        .filter(|line| {
            line.status == "Downloading" && line.total_bytes.is_some_and(|total| total >= LAYER as u64)
        })
        .collect();
    // How often the engine tells them is its own affair: over loopback rarely.
    assert!(downloads.iter().any(|line| line.done_bytes > 0), "{lines:#?}");
    assert!(downloads.iter().all(|line| line.layer.as_ref().is_some_and(|layer| layer.len() == 12)));
    let extracted = lines.iter().filter(|line| line.status == "Extracting").map(|line| line.done_bytes).max();
    assert!(extracted >= Some(LAYER as u64), "{lines:#?}");
    let named = lines.iter().any(|line| line.layer.is_none() && line.status.contains(&digest));
    assert!(named, "{lines:#?}");

    let local = agent.image(&image).await.expect("the engine answers").expect("it was pulled");
    assert_eq!(local.repo_digests, [format!("{}@{digest}", registry.image("app"))]);
    assert!(local.id.starts_with("sha256:"));
    assert_eq!(local.labels["made.by"], "somebody");
    let again = pulled(&agent, &format!("{}@{digest}", registry.image("app"))).await.expect("by digest");
    assert!(!again.iter().any(|line| line.status == "Downloading"), "nothing to do: {again:#?}");
}

#[tokio::test]
async fn what_cannot_be_pulled_says_why() {
    let (maker, mut registry) = tokio::join!(Dockerd::start(), Registry::start());
    let small = Dockerd::start_with(DockerdOptions { data_megabytes: Some(24), ..Default::default() }).await;
    push_image(&maker, &registry, "app:1", &ImageOptions::default().layer(48 << 20)).await;
    let agent = agent_of(&small);

    for missing in ["app:2", "nothing:1"] {
        let image = registry.image(missing);
        let (kind_of, text) = kind(&pulled(&agent, &image).await.expect_err(missing));
        assert_eq!(kind_of, "not found", "{text}");
        let (kind_of, text) = kind(&agent.registry_digest(&image).await.expect_err(missing));
        assert_eq!(kind_of, "not found", "{text}");
    }
    let (kind_of, text) = kind(&pulled(&agent, &registry.image("app:1")).await.expect_err("too large"));
    assert_eq!(kind_of, "disk full", "{text}");
    assert_eq!(agent.image(&registry.image("app:1")).await, Ok(None), "nothing half there");

    registry.stop().await;
    let image = registry.image("app:1");
    let (kind_of, text) = kind(&pulled(&agent, &image).await.expect_err("it is down"));
    assert_eq!(kind_of, "registry", "{text}");
    assert!(text.contains(&registry.address()), "{text}");
    let (kind_of, text) = kind(&agent.registry_digest(&image).await.expect_err("it is down"));
    assert_eq!(kind_of, "registry", "{text}");
    assert_eq!(kind(&pulled(&agent, "Not A Reference").await.expect_err("nonsense")).0, "refused");
}
