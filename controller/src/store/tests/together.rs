//! Events that share a row are found, paged through and deleted one by one, as if each had its own.

use std::collections::HashMap;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use roadstead_protocol::message::event::{Event, EventBatch, EventKind};
use roadstead_protocol::message::ids::{Epoch, EventSeq};
use roadstead_protocol::message::time::UnixMicros;

use crate::events::retention::{Retention, prune};
use crate::fixtures::{container_id, instance, store};
use crate::model::EventRecord;
use crate::store::events::{EventFilter, kind};
use crate::store::{Store, StoreError};

const HOSTS: [&str; 3] = ["a", "b", "c"];

/// Numbers of events in a message: around what fits into a row, too.
const SIZES: [u64; 7] = [1, 1, 2, 63, 64, 65, 200];

fn happened(random: &mut StdRng) -> EventKind {
    let text = "x".repeat(if random.random_ratio(1, 40) { 20_000 } else { 10 });
    match random.random_range(0..4) {
        0 => EventKind::AgentStarted { version: text },
        1 => EventKind::EngineLost { reason: text },
        _ => EventKind::Container {
            id: container_id(random.random_range(0..4)),
            name: "web".into(),
            image: "web:1".into(),
            action: "die".into(),
            attributes: [("exitCode", text)].into(),
            inferred: random.random(),
        },
    }
}

/// Has every host tell messages of random sizes, and returns the log as it was told, oldest first.
async fn tell(store: &Store, random: &mut StdRng, messages: usize) -> Vec<EventRecord> {
    let mut told = store.stored_events();
    let (mut log, mut outboxes) = (Vec::new(), HashMap::new());
    for message in 0..messages {
        let host = *HOSTS.choose(random).unwrap();
        let (epoch, seq) = outboxes.entry(host).or_insert_with(|| (Epoch::generate(), 0));
        let mut events = Vec::new();
        for _ in 0..*SIZES.choose(random).unwrap() {
            // Now and then there is a hole in the numbers, which becomes a gap.
            *seq += if random.random_ratio(1, 100) { 2 } else { 1 };
            let at = UnixMicros(random.random_range(0..1000));
            events.push(Event { seq: EventSeq(*seq), at, what: happened(random) });
        }
        let received = UnixMicros(i64::try_from(message).unwrap());
        store.append_events(instance(host), EventBatch::plain(*epoch, events), received).await.unwrap();
        while let Ok(some) = told.try_recv() {
            log.extend(some.iter().cloned());
        }
    }
    log
}

fn filters() -> Vec<EventFilter> {
    let mut filters = Vec::new();
    for which in 0..16 {
        filters.push(EventFilter {
            instances: None,
            instance: (which & 1 > 0).then(|| instance("b")),
            container: (which & 2 > 0).then(|| container_id(1)),
            kind: (which & 4 > 0).then(|| "container".to_owned()),
            since: (which & 8 > 0).then_some(UnixMicros(500)),
        });
    }
    filters
}

fn matches(filter: &EventFilter, event: &EventRecord) -> bool {
    let about = match &event.what {
        EventKind::Container { id, .. } => Some(id),
        _ => None,
    };
    filter.instance.as_ref().is_none_or(|instance| *instance == event.instance)
        && filter.container.as_ref().is_none_or(|container| Some(container) == about)
        && filter.kind.as_ref().is_none_or(|name| name == kind(&event.what))
        && filter.since.is_none_or(|since| event.at >= since)
}

/// Reads the log with every filter, page by page, and finds what `log` says.
async fn check(store: &Store, log: &[EventRecord], random: &mut StdRng) {
    for filter in filters() {
        let expected: Vec<_> = log.iter().rev().filter(|event| matches(&filter, event)).cloned().collect();
        let limit = *[1, 7, 64, 1000].choose(random).unwrap();
        let limit = if expected.len() > 200 { limit.max(50) } else { limit };
        let (mut found, mut cursor) = (Vec::new(), None);
        loop {
            let page = store.events_before(filter.clone(), cursor, limit).await.unwrap();
            let Some(last) = page.last() else { break };
            cursor = Some(last.id);
            found.extend(page);
        }
        assert!(found == expected, "{filter:?}, {limit} at a time: {} of {}", found.len(), expected.len());
    }
    let (mut containers, mut after) = (Vec::new(), random.random_range(0..100));
    let about = |event: &&EventRecord| event.id > after && kind(&event.what) == "container";
    let expected: Vec<_> = log.iter().filter(about).cloned().collect();
    loop {
        let (events, last) = store.container_events_after(after, 100).await.unwrap();
        if last == after {
            break;
        }
        containers.extend(events);
        after = last;
    }
    assert!(containers == expected, "{} of {}", containers.len(), expected.len());
}

#[tokio::test]
async fn every_page_of_every_filter_is_what_was_told() {
    for seed in 0..4 {
        let (mut random, (store, _directory)) = (StdRng::seed_from_u64(seed), store());
        let log = tell(&store, &mut random, 30).await;
        assert!(log.len() > 500, "seed {seed}: {}", log.len());
        assert!(log.iter().zip(1..).all(|(event, place)| event.id == place), "the log has no holes");
        check(&store, &log, &mut random).await;
    }
}

#[tokio::test]
async fn the_same_across_the_index_of_instances() {
    let (mut random, (store, _directory)) = (StdRng::seed_from_u64(20), store());
    let mut told = store.stored_events();
    let epoch = Epoch::generate();
    let many = (1..=32_700).map(|seq| Event {
        seq: EventSeq(seq),
        at: UnixMicros(0),
        what: EventKind::EngineLost { reason: String::new() },
    });
    let many: Vec<_> = many.collect();
    let mut log = Vec::new();
    for part in many.chunks(6000) {
        let batch = EventBatch::plain(epoch, part.to_vec());
        store.append_events(instance("a"), batch, UnixMicros(0)).await.unwrap();
        while let Ok(some) = told.try_recv() {
            log.extend(some.iter().cloned());
        }
    }
    log.extend(tell(&store, &mut random, 20).await);
    check(&store, &log, &mut random).await;
    let retention = Retention { age: std::time::Duration::MAX, rows: 300 };
    prune(&store, retention, UnixMicros(0)).await.unwrap();
    let mut left = store.events_before(EventFilter::default(), None, 1000).await.unwrap();
    left.reverse();
    assert!((297..=300).contains(&left.len()), "{}", left.len());
    check(&store, &left, &mut random).await;
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_an_error_and_stops_nothing_else() {
    for damage in [
        "UPDATE events SET earlier = x'c1' WHERE more > 0",
        "UPDATE events SET earlier = substr(earlier, 1, 20) WHERE more > 0",
        "UPDATE events SET earlier = NULL WHERE more > 0",
        "UPDATE events SET more = -1",
        "UPDATE events SET more = 9223372036854775807",
    ] {
        let (store, _directory) = store();
        tell(&store, &mut StdRng::seed_from_u64(1), 10).await;
        store.write(move |transaction| Ok(transaction.execute_batch(damage)?)).await.unwrap();
        let page = store.events_before(EventFilter::default(), None, 1000).await;
        assert!(matches!(page, Err(StoreError::Corrupt("events"))), "{damage}: {page:?}");
        let crowding = Retention { age: std::time::Duration::MAX, rows: 5 };
        let _ = prune(&store, crowding, UnixMicros(0)).await;
        store.sweep_subjects(10).await.unwrap();
        // The thread that writes is still there.
        tell(&store, &mut StdRng::seed_from_u64(2), 3).await;
    }
}

#[tokio::test]
async fn what_is_deleted_of_a_row_is_gone_and_the_rest_stays() {
    for seed in 10..14 {
        let (mut random, (store, _directory)) = (StdRng::seed_from_u64(seed), store());
        let mut log = tell(&store, &mut random, 30).await;
        let total = log.len();
        while log.len() > 100 {
            let keep = log.len() - random.random_range(1..100);
            let retention = Retention { age: std::time::Duration::MAX, rows: u64::try_from(keep).unwrap() };
            let gone = prune(&store, retention, UnixMicros(0)).await.unwrap();
            // Equal shares are whole numbers: of each host one more may go.
            let more = gone - (log.len() - keep);
            assert!(more < HOSTS.len(), "seed {seed}: {gone} went of {}, to keep {keep}", log.len());
            let left = store.events_before(EventFilter::default(), None, total).await.unwrap();
            // Of each host the oldest went, and what is left is as it was.
            for host in HOSTS {
                let of = |events: &[EventRecord]| -> Vec<EventRecord> {
                    events.iter().filter(|event| event.instance == instance(host)).cloned().collect()
                };
                let (before, mut after) = (of(&log), of(&left));
                after.reverse();
                assert!(before.ends_with(&after), "seed {seed}, {host}");
            }
            log = left;
            log.reverse();
            assert_eq!(log.len() + more, keep, "seed {seed}");
        }
        check(&store, &log, &mut random).await;
    }
}
