//! Random damage to a database at rest: it is refused by name, or whatever is read is what was written.

use std::fs;
use std::path::Path;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use roadstead_protocol::message::event::{Event, EventBatch, EventKind};
use roadstead_protocol::message::ids::{Epoch, EventSeq};
use roadstead_protocol::message::time::UnixMicros;
use tempfile::TempDir;
use uuid::Uuid;

use crate::fixtures::{instance, record};
use crate::model::{EventRecord, InstanceRecord};
use crate::store::events::EventFilter;
use crate::store::{Store, StoreError};

/// Cases of each kind, each with a seed of its own.
const CASES: u64 = 250;

const EPOCH: Epoch = Epoch(Uuid::from_u128(5));

/// Events of each of the two agents.
const EVENTS: u64 = 600;

fn batch(from: u64, to: u64) -> EventBatch {
    let event = |seq| {
        let what = EventKind::EngineLost { reason: format!("reason {seq}") };
        Event { seq: EventSeq(seq), at: UnixMicros(1), what }
    };
    EventBatch::plain(EPOCH, (from..=to).map(event).collect())
}

async fn append(store: &Store, id: &str, from: u64, to: u64) {
    store.append_events(instance(id), batch(from, to), UnixMicros(2)).await.unwrap();
}

/// A store with two instances and their events, closed; and a copy of it as a kill leaves it, a third of the events
/// only in the log.
async fn templates() -> (TempDir, TempDir) {
    let (closed, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = Store::open(closed.path()).unwrap();
    for id in ["a", "b"] {
        store.insert_instance(record(id)).await.unwrap().unwrap();
        append(&store, id, 1, EVENTS / 3 * 2).await;
    }
    drop(store);
    let store = Store::open(closed.path()).unwrap();
    for id in ["a", "b"] {
        for from in (EVENTS / 3 * 2..EVENTS).step_by(20) {
            append(&store, id, from + 1, from + 20).await;
        }
    }
    copy(closed.path(), killed.path());
    drop(store);
    assert!(killed.path().join("roadstead.db-wal").exists());
    assert!(
        closed.path().join("roadstead.db.seal").exists() && !closed.path().join("roadstead.db-wal").exists()
    );
    (closed, killed)
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// One fault in one of the `files`.
fn damage(directory: &Path, files: &[&str], random: &mut StdRng) -> String {
    let name = files[random.random_range(0..files.len())];
    let path = directory.join(name);
    let mut bytes = fs::read(&path).unwrap();
    let at = random.random_range(0..bytes.len());
    let what = match random.random_range(0..10) {
        0..6 => {
            bytes[at] ^= 1 << random.random_range(0..8);
            "a flipped bit"
        }
        6 => {
            bytes.truncate(at);
            "cut short"
        }
        7 => {
            let end = bytes.len().min(at + 4096);
            bytes[at..end].fill(0);
            "zeros"
        }
        _ => {
            let end = bytes.len().min(at + 64);
            random.fill(&mut bytes[at..end]);
            "rubbish"
        }
    };
    fs::write(&path, bytes).unwrap();
    format!("{what} at {at} of {name}")
}

type Everything = (Vec<InstanceRecord>, Vec<EventRecord>);

async fn everything(directory: &Path) -> Result<Everything, StoreError> {
    let store = Store::open(directory)?;
    let instances = store.instances().await?;
    let mut events = store.events_before(EventFilter::default(), None, 10_000).await?;
    events.reverse();
    Ok((instances, events))
}

#[tokio::test]
async fn a_closed_database_that_was_damaged_is_refused_or_reads_as_it_was_written() {
    let (closed, _) = templates().await;
    let truth = {
        let directory = tempfile::tempdir().unwrap();
        copy(closed.path(), directory.path());
        everything(directory.path()).await.unwrap()
    };
    assert_eq!(truth.1.len(), 2 * usize::try_from(EVENTS).unwrap());
    let mut refused = 0;
    for seed in 0..CASES {
        let mut random = StdRng::seed_from_u64(seed);
        let directory = tempfile::tempdir().unwrap();
        copy(closed.path(), directory.path());
        let fault =
            damage(directory.path(), &["roadstead.db", "roadstead.db", "roadstead.db.seal"], &mut random);
        match everything(directory.path()).await {
            Ok(found) => assert!(found == truth, "seed {seed}: {fault}: another answer"),
            Err(error) => {
                let text = error.to_string();
                let named = text.contains("roadstead.db") && text.contains("restore BACKUP");
                assert!(named || text.contains("seal"), "seed {seed}: {fault}: {text}");
                refused += 1;
                assert!(everything(directory.path()).await.is_err(), "seed {seed}: and again the next time");
            }
        }
    }
    assert!(refused > 200, "only {refused} were noticed");
}

#[tokio::test]
async fn a_killed_controllers_log_that_was_damaged_loses_only_its_end_and_that_is_told() {
    let (_, killed) = templates().await;
    let truth = {
        let directory = tempfile::tempdir().unwrap();
        copy(killed.path(), directory.path());
        everything(directory.path()).await.unwrap()
    };
    let mut cut = 0;
    for seed in 0..CASES {
        let mut random = StdRng::seed_from_u64(seed);
        let directory = tempfile::tempdir().unwrap();
        copy(killed.path(), directory.path());
        let files = ["roadstead.db-wal", "roadstead.db-wal", "roadstead.db-shm"];
        let fault = damage(directory.path(), &files, &mut random);
        let story = format!("seed {seed}: {fault}");
        let Ok((instances, events)) = everything(directory.path()).await else { continue };
        assert!(instances == truth.0, "{story}");
        assert!(truth.1.starts_with(&events), "{story}: {} events, and not the first", events.len());
        if events.len() == truth.1.len() {
            continue;
        }
        cut += 1;
        // Its agents had these acknowledged and go on behind them.
        let store = Store::open(directory.path()).unwrap();
        let lost = truth.1.len() - events.len();
        let mut told = 0;
        for id in ["a", "b"] {
            let mark = store.event_mark(instance(id), EPOCH).await.unwrap().seq;
            let intake =
                store.append_events(instance(id), batch(EVENTS + 1, EVENTS + 1), UnixMicros(3)).await;
            for record in intake.unwrap().stored {
                if let EventKind::Gap { from, to, count, .. } = record.what {
                    assert_eq!((from.0, to.0), (mark.0 + 1, EVENTS), "{story}");
                    told += usize::try_from(count).unwrap();
                }
            }
        }
        assert_eq!(told, lost, "{story}");
    }
    assert!(cut > 50, "only {cut} lost anything");
}

/// What SQLite's own checks notice; contents that changed within a cell are not among it (docs/adr).
#[tokio::test]
async fn a_killed_controllers_database_that_was_damaged_never_makes_it_fail_in_an_unknown_way() {
    let (_, killed) = templates().await;
    let mut refused = 0;
    for seed in 0..CASES {
        let mut random = StdRng::seed_from_u64(seed);
        let directory = tempfile::tempdir().unwrap();
        copy(killed.path(), directory.path());
        damage(directory.path(), &["roadstead.db"], &mut random);
        refused += u64::from(everything(directory.path()).await.is_err());
    }
    assert!(refused > 0);
}

#[tokio::test]
async fn a_backup_takes_the_place_of_a_damaged_database() {
    let (closed, _) = templates().await;
    let backup = closed.path().join("backup");
    {
        let store = Store::open(closed.path()).unwrap();
        store.backup(backup.clone()).await.unwrap();
        let refused = Store::restore(closed.path(), &backup);
        assert!(matches!(refused, Err(StoreError::InUse(_))), "{refused:?}");
    }
    let path = closed.path().join("roadstead.db");
    let mut bytes = fs::read(&path).unwrap();
    bytes[5000] ^= 1;
    fs::write(&path, bytes).unwrap();
    let error = Store::open(closed.path()).err().unwrap().to_string();
    assert!(error.contains("is damaged") && error.contains("roadstead-controller restore"), "{error}");
    let former = Store::restore(closed.path(), &backup).unwrap().unwrap();
    assert!(former.exists());
    let (instances, events) = everything(closed.path()).await.unwrap();
    assert_eq!((instances.len(), events.len()), (2, 2 * usize::try_from(EVENTS).unwrap()));
    fs::write(&backup, b"rubbish").unwrap();
    let refused = Store::restore(closed.path(), &backup);
    assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{refused:?}");
    assert_eq!(everything(closed.path()).await.unwrap().1.len(), events.len(), "it is as it was");
}
