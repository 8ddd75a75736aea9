//! The event log: once each, whatever is repeated, reordered or interrupted.

use std::time::Duration;

use roadstead_protocol::message::event::{Event, EventBatch, EventKind};
use roadstead_protocol::message::ids::{Epoch, EventSeq};
use roadstead_protocol::message::time::UnixMicros;

use super::retention::{Retention, prune};
use super::{EventFilter, Events, IntakeError, MAX_PAGE};
use crate::fixtures::{container_id, instance, store};
use crate::store::Store;

fn event(seq: u64) -> Event {
    let what = EventKind::AgentStarted { version: seq.to_string() };
    Event { seq: EventSeq(seq), at: UnixMicros(i64::try_from(seq).unwrap()), what }
}

fn batch(epoch: Epoch, seqs: impl IntoIterator<Item = u64>) -> EventBatch {
    EventBatch::plain(epoch, seqs.into_iter().map(event).collect())
}

async fn stored(events: &Events) -> Vec<u64> {
    let page = events.page(EventFilter::default(), None, MAX_PAGE).await.unwrap();
    page.events.iter().rev().filter_map(|event| Some(event.origin?.1.0)).collect()
}

#[tokio::test]
async fn what_comes_twice_is_stored_once_and_acknowledged_again() {
    let (store, directory) = store();
    let events = Events::new(store);
    let mut told = events.subscribe();
    let (host, epoch) = (instance("a"), Epoch::generate());
    assert_eq!(events.intake(&host, batch(epoch, [1, 2])).await.unwrap(), EventSeq(2));
    assert_eq!(events.intake(&host, batch(epoch, [2, 3, 5])).await.unwrap(), EventSeq(5));
    assert_eq!(events.intake(&host, batch(epoch, [1, 2, 3])).await.unwrap(), EventSeq(5));
    assert_eq!(events.duplicates(), 4);
    assert_eq!(stored(&events).await, [1, 2, 3, 5]);
    for seqs in [&[1, 2][..], &[3, 5]] {
        let told = told.try_recv().unwrap();
        let of = |seq: &u64| Some((epoch, EventSeq(*seq)));
        assert!(told.iter().map(|event| event.origin).eq(seqs.iter().map(of)));
    }
    assert!(told.try_recv().is_err(), "a duplicate is not told again");

    drop(events);
    let events = Events::new(Store::open(directory.path()).unwrap());
    assert_eq!(events.mark(&host, epoch).await.unwrap().seq, EventSeq(5));
    assert_eq!(events.intake(&host, batch(epoch, [4, 5, 6])).await.unwrap(), EventSeq(6));
    assert_eq!(stored(&events).await, [1, 2, 3, 5, 6]);
}

#[tokio::test]
async fn each_outbox_counts_for_itself() {
    let (store, _directory) = store();
    let events = Events::new(store);
    let (first, second) = (Epoch::generate(), Epoch::generate());
    events.intake(&instance("a"), batch(first, [7])).await.unwrap();
    assert_eq!(events.intake(&instance("a"), batch(second, [1])).await.unwrap(), EventSeq(1));
    assert_eq!(events.intake(&instance("b"), batch(first, [1])).await.unwrap(), EventSeq(1));
    assert_eq!(events.mark(&instance("b"), second).await.unwrap().seq, EventSeq(0));
    assert_eq!(events.duplicates(), 0);
}

#[tokio::test]
async fn a_batch_that_does_not_ascend_is_refused_whole() {
    let (store, _directory) = store();
    let events = Events::new(store);
    for seqs in [vec![1, 3, 2], vec![1, 1], vec![0]] {
        let refused = events.intake(&instance("a"), batch(Epoch::generate(), seqs)).await;
        assert!(matches!(refused, Err(IntakeError::Disordered { .. })));
    }
    let huge = Event { seq: EventSeq(u64::MAX), ..event(1) };
    let huge = EventBatch::plain(Epoch::generate(), vec![huge]);
    assert!(events.intake(&instance("a"), huge).await.is_err());
    assert_eq!(stored(&events).await, [0_u64; 0]);
}

#[tokio::test]
async fn concurrent_repeats_are_stored_once() {
    let (store, _directory) = store();
    let events = Events::new(store);
    let (host, epoch) = (instance("a"), Epoch::generate());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (events, host) = (events.clone(), host.clone());
        tasks.spawn(async move { events.intake(&host, batch(epoch, 1..=50)).await.unwrap() });
    }
    assert!(tasks.join_all().await.into_iter().all(|mark| mark == EventSeq(50)));
    assert_eq!(stored(&events).await, (1..=50).collect::<Vec<_>>());
    assert_eq!(events.duplicates(), 7 * 50);
}

#[tokio::test]
async fn pages_go_back_without_holes_and_filters_hold() {
    let (store, _directory) = store();
    let events = Events::new(store);
    let epoch = Epoch::generate();
    events.intake(&instance("a"), batch(epoch, 1..=7)).await.unwrap();
    let what = EventKind::Container {
        id: container_id(1),
        name: "web".to_owned(),
        image: String::new(),
        action: "start".to_owned(),
        attributes: std::collections::BTreeMap::new(),
        inferred: false,
    };
    let about = EventBatch::plain(epoch, vec![Event { seq: EventSeq(1), what: what.clone(), ..event(8) }]);
    events.intake(&instance("b"), about).await.unwrap();

    let of_a = EventFilter { instance: Some(instance("a")), ..EventFilter::default() };
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = events.page(of_a.clone(), cursor, 3).await.unwrap();
        seen.extend(page.events.iter().map(|event| event.at.0));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, [7, 6, 5, 4, 3, 2, 1]);

    for filter in [
        EventFilter { container: Some(container_id(1)), ..EventFilter::default() },
        EventFilter { kind: Some("container".to_owned()), ..EventFilter::default() },
        EventFilter { since: Some(UnixMicros(8)), ..EventFilter::default() },
    ] {
        let page = events.page(filter, None, 10).await.unwrap();
        assert_eq!(page.events.len(), 1);
        assert_eq!(page.events[0].what, what);
        assert_eq!(page.next, None);
    }
}

#[tokio::test]
async fn the_oldest_go_by_age_and_by_number_but_never_the_newest() {
    let (store, _directory) = store();
    let epoch = Epoch::generate();
    let now = UnixMicros::from_secs(1_000_000);
    for (seqs, age) in [(1..=1500, 100), (1501..=1600, 10)] {
        let at = now.minus(Duration::from_secs(age));
        store.append_events(instance("a"), batch(epoch, seqs), at).await.unwrap();
    }
    let events = Events::new(store.clone());
    let keep = |age, rows| Retention { age: Duration::from_secs(age), rows };
    assert_eq!(prune(&store, keep(200, 10_000), now).await.unwrap(), 0);
    assert_eq!(prune(&store, keep(50, 10_000), now).await.unwrap(), 1500);
    assert_eq!(prune(&store, keep(50, 40), now).await.unwrap(), 60);
    assert_eq!(stored(&events).await, (1561..=1600).collect::<Vec<_>>());
    assert_eq!(prune(&store, keep(1, 40), now).await.unwrap(), 39);
    assert_eq!(stored(&events).await, [1600]);
    // What was deleted is still known to have been stored.
    assert_eq!(events.intake(&instance("a"), batch(epoch, [3])).await.unwrap(), EventSeq(1600));
}

#[tokio::test]
async fn an_agent_that_begins_one_outbox_after_another_leaves_few_marks() {
    let (store, _directory) = store();
    let events = Events::new(store);
    let mut epochs: Vec<_> = (0..40).map(|_| Epoch::generate()).collect();
    let (kept, other) = (Epoch::generate(), Epoch::generate());
    events.intake(&instance("a"), batch(kept, 1..=9)).await.unwrap();
    events.intake(&instance("b"), batch(other, [1])).await.unwrap();
    for epoch in &epochs {
        events.intake(&instance("a"), batch(*epoch, [1])).await.unwrap();
    }
    let last = *epochs.last().unwrap();
    epochs.push(kept);
    let mut marked = Vec::new();
    for epoch in epochs {
        if events.mark(&instance("a"), epoch).await.unwrap().seq > EventSeq(0) {
            marked.push(epoch);
        }
    }
    assert_eq!(marked.len(), 16);
    assert!(marked.contains(&last) && marked.contains(&kept), "the present one and the longest history");
    assert_eq!(events.mark(&instance("b"), other).await.unwrap().seq, EventSeq(1));
}

fn about(seq: u64, container: u32, name: &str) -> Event {
    let what = EventKind::Container {
        id: container_id(container),
        name: name.to_owned(),
        image: "web:1".to_owned(),
        action: "die".to_owned(),
        attributes: [("exitCode".to_owned(), "0".to_owned())].into(),
        inferred: seq.is_multiple_of(2),
    };
    Event { what, ..event(seq) }
}

#[tokio::test]
async fn an_event_about_a_container_reads_as_it_was_told_whatever_the_container_was_called_before() {
    let (store, directory) = store();
    let epoch = Epoch::generate();
    let told: Vec<Event> = (1..=9)
        .map(|seq| about(seq, 1 + u32::from(seq == 5), ["web", "api", ""][seq as usize % 3]))
        .collect();
    for (part, number) in told.chunks(3).zip(0..) {
        // With a new program each time, which has to find its way in what the last one left.
        let events =
            Events::new(if number < 2 { store.clone() } else { Store::open(directory.path()).unwrap() });
        events.intake(&instance("a"), EventBatch::plain(epoch, part.to_vec())).await.unwrap();
    }
    let page = Events::new(store).page(EventFilter::default(), None, 10).await.unwrap();
    let read = page.events.iter().rev().map(|record| Event {
        seq: record.origin.unwrap().1,
        at: record.at,
        what: record.what.clone(),
    });
    assert_eq!(read.collect::<Vec<_>>(), told);
}

#[tokio::test]
async fn pages_of_an_instance_go_through_the_index_and_what_is_not_in_it_yet() {
    let (store, _directory) = store();
    let (events, epoch) = (Events::new(store.clone()), Epoch::generate());
    let at = UnixMicros(1);
    store.append_events(instance("quiet"), batch(epoch, 1..=2), at).await.unwrap();
    for begins in (0..40_000).step_by(10_000) {
        store.append_events(instance("busy"), batch(epoch, begins + 1..=begins + 10_000), at).await.unwrap();
    }
    store.append_events(instance("quiet"), batch(epoch, 3..=4), at).await.unwrap();
    let filter = EventFilter { instance: Some(instance("quiet")), ..EventFilter::default() };
    for limit in 1..=5 {
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let page = events.page(filter.clone(), cursor, limit).await.unwrap();
            seen.extend(page.events.iter().map(|event| event.origin.unwrap().1.0));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, [4, 3, 2, 1], "{limit} at a time");
    }
    let keep = Retention { age: Duration::MAX, rows: 6 };
    prune(&store, keep, UnixMicros::now()).await.unwrap();
    let page = events.page(filter, None, 10).await.unwrap();
    assert_eq!(page.events.len(), 3);
    let left = "SELECT count(*) FROM events_of";
    let left: i64 =
        store.read(move |connection| Ok(connection.query_row(left, [], |row| row.get(0))?)).await.unwrap();
    assert_eq!(left, 1, "what was deleted is in no index, and one of the others has been entered yet");
}

#[tokio::test]
async fn a_host_that_tells_too_much_pushes_out_its_own_events_alone() {
    let (store, _directory) = store();
    let (events, at) = (Events::new(store.clone()), UnixMicros::now());
    for (host, number) in [("quiet", 5), ("loud", 3000), ("other", 8), ("loud", 6000)] {
        let epoch = Epoch::generate();
        store.append_events(instance(host), batch(epoch, 1..=number), at).await.unwrap();
    }
    let keep = Retention { age: Duration::from_secs(3600), rows: 100 };
    assert_eq!(prune(&store, keep, at).await.unwrap(), 9013 - 100);
    for (host, left) in [("quiet", 5), ("other", 8), ("loud", 87)] {
        let filter = EventFilter { instance: Some(instance(host)), ..EventFilter::default() };
        assert_eq!(events.page(filter, None, MAX_PAGE).await.unwrap().events.len(), left, "{host}");
    }
    assert_eq!(prune(&store, keep, at).await.unwrap(), 0, "what is left has its room");
}
