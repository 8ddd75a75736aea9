//! Pictures that are too large to be true.

use roadstead_protocol::message::container::{Container, ContainerState};
use roadstead_protocol::message::snapshot::{Change, SnapshotPart};

use super::{fleet_with, host, live, running, whole};

#[test]
fn a_picture_of_endless_names_is_refused_and_a_large_one_that_goes_makes_room() {
    let fleet = fleet_with("a");
    let feed = live(&fleet, "a");
    let long = |number: u32| Container { name: "x".repeat(60_000), ..running(number) };
    let upsert = |number| Change::Upsert { container: Box::new(long(number)) };
    feed.snapshot_part(whole(vec![running(0)])).unwrap();
    let fits = (1..1000).take_while(|number| feed.change(upsert(*number)).is_ok()).count();
    assert!((500..600).contains(&fits), "{fits}");
    assert_eq!(host(&fleet, "a").containers.len(), fits + 1);
    // The same again takes no more room, and what goes gives it back.
    let named = Container { state: ContainerState::Exited, ..long(1) };
    feed.change(Change::Upsert { container: Box::new(named) }).unwrap();
    feed.change(Change::Remove { id: long(1).id }).unwrap();
    feed.change(upsert(999)).unwrap();
    let part = |from: u32| SnapshotPart { last: false, ..whole((from..from + 300).map(long).collect()) };
    feed.snapshot_part(part(0)).unwrap();
    feed.snapshot_part(part(0)).unwrap();
    assert!(feed.snapshot_part(part(300)).is_err());
}
