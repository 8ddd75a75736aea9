//! Much at once: what is not saved again, and what is read together.

use futures_util::FutureExt as _;
use futures_util::future::join_all;

use super::{fleet_with, live, running, whole};
use crate::fixtures::{instance, record, store};
use crate::fleet::Fleet;

#[test]
fn a_host_that_comes_back_as_it_was_is_not_saved_again() {
    let fleet = fleet_with("a");
    let unsaved = || fleet.take_unsaved().len();
    let feed = live(&fleet, "a");
    assert_eq!(unsaved(), 0);
    feed.snapshot_part(whole(Vec::new())).unwrap();
    assert_eq!(unsaved(), 1, "an empty host has a picture too");
    feed.snapshot_part(whole(vec![running(1), running(2)])).unwrap();
    assert_eq!(unsaved(), 1);
    feed.end("gone");
    let feed = live(&fleet, "a");
    feed.snapshot_part(whole(vec![running(1), running(2)])).unwrap();
    assert_eq!(unsaved(), 0);
    feed.snapshot_part(whole(vec![running(2)])).unwrap();
    assert_eq!(unsaved(), 1);
}

#[tokio::test]
async fn records_that_change_together_are_all_taken_over_even_if_one_is_given_up() {
    let (store, _directory) = store();
    let names: Vec<_> = (0..50).map(|number| format!("host-{number}")).collect();
    for name in &names {
        store.insert_instance(record(name)).await.unwrap().unwrap();
    }
    let fleet = Fleet::new();
    // Whoever reads first goes away before it has the answer.
    let id = instance(&names[0]);
    assert!(fleet.refresh_record(&store, &id).now_or_never().is_none());
    let ids: Vec<_> = names[1..].iter().map(|name| instance(name)).collect();
    let refreshed = join_all(ids.iter().map(|id| fleet.refresh_record(&store, id))).await;
    assert!(refreshed.into_iter().all(|result| result.is_ok()));
    assert_eq!(fleet.hosts().len(), names.len());
}
