//! Stores of earlier schemas open with every row intact; those of later ones are refused by name.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use roadstead_protocol::message::attributes::Attributes;
use roadstead_protocol::message::codec;
use roadstead_protocol::message::command::{Outcome, Work};
use roadstead_protocol::message::event::EventKind;
use roadstead_protocol::message::ids::{CommandId, Epoch, EventSeq, PeerKey};
use roadstead_protocol::message::policy::Verb;
use roadstead_protocol::message::progress::Progress;
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::*;
use crate::fixtures::container_id;
use crate::model::CommandState;
use crate::store::Store;
use crate::store::events::EventFilter;
use crate::store::instances::Former;

/// What each schema before the newest left behind, oldest first. A new step adds a line and edits none.
const RELEASED: [(i64, &str); 9] = [
    (1, include_str!("../../../tests/data/store-001.sql")),
    (2, include_str!("../../../tests/data/store-002.sql")),
    (3, include_str!("../../../tests/data/store-003.sql")),
    (4, include_str!("../../../tests/data/store-004.sql")),
    (5, include_str!("../../../tests/data/store-005.sql")),
    (6, include_str!("../../../tests/data/store-006.sql")),
    (7, include_str!("../../../tests/data/store-007.sql")),
    (8, include_str!("../../../tests/data/store-008.sql")),
    (9, include_str!("../../../tests/data/store-009.sql")),
];

fn left_behind(directory: &Path, dump: &str) {
    Connection::open(directory.join("roadstead.db")).unwrap().execute_batch(dump).unwrap();
}

/// Every table with its number of rows.
fn rows(directory: &Path) -> Vec<(String, i64)> {
    let connection = Connection::open(directory.join("roadstead.db")).unwrap();
    let sql =
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name";
    let mut statement = connection.prepare(sql).unwrap();
    let names: Vec<String> =
        statement.query_map([], |row| row.get(0)).unwrap().map(|name| name.unwrap()).collect();
    let count = |name: String| {
        let sql = format!("SELECT count(*) FROM {name}");
        let rows = connection.query_row(&sql, [], |row| row.get(0)).unwrap();
        (name, rows)
    };
    names.into_iter().map(count).collect()
}

fn version(directory: &Path) -> i64 {
    let connection = Connection::open(directory.join("roadstead.db")).unwrap();
    connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
}

#[test]
fn every_step_has_what_the_schema_before_it_left_behind() {
    let versions: Vec<_> = RELEASED.iter().map(|(version, _)| *version).collect();
    let known = i64::try_from(STEPS.len()).unwrap();
    assert_eq!(versions, (1..known).collect::<Vec<_>>(), "dump a store of the schema before and add it here");
}

#[test]
fn a_store_of_every_earlier_version_is_brought_up_to_date() {
    for version in 0..STEPS.len() {
        let mut connection = Connection::open_in_memory().unwrap();
        for step in &STEPS[..version] {
            connection.execute_batch(step).unwrap();
        }
        connection.pragma_update(None, "user_version", i64::try_from(version).unwrap()).unwrap();
        run(&mut connection).unwrap();
        let newest: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        assert_eq!(newest, i64::try_from(STEPS.len()).unwrap());
        connection.execute("INSERT INTO lifecycle_mark (one, event) VALUES (1, 0)", []).unwrap();
    }
}

#[tokio::test]
async fn a_store_of_any_released_schema_opens_with_every_row_intact() {
    for (found, dump) in RELEASED {
        let directory = tempfile::tempdir().unwrap();
        left_behind(directory.path(), dump);
        let before = rows(directory.path());
        assert!(before.iter().all(|(_, rows)| *rows > 0), "a table without a row proves nothing: {before:?}");
        assert_eq!(version(directory.path()), found);
        let store = Store::open(directory.path()).unwrap();
        check(&store).await;
        drop(store);
        let after = rows(directory.path());
        assert!(before.iter().all(|table| after.contains(table)), "{before:?} became {after:?}");
        assert_eq!(version(directory.path()), i64::try_from(STEPS.len()).unwrap());
    }
}

/// What the dump of the first schema says, read by this program.
async fn check(store: &Store) {
    let instances = store.instances().await.unwrap();
    assert_eq!(instances.iter().map(|record| record.name.as_str()).collect::<Vec<_>>(), ["Büro-NAS", "VPS"]);
    let nas = &instances[0];
    assert_eq!((nas.key, nas.tags.as_slice()), (Some(PeerKey([0x5a; 32])), ["amd64".to_owned()].as_slice()));
    assert!(nas.policy.as_ref().unwrap().allow.contains(&Verb::Sync));
    assert_eq!(store.former_key(PeerKey([0xa5; 32])).await.unwrap(), Some(Former::Removed));
    assert_eq!(store.join_tokens().await.unwrap().len(), 1);
    assert_eq!(store.pictures(|_, _| ()).unwrap().len(), 1);
    assert!(store.user("admin").await.unwrap().is_some());

    let epoch = Epoch(Uuid::from_u128(9));
    assert_eq!(store.event_mark(nas.id.clone(), epoch).await.unwrap().seq, EventSeq(2));
    let events = store.events_before(EventFilter::default(), None, 10).await.unwrap();
    assert_eq!(events.len(), 2);
    let id: CommandId = "01999999-0000-7000-8000-000000000001".parse().unwrap();
    assert!(matches!(&events[0].what, EventKind::CommandEnded { command, .. } if *command == id));

    let ended = store.command(id).await.unwrap().unwrap();
    assert_eq!(ended.state, CommandState::Succeeded);
    assert!(matches!(&ended.outcome, Some(Outcome::Succeeded { summary, .. }) if summary == "updated web"));
    let lines = store.command_lines(id, 0, 10).await.unwrap();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1].entry, Progress::Dropped { count: 3 });
    let out: CommandId = "01999999-0000-7000-8000-000000000002".parse().unwrap();
    let out = store.command(out).await.unwrap().unwrap();
    assert_eq!((out.state, out.cancel_requested), (CommandState::Sent, true));
    assert!(matches!(out.work, Work::Check { .. }));

    // Entries of the audit log from before it was a chain are chained with the numbers they have.
    let verified = store.verify_audit(Vec::new()).await.unwrap().unwrap();
    assert_eq!(verified.entries, u64::try_from(verified.head.id).unwrap());
    assert_eq!(store.audit_page(None, 10).await.unwrap().last().unwrap().entry.who, "admin");
}

#[tokio::test]
async fn events_of_containers_from_before_subjects_are_shown_and_filtered_as_ever() {
    let directory = tempfile::tempdir().unwrap();
    left_behind(directory.path(), RELEASED[5].1);
    let id = container_id(7);
    let what = EventKind::Container {
        id: id.clone(),
        name: "web".into(),
        image: "web:1".into(),
        action: "start".into(),
        attributes: Attributes::default(),
        inferred: false,
    };
    let bytes = codec::encode(&what, codec::MAX_MESSAGE).unwrap();
    let before = Connection::open(directory.path().join("roadstead.db")).unwrap();
    // Two in the index of instances and one after it, with times that only a liar tells.
    let sql = "INSERT INTO events VALUES (?1, 'nas', ?2, 12, 'container', ?3, zeroblob(16), ?1, ?4)";
    for number in [3, 32_768, 32_769] {
        before.execute(sql, params![number, i64::MIN, id.as_str(), bytes]).unwrap();
    }
    drop(before);
    let store = Store::open(directory.path()).unwrap();
    let (instance, kind) = (Some("nas".parse().unwrap()), Some("container".to_owned()));
    for filter in [
        EventFilter { container: Some(id), ..EventFilter::default() },
        EventFilter { kind, ..EventFilter::default() },
        EventFilter { instance, ..EventFilter::default() },
    ] {
        let mut found = store.events_before(filter.clone(), None, 3).await.unwrap();
        let rest = store.events_before(filter, Some(32_768), 1).await.unwrap();
        assert_eq!(rest[0], found.pop().unwrap());
        assert_eq!(found.iter().map(|event| event.id).collect::<Vec<_>>(), [32_769, 32_768]);
        assert!(found.iter().all(|event| event.what == what && event.at.0 == i64::MIN));
        assert!(found.iter().all(|event| event.received_at.0 == 12 && event.origin.is_some()));
    }
}

#[test]
fn a_store_of_a_newer_program_is_refused_by_name_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    left_behind(directory.path(), RELEASED[0].1);
    left_behind(directory.path(), "PRAGMA user_version = 99;");
    let before = rows(directory.path());
    let Err(refused) = Store::open(directory.path()) else { panic!("it was opened") };
    assert!(matches!(refused, StoreError::Newer { found: 99, .. }));
    assert!(refused.to_string().contains("version 99") && refused.to_string().contains("newer program"));
    assert_eq!((rows(directory.path()), version(directory.path())), (before, 99));
}

#[test]
fn where_it_stands_is_found_out_after_another_that_is_at_it_has_ended() {
    static WAITS: AtomicBool = AtomicBool::new(false);
    let directory = tempfile::tempdir().unwrap();
    left_behind(directory.path(), RELEASED[0].1);
    left_behind(directory.path(), "PRAGMA journal_mode = WAL;");
    let path = directory.path().join("roadstead.db");
    let newer = Connection::open(&path).unwrap();
    newer.execute_batch("BEGIN IMMEDIATE; PRAGMA user_version = 99;").unwrap();
    let other = thread::spawn(move || {
        let mut connection = Connection::open(&path).unwrap();
        let noted = |_| {
            WAITS.store(true, Ordering::Relaxed);
            thread::yield_now();
            true
        };
        connection.busy_handler(Some(noted)).unwrap();
        run(&mut connection)
    });
    while !WAITS.load(Ordering::Relaxed) && !other.is_finished() {
        thread::yield_now();
    }
    newer.execute_batch("COMMIT").unwrap();
    let refused = other.join().unwrap();
    assert!(matches!(refused, Err(StoreError::Newer { found: 99, .. })), "{refused:?}");
    assert_eq!(version(directory.path()), 99);
}
