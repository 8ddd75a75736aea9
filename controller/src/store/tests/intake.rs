//! What the writing thread remembers of the event log is true: after a commit that failed, and when another process
//! writes.

use roadstead_protocol::message::event::{Event, EventBatch, EventKind, Fork};
use roadstead_protocol::message::ids::{Epoch, EventSeq};
use roadstead_protocol::message::time::UnixMicros;

use crate::fixtures::{container_id, instance, store};
use crate::model::EventRecord;
use crate::store::events::EventFilter;
use crate::store::{Store, StoreError};

/// Events about two containers.
fn batch(epoch: Epoch, seqs: impl IntoIterator<Item = u64>) -> EventBatch {
    let event = |seq: u64| {
        let what = EventKind::Container {
            id: container_id(u32::from(seq.is_multiple_of(2))),
            name: "web".into(),
            image: "x".repeat(100).into(),
            action: "start".into(),
            attributes: [("exitCode", seq.to_string())].into(),
            inferred: false,
        };
        Event { seq: EventSeq(seq), at: UnixMicros(1), what }
    };
    EventBatch::plain(epoch, seqs.into_iter().map(event).collect())
}

async fn append(store: &Store, host: &str, batch: EventBatch) -> Result<u64, StoreError> {
    Ok(store.append_events(instance(host), batch, UnixMicros(2)).await?.mark.0)
}

/// The log, oldest first.
async fn log(store: &Store) -> Vec<EventRecord> {
    let mut events = store.events_before(EventFilter::default(), None, 10_000).await.unwrap();
    events.reverse();
    events
}

#[tokio::test]
async fn what_a_failed_commit_would_have_stored_is_stored_when_it_comes_again() {
    let (store, _directory) = store();
    let mut told = store.stored_events();
    let epoch = Epoch::generate();
    store.leave_room(4).await;
    assert!(append(&store, "a", batch(epoch, 1..=2000)).await.is_err(), "there is no room");
    assert_eq!(log(&store).await, []);
    store.leave_room(10_000).await;
    assert_eq!(append(&store, "a", batch(epoch, 1..=2000)).await.unwrap(), 2000);
    assert_eq!(append(&store, "b", batch(epoch, 1..=1)).await.unwrap(), 1);
    store.leave_room(4).await;
    assert!(append(&store, "a", batch(epoch, 2001..=4000)).await.is_err());
    assert_eq!(store.event_mark(instance("a"), epoch).await.unwrap().seq, EventSeq(2000));
    store.leave_room(10_000).await;
    assert_eq!(append(&store, "a", batch(epoch, 1999..=2002)).await.unwrap(), 2002);

    let events = log(&store).await;
    let mut heard = Vec::new();
    while let Ok(some) = told.try_recv() {
        heard.extend(some.iter().cloned());
    }
    assert_eq!(heard, events, "what is told is what is stored, in its order");
    let of = |host: &str| -> Vec<_> {
        let host = instance(host);
        events.iter().filter(|event| event.instance == host).map(|event| event.origin.unwrap().1.0).collect()
    };
    assert_eq!(of("a"), (1..=2002).collect::<Vec<_>>());
    assert_eq!(of("b"), [1]);
    let expected: Vec<_> = batch(epoch, 1..=2002).events.into_iter().map(|event| event.what).collect();
    let a = instance("a");
    let read = events.into_iter().filter(|event| event.instance == a).map(|event| event.what);
    assert_eq!(read.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn another_process_may_append_as_well() {
    let (ours, directory) = store();
    let theirs = Store::open(directory.path()).unwrap();
    let epoch = Epoch::generate();
    for turn in 0..6 {
        let store = if turn % 2 == 0 { &ours } else { &theirs };
        // The last two that the other one stored come again.
        let batch = batch(epoch, (1 + turn * 10_u64).saturating_sub(2).max(1)..=turn * 10 + 10);
        assert_eq!(append(store, "a", batch).await.unwrap(), turn * 10 + 10);
    }
    let seqs: Vec<_> = log(&ours).await.into_iter().map(|event| event.origin.unwrap().1.0).collect();
    assert_eq!(seqs, (1..=60).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_many_hosts_tell_at_once_is_told_in_the_order_of_the_log_without_holes() {
    let (store, _directory) = store();
    let mut told = store.stored_events();
    let mut hosts = tokio::task::JoinSet::new();
    for host in 0..40 {
        let (store, epoch) = (store.clone(), Epoch::generate());
        hosts.spawn(async move {
            for turn in 0..10 {
                append(&store, &format!("h{host}"), batch(epoch, turn * 3 + 1..=turn * 3 + 3)).await.unwrap();
            }
        });
    }
    hosts.join_all().await;
    let mut heard = Vec::new();
    while let Ok(some) = told.try_recv() {
        heard.extend(some.iter().map(|event| event.id));
    }
    assert_eq!(heard, (1..=1200).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_agent_may_go_back_to_an_outbox_it_had_before() {
    let (store, _directory) = store();
    let (first, second) = (Epoch::generate(), Epoch::generate());
    for (epoch, seqs, mark) in [
        (first, 1..=3, 3),
        (second, 1..=2, 2),
        (first, 2..=4, 4),
        (second, 1..=5, 5),
        (second, 4..=6, 6),
        (first, 4..=4, 4),
    ] {
        assert_eq!(append(&store, "a", batch(epoch, seqs)).await.unwrap(), mark);
    }
    assert_eq!(log(&store).await.len(), 10);
    for (epoch, mark) in [(first, 4), (second, 6)] {
        assert_eq!(store.event_mark(instance("a"), epoch).await.unwrap().seq, EventSeq(mark));
    }
}

#[tokio::test]
async fn a_fork_that_cannot_be_takes_nothing_and_spoils_nothing() {
    let (store, _directory) = store();
    let epoch = Epoch::generate();
    let fork = Some(Fork { after: EventSeq(u64::MAX), up_to: EventSeq(u64::MAX) });
    let (strange, honest) = tokio::join!(
        append(&store, "a", EventBatch { fork, ..batch(epoch, 1..=3) }),
        append(&store, "b", batch(epoch, 1..=3)),
    );
    assert_eq!((strange.unwrap(), honest.unwrap()), (0, 3));
    assert_eq!(log(&store).await.len(), 3);
}
