//! What an event takes from the heap on its way through the controller, counted. A binary of its own: the counter
//! counts everything in it, the store's thread as well.
#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is a failure")]

use std::alloc::System;

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

/// Most allocations for one event among a hundred of a message: to decode it (its image's name, its attributes), and to
/// store it and hand it to those who listen.
const MOST_OF_MANY: [f64; 2] = [2.1, 0.3];

/// The same for one alone, where what belongs to the message counts in full.
const MOST_ALONE: [f64; 2] = [4.0, 12.0];

/// Containers that they are about.
const CONTAINERS: u64 = 50;

/// Messages before what is kept for later ones has been made.
const FIRST: u64 = 400;

/// Messages that are counted.
const COUNTED: u64 = 200;

fn event(seq: u64) -> Event {
    let attributes =
        [("com.docker.compose.project", "shop"), ("com.docker.compose.service", "web"), ("exitCode", "0")];
    let what = EventKind::Container {
        id: format!("{:064x}", seq % CONTAINERS).parse().unwrap(),
        name: "shop_web_1".into(),
        image: "registry.example:5000/shop/web:1.2.3".into(),
        action: "die".into(),
        attributes: attributes.into(),
        inferred: false,
    };
    Event { seq: EventSeq(seq), at: UnixMicros(1_760_000_000_000_000), what }
}

/// Allocations to decode an event, and to store and tell it, with so many of them in a message.
async fn counted(events_each: u64) -> [f64; 2] {
    let folder = tempfile::tempdir().unwrap();
    let events = Events::new(Store::open(folder.path()).unwrap());
    let instance: InstanceId = "nas".parse().unwrap();
    let epoch = Epoch(uuid::Uuid::nil());
    let mut listener = events.subscribe();
    let mut counted = [0; 2];
    for message in 0..FIRST + COUNTED {
        let told = (1..=events_each).map(|one| event(message * events_each + one)).collect();
        let frame = encode(&ToController::Events(EventBatch::plain(epoch, told)), MAX_MESSAGE).unwrap();
        let region = Region::new(HEAP);
        let message_of: ToController = decode_directed(&frame).unwrap();
        let decoded = region.change();
        let ToController::Events(batch) = message_of else { panic!() };
        let region = Region::new(HEAP);
        events.intake(&instance, batch).await.unwrap();
        let stored = region.change();
        while listener.try_recv().is_ok() {}
        if message >= FIRST {
            for (sum, taken) in counted.iter_mut().zip([decoded, stored]) {
                *sum += taken.allocations + taken.reallocations;
            }
        }
    }
    let of_one = |sum: usize| {
        f64::from(u32::try_from(sum).unwrap()) / f64::from(u32::try_from(COUNTED * events_each).unwrap())
    };
    counted.map(of_one)
}

#[tokio::test]
async fn an_event_from_the_wire_to_whoever_listens() {
    for (events, most) in [(100, MOST_OF_MANY), (1, MOST_ALONE)] {
        let taken = counted(events).await;
        // For docs/benchmarks.md.
        let line = format!("{events} in a message: {taken:?} allocations to decode, to store and tell\n");
        let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
        let within = taken.iter().zip(most).all(|(taken, most)| *taken <= most);
        assert!(within, "{line}at most {most:?}");
    }
}
