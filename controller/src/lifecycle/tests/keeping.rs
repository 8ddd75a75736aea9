//! Lifecycles over a real store: the same after a restart, and bounded.

use std::time::Duration;

use roadstead_protocol::message::codec;
use roadstead_protocol::message::command::{Outcome, SyncWork, Work};
use roadstead_protocol::message::container::{Container, ContainerState};
use roadstead_protocol::message::event::{Event, EventBatch, EventKind};
use roadstead_protocol::message::ids::{CommandId, Epoch, EventSeq, SessionId};
use roadstead_protocol::message::snapshot::SnapshotPart;
use roadstead_protocol::message::time::UnixMicros;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::seconds;
use crate::events::Events;
use crate::fixtures::{container, container_id, engine, instance, kept, record, store};
use crate::fleet::{Fleet, Host, persist};
use crate::lifecycle::{Lifecycles, Status, Subject};
use crate::model::{CommandRecord, CommandState, Direction};
use crate::store::Store;

struct Site {
    store: Store,
    fleet: Fleet,
    events: Events,
    epoch: Epoch,
    directory: TempDir,
}

impl Site {
    async fn open() -> Self {
        let (store, directory) = store();
        store.insert_instance(record("a")).await.unwrap().unwrap();
        let fleet = Fleet::new();
        persist::load(&fleet, &store).await.unwrap();
        Self { events: Events::new(store.clone()), store, fleet, epoch: Epoch::generate(), directory }
    }

    async fn lifecycles(&self) -> Lifecycles {
        Lifecycles::load(self.store.clone(), self.fleet.clone()).await.unwrap()
    }

    /// How many histories are saved, and the last event in them.
    async fn saved(&self) -> (usize, i64) {
        self.store.lifecycles(0, |count, _, _, _| *count += 1).await.unwrap()
    }

    /// Stores an event about container `number`; `at` is its number in the outbox and its second.
    async fn tell(&self, at: u64, number: u32, action: &str) {
        let what = EventKind::Container {
            id: container_id(number),
            name: format!("c{number}").into(),
            image: "".into(),
            action: action.into(),
            attributes: [("exitCode", "3")].into(),
            inferred: false,
        };
        let event = Event { seq: EventSeq(at), at: seconds(i64::try_from(at).unwrap()), what };
        let batch = EventBatch::plain(self.epoch, vec![event]);
        self.events.intake(&instance("a"), batch).await.unwrap();
    }

    fn show(&self, containers: Vec<Container>) {
        let session = SessionId::generate();
        let feed = self.fleet.link_live(&instance("a"), session, Direction::Outbound, "x").unwrap();
        feed.snapshot_part(SnapshotPart { engine: engine(), containers, last: true }).unwrap();
    }

    fn host(&self) -> std::sync::Arc<Host> {
        self.fleet.host(&instance("a")).unwrap()
    }

    /// What is remembered of container `number` that no picture shows.
    fn status(&self, lifecycles: &Lifecycles, number: u32) -> Option<Status> {
        let (spans, _) = lifecycles.spans(&self.host(), &container_id(number), seconds(100))?;
        spans.last().map(|span| span.lifecycle.status)
    }
}

fn sync(state: CommandState, outcome: Option<Outcome>) -> CommandRecord {
    let work = SyncWork { project: "shop".to_owned(), services: Vec::new(), strategy: None, verify_secs: 60 };
    CommandRecord {
        id: CommandId::generate(),
        instance: instance("a"),
        work: Work::Sync(work),
        issued_by: "admin".to_owned(),
        issued_at: seconds(0),
        state,
        queue_until: None,
        deadline_secs: 60,
        boot: None,
        sent_at: Some(seconds(1)),
        started_at: Some(seconds(2)),
        ended_at: outcome.as_ref().map(|_| seconds(9)),
        cancel_requested: false,
        outcome,
        reason: None,
    }
}

#[tokio::test]
async fn a_restart_changes_nothing_whenever_it_comes() {
    let site = Site::open().await;
    let lifecycles = site.lifecycles().await;
    site.tell(1, 1, "start").await;
    site.tell(2, 2, "start").await;
    lifecycles.catch_up().await.unwrap();
    lifecycles.save(seconds(10)).await.unwrap();
    site.tell(50, 1, "die").await;
    lifecycles.catch_up().await.unwrap();
    site.tell(60, 2, "kill").await;
    site.tell(61, 2, "die").await;
    let statuses = |lifecycles: &Lifecycles| [1, 2].map(|number| site.status(lifecycles, number));
    let expected = [Some(Status::Failed), Some(Status::Stopped)];
    let after_kill = site.lifecycles().await;
    assert_eq!(statuses(&after_kill), expected, "read from the log from the mark on");
    lifecycles.catch_up().await.unwrap();
    assert_eq!(statuses(&lifecycles), expected);
    lifecycles.save(seconds(70)).await.unwrap();
    let before = lifecycles.spans(&site.host(), &container_id(1), seconds(100));
    drop((lifecycles, after_kill));
    let reopened = Store::open(site.directory.path()).unwrap();
    let (_, mark) = reopened.lifecycles((), |(), _, _, _| ()).await.unwrap();
    assert_eq!(mark, 7);
    assert_eq!(site.lifecycles().await.spans(&site.host(), &container_id(1), seconds(100)), before);
}

#[tokio::test]
async fn what_is_long_gone_is_forgotten_and_what_is_shown_stays() {
    let site = Site::open().await;
    let lifecycles = site.lifecycles().await;
    site.show(vec![container(1, ContainerState::Running)]);
    for number in [1, 2] {
        site.tell(u64::from(number), number, "start").await;
    }
    site.tell(3, 2, "destroy").await;
    lifecycles.catch_up().await.unwrap();
    let now = UnixMicros::now();
    lifecycles.save(now).await.unwrap();
    assert_eq!(site.status(&lifecycles, 2), Some(Status::Removed), "remembered for a late report");
    lifecycles.save(now.plus(Duration::from_secs(25 * 3600))).await.unwrap();
    assert_eq!(site.status(&lifecycles, 2), None);
    assert!(site.status(&lifecycles, 1).is_some());
    assert_eq!(site.saved().await.0, 1);
}

#[tokio::test]
async fn there_are_only_so_many_that_are_gone() {
    let site = Site::open().await;
    let lifecycles = site.lifecycles().await;
    let event = |seq: u64| {
        let what = EventKind::Container {
            id: container_id(u32::try_from(seq).unwrap()),
            name: "".into(),
            image: "".into(),
            action: "destroy".into(),
            attributes: [("", ""); 0].into(),
            inferred: false,
        };
        Event { seq: EventSeq(seq), at: seconds(i64::try_from(seq).unwrap()), what }
    };
    for chunk in 0..5_u64 {
        let events = (1..=1000).map(|seq| event(chunk * 1000 + seq)).collect();
        let batch = EventBatch::plain(site.epoch, events);
        site.events.intake(&instance("a"), batch).await.unwrap();
    }
    lifecycles.catch_up().await.unwrap();
    let known = lifecycles.lock().subjects();
    assert!(known <= 2001, "{known}");
    assert_eq!(site.status(&lifecycles, 5000), Some(Status::Removed), "the newest stay");
    assert_eq!(site.status(&lifecycles, 1), None);
}

#[tokio::test]
async fn a_removed_instance_takes_its_lifecycles_along() {
    let site = Site::open().await;
    let lifecycles = site.lifecycles().await;
    site.tell(1, 1, "start").await;
    lifecycles.catch_up().await.unwrap();
    lifecycles.save(seconds(10)).await.unwrap();
    site.store.remove_instance(instance("a"), seconds(11)).await.unwrap();
    site.fleet.remove(&instance("a")).await;
    site.tell(2, 1, "die").await;
    lifecycles.catch_up().await.unwrap();
    lifecycles.save(seconds(12)).await.unwrap();
    assert_eq!(lifecycles.lock().subjects(), 0);
    assert_eq!(site.saved().await.0, 0);
}

#[tokio::test]
async fn commands_work_on_projects() {
    let site = Site::open().await;
    let mut web = container(1, ContainerState::Running);
    web.labels.insert("com.docker.compose.project".to_owned(), "shop".to_owned());
    (web.created_at, web.started_at) = (seconds(0), Some(seconds(0)));
    site.show(vec![web]);
    let lifecycles = site.lifecycles().await;
    let status = |lifecycles: &Lifecycles| lifecycles.projects(&site.host(), seconds(100))["shop"].status;
    assert_eq!(status(&lifecycles), Status::Ready);
    let running = sync(CommandState::Running, None);
    lifecycles.command(&running);
    assert_eq!(status(&lifecycles), Status::Installing);
    let outcome = Outcome::Failed { reason: "no such image".to_owned(), services: Vec::new() };
    let failed = CommandRecord { id: running.id, ..sync(CommandState::Failed, Some(outcome)) };
    lifecycles.command(&failed);
    lifecycles.command(&running);
    assert_eq!(status(&lifecycles), Status::Failed, "the older report comes late");
    site.store.save_command(failed).await.unwrap();
    assert_eq!(status(&site.lifecycles().await), Status::Failed, "nothing was saved, the ledger tells");
}

#[tokio::test(start_paused = true)]
async fn events_and_time_are_told() {
    let site = Site::open().await;
    let lifecycles = site.lifecycles().await;
    let mut changes = lifecycles.subscribe();
    let stop = CancellationToken::new();
    let running = tokio::spawn(lifecycles.clone().run(site.events.subscribe(), stop.clone()));
    site.tell(1, 1, "start").await;
    assert_eq!(changes.recv().await.unwrap().containers, [container_id(1)]);
    // What was shown is about to change by time: it is told then.
    let (mut shown, now) = (container(1, ContainerState::Running), UnixMicros::now());
    (shown.created_at, shown.started_at) = (now, Some(now.minus(Duration::from_millis(9_990))));
    shown.id = container_id(9);
    assert_eq!(lifecycles.container(&site.host(), &kept(shown), now).status, Status::Installing);
    assert_eq!(changes.recv().await.unwrap().containers, [container_id(9)]);
    stop.cancel();
    running.await.unwrap();
    assert_eq!(site.saved().await.1, 1, "saved at the end");
}

#[tokio::test]
async fn what_was_not_told_is_read_from_the_log_and_nothing_twice() {
    let site = Site::open().await;
    let lifecycles = site.lifecycles().await;
    let mut told = site.events.subscribe();
    for (at, action) in [(1, "start"), (2, "kill"), (3, "die")] {
        site.tell(at, 1, action).await;
    }
    let [first, second, third] = [(); 3].map(|()| told.try_recv().unwrap());
    assert!(lifecycles.follow(&first).await);
    assert_eq!(site.status(&lifecycles, 1), Some(Status::Ready));
    assert!(!lifecycles.follow(&third).await, "the second is missing");
    assert_eq!(lifecycles.lock().folded, 1);
    lifecycles.catch_up().await.unwrap();
    assert_eq!(site.status(&lifecycles, 1), Some(Status::Stopped));
    let mut changes = lifecycles.subscribe();
    assert!(lifecycles.follow(&second).await && lifecycles.follow(&third).await);
    assert!(changes.try_recv().is_err(), "these were folded in already");
    assert_eq!(lifecycles.lock().folded, 3);
}

#[tokio::test]
async fn many_are_saved_in_pieces_and_what_could_not_be_saved_is_saved_later() {
    let site = Site::open().await;
    let lifecycles = site.lifecycles().await;
    for number in 1..=300 {
        site.tell(u64::from(number), number, "start").await;
    }
    lifecycles.catch_up().await.unwrap();
    site.store.leave_room(6).await;
    assert!(lifecycles.save(seconds(400)).await.is_err(), "the disk is full");
    site.store.leave_room(1000).await;
    lifecycles.save(seconds(400)).await.unwrap();
    assert_eq!(site.saved().await, (300, 300));
    assert!(lifecycles.lock().is_saved());
}

#[tokio::test]
async fn what_was_saved_with_names_is_read_and_saved_anew_once() {
    let site = Site::open().await;
    site.tell(1, 1, "start").await;
    let before = site.lifecycles().await;
    before.save(seconds(2)).await.unwrap();
    let subject = Subject::Container(container_id(1));
    let history = before.lock().history(&instance("a"), &subject).unwrap().clone();
    let (subject_text, named) =
        (serde_json::to_string(&subject).unwrap(), codec::encode(&history, usize::MAX).unwrap());
    site.store.save_lifecycles(vec![(instance("a"), subject_text, Some(named))], Some(1)).await.unwrap();
    for is_saved in [false, true] {
        let lifecycles = site.lifecycles().await;
        assert_eq!(lifecycles.lock().history(&instance("a"), &subject), Some(&history));
        assert_eq!(lifecycles.lock().is_saved(), is_saved);
        lifecycles.save(seconds(3)).await.unwrap();
    }
}
