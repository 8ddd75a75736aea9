//! Sync by script and by compose, with small programs in the place of the real ones and the fake engine beside them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use roadstead_agent::commands::CommandOptions;
use roadstead_agent::engine::{EngineControl as _, Image};
use roadstead_protocol::message::command::{ContainerAction, Outcome, ServiceResult, Strategy};
use roadstead_protocol::message::container::{ContainerHealth, ContainerState};
use roadstead_protocol::message::progress::{LogStream, Progress, ProgressLine};

use crate::support::{Bench, failure, invalid_reason, results, summary, sync_by};

fn program(directory: &Path, name: &str, body: &str) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn said(lines: &[ProgressLine], wanted: LogStream) -> Vec<&str> {
    let texts = lines.iter().filter_map(|line| match &line.entry {
        Progress::Log { stream, text, .. } if *stream == wanted => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

fn with_script(body: &str) -> (Bench, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let script = program(directory.path(), "sync.sh", body);
    let docker_env = vec![("DOCKER_HOST".to_owned(), "unix:///somewhere".to_owned())];
    let options = CommandOptions { sync_script: Some(script), docker_env, ..CommandOptions::default() };
    let bench = Bench::with("all", options);
    bench.shop();
    (bench, directory)
}

#[tokio::test]
async fn a_script_gets_project_and_services_as_arguments_and_is_reported_line_by_line() {
    let (bench, _directory) = with_script("echo \"$ROADSTEAD_PROJECT $DOCKER_HOST: $*\"; echo careful >&2");
    let id = bench.begin(sync_by("shop", None));
    let outcome = bench.outcome(id).await;
    assert_eq!(summary(&outcome), "already current: nothing changed");
    let lines = bench.lines(id).await;
    assert_eq!(said(&lines, LogStream::Stdout), ["shop unix:///somewhere: shop db web"]);
    assert_eq!(said(&lines, LogStream::Stderr), ["careful"]);
    let Progress::Plan { strategy, .. } = lines[0].entry else { panic!("the plan comes first") };
    assert_eq!(strategy, Some(Strategy::Script));
}

#[tokio::test]
async fn a_failing_script_is_a_failure_with_its_code_and_last_words() {
    let (bench, _directory) = with_script("echo 'no such branch' >&2; exit 7");
    let outcome = bench.run(sync_by("shop", None)).await;
    assert_eq!(failure(&outcome), "the script ended with code 7: no such branch");
    let results = results(&outcome);
    assert!(results.iter().all(|(_, result)| *result == ServiceResult::AlreadyCurrent), "{results:?}");
}

#[tokio::test]
async fn a_script_that_restarts_the_old_image_updates_nothing() {
    let (bench, directory) =
        with_script("touch \"${0%/*}/begun\"; while [ -e \"${0%/*}/begun\" ]; do sleep 0.01; done");
    let id = bench.begin(sync_by("shop", None));
    while !directory.path().join("begun").exists() {
        tokio::task::yield_now().await;
    }
    // What it pulled is not what it started.
    bench.engine.set_image("app:1", "sha256:app-new");
    bench.engine.act("shop_web_1", ContainerAction::Restart).await.unwrap();
    std::fs::remove_file(directory.path().join("begun")).unwrap();
    let outcome = bench.outcome(id).await;
    assert!(failure(&outcome).contains("it runs another one"), "{outcome:?}");
}

#[tokio::test]
async fn a_service_that_a_script_would_take_for_an_option_is_refused() {
    let (bench, _directory) = with_script("true");
    bench.engine.add(bench.engine.compose_sample("shop", "--volumes", "app:1"));
    assert!(invalid_reason(&bench.run(sync_by("shop", None)).await).contains("no name of a service"));
}

#[tokio::test]
async fn a_script_that_cannot_be_run_is_named() {
    let (bench, directory) = with_script("");
    std::fs::remove_file(directory.path().join("sync.sh")).unwrap();
    let outcome = bench.run(sync_by("shop", None)).await;
    assert!(invalid_reason(&outcome).contains("sync.sh is not an executable file"), "{outcome:?}");
}

#[tokio::test]
async fn cancelling_ends_the_script() {
    let (bench, directory) = with_script("touch \"${0%/*}/begun\"; sleep 1000");
    let id = bench.begin(sync_by("shop", None));
    while !directory.path().join("begun").exists() {
        tokio::task::yield_now().await;
    }
    bench.executor.cancel(id);
    let outcome = bench.outcome(id).await;
    assert!(matches!(outcome, Outcome::Cancelled { .. }), "{outcome:?}");
}

/// A `docker-compose` of the first generation that knows the shop; `up` runs `body`.
fn with_compose(warning: &str, body: &str) -> (Bench, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let config = "services:\n  db:\n    image: db:1\n  web:\n    image: app:1\nversion: '3'";
    std::fs::write(path.join("config.txt"), config).unwrap();
    std::fs::write(path.join("docker-compose.yml"), "").unwrap();
    let script = format!(
        "case \"$*\" in\n  version*) echo 1.29.2;;\n  *config) cat {0}/config.txt; {warning};;\n  *) echo \"$@\"; {body};;\nesac",
        path.display()
    );
    program(path, "docker-compose", &script);
    let options = CommandOptions { search_path: Some(path.into()), ..CommandOptions::default() };
    let bench = Bench::with("all", options);
    bench.shop();
    for name in ["shop_web_1", "shop_db_1"] {
        bench.engine.change(name, None, |container| {
            for (label, value) in [
                ("project.working_dir", path.to_str().unwrap()),
                ("project.config_files", "docker-compose.yml"),
                ("version", "1.29.2"),
            ] {
                container.labels.insert(format!("com.docker.compose.{label}"), value.to_owned());
            }
        });
    }
    (bench, directory)
}

#[tokio::test]
async fn compose_is_chosen_where_it_can_read_the_files_and_changes_are_seen_not_believed() {
    let (bench, _directory) = with_compose("true", "true");
    let id = bench.begin(sync_by("shop", None));
    let outcome = bench.outcome(id).await;
    // This compose did nothing, and says that all is well.
    assert_eq!(results(&outcome), [("db", ServiceResult::AlreadyCurrent), ("web", ServiceResult::Failed)]);
    assert!(failure(&outcome).contains("left as it was"), "{outcome:?}");
    let lines = bench.lines(id).await;
    let Progress::Plan { strategy, .. } = lines[0].entry else { panic!("the plan comes first") };
    assert_eq!(strategy, Some(Strategy::Compose));
    let arguments = said(&lines, LogStream::Stdout)[0];
    assert!(
        arguments.ends_with("up -d --no-build") && arguments.contains("-p shop -f docker-compose.yml"),
        "{arguments}"
    );
    assert_eq!(bench.engine.calls(), ["pull db:1", "pull app:1"]);
}

/// A shop whose images carry this label, so that its containers have it too, as the engine gives it to them.
fn with_label_of_the_image(label: &str, file: &str) -> (Bench, tempfile::TempDir) {
    let (bench, directory) = with_compose("true", "true");
    let file = directory.path().join(file);
    std::fs::write(&file, "").unwrap();
    let (label, file) = (format!("com.docker.compose.project.{label}"), file.to_str().unwrap().to_owned());
    for (reference, container) in [("db:1", "shop_db_1"), ("app:1", "shop_web_1")] {
        let id = bench.engine.one(container).unwrap().image_id;
        let labels = [(label.clone(), file.clone())].into();
        bench.engine.set_image_with(reference, Image { id, labels, ..Image::default() });
        bench.engine.change(container, None, |one| drop(one.labels.insert(label.clone(), file.clone())));
    }
    (bench, directory)
}

#[tokio::test]
async fn an_image_does_not_say_where_a_projects_files_are() {
    let (bench, _directory) = with_label_of_the_image("environment_file", "evil.env");
    let id = bench.begin(sync_by("shop", Some(Strategy::Compose)));
    bench.outcome(id).await;
    let lines = bench.lines(id).await;
    let arguments = said(&lines, LogStream::Stdout)[0];
    assert!(arguments.contains("-f docker-compose.yml") && !arguments.contains("evil.env"), "{arguments}");

    let (bench, _directory) = with_label_of_the_image("config_files", "evil.yml");
    let outcome = bench.run(sync_by("shop", Some(Strategy::Compose))).await;
    assert!(invalid_reason(&outcome).contains("no label that says where its files are"), "{outcome:?}");
    // Nor is a container believed whose image nobody can look at any more.
    let (bench, _directory) = with_compose("true", "true");
    for container in ["shop_db_1", "shop_web_1"] {
        bench.engine.change(container, None, |one| one.image_id = "sha256:gone".to_owned());
    }
    let outcome = bench.run(sync_by("shop", Some(Strategy::Compose))).await;
    assert!(invalid_reason(&outcome).contains("its image is not here any more"), "{outcome:?}");
}

#[tokio::test]
async fn compose_that_would_fill_in_blanks_is_not_chosen() {
    let warning = "echo 'The TAG variable is not set. Defaulting to a blank string.' >&2";
    let (bench, _directory) = with_compose(warning, "true");
    let id = bench.begin(sync_by("shop", None));
    bench.outcome(id).await;
    let lines = bench.lines(id).await;
    let Progress::Plan { strategy, why, .. } = &lines[0].entry else { panic!("the plan comes first") };
    assert_eq!(
        (*strategy, why.as_str()),
        (Some(Strategy::Engine), "compose would not know the variables TAG")
    );
}

#[tokio::test]
async fn compose_that_would_fill_in_blanks_is_refused_where_it_was_asked_for() {
    let warning = "echo \"cannot expand '~', because the environment lacks HOME\" >&2";
    let (bench, _directory) = with_compose(warning, "true");
    let outcome = bench.run(sync_by("shop", Some(Strategy::Compose))).await;
    assert!(invalid_reason(&outcome).contains("would not know the variables HOME"), "{outcome:?}");
    assert!(bench.engine.calls().is_empty());
}

#[tokio::test]
async fn what_is_current_and_does_not_run_well_is_no_success() {
    for (state, health, words) in [
        (ContainerState::Running, ContainerHealth::Unhealthy, "the health check of shop_db_1 fails"),
        (ContainerState::Restarting, ContainerHealth::None, "shop_db_1 ends and is started again and again"),
    ] {
        let (bench, _directory) = with_compose("true", "true");
        bench.engine.change("shop_db_1", None, |db| (db.state, db.health) = (state, health));
        for strategy in [Strategy::Compose, Strategy::Engine] {
            let outcome = bench.run(sync_by("shop", Some(strategy))).await;
            assert!(failure(&outcome).contains(words), "{strategy:?}: {outcome:?}");
        }
    }
}

#[tokio::test]
async fn a_failing_compose_is_reported_with_its_words_and_an_unpullable_image_keeps_it_from_running() {
    let (bench, _directory) = with_compose("true", "echo 'port is taken' >&2; exit 1");
    let outcome = bench.run(sync_by("shop", Some(Strategy::Compose))).await;
    assert!(failure(&outcome).starts_with("compose ended with code 1: "), "{outcome:?}");
    assert!(failure(&outcome).contains("port is taken"), "{outcome:?}");
    let down = roadstead_agent::engine::EngineError::Registry("connection refused".to_owned());
    bench.engine.fail_when("pull db:1", 1, down);
    let id = bench.begin(sync_by("shop", Some(Strategy::Compose)));
    assert!(failure(&bench.outcome(id).await).contains("cannot pull db:1"));
    assert!(said(&bench.lines(id).await, LogStream::Stdout).is_empty());
}

#[tokio::test]
async fn compose_leaves_the_agents_own_service_out() {
    let (bench, _directory) = with_compose("true", "true");
    bench.engine.set_own_container(bench.engine.one("shop_db_1").map(|db| db.id));
    let id = bench.begin(sync_by("shop", None));
    bench.outcome(id).await;
    let lines = bench.lines(id).await;
    assert!(said(&lines, LogStream::Stdout)[0].ends_with("up -d --no-build --no-deps web"));
}

#[tokio::test]
async fn compose_of_another_generation_than_the_projects_is_not_used() {
    let (bench, _directory) = with_compose("true", "true");
    for name in ["shop_web_1", "shop_db_1"] {
        bench.engine.change(name, None, |container| {
            container.labels.insert("com.docker.compose.version".to_owned(), "2.29.1".to_owned());
        });
    }
    let outcome = bench.run(sync_by("shop", Some(Strategy::Compose))).await;
    assert!(invalid_reason(&outcome).contains("docker-compose 1.29.2"), "{outcome:?}");
}
