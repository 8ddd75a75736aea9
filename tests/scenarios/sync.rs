//! Sync on real parts: a real engine, a real registry whose image changes, real docker-compose.

pub(crate) mod stage;

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use roadstead_agent::commands::CommandOptions;
use roadstead_protocol::message::command::{
    ContainerAction, OrderRefusal, Outcome, ServiceResult, Strategy, Work,
};
use roadstead_protocol::message::progress::{LogStream, Progress, ProgressLine};
use roadstead_tests::{DockerdOptions, ImageOptions, eventually};
use tokio::net::TcpListener;

use stage::{Stage, failure, service, summary, sync, sync_within};

const BOTH: [Strategy; 2] = [Strategy::Engine, Strategy::Compose];
const SOON: Duration = Duration::from_secs(30);

/// An image like the first one, but another.
fn newer() -> ImageOptions {
    ImageOptions::default().with("LABEL generation=2").layer(8 << 20)
}

/// The most bytes that a line said were done of a layer in that status, and how many there were in all.
fn bytes(lines: &[ProgressLine], wanted: &str) -> (u64, u64) {
    let counts = lines.iter().filter_map(|line| match &line.entry {
        Progress::Layer { status, done_bytes, total_bytes: Some(total), .. } if status == wanted => {
            Some((*done_bytes, *total))
        }
        _ => None,
    });
    counts.max().unwrap_or((0, 0))
}

#[tokio::test]
async fn a_container_whose_network_another_one_uses_is_left_as_it_is() {
    let stage = Stage::start().await;
    let web = stage.inspect("shop_web_1").await;
    let image = web["Image"].as_str().unwrap();
    let joined = [
        "run",
        "-d",
        "--name",
        "joined",
        "--network",
        "container:shop_web_1",
        image,
        "/bin/busybox",
        "sleep",
        "1000",
    ];
    stage.host.docker(joined).await;
    stage.publish("app:1", &newer()).await;
    let (outcome, _) = stage.run(sync(Strategy::Engine)).await;
    assert!(failure(&outcome).contains("its network is used by joined"), "{outcome:?}");
    let now = stage.inspect("shop_web_1").await;
    assert_eq!((&now["Id"], &now["State"]["StartedAt"]), (&web["Id"], &web["State"]["StartedAt"]));
}

#[tokio::test]
async fn a_changed_image_is_put_to_use_and_everything_else_is_preserved() {
    for strategy in BOTH {
        let stage = Stage::start().await;
        stage.exec("shop_web_1", "echo kept > /data/file; echo kept > /scratch/file").await;
        let configuration = stage.configuration("shop_web_1").await;
        let (web, db) = (stage.inspect("shop_web_1").await, stage.inspect("shop_db_1").await);
        stage.publish("app:1", &newer()).await;

        let (outcome, lines) = stage.run(sync(strategy)).await;
        assert_eq!(summary(&outcome), "updated web; db already current", "{strategy:?}");
        let now = stage.inspect("shop_web_1").await;
        assert_ne!(now["Image"], web["Image"]);
        assert_eq!(now["Config"]["Labels"]["generation"], "2");
        let told = service(&outcome, "web");
        assert_eq!(
            (told.before.as_deref(), told.after.as_deref()),
            (web["Image"].as_str(), now["Image"].as_str())
        );
        // The engine says little of a download that takes milliseconds, but always the end of the extraction.
        let ((loaded, total), extracted) = (bytes(&lines, "Downloading"), bytes(&lines, "Extracting"));
        assert!(loaded > 0 && total > 8 << 20, "{strategy:?}: {loaded} of {total} bytes");
        assert_eq!(extracted, (total, total), "{strategy:?}");
        assert!(lines.iter().enumerate().all(|(number, line)| line.line == number as u64));

        for ((what, before), (_, mut after)) in
            configuration.into_iter().zip(stage.configuration("shop_web_1").await)
        {
            if what == "labels" {
                after.as_object_mut().unwrap().remove("generation");
            }
            assert_eq!(before, after, "{strategy:?}: {what}");
        }
        assert_eq!(stage.exec("shop_web_1", "cat /data/file /scratch/file").await, "kept\nkept");
        assert_eq!(stage.inspect("shop_db_1").await["Id"], db["Id"]);

        let before = stage.everything().await;
        assert_eq!(before.len(), 2, "{before:?}");
        let (outcome, _) = stage.run(sync(strategy)).await;
        assert_eq!(summary(&outcome), "already current: nothing changed");
        assert_eq!(stage.everything().await, before);
        if strategy == Strategy::Compose {
            // What compose has done does not look like a change to the engine. The reverse does not hold: compose 1
            // keeps the image in a hash that only it can write, so it recreates a container once more.
            let (outcome, _) = stage.run(sync(Strategy::Engine)).await;
            assert_eq!(summary(&outcome), "already current: nothing changed");
        }
    }
}

#[tokio::test]
async fn a_new_image_that_does_not_come_up_fails_with_reason_and_log_and_the_engine_rolls_back() {
    let broken = ImageOptions::running("echo cannot read settings >&2; exit 3");
    let sick = ImageOptions::default()
        .with("HEALTHCHECK --interval=1s --timeout=2s --retries=2 CMD [\"/bin/false\"]")
        .with("LABEL sick=yes");
    for strategy in BOTH {
        let stage = Stage::start().await;
        for (image, reason, log) in
            [(&broken, "code 3", "cannot read settings"), (&sick, "health check", "started")]
        {
            let before = stage.everything().await;
            stage.publish("app:1", image).await;
            let (outcome, _) = stage.run(sync(strategy)).await;
            let said = failure(&outcome);
            assert!(said.starts_with("web: ") && (said.contains(reason) || said.contains("again")), "{said}");
            let web = service(&outcome, "web");
            assert!(web.log_tail.iter().any(|line| line.contains(log)), "{web:?}");
            if strategy == Strategy::Engine {
                assert_eq!(web.result, ServiceResult::RolledBack);
                assert_eq!(web.after, web.before);
                assert_eq!(stage.everything().await, before);
            } else {
                assert_eq!(web.result, ServiceResult::Failed);
            }
        }
    }
}

#[tokio::test]
async fn without_its_registry_or_its_image_nothing_is_replaced_and_the_failure_has_a_name() {
    let mut stage = Stage::start().await;
    stage.publish("db:1", &newer()).await;
    let digest = stage.publish("app:1", &newer().with("LABEL soon=gone")).await;
    let before = stage.everything().await;
    stage.registry.stop().await;
    for strategy in BOTH {
        let (outcome, _) = stage.run(sync(strategy)).await;
        let said = failure(&outcome);
        assert!(said.contains("registry:") && said.contains("refused"), "{strategy:?}: {said}");
        assert_eq!(stage.everything().await, before);
    }
    stage.registry.start_again().await;
    stage.forget("app", &digest).await;
    for strategy in BOTH {
        let (outcome, _) = stage.run(sync(strategy)).await;
        let said = failure(&outcome);
        assert!(said.contains("web: cannot pull") && said.contains("not found"), "{strategy:?}: {said}");
        assert_eq!(service(&outcome, "db").result, ServiceResult::NotReached, "{strategy:?}");
        assert_eq!(stage.everything().await, before);
    }
}

#[tokio::test]
async fn a_full_disk_is_named_and_nothing_is_replaced() {
    let options = DockerdOptions { data_megabytes: Some(48), ..DockerdOptions::default() };
    let stage = Stage::start_with(options, CommandOptions::default()).await;
    let before = stage.everything().await;
    stage.publish("app:1", &ImageOptions::default().layer(60 << 20)).await;
    for strategy in BOTH {
        let (outcome, _) = stage.run(sync(strategy)).await;
        assert!(failure(&outcome).contains("no space left on the host's disk"), "{strategy:?}: {outcome:?}");
        assert_eq!(stage.everything().await, before);
    }
}

#[tokio::test]
async fn a_second_sync_is_refused_with_the_first_ones_id_and_the_first_can_be_cancelled() {
    let mut stage = Stage::start().await;
    let before = stage.everything().await;
    let address = stage.registry.address();
    stage.registry.stop().await;
    // A registry that takes connections and says nothing holds the pull.
    let silent = TcpListener::bind(&address).await.unwrap();
    let first = stage.begin(sync(Strategy::Engine));
    let held = silent.accept().await.unwrap();
    let (outcome, _) = stage.run(sync(Strategy::Engine)).await;
    assert_eq!(outcome, Outcome::Refused { refusal: OrderRefusal::Busy { running: first } });
    stage.executor.cancel(first);
    let outcome = stage.outcome(first).await;
    assert!(matches!(outcome, Outcome::Cancelled { .. }), "{outcome:?}");
    assert_eq!(stage.everything().await, before);
    drop(held);
}

#[tokio::test]
async fn a_script_does_the_work_and_is_reported_with_exit_code_and_both_streams() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("sync");
    let body = "#!/bin/sh\ncd \"$(cat \"${0%/*}/where\")\" && docker-compose -p \"$1\" pull && \
                docker-compose -p \"$1\" up -d && echo \"done with $ROADSTEAD_PROJECT\"\n\
                test -e fail && { echo \"out of luck\" >&2; exit 9; }\nexit 0\n";
    std::fs::write(&script, body).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let options = CommandOptions { sync_script: Some(script), ..CommandOptions::default() };
    let stage = Stage::start_with(DockerdOptions::default(), options).await;
    std::fs::write(folder.path().join("where"), stage.folder().to_str().unwrap()).unwrap();
    stage.publish("app:1", &newer()).await;
    let (outcome, lines) = stage.run(sync(Strategy::Script)).await;
    assert_eq!(summary(&outcome), "updated web; db already current");
    let said = |wanted, text: &str| {
        lines.iter().any(|line| {
            matches!(&line.entry, Progress::Log { stream, text: said, .. } if *stream == wanted && said.contains(text))
        })
    };
    assert!(said(LogStream::Stdout, "done with shop") && said(LogStream::Stderr, "Recreating shop_web_1"));
    std::fs::write(stage.folder().join("fail"), "").unwrap();
    let (outcome, _) = stage.run(sync(Strategy::Script)).await;
    assert!(failure(&outcome).contains("code 9") && failure(&outcome).contains("out of luck"), "{outcome:?}");
}

#[tokio::test]
async fn cancelling_while_the_new_container_is_verified_puts_the_old_one_back() {
    let stage = Stage::start().await;
    stage.host.docker(["update", "--restart", "on-failure:3", "shop_web_1"]).await;
    let policy = stage.inspect("shop_web_1").await["HostConfig"]["RestartPolicy"].clone();
    let before = stage.everything().await;
    let slow = "HEALTHCHECK --interval=1s --start-period=300s CMD [\"/bin/false\"]";
    stage.publish("app:1", &ImageOptions::default().with(slow)).await;
    let id = stage.begin(sync_within(Strategy::Engine, 300));
    eventually("the new container to run", SOON, async || {
        let list = stage.everything().await;
        list.iter()
            .any(|line| {
                line.starts_with("shop_web_1 ") && line.ends_with("running") && !before.contains(line)
            })
            .then_some(())
    })
    .await;
    // An engine that starts again now starts the new one alone.
    let old = stage.everything().await.into_iter().find(|line| line.contains("_roadstead_old_")).unwrap();
    let old = stage.inspect(old.split(' ').next().unwrap()).await;
    assert_eq!(old["HostConfig"]["RestartPolicy"]["Name"], "no");
    stage.executor.cancel(id);
    let outcome = stage.outcome(id).await;
    assert!(matches!(outcome, Outcome::Cancelled { .. }), "{outcome:?}");
    assert_eq!(service(&outcome, "web").result, ServiceResult::RolledBack);
    assert_eq!(stage.inspect("shop_web_1").await["HostConfig"]["RestartPolicy"], policy);
    assert_eq!(stage.everything().await, before);
}

#[tokio::test]
async fn checking_installing_reinstalling_and_acting_tell_what_is() {
    let stage = Stage::start().await;
    let run = async |work| stage.run(work).await.0;
    let check = || Work::Check { project: "shop".to_owned() };
    assert_eq!(summary(&run(check()).await), "already current: nothing changed");
    let before = stage.everything().await;
    stage.publish("app:1", &newer()).await;
    assert_eq!(summary(&run(check()).await), "db already current; newer image for web");
    assert_eq!(stage.everything().await, before);

    let install = serde_json::json!({
        "name": "side", "image": stage.registry.image("app:1"), "env": { "COLOUR": "green" },
        "mounts": ["side:/data"], "ports": ["127.0.0.1::80"], "restart_policy": "always",
    });
    let install = Work::Install(serde_json::from_value(install).unwrap());
    assert_eq!(summary(&run(install).await), "side was installed");
    let (first, configuration) = (stage.inspect("side").await, stage.configuration("side").await);
    let reinstall = Work::Reinstall { container: "side".to_owned() };
    assert_eq!(summary(&run(reinstall).await), "restarted side");
    assert_ne!(stage.inspect("side").await["Id"], first["Id"]);
    assert_eq!(stage.configuration("side").await, configuration);

    let act = |action| Work::Container { container: "side".to_owned(), action };
    assert!(failure(&run(act(ContainerAction::Remove)).await).contains("running"));
    for (action, expected) in [
        (ContainerAction::Pause, "side is paused"),
        (ContainerAction::Unpause, "side is running"),
        (ContainerAction::Restart, "side is running"),
        (ContainerAction::Stop, "side is stopped"),
        (ContainerAction::Start, "side is running"),
        (ContainerAction::Kill, "side is stopped"),
        (ContainerAction::Remove, "side was removed"),
    ] {
        assert_eq!(summary(&run(act(action)).await), expected);
    }
}
