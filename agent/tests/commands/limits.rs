//! What the owner's limits and the containers' own protection refuse: by name, before anything is touched.

use roadstead_agent::engine::Image;
use roadstead_agent::engine::fake::RegistryImage;
use roadstead_agent::policy::Reach;
use roadstead_protocol::message::command::{
    ContainerAction, Outcome, ServiceResult, Strategy, SyncWork, Work,
};
use roadstead_protocol::message::event::EventKind;
use roadstead_protocol::message::ids::EventSeq;
use roadstead_protocol::message::policy::{Limits, Verb};
use roadstead_protocol::message::progress::Progress;
use roadstead_protocol::message::time::UnixMicros;

use crate::support::{Bench, failure, invalid_reason, rule, service, summary, sync};

fn only(entries: &[&str]) -> Option<Vec<String>> {
    Some(entries.iter().map(|entry| (*entry).to_owned()).collect())
}

fn reinstall(container: &str) -> Work {
    Work::Reinstall { container: container.to_owned() }
}

fn sync_of(services: &[&str]) -> Work {
    let services = services.iter().map(|service| (*service).to_owned()).collect();
    let strategy = Some(Strategy::Engine);
    Work::Sync(SyncWork { project: "shop".to_owned(), services, strategy, verify_secs: 60 })
}

fn act(container: &str, action: ContainerAction) -> Work {
    Work::Container { container: container.to_owned(), action }
}

#[tokio::test(start_paused = true)]
async fn a_project_that_is_not_named_is_refused_and_the_refusal_is_an_event_with_its_rule() {
    let bench = Bench::limited(Limits { projects: only(&["blog"]), ..Limits::default() });
    bench.shop();
    let id = bench.begin(sync("shop"));
    let outcome = bench.outcome(id).await;
    assert_eq!(rule(&outcome), "project \"shop\" is not among projects blog");
    let events = bench.outbox.next_batch(EventSeq(0), 1 << 20).await;
    let EventKind::Refused { command, verb: Verb::Sync, what, rule: Some(told) } = &events[0].what else {
        panic!("{events:?}")
    };
    assert_eq!((*command, what.as_str(), told.as_str()), (id, "sync of project shop", rule(&outcome)));
    assert!(bench.engine.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_image_from_elsewhere_stops_a_sync_before_the_first_pull() {
    let bench = Bench::limited(Limits { registries: only(&["registry.example"]), ..Limits::default() });
    bench.shop();
    for work in [sync("shop"), reinstall("shop_web_1")] {
        let outcome = bench.run(work).await;
        assert!(rule(&outcome).contains("is not from registries registry.example"), "{outcome:?}");
    }
    assert!(bench.engine.calls().is_empty());
    bench.limit(Limits { registries: only(&["docker.io/library"]), ..Limits::default() });
    assert_eq!(summary(&bench.run(sync("shop")).await), "updated web; db already current");
}

#[tokio::test(start_paused = true)]
async fn what_the_policy_forbids_while_a_sync_pulls_is_not_pulled() {
    let bench = Bench::new();
    bench.shop();
    let mut hold = bench.engine.hold_when("layer db:1");
    let id = bench.begin(sync("shop"));
    hold.reached().await;
    bench.limit(Limits { registries: only(&["registry.example"]), ..Limits::default() });
    hold.release();
    let outcome = bench.outcome(id).await;
    assert!(failure(&outcome).contains("registries registry.example"), "{outcome:?}");
    assert_eq!(bench.engine.calls(), ["pull db:1"]);
}

#[tokio::test(start_paused = true)]
async fn a_container_with_more_of_its_host_than_allowed_is_not_created_again() {
    let limits = Limits { no_privileged: true, host_paths: only(&["/srv"]), ..Limits::default() };
    let bench = Bench::limited(limits);
    bench.shop();
    let reach = |privileges: &[&str], host_paths: &[&str]| Reach {
        privileges: only(privileges).unwrap(),
        host_paths: only(host_paths).unwrap(),
    };
    for (reach, why) in [
        (
            reach(&["capability SYS_ADMIN"], &[]),
            "privileged is false, and \"shop_web_1\" has capability SYS_ADMIN",
        ),
        (reach(&[], &["/srv/x", "/var/run/docker.sock"]), "\"shop_web_1\" mounts \"/var/run/docker.sock\""),
    ] {
        bench.engine.set_inspection("shop_web_1", reach, &[]);
        for work in [sync("shop"), reinstall("shop_web_1")] {
            let outcome = bench.run(work).await;
            assert!(rule(&outcome).contains(why), "{outcome:?}");
        }
    }
    assert!(bench.engine.calls().is_empty());
    assert_eq!(summary(&bench.run(sync_of(&["db"])).await), "already current: nothing changed");
    bench.engine.set_inspection("shop_web_1", reach(&[], &["/srv/x"]), &[]);
    assert_eq!(summary(&bench.run(sync("shop")).await), "updated web; db already current");
}

#[tokio::test(start_paused = true)]
async fn names_that_are_paths_or_options_reach_no_engine() {
    let bench = Bench::new();
    bench.shop();
    for name in ["../shop", "--help", "/etc/passwd", "shop\0", "\u{1b}[2J", ""] {
        for work in [sync(name), sync_of(&[name]), act(name, ContainerAction::Stop), reinstall(name)] {
            let outcome = bench.run(work).await;
            assert!(invalid_reason(&outcome).contains("is not the name of a"), "{outcome:?}");
        }
    }
    assert!(bench.engine.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_image_does_not_make_its_container_part_of_a_project() {
    let bench = Bench::new();
    bench.shop();
    let labels = [("project", "shop"), ("service", "web")]
        .map(|(label, value)| (format!("com.docker.compose.{label}"), value.to_owned()));
    let evil = Image { id: "sha256:evil".to_owned(), labels: labels.into(), ..Image::default() };
    bench.engine.set_image_with("evil:1", evil);
    bench.engine.publish("evil:1", RegistryImage::simple("sha256:evil"));
    let mut impostor = bench.engine.compose_sample("shop", "web", "evil:1");
    impostor.name = "tool".to_owned();
    impostor.created_at = UnixMicros(impostor.created_at.0 + 1_000_000);
    bench.engine.add(impostor);
    assert_eq!(summary(&bench.run(sync("shop")).await), "updated web; db already current");
    assert_eq!(bench.engine.one("shop_web_1").unwrap().image, "app:1");
    assert_eq!(bench.engine.one("tool").unwrap().image_id, "sha256:evil", "it is left alone");
    // Compose writes its project onto what it builds, and onto its containers what no image has.
    bench.engine.change("tool", None, |one| {
        one.labels.insert("com.docker.compose.config-hash".to_owned(), "0123".to_owned());
    });
    let outcome = bench.run(Work::Check { project: "shop".to_owned() }).await;
    assert_eq!(service(&outcome, "web").image, "evil:1");
}

fn protect(bench: &Bench, container: &str) {
    bench.engine.change(container, None, |container| {
        container.labels.insert("roadstead.protect".to_owned(), "true".to_owned());
    });
}

#[tokio::test(start_paused = true)]
async fn nothing_stops_restarts_recreates_or_removes_a_protected_container() {
    let bench = Bench::new();
    bench.shop();
    protect(&bench, "shop_db_1");
    use ContainerAction::{Kill, Pause, Remove, Restart, Start, Stop, Unpause};
    for action in [Stop, Restart, Kill, Pause, Remove] {
        let outcome = bench.run(act("shop_db_1", action)).await;
        assert_eq!(rule(&outcome), "shop_db_1 is protected by its label roadstead.protect", "{action:?}");
    }
    for work in [reinstall("shop_db_1"), sync_of(&["db"])] {
        assert!(rule(&bench.run(work).await).contains("shop_db_1 is protected"));
    }
    assert!(bench.engine.calls().is_empty());
    // What wakes it is no harm.
    assert_eq!(summary(&bench.run(act("shop_db_1", Start)).await), "shop_db_1 is running");
    assert!(!matches!(bench.run(act("shop_db_1", Unpause)).await, Outcome::Refused { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_container_named_like_a_leftover_does_no_harm_to_a_protected_one() {
    for trap in ["shop_db_1_roadstead_old_x", "shop_db_1_roadstead_new_x"] {
        let bench = Bench::new();
        bench.shop();
        protect(&bench, "shop_db_1");
        let mut container = bench.engine.compose_sample("shop", "db", "db:1");
        container.name = trap.to_owned();
        bench.engine.add(container);
        for work in [reinstall(trap), reinstall("shop_db_1"), sync_of(&[])] {
            let outcome = bench.run(work).await;
            assert!(rule(&outcome).contains("shop_db_1 is protected"), "{trap}: {outcome:?}");
        }
        assert!(bench.changes().is_empty(), "{:?}", bench.changes());
        // The leftover may be the protected one as well.
        let bench = Bench::new();
        bench.shop();
        let mut container = bench.engine.compose_sample("shop", "db", "db:1");
        container.name = trap.to_owned();
        bench.engine.add(container);
        protect(&bench, trap);
        assert!(rule(&bench.run(reinstall("shop_db_1")).await).contains("is protected"));
        assert!(bench.changes().is_empty(), "{:?}", bench.changes());
    }
}

#[tokio::test(start_paused = true)]
async fn a_sync_goes_around_a_protected_container_and_says_so_before_it_begins() {
    let bench = Bench::new();
    bench.shop();
    protect(&bench, "shop_db_1");
    // It would be replaced, were it not protected.
    bench.engine.publish("db:1", RegistryImage::simple("sha256:db-new"));
    let id = bench.begin(sync("shop"));
    let outcome = bench.outcome(id).await;
    assert_eq!(summary(&outcome), "updated web; cannot check db");
    let db = service(&outcome, "db");
    assert_eq!(db.result, ServiceResult::CannotCheck);
    assert_eq!(db.reason.as_deref(), Some("shop_db_1 is protected by its label roadstead.protect"));
    bench.assert_runs("shop_db_1", "sha256:db-old");
    let lines = bench.lines(id).await;
    let plan = lines.iter().find_map(|line| match &line.entry {
        Progress::Plan { why, .. } => Some((line.line, why.clone())),
        _ => None,
    });
    let (first, why) = plan.unwrap();
    assert_eq!(first, 0, "it is the first thing that is said");
    assert!(why.contains("db is left out, shop_db_1 is protected"), "{why}");
    assert!(!bench.engine.calls().iter().any(|call| call.contains("db")), "{:?}", bench.engine.calls());

    protect(&bench, "shop_web_1");
    assert!(rule(&bench.run(sync("shop")).await).contains("is protected by its label"));
}

#[tokio::test(start_paused = true)]
async fn what_programs_say_is_told_without_their_secrets() {
    let bench = Bench::new();
    bench.shop();
    bench.engine.fail_when(
        "pull app:1",
        1,
        roadstead_agent::engine::EngineError::Registry(
            "GET https://ops:hunter2@registry/v2/: denied".to_owned(),
        ),
    );
    let id = bench.begin(sync("shop"));
    let outcome = bench.outcome(id).await;
    assert!(failure(&outcome).contains("registry/v2/: denied"), "{outcome:?}");
    let said = format!("{outcome:?} {:?}", bench.lines(id).await);
    assert!(!said.contains("hunter2"), "{said}");
}
