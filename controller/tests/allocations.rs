//! What an event takes from the heap on its way through the controller, counted. A binary of its own: the counter
//! counts everything in it, the store's thread as well.
#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is a failure")]

use std::alloc::System;
use std::collections::BTreeMap;

use roadstead_controller::events::Events;
use roadstead_controller::store::Store;
use roadstead_protocol::message::codec::{MAX_MESSAGE, decode_directed, encode};
use roadstead_protocol::message::event::{Event, EventBatch, EventKind};
use roadstead_protocol::message::ids::{Epoch, EventSeq, InstanceId};
use roadstead_protocol::message::time::UnixMicros;
use roadstead_protocol::message::to_controller::ToController;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Events of one batch.
const BATCH: u64 = 100;

/// Most allocations to decode one event: each of its texts is one.
const MOST_DECODED: usize = 16;

/// Most allocations to store one event and hand it to those who listen.
const MOST_STORED: usize = 11;

fn event(seq: u64) -> Event {
    let attributes =
        [("com.docker.compose.project", "shop"), ("com.docker.compose.service", "web"), ("exitCode", "0")];
    let what = EventKind::Container {
        id: format!("{seq:064x}").parse().unwrap(),
        name: "shop_web_1".to_owned(),
        image: "registry.example:5000/shop/web:1.2.3".to_owned(),
        action: "die".to_owned(),
        attributes: attributes.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        inferred: false,
    };
    Event { seq: EventSeq(seq), at: UnixMicros(1_760_000_000_000_000), what }
}

#[tokio::test]
async fn an_event_from_the_wire_to_whoever_listens() {
    let folder = tempfile::tempdir().unwrap();
    let events = Events::new(Store::open(folder.path()).unwrap());
    let instance: InstanceId = "nas".parse().unwrap();
    let epoch = Epoch(uuid::Uuid::nil());
    let mut listener = events.subscribe();
    let frames: Vec<Vec<u8>> = (0..30)
        .map(|batch| {
            let events = (1..=BATCH).map(|number| event(batch * BATCH + number)).collect();
            encode(&ToController::Events(EventBatch::plain(epoch, events)), MAX_MESSAGE).unwrap()
        })
        .collect();
    let mut counted: BTreeMap<&str, usize> = BTreeMap::new();
    for (number, frame) in frames.iter().enumerate() {
        let region = Region::new(HEAP);
        let message: ToController = decode_directed(frame).unwrap();
        let decoded = region.change();
        let ToController::Events(batch) = message else { panic!() };
        let region = Region::new(HEAP);
        events.intake(&instance, batch).await.unwrap();
        let stored = region.change();
        while listener.try_recv().is_ok() {}
        // Statements, caches and pages are made in the first rounds.
        if number >= 10 {
            *counted.entry("decoded").or_default() += decoded.allocations + decoded.reallocations;
            *counted.entry("stored").or_default() += stored.allocations + stored.reallocations;
        }
    }
    let each = |what: &str| counted[what].div_ceil(20 * usize::try_from(BATCH).unwrap());
    assert!(each("decoded") <= MOST_DECODED, "{} allocations to decode an event", each("decoded"));
    assert!(each("stored") <= MOST_STORED, "{} allocations to store an event", each("stored"));
    // For docs/benchmarks.md.
    let _ = std::io::Write::write_all(
        &mut std::io::stderr(),
        format!("per 2,000 events: {counted:?}\n").as_bytes(),
    );
}
