//! The fleet: what subscribers hear always adds up to what the view says.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use roadstead_protocol::message::container::{Container, ContainerState, Figures};
use roadstead_protocol::message::ids::{ContainerId, SessionId};
use roadstead_protocol::message::snapshot::{Change, Engine, EngineState, SnapshotPart};
use roadstead_protocol::message::time::UnixMicros;
use tokio::sync::broadcast::Receiver;
use tokio_util::sync::CancellationToken;

use super::{Feed, Fleet, FleetChange, Health, Host, LinkState, NoLongerFed, health, persist};
use crate::fixtures::{container, container_id, engine, instance, record, store};
use crate::model::Direction;

mod giants;
mod together;

fn fleet_with(id: &str) -> Fleet {
    let fleet = Fleet::new();
    fleet.upsert_record(record(id));
    fleet
}

fn live(fleet: &Fleet, id: &str) -> Feed {
    fleet.link_live(&instance(id), SessionId::generate(), Direction::Outbound, "10.0.0.7:4000").unwrap()
}

fn whole(containers: Vec<Container>) -> SnapshotPart {
    SnapshotPart { engine: engine(), containers, last: true }
}

fn host(fleet: &Fleet, id: &str) -> Arc<Host> {
    fleet.host(&instance(id)).unwrap()
}

fn running(number: u32) -> Container {
    container(number, ContainerState::Running)
}

fn figures(number: u32) -> Figures {
    Figures {
        container: container_id(number),
        at: UnixMicros(5),
        cpu_percent: Some(1.5),
        memory_bytes: 1,
        memory_limit_bytes: None,
        network_rx_bytes: 0,
        network_tx_bytes: 0,
        block_read_bytes: 0,
        block_write_bytes: 0,
    }
}

#[test]
fn a_picture_is_taken_over_with_its_last_part_only() {
    let fleet = fleet_with("a");
    let feed = live(&fleet, "a");
    let part = SnapshotPart { last: false, ..whole(vec![running(1)]) };
    feed.snapshot_part(part).unwrap();
    assert!(host(&fleet, "a").containers.is_empty());
    assert!(host(&fleet, "a").stale);
    assert_eq!(health(&host(&fleet, "a")).0, Health::Unknown);

    feed.snapshot_part(whole(vec![running(2)])).unwrap();
    let host = host(&fleet, "a");
    assert_eq!(host.containers.len(), 2);
    assert!(!host.stale);
    assert_eq!(health(&host).0, Health::Healthy);
    assert_eq!(host.counts(), BTreeMap::from([(ContainerState::Running, 2)]));
}

#[test]
fn a_lost_link_keeps_the_picture_with_reason_and_age() {
    let fleet = fleet_with("a");
    let feed = live(&fleet, "a");
    feed.snapshot_part(whole(vec![running(1)])).unwrap();
    feed.late();
    assert!(host(&fleet, "a").stale);
    assert_eq!(health(&host(&fleet, "a")).0, Health::Healthy);
    feed.recovered();
    assert!(!host(&fleet, "a").stale);

    feed.end("silent for 45 s");
    let host = host(&fleet, "a");
    assert_eq!(host.link.state, LinkState::Lost);
    assert_eq!(host.containers.len(), 1);
    assert!(host.stale);
    assert_eq!(host.synced_at, host.record.last_seen);
    let (health, reason) = health(&host);
    assert_eq!(health, Health::Unhealthy);
    assert!(reason.contains("silent for 45 s"), "{reason}");
}

#[test]
fn a_second_snapshot_tells_only_the_difference() {
    let fleet = fleet_with("a");
    let feed = live(&fleet, "a");
    feed.snapshot_part(whole(vec![running(1), running(2), running(3)])).unwrap();
    feed.figures(vec![figures(1), figures(9)]);
    let (_, mut changes) = fleet.subscribe();
    feed.snapshot_part(whole(vec![running(2), container(3, ContainerState::Exited), running(4)])).unwrap();
    let FleetChange::Containers { upsert, remove, .. } = changes.try_recv().unwrap() else { panic!() };
    let upserted: Vec<_> = upsert.iter().map(|container| &*container.name).collect();
    assert_eq!(upserted, ["c3", "c4"]);
    assert_eq!(remove, [container_id(1)]);
    assert!(host(&fleet, "a").figures.is_empty(), "figures go with their container");
    feed.snapshot_part(whole(vec![running(2), container(3, ContainerState::Exited), running(4)])).unwrap();
    assert!(changes.try_recv().is_err(), "nothing changed");
}

#[test]
fn a_superseded_session_changes_nothing_any_more() {
    let fleet = fleet_with("a");
    let old = live(&fleet, "a");
    old.snapshot_part(SnapshotPart { last: false, ..whole(vec![running(1)]) }).unwrap();
    let new = live(&fleet, "a");
    new.snapshot_part(whole(vec![running(2)])).unwrap();
    old.change(Change::Upsert { container: Box::new(running(3)) }).unwrap();
    old.late();
    assert_eq!((old.seen(), new.seen()), (Err(NoLongerFed), Ok(())));
    old.end("superseded");
    let host = host(&fleet, "a");
    assert_eq!(host.link.state, LinkState::Live);
    assert_eq!(host.containers.keys().collect::<Vec<_>>(), [&container_id(2)]);
}

#[test]
fn a_feed_that_is_dropped_is_a_lost_link() {
    let fleet = fleet_with("a");
    drop(live(&fleet, "a"));
    assert_eq!(host(&fleet, "a").link.state, LinkState::Lost);
}

#[tokio::test]
async fn a_removed_instance_has_no_link_and_is_told() {
    let fleet = fleet_with("a");
    let feed = live(&fleet, "a");
    let (_, mut changes) = fleet.subscribe();
    fleet.remove(&instance("a")).await;
    assert!(matches!(changes.try_recv().unwrap(), FleetChange::Removed(_)));
    feed.snapshot_part(whole(Vec::new())).unwrap();
    assert!(fleet.host(&instance("a")).is_none());
    let session = SessionId::generate();
    assert!(fleet.link_live(&instance("a"), session, Direction::Outbound, "").is_none());
    assert_eq!(feed.seen(), Err(NoLongerFed));
}

#[test]
fn a_failed_dial_says_why_but_moves_neither_last_seen_nor_a_live_link() {
    let fleet = fleet_with("a");
    let (_, mut changes) = fleet.subscribe();
    fleet.dial_failed(&instance("a"), "connection refused");
    fleet.dial_failed(&instance("a"), "connection refused");
    assert!(changes.try_recv().is_ok());
    assert!(changes.try_recv().is_err(), "the same again is no news");
    let never = host(&fleet, "a");
    assert_eq!((never.link.state, never.record.last_seen), (LinkState::Never, None));
    assert_eq!(
        health(&never),
        (Health::Unknown, "The agent has never connected: connection refused.".to_owned())
    );
    let _feed = live(&fleet, "a");
    fleet.dial_failed(&instance("a"), "connection refused");
    assert_eq!(host(&fleet, "a").link.reason, None);
}

#[test]
fn an_engine_that_does_not_answer_is_unhealthy() {
    let fleet = fleet_with("a");
    let feed = live(&fleet, "a");
    feed.snapshot_part(whole(vec![running(1)])).unwrap();
    let state = EngineState::Unreachable { reason: "connection refused".to_owned() };
    feed.change(Change::Engine { engine: Engine { state, ..engine() } }).unwrap();
    let (health, reason) = health(&host(&fleet, "a"));
    assert_eq!(health, Health::Unhealthy);
    assert_eq!(reason, "The Docker engine does not answer: connection refused.");
    assert_eq!(super::bare("the Docker engine does not answer: no such file"), "no such file");
    assert_eq!(host(&fleet, "a").containers.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_warning_of_a_clone_ends_after_a_while() {
    let fleet = fleet_with("a");
    let feed = live(&fleet, "a");
    feed.snapshot_part(whole(Vec::new())).unwrap();
    fleet.clone_refused(&instance("a"), "another machine uses this agent's identity");
    fleet.tick();
    assert_eq!(health(&host(&fleet, "a")).0, Health::Unhealthy);
    tokio::time::advance(super::CLONE_WARNING).await;
    fleet.tick();
    assert_eq!(health(&host(&fleet, "a")).0, Health::Healthy);
}

#[test]
fn a_picture_too_large_to_be_true_is_refused() {
    let fleet = fleet_with("a");
    let feed = live(&fleet, "a");
    let part = |from: u32| SnapshotPart { last: false, ..whole((from..from + 5000).map(running).collect()) };
    feed.snapshot_part(part(0)).unwrap();
    feed.snapshot_part(part(5000)).unwrap();
    assert!(feed.snapshot_part(part(10_000)).is_err());
}

#[tokio::test]
async fn pictures_survive_a_restart_as_what_they_are() {
    let (store, _directory) = store();
    for id in ["a", "b"] {
        store.insert_instance(record(id)).await.unwrap().unwrap();
    }
    let fleet = Fleet::new();
    persist::load(&fleet, &store).await.unwrap();
    let feed = live(&fleet, "a");
    feed.snapshot_part(whole(vec![running(1)])).unwrap();
    let shutdown = CancellationToken::new();
    shutdown.cancel();
    persist::run(fleet.clone(), store.clone(), shutdown).await;
    let before = host(&fleet, "a");

    let fleet = Fleet::new();
    persist::load(&fleet, &store).await.unwrap();
    let after = host(&fleet, "a");
    assert_eq!(after.containers, before.containers);
    assert_eq!(after.engine, before.engine);
    assert_eq!(after.record.last_seen, before.record.last_seen);
    assert!(after.synced_at.is_some() && after.stale);
    assert_eq!((after.link.state, after.link.state.as_str()), (LinkState::Awaited, "lost"));
    assert_eq!(health(&after).0, Health::Unknown);
    assert_eq!(host(&fleet, "b").link.state, LinkState::Never);
    fleet.end_wait();
    assert_eq!(health(&host(&fleet, "a")).0, Health::Unhealthy);
}

#[derive(Clone, Debug)]
enum Step {
    Connect,
    Lose,
    Snapshot(Vec<(u32, bool)>),
    Upsert(u32, bool),
    Remove(u32),
    Engine(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let number = 0..6_u32;
    let step = prop_oneof![
        Just(Step::Connect),
        Just(Step::Lose),
        prop::collection::vec((number.clone(), any::<bool>()), 0..6).prop_map(Step::Snapshot),
        (number.clone(), any::<bool>()).prop_map(|(number, up)| Step::Upsert(number, up)),
        number.prop_map(Step::Remove),
        (0..3_i64).prop_map(Step::Engine),
    ];
    prop::collection::vec(step, 0..40)
}

fn in_state(number: u32, up: bool) -> Container {
    container(number, if up { ContainerState::Running } else { ContainerState::Exited })
}

/// What a subscriber makes of what it hears.
fn follow(changes: &mut Receiver<FleetChange>, view: &mut Host) {
    while let Ok(change) = changes.try_recv() {
        match change {
            FleetChange::Host(host) => {
                let containers = std::mem::take(&mut view.containers);
                *view = Host { containers, ..Host::clone(&host) };
            }
            FleetChange::Replaced(host) => *view = Host::clone(&host),
            FleetChange::Containers { upsert, remove, .. } => {
                for id in &remove {
                    view.containers.remove(id);
                }
                upsert.into_iter().for_each(|container| view.containers.insert(container));
            }
            FleetChange::Figures { .. } | FleetChange::Removed(_) => {}
        }
    }
}

#[test]
fn nothing_falls_between_the_view_and_what_follows() {
    let fleet = fleet_with("a");
    let feed = live(&fleet, "a");
    feed.snapshot_part(whole(Vec::new())).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..500 {
                feed.change(Change::Upsert { container: Box::new(running(number)) }).unwrap();
            }
        });
        let followers: Vec<_> = std::iter::repeat_with(|| fleet.subscribe()).take(20).collect();
        scope.spawn(move || {
            for (hosts, mut changes) in followers {
                let mut view = Host::clone(&hosts[0]);
                while view.containers.len() < 500 {
                    let FleetChange::Containers { upsert, .. } = changes.blocking_recv().unwrap() else {
                        panic!("only containers change")
                    };
                    for container in upsert {
                        let twice = view.containers.contains_key(&container.id);
                        assert!(!twice, "what is in the view does not follow it");
                        view.containers.insert(container);
                    }
                }
            }
        });
    });
}

#[tokio::test]
async fn a_refreshed_record_is_what_is_stored_and_brings_nothing_back() {
    let (store, _directory) = store();
    store.insert_instance(record("a")).await.unwrap().unwrap();
    let fleet = fleet_with("a");
    let _feed = live(&fleet, "a");
    let seen = host(&fleet, "a").record.last_seen;
    let rename = |record: &mut crate::model::InstanceRecord| record.name = "renamed".to_owned();
    store.update_instance(instance("a"), rename).await.unwrap().unwrap().unwrap();
    fleet.refresh_record(&store, &instance("a")).await.unwrap();
    let renamed = host(&fleet, "a");
    assert_eq!(renamed.record.name, "renamed");
    assert_eq!(renamed.record.last_seen, seen, "what is stored of it is older");
    store.remove_instance(instance("a"), UnixMicros(1)).await.unwrap().unwrap();
    fleet.remove(&instance("a")).await;
    fleet.refresh_record(&store, &instance("a")).await.unwrap();
    assert!(fleet.hosts().is_empty());
    store.insert_instance(record("a")).await.unwrap().unwrap();
    fleet.refresh_record(&store, &instance("a")).await.unwrap();
    assert_eq!(host(&fleet, "a").link.state, LinkState::Never, "registered anew");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn whatever_happens_view_model_and_subscriber_agree(steps in steps(), subscribe_at in 0..40_usize) {
        let fleet = fleet_with("a");
        let mut feed = None;
        let mut model: BTreeMap<ContainerId, Container> = BTreeMap::new();
        let mut subscriber = None;
        for (at, step) in steps.into_iter().enumerate() {
            if at == subscribe_at {
                let (hosts, changes) = fleet.subscribe();
                subscriber = Some((changes, Host::clone(&hosts[0])));
            }
            match (step, &feed) {
                (Step::Connect, _) => feed = Some(live(&fleet, "a")),
                (Step::Lose, _) => feed = None,
                (Step::Snapshot(list), Some(feed)) => {
                    let list: Vec<_> = list.into_iter().map(|(number, up)| in_state(number, up)).collect();
                    model = list.iter().map(|container| (container.id.clone(), container.clone())).collect();
                    feed.snapshot_part(whole(list)).unwrap();
                }
                (Step::Upsert(number, up), Some(feed)) => {
                    let container = in_state(number, up);
                    model.insert(container.id.clone(), container.clone());
                    feed.change(Change::Upsert { container: Box::new(container) }).unwrap();
                }
                (Step::Remove(number), Some(feed)) => {
                    model.remove(&container_id(number));
                    feed.change(Change::Remove { id: container_id(number) }).unwrap();
                }
                (Step::Engine(since), Some(feed)) => {
                    let engine = Engine { since: UnixMicros(since), ..engine() };
                    feed.change(Change::Engine { engine }).unwrap();
                }
                (_, None) => {}
            }
            let host = host(&fleet, "a");
            let shown: BTreeMap<_, _> =
                host.containers.values().map(|one| (one.id.clone(), one.to_container())).collect();
            prop_assert_eq!(&shown, &model);
            if let Some((changes, view)) = &mut subscriber {
                follow(changes, view);
                prop_assert_eq!(&view.containers, &host.containers);
                prop_assert_eq!(&view.engine, &host.engine);
                prop_assert_eq!(&view.link, &host.link);
                prop_assert_eq!(view.stale, host.stale);
            }
        }
    }
}
