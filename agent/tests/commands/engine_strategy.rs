//! Sync by the engine alone: what changed is replaced, everything else stays, and the old one always comes back.

use std::time::Duration;

use roadstead_agent::engine::fake::{Behaviour, RegistryImage};
use roadstead_agent::engine::{EngineError, Image};
use roadstead_protocol::message::command::{Outcome, ServiceResult, Strategy, SyncWork, Work};
use roadstead_protocol::message::container::{ContainerState, Port};
use roadstead_protocol::message::progress::{Progress, Step};

use crate::support::{Bench, failure, invalid_reason, results, service, summary, sync, sync_by};

#[tokio::test(start_paused = true)]
async fn what_changed_is_replaced_with_its_configuration_and_the_rest_stays() {
    let bench = Bench::new();
    bench.shop();
    let port = Port { private: 80, protocol: "tcp".into(), host_ip: None, public: Some(8080) };
    bench.engine.change("shop_web_1", None, |web| web.ports = vec![port]);
    let (web, db) = (bench.engine.one("shop_web_1").unwrap(), bench.engine.one("shop_db_1").unwrap());
    let id = bench.begin(sync("shop"));
    let outcome = bench.outcome(id).await;
    assert_eq!(summary(&outcome), "updated web; db already current");
    let told = service(&outcome, "web");
    assert_eq!(told.before.as_deref(), Some("sha256:app-old"));
    assert_eq!(told.after.as_deref(), Some("sha256:app-new"));
    bench.assert_runs("shop_web_1", "sha256:app-new");
    let new = bench.engine.one("shop_web_1").unwrap();
    assert_ne!(new.id, web.id);
    assert_eq!(
        (new.labels, new.mounts, new.networks, new.ports, new.restart_policy),
        (web.labels, web.mounts, web.networks, web.ports, web.restart_policy)
    );
    assert_eq!(bench.engine.one("shop_db_1").unwrap(), db);
    let lines = bench.lines(id).await;
    let Progress::Plan { strategy, services, .. } = &lines[0].entry else { panic!("the plan comes first") };
    assert_eq!(*strategy, Some(Strategy::Engine));
    assert_eq!(services[1].current.as_deref(), Some("sha256:app-old"));
    let bytes =
        |line: &Progress| matches!(line, Progress::Layer { done_bytes: 3_000, total_bytes: Some(3_000), .. });
    assert!(lines.iter().any(|line| bytes(&line.entry)));
}

#[tokio::test(start_paused = true)]
async fn a_second_sync_changes_nothing_and_says_so() {
    let bench = Bench::new();
    bench.shop();
    bench.run(sync("shop")).await;
    let before = bench.changes();
    let outcome = bench.run(sync("shop")).await;
    assert_eq!(summary(&outcome), "already current: nothing changed");
    assert_eq!(bench.changes(), before);
}

#[tokio::test(start_paused = true)]
async fn whatever_step_fails_the_old_container_runs_on() {
    let refused = || EngineError::Refused("no".to_owned());
    for (step, expected) in [
        ("create_like shop_web_1", ServiceResult::Failed),
        ("stop shop_web_1", ServiceResult::RolledBack),
        ("rename shop_web_1 ", ServiceResult::RolledBack),
        ("rename shop_web_1_roadstead_new", ServiceResult::RolledBack),
        ("start shop_web_1", ServiceResult::RolledBack),
    ] {
        let bench = Bench::new();
        bench.shop();
        let old = bench.engine.one("shop_web_1").unwrap();
        bench.engine.fail_when(step, 1, refused());
        let outcome = bench.run(sync("shop")).await;
        assert!(failure(&outcome).starts_with("web: "), "{step}: {outcome:?}");
        let web = service(&outcome, "web");
        assert_eq!((web.result, web.after.as_deref()), (expected, Some("sha256:app-old")), "{step}");
        bench.assert_runs("shop_web_1", "sha256:app-old");
        assert_eq!(bench.engine.one("shop_web_1").unwrap().id, old.id, "{step}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_image_that_does_not_come_up_is_rolled_back_with_its_reason() {
    let second = Duration::from_secs(1);
    let exits = |code| Behaviour { exits: Some((second, code)), ..Behaviour::default() };
    for (behaviour, word) in [
        (exits(3), "code 3"),
        (exits(0), "code 0"),
        (Behaviour { out_of_memory: true, ..exits(137) }, "memory"),
        (Behaviour { unhealthy_after: Some(second * 5), ..Behaviour::default() }, "health check fails"),
        (Behaviour { healthy_after: Some(second * 90), ..Behaviour::default() }, "not up within 60 s"),
    ] {
        let bench = Bench::new();
        bench.shop();
        let log = vec!["starting".to_owned(), "cannot read config".to_owned()];
        bench.engine.behave("sha256:app-new", Behaviour { log: log.clone(), ..behaviour });
        let outcome = bench.run(sync("shop")).await;
        assert!(failure(&outcome).contains(word), "{word}: {outcome:?}");
        let web = service(&outcome, "web");
        assert_eq!((web.result, &web.log_tail), (ServiceResult::RolledBack, &log));
        assert_eq!(web.after.as_deref(), Some("sha256:app-old"));
        bench.assert_runs("shop_web_1", "sha256:app-old");
    }
}

#[tokio::test(start_paused = true)]
async fn a_health_check_that_passes_in_time_is_an_update() {
    let bench = Bench::new();
    bench.shop();
    let healthy_after = Some(Duration::from_secs(40));
    bench.engine.behave("sha256:app-new", Behaviour { healthy_after, ..Behaviour::default() });
    assert_eq!(summary(&bench.run(sync("shop")).await), "updated web; db already current");
}

#[tokio::test(start_paused = true)]
async fn one_image_that_cannot_be_pulled_leaves_everything_untouched() {
    for error in [
        EngineError::Registry("connection refused".to_owned()),
        EngineError::DiskFull("writing the layer".to_owned()),
        EngineError::NotFound("manifest unknown".to_owned()),
    ] {
        let bench = Bench::new();
        bench.shop();
        bench.engine.fail_when("pull db:1", 1, error.clone());
        let outcome = bench.run(sync("shop")).await;
        assert_eq!(failure(&outcome), format!("db: cannot pull db:1: {error}"));
        assert_eq!(results(&outcome)[1], ("web", ServiceResult::NotReached));
        assert!(bench.changes().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_fills_while_extracting_is_named() {
    let bench = Bench::new();
    bench.shop();
    bench.engine.fail_when("layer app:1", 1, EngineError::DiskFull("extracting".to_owned()));
    let outcome = bench.run(sync("shop")).await;
    assert!(failure(&outcome).contains("no space left on the host's disk"), "{outcome:?}");
    assert_eq!(results(&outcome)[0], ("db", ServiceResult::AlreadyCurrent));
    assert!(bench.changes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_image_that_was_never_in_a_registry_cannot_be_checked_which_is_no_failure() {
    let bench = Bench::new();
    bench.shop();
    let local = Image { id: "sha256:tool".to_owned(), ..Image::default() };
    bench.engine.set_image_with("tool:1", local);
    bench.engine.add(bench.engine.compose_sample("shop", "tool", "tool:1"));
    bench.engine.add(bench.engine.compose_sample("shop", "x-pinned", "sha256:app-old"));
    let outcome = bench.run(sync("shop")).await;
    assert_eq!(summary(&outcome), "updated web; db already current; cannot check tool, x-pinned");
    assert!(service(&outcome, "tool").reason.as_deref().unwrap().contains("only on this host"));
}

#[tokio::test(start_paused = true)]
async fn the_container_of_the_agent_itself_is_left_out() {
    let bench = Bench::new();
    bench.shop();
    bench.engine.set_own_container(bench.engine.one("shop_web_1").map(|web| web.id));
    let id = bench.begin(sync("shop"));
    let outcome = bench.outcome(id).await;
    assert_eq!(summary(&outcome), "db already current; cannot check web");
    assert!(bench.engine.calls().iter().all(|call| call == "pull db:1"));
    let lines = bench.lines(id).await;
    let Progress::Plan { why, .. } = &lines[0].entry else { panic!("the plan comes first") };
    assert!(why.contains("web is left out"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn cancelling_before_the_swap_leaves_the_old_and_while_verifying_puts_it_back() {
    for (point, result) in
        [("create_like", ServiceResult::NotReached), ("start shop_web_1", ServiceResult::RolledBack)]
    {
        let bench = Bench::new();
        bench.shop();
        let mut hold = bench.engine.hold_when(point);
        let id = bench.begin(sync("shop"));
        hold.reached().await;
        bench.executor.cancel(id);
        hold.release();
        let outcome = bench.outcome(id).await;
        assert!(matches!(outcome, Outcome::Cancelled { .. }), "{outcome:?}");
        assert_eq!(results(&outcome), [("db", ServiceResult::AlreadyCurrent), ("web", result)]);
        bench.assert_runs("shop_web_1", "sha256:app-old");
    }
}

#[tokio::test(start_paused = true)]
async fn containers_of_a_scaled_service_are_replaced_one_after_another() {
    let bench = Bench::new();
    bench.shop();
    let mut second = bench.engine.compose_sample("shop", "web", "app:1");
    second.name = "shop_web_2".to_owned();
    bench.engine.add(second);
    assert_eq!(summary(&bench.run(sync("shop")).await), "updated web; db already current");
    bench.assert_runs("shop_web_1", "sha256:app-new");
    bench.assert_runs("shop_web_2", "sha256:app-new");
    let calls = bench.changes();
    let position = |text: &str| calls.iter().position(|call| call.starts_with(text)).unwrap();
    assert!(position("start shop_web_1") < position("stop shop_web_2"));
}

#[tokio::test(start_paused = true)]
async fn a_stopped_container_stays_stopped_and_the_newer_image_is_named() {
    let bench = Bench::new();
    bench.shop();
    bench.engine.change("shop_web_1", Some("die"), |web| web.state = ContainerState::Exited);
    let outcome = bench.run(sync("shop")).await;
    assert_eq!(summary(&outcome), "db already current; newer image for web");
    assert!(service(&outcome, "web").reason.as_deref().unwrap().contains("stopped"));
    assert!(bench.changes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_runs_once_runs_again_with_its_new_image() {
    let bench = Bench::new();
    bench.shop();
    bench.engine.change("shop_web_1", Some("die"), |web| {
        web.state = ContainerState::Exited;
        web.exit_code = Some(0);
        web.restart_policy = "no".to_owned();
    });
    let exits = Some((Duration::from_secs(1), 0));
    bench.engine.behave("sha256:app-new", Behaviour { exits, ..Behaviour::default() });
    assert_eq!(summary(&bench.run(sync("shop")).await), "updated web; db already current");
}

/// A migration that runs for a while may fail at its end.
#[tokio::test(start_paused = true)]
async fn what_runs_once_is_waited_for() {
    let bench = Bench::new();
    bench.shop();
    bench.engine.change("shop_web_1", Some("die"), |web| {
        web.state = ContainerState::Exited;
        web.exit_code = Some(0);
        web.restart_policy = "no".to_owned();
    });
    let exits = Some((Duration::from_secs(20), 4));
    bench.engine.behave("sha256:app-new", Behaviour { exits, ..Behaviour::default() });
    let outcome = bench.run(sync("shop")).await;
    assert!(failure(&outcome).contains("code 4"), "{outcome:?}");
}

/// What can neither run nor be removed steps aside: the service comes first.
#[tokio::test(start_paused = true)]
async fn a_new_container_that_cannot_be_removed_does_not_keep_the_old_one_down() {
    let bench = Bench::new();
    bench.shop();
    let exits = Some((Duration::from_secs(1), 1));
    bench.engine.behave("sha256:app-new", Behaviour { exits, ..Behaviour::default() });
    let busy = EngineError::Refused("device or resource busy".to_owned());
    bench.engine.fail_when("remove shop_web_1", 1, busy);
    let outcome = bench.run(sync("shop")).await;
    assert_eq!(results(&outcome)[1].1, ServiceResult::RolledBack, "{outcome:?}");
    let web = bench.engine.one("shop_web_1").unwrap();
    assert_eq!((web.image_id.as_str(), web.state), ("sha256:app-old", ContainerState::Running));
    assert!(bench.engine.list().iter().any(|one| one.name.contains("_roadstead_new_")));
    // The next sync removes it.
    bench.engine.behave("sha256:app-new", Behaviour::default());
    bench.engine.publish("app:1", RegistryImage::simple("sha256:app-newer"));
    assert_eq!(summary(&bench.run(sync("shop")).await), "updated web; db already current");
    assert_eq!(bench.engine.list().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn only_the_services_asked_for_are_touched() {
    let bench = Bench::new();
    bench.shop();
    bench.engine.publish("db:1", RegistryImage::simple("sha256:db-new"));
    let only = |services: &[&str]| {
        let Work::Sync(work) = sync("shop") else { panic!("a sync") };
        let services = services.iter().map(|service| (*service).to_owned()).collect();
        Work::Sync(SyncWork { services, ..work })
    };
    assert_eq!(summary(&bench.run(only(&["web"])).await), "updated web");
    bench.assert_runs("shop_db_1", "sha256:db-old");
    assert!(invalid_reason(&bench.run(only(&["api"])).await).contains("no service `api`"));
}

/// An engine that starts again meanwhile starts what has the policy `always`, stopped by hand or not.
#[tokio::test(start_paused = true)]
async fn the_old_container_is_not_started_beside_the_new_one_and_gets_its_policy_back() {
    for policy in ["always", "on-failure", "unless-stopped"] {
        let bench = Bench::new();
        bench.shop();
        bench.engine.change("shop_web_1", None, |web| web.restart_policy = policy.to_owned());
        let unhealthy = Behaviour { unhealthy_after: Some(Duration::from_secs(5)), ..Behaviour::default() };
        bench.engine.behave("sha256:app-new", unhealthy);
        let id = bench.begin(sync("shop"));
        let mut hold = bench.engine.hold_when("container shop_web_1");
        hold.reached().await;
        let old = bench.engine.list().into_iter().find(|one| one.name.contains("_roadstead_old_")).unwrap();
        let expected = if policy == "unless-stopped" { policy } else { "no" };
        assert_eq!(old.restart_policy, expected, "{policy}");
        hold.release();
        let outcome = bench.outcome(id).await;
        assert_eq!(results(&outcome)[1].1, ServiceResult::RolledBack, "{outcome:?}");
        bench.assert_runs("shop_web_1", "sha256:app-old");
        assert_eq!(bench.engine.one("shop_web_1").unwrap().restart_policy, policy);
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_failing_service_the_next_ones_stay_as_they_are() {
    let bench = Bench::new();
    bench.shop();
    bench.engine.publish("db:1", RegistryImage::simple("sha256:db-new"));
    let exits = Some((Duration::from_secs(1), 1));
    bench.engine.behave("sha256:db-new", Behaviour { exits, ..Behaviour::default() });
    let outcome = bench.run(sync("shop")).await;
    assert_eq!(results(&outcome), [("db", ServiceResult::RolledBack), ("web", ServiceResult::NotReached)]);
    bench.assert_runs("shop_web_1", "sha256:app-old");
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_restarts_while_verifying_does_not_spoil_the_update() {
    let bench = Bench::new();
    bench.shop();
    let id = bench.begin(sync("shop"));
    let mut hold = bench.engine.hold_when("container shop_web_1");
    hold.reached().await;
    bench.engine.go_away("restarting");
    hold.release();
    tokio::time::advance(Duration::from_secs(10)).await;
    bench.engine.come_back();
    assert_eq!(summary(&bench.outcome(id).await), "updated web; db already current");
}

#[tokio::test(start_paused = true)]
async fn strategies_that_are_impossible_are_refused_with_the_reason() {
    let bench = Bench::new();
    bench.shop();
    let by = |strategy| bench.run(sync_by("shop", Some(strategy)));
    assert!(invalid_reason(&by(Strategy::Script).await).contains("ROADSTEAD_SYNC_SCRIPT"));
    assert!(invalid_reason(&by(Strategy::Compose).await).contains("no label"));
    assert!(matches!(by(Strategy::Unknown).await, Outcome::Refused { .. }));
    let id = bench.begin(sync_by("shop", None));
    assert_eq!(summary(&bench.outcome(id).await), "updated web; db already current");
    let lines = bench.lines(id).await;
    let Progress::Plan { strategy, why, .. } = &lines[0].entry else { panic!("the plan comes first") };
    assert_eq!(*strategy, Some(Strategy::Engine));
    assert!(why.starts_with("compose is not possible"), "{why}");
    assert!(lines.iter().any(|line| matches!(line.entry, Progress::Step { step: Step::Verify, .. })));
}
