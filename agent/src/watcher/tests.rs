//! The watcher against an engine that misbehaves, in paused time.

use std::time::Duration;

use roadstead_protocol::message::container::{Container, ContainerHealth, ContainerState};
use roadstead_protocol::message::event::{Event, EventKind};
use roadstead_protocol::message::ids::EventSeq;
use roadstead_protocol::message::snapshot::{Engine, EngineState};
use roadstead_protocol::message::time::UnixMicros;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{advance, timeout};

mod trouble;

use super::*;
use crate::engine::fake::FakeEngine;
use crate::outbox::DEFAULT_LIMIT;

/// Longer than anything the watcher ever waits for.
const PATIENCE: Duration = Duration::from_secs(3600);

/// A watcher at work on an engine of its own.
struct Watched {
    engine: FakeEngine,
    outbox: Outbox,
    picture: PictureHandle,
    directory: TempDir,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Watched {
    fn new(engine: &FakeEngine) -> Self {
        Self::within(engine, tempfile::tempdir().unwrap())
    }

    fn within(engine: &FakeEngine, directory: TempDir) -> Self {
        let outbox = Outbox::open(&directory.path().join("outbox"), DEFAULT_LIMIT).unwrap();
        let picture = PictureHandle::remembering(directory.path().join("memory"));
        let shutdown = CancellationToken::new();
        let watching = watch(Arc::new(engine.clone()), outbox.clone(), picture.clone(), shutdown.clone());
        let task = tokio::spawn(watching);
        Self { engine: engine.clone(), outbox, picture, directory, shutdown, task }
    }

    /// Ends the agent, in order.
    async fn end(self) -> (FakeEngine, TempDir) {
        self.shutdown.cancel();
        self.task.await.unwrap();
        self.outbox.settle().await;
        (self.engine, self.directory)
    }

    /// Returns once the picture is as wanted.
    async fn picture(&self, wanted: impl Fn(&Engine, &[Arc<Container>]) -> bool) {
        let waiting = async {
            loop {
                let (engine, containers, mut changes) = self.picture.subscribe();
                if wanted(&engine, &containers) {
                    return;
                }
                changes.next().await;
            }
        };
        let (engine, containers, _) = self.picture.subscribe();
        timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("still {engine:?} {containers:#?}"));
    }

    /// Returns once the picture is what the engine would list.
    async fn truth(&self) {
        self.picture(|engine, containers| {
            let mut shown: Vec<_> = containers.iter().map(|container| (**container).clone()).collect();
            shown.sort_by(|a, b| a.name.cmp(&b.name));
            engine.state == EngineState::Reachable && shown == self.engine.list()
        })
        .await;
    }

    /// Every event recorded, up to one whose line is `last`.
    async fn events(&self, last: &str) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        let reading = async {
            let mut after = EventSeq(0);
            while lines.last().is_none_or(|line| line != last) {
                let event = self.outbox.next_batch(after, 1).await.remove(0);
                after = event.seq;
                lines.push(line(&event));
            }
        };
        let read = timeout(PATIENCE, reading).await;
        assert!(read.is_ok(), "no `{last}` in {lines:#?}");
        lines
    }
}

/// `action name`, marked with `~` if inferred.
fn line(event: &Event) -> String {
    match &event.what {
        EventKind::Container { name, action, inferred, attributes, .. } => {
            let code = attributes.get("exitCode").map(|code| format!(" {code}")).unwrap_or_default();
            format!("{}{action} {name}{code}", if *inferred { "~" } else { "" })
        }
        EventKind::Engine { action, id, .. } => format!("{action} {id}"),
        EventKind::EngineLost { .. } => "engine lost".to_owned(),
        EventKind::EngineFound { .. } => "engine found".to_owned(),
        EventKind::Gap { count, .. } => format!("gap {count}"),
        other => format!("{other:?}"),
    }
}

/// Something harmless to wait for: everything before it has been recorded by then.
fn marker(engine: &FakeEngine, id: &str) {
    let what = EventKind::Engine { object: "image".to_owned(), id: id.to_owned(), action: "mark".to_owned() };
    engine.emit(crate::engine::EngineEvent { at: engine.now(), what: Some(what), container: None });
}

fn stopped(container: &mut Container) {
    container.state = ContainerState::Exited;
    container.exit_code = Some(3);
    container.finished_at = container.started_at.map(|at| at.plus(Duration::from_secs(1)));
}

fn restarted(container: &mut Container) {
    container.started_at = container.started_at.map(|at| at.plus(Duration::from_secs(9)));
}

/// An engine with a running container of each name.
fn engine_with(names: &[&str]) -> FakeEngine {
    let engine = FakeEngine::new();
    for name in names {
        engine.add(engine.sample(name, "app:1"));
    }
    engine.forget_events();
    engine
}

/// A watcher that has seen its engine as it is, and would notice whatever is missing from now on.
async fn settled(names: &[&str]) -> Watched {
    let watched = Watched::new(&engine_with(names));
    watched.truth().await;
    let memory = watched.directory.path().join("memory");
    while !memory.exists() {
        pass(Duration::from_millis(50)).await;
    }
    pass(Duration::from_secs(10)).await;
    watched
}

/// Lets time pass, and everybody do what they would do meanwhile.
async fn pass(time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        advance(Duration::from_millis(50)).await;
    }
}

/// Somebody runs a new container.
fn run(engine: &FakeEngine, name: &str) {
    engine.add(engine.sample(name, "app:1"));
    engine.change(name, Some("start"), |_| {});
}

#[tokio::test(start_paused = true)]
async fn the_picture_follows_every_kind_of_event() {
    let watched = settled(&["a", "b"]).await;
    let engine = &watched.engine;
    run(engine, "c");
    watched.truth().await;
    engine.change("a", Some("health_status: unhealthy"), |c| c.health = ContainerHealth::Unhealthy);
    watched.truth().await;
    engine.change("a", Some("rename"), |c| c.name = "z".to_owned());
    watched.truth().await;
    engine.change("b", Some("die"), stopped);
    watched.truth().await;
    engine.take("b", true);
    watched.truth().await;
    marker(engine, "x");
    let expected =
        ["create c", "start c", "health_status: unhealthy a", "rename z", "die b 3", "destroy b", "mark x"];
    assert_eq!(watched.events("mark x").await, expected);
}

#[tokio::test(start_paused = true)]
async fn what_happens_while_listing_is_seen() {
    let engine = engine_with(&["a", "b"]);
    let mut hold = engine.hold_when("containers");
    let watched = Watched::new(&engine);
    hold.reached().await;
    engine.change("a", Some("die"), stopped);
    engine.take("b", true);
    hold.release();
    watched.truth().await;
    marker(&engine, "x");
    assert_eq!(watched.events("mark x").await, ["die a 3", "destroy b", "mark x"]);
}

#[tokio::test(start_paused = true)]
async fn a_broken_stream_is_replayed_without_doubles_and_without_alarm() {
    let watched = settled(&["a"]).await;
    let engine = &watched.engine;
    engine.change("a", Some("die"), stopped);
    engine.go_away("cut");
    run(engine, "b");
    engine.come_back();
    watched.truth().await;
    pass(Duration::from_secs(30)).await;
    marker(engine, "x");
    assert_eq!(watched.events("mark x").await, ["die a 3", "create b", "start b", "mark x"]);
}

#[tokio::test(start_paused = true)]
async fn what_the_engine_forgot_is_inferred_once() {
    let watched = settled(&["a", "b", "c", "d"]).await;
    let engine = &watched.engine;
    engine.go_away("restart");
    engine.change("a", None, stopped);
    engine.change("b", None, restarted);
    engine.take("c", false);
    engine.change("d", None, |c| c.health = ContainerHealth::Unhealthy);
    engine.add(engine.sample("e", "app:1"));
    engine.forget_events();
    engine.come_back();
    watched.truth().await;
    pass(Duration::from_secs(700)).await;
    marker(engine, "x");
    let mut events = watched.events("mark x").await;
    events.sort();
    let mut expected = [
        "~die a 3",
        "~die b",
        "~start b",
        "~die c",
        "~destroy c",
        "~health_status: unhealthy d",
        "~create e",
        "~start e",
        "mark x",
    ];
    expected.sort_unstable();
    assert_eq!(events, expected);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_inferred_while_the_engine_still_tells_its_past() {
    let watched = settled(&["a"]).await;
    let engine = &watched.engine;
    let id = engine.list()[0].id.clone();
    engine.go_away("restart");
    engine.take("a", false);
    engine.come_back();
    watched.truth().await;
    let tell = |at: i64, action: &str| {
        let what = EventKind::Container {
            id: id.clone(),
            name: "a".into(),
            image: "app:1".into(),
            action: action.into(),
            attributes: roadstead_protocol::message::attributes::Attributes::default(),
            inferred: false,
        };
        let (at, container) = (UnixMicros(at), Some(id.clone()));
        engine.emit(crate::engine::EngineEvent { at, what: Some(what), container });
    };
    for number in 0..20 {
        let what =
            EventKind::Engine { object: "image".to_owned(), id: "x".to_owned(), action: "pull".to_owned() };
        engine.emit(crate::engine::EngineEvent { at: UnixMicros(number), what: Some(what), container: None });
        pass(Duration::from_millis(200)).await;
    }
    tell(20, "die");
    tell(21, "destroy");
    pass(Duration::from_secs(10)).await;
    marker(engine, "x");
    let events = watched.events("mark x").await;
    assert_eq!(events[20..], ["die a", "destroy a", "mark x"]);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_down_is_a_state_told_once_and_found_again() {
    let engine = engine_with(&["a"]);
    engine.go_away("connection refused");
    let watched = Watched::new(&engine);
    watched.picture(|engine, _| matches!(&engine.state, EngineState::Unreachable { reason } if reason.contains("refused"))).await;
    pass(Duration::from_secs(60)).await;
    engine.come_back();
    watched.truth().await;
    engine.go_away("gone again");
    watched
        .picture(|engine, containers| engine.state != EngineState::Reachable && containers.len() == 1)
        .await;
    engine.come_back();
    watched.truth().await;
    let once = ["engine lost", "engine found", "engine lost", "engine found"];
    marker(&engine, "x");
    assert_eq!(watched.events("mark x").await, [&once[..], &["mark x"]].concat());
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_the_engine_replays_and_nothing_is_doubled() {
    let watched = settled(&["a", "b"]).await;
    watched.engine.change("a", Some("die"), stopped);
    watched.truth().await;
    let (engine, directory) = watched.end().await;
    engine.change("b", Some("die"), stopped);
    advance(Duration::from_secs(1)).await;
    run(&engine, "c");
    let watched = Watched::within(&engine, directory);
    watched.truth().await;
    pass(Duration::from_secs(30)).await;
    marker(&engine, "x");
    assert_eq!(watched.events("mark x").await, ["die a 3", "die b 3", "create c", "start c", "mark x"]);
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_what_nobody_told_is_inferred() {
    let watched = settled(&["a", "b"]).await;
    watched.engine.change("a", Some("die"), stopped);
    watched.truth().await;
    let (engine, directory) = watched.end().await;
    engine.change("b", None, restarted);
    engine.take("a", false);
    engine.forget_events();
    let watched = Watched::within(&engine, directory);
    watched.truth().await;
    let mut events = watched.events("~start b").await;
    events.sort();
    assert_eq!(events, ["die a 3", "~destroy a", "~die b", "~start b"]);
    let (engine, directory) = watched.end().await;
    let watched = Watched::within(&engine, directory);
    watched.truth().await;
    pass(Duration::from_secs(30)).await;
    marker(&engine, "x");
    assert_eq!(watched.events("mark x").await.len(), 5, "nothing is inferred twice");
}
