//! Container actions, install, reinstall and check.

use std::time::Duration;

use roadstead_agent::engine::fake::{Behaviour, RegistryImage};
use roadstead_agent::engine::{EngineError, Image};
use roadstead_protocol::message::command::{ContainerAction, InstallWork, Outcome, ServiceResult, Work};

use crate::support::{Bench, failure, invalid_reason, results, service, summary};

fn act(container: &str, action: ContainerAction) -> Work {
    Work::Container { container: container.to_owned(), action }
}

fn install(name: &str, image: &str) -> Work {
    let json = serde_json::json!({ "name": name, "image": image, "restart_policy": "always" });
    Work::Install(serde_json::from_value::<InstallWork>(json).unwrap())
}

fn exits(code: i64) -> Behaviour {
    let log = vec!["good bye".to_owned()];
    Behaviour { exits: Some((Duration::from_millis(500), code)), log, ..Behaviour::default() }
}

#[tokio::test(start_paused = true)]
async fn each_action_ends_with_what_the_container_then_does() {
    use ContainerAction::{Kill, Pause, Remove, Restart, Start, Stop, Unpause};
    let bench = Bench::new();
    bench.engine.add(bench.engine.sample("web", "app:1"));
    for (action, expected) in [
        (Pause, "web is paused"),
        (Unpause, "web is running"),
        (Stop, "web is stopped"),
        (Start, "web is running"),
        (Restart, "web is running"),
        (Kill, "web is stopped"),
        (Remove, "web was removed"),
    ] {
        assert_eq!(summary(&bench.run(act("web", action)).await), expected);
    }
    assert!(bench.names().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_container_that_ends_at_once_was_not_started() {
    let bench = Bench::new();
    bench.engine.behave("sha256:app:1", exits(4));
    bench.engine.add(bench.engine.sample("web", "app:1"));
    let outcome = bench.run(act("web", ContainerAction::Restart)).await;
    assert_eq!(failure(&outcome), "web was started, but it ended with code 4");
}

#[tokio::test(start_paused = true)]
async fn what_the_engine_refuses_is_a_failure_in_its_words() {
    let bench = Bench::new();
    bench.engine.add(bench.engine.sample("web", "app:1"));
    let outcome = bench.run(act("web", ContainerAction::Remove)).await;
    assert!(failure(&outcome).contains("stop it first"), "{outcome:?}");
    bench.engine.go_away("connection refused");
    let outcome = bench.run(act("web", ContainerAction::Stop)).await;
    assert_eq!(failure(&outcome), "the Docker engine does not answer: connection refused");
}

#[tokio::test(start_paused = true)]
async fn the_agents_own_container_is_not_stopped() {
    let bench = Bench::new();
    bench.engine.add(bench.engine.sample("agent", "app:1"));
    bench.engine.set_own_container(bench.engine.one("agent").map(|agent| agent.id));
    let outcome = bench.run(act("agent", ContainerAction::Stop)).await;
    assert!(invalid_reason(&outcome).contains("runs this agent"));
    let outcome = bench.run(Work::Reinstall { container: "agent".to_owned() }).await;
    assert!(invalid_reason(&outcome).contains("runs this agent"));
    assert!(bench.engine.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn installing_pulls_creates_starts_and_verifies() {
    let bench = Bench::new();
    bench.engine.publish("app:1", RegistryImage::simple("sha256:app"));
    let outcome = bench.run(install("web", "app:1")).await;
    assert_eq!(summary(&outcome), "web was installed");
    assert_eq!(service(&outcome, "web").after.as_deref(), Some("sha256:app"));
    assert_eq!(bench.engine.calls(), ["pull app:1", "create web app:1", "start web"]);
    assert!(invalid_reason(&bench.run(install("web", "app:1")).await).contains("already"));
}

#[tokio::test(start_paused = true)]
async fn what_does_not_come_up_is_removed_again_with_its_last_words() {
    let bench = Bench::new();
    bench.engine.publish("app:1", RegistryImage::simple("sha256:app"));
    bench.engine.behave("sha256:app", exits(1));
    let outcome = bench.run(install("web", "app:1")).await;
    assert!(failure(&outcome).contains("code 1"), "{outcome:?}");
    assert_eq!(service(&outcome, "web").log_tail, ["good bye"]);
    assert!(bench.names().is_empty());
    bench.engine.fail_when("start web", 1, EngineError::Refused("port 80 is taken".to_owned()));
    assert!(failure(&bench.run(install("web", "app:1")).await).contains("port 80"));
    assert!(bench.names().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_install_leaves_no_container() {
    let bench = Bench::new();
    bench.engine.publish("app:1", RegistryImage::simple("sha256:app"));
    for point in ["layer app:1", "create web", "container web"] {
        let mut hold = bench.engine.hold_when(point);
        let id = bench.begin(install("web", "app:1"));
        hold.reached().await;
        bench.executor.cancel(id);
        hold.release();
        let outcome = bench.outcome(id).await;
        assert!(matches!(outcome, Outcome::Cancelled { .. }), "{point}: {outcome:?}");
        assert!(bench.names().is_empty(), "{point}");
    }
}

#[tokio::test(start_paused = true)]
async fn reinstalling_recreates_also_what_is_current() {
    let bench = Bench::new();
    bench.engine.publish("app:1", RegistryImage::simple("sha256:one"));
    bench.engine.set_image("app:1", "sha256:one");
    bench.engine.add(bench.engine.sample("web", "app:1"));
    let old = bench.engine.one("web").unwrap().id;
    let work = || Work::Reinstall { container: "web".to_owned() };
    let outcome = bench.run(work()).await;
    assert_eq!(
        (summary(&outcome), results(&outcome)),
        ("restarted web", vec![("web", ServiceResult::Restarted)])
    );
    assert_ne!(bench.engine.one("web").unwrap().id, old);
    bench.engine.publish("app:1", RegistryImage::simple("sha256:two"));
    assert_eq!(summary(&bench.run(work()).await), "updated web");
    bench.assert_runs("web", "sha256:two");
    bench.engine.publish("app:1", RegistryImage::simple("sha256:three"));
    bench.engine.behave("sha256:three", exits(9));
    let outcome = bench.run(work()).await;
    assert_eq!(failure(&outcome), "web: it ended with code 9 (rolled back)");
    bench.assert_runs("web", "sha256:two");
}

#[tokio::test(start_paused = true)]
async fn checking_tells_apart_what_is_current_outdated_and_unknowable() {
    let bench = Bench::new();
    bench.shop();
    bench.engine.set_image_with("tool:1", Image { id: "sha256:tool".to_owned(), ..Image::default() });
    bench.engine.add(bench.engine.compose_sample("shop", "tool", "tool:1"));
    let outcome = bench.run(Work::Check { project: "shop".to_owned() }).await;
    assert_eq!(summary(&outcome), "db already current; newer image for web; cannot check tool");
    bench.engine.fail_when("registry_digest db:1", 1, EngineError::Registry("timed out".to_owned()));
    let outcome = bench.run(Work::Check { project: "shop".to_owned() }).await;
    assert_eq!(service(&outcome, "db").result, ServiceResult::CannotCheck);
    assert_eq!(service(&outcome, "db").reason.as_deref(), Some("registry: timed out"));
    assert!(bench.engine.calls().is_empty());
}
