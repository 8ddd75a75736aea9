//! Random damage to the files of an outbox at rest: whatever it is, each event is there as it was, or told to be missing.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use roadstead_protocol::message::event::{Event, EventKind};
use roadstead_protocol::message::ids::EventSeq;
use roadstead_protocol::message::time::UnixMicros;

use super::{Outbox, segment};

/// Cases of one fault, each with a seed of its own.
const CASES: u64 = 400;

fn event(number: u64) -> EventKind {
    EventKind::EngineLost { reason: format!("{number} {}", "x".repeat(900)) }
}

async fn everything(outbox: &Outbox) -> Vec<Event> {
    outbox.settle().await;
    let mut events: Vec<Event> = Vec::new();
    let mut after = outbox.acknowledged();
    while after < outbox.last() {
        events.extend(outbox.next_batch(after, 64 * 1024).await);
        after = events.last().unwrap().seq;
    }
    events
}

/// An outbox of several segments with 400 events, of which 100 are acknowledged.
async fn template(directory: &Path) {
    let outbox = Outbox::open(directory, 0).unwrap();
    for some in 0..8 {
        let events = (1..=50).map(|one| (UnixMicros(0), event(some * 50 + one))).collect();
        outbox.append_all(events).await.unwrap();
    }
    everything(&outbox).await;
    outbox.acknowledge(EventSeq(100));
    outbox.settle().await;
    assert!(segment::list(directory).unwrap().len() >= 3);
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// One fault in one file.
fn damage(directory: &Path, random: &mut StdRng) -> String {
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.file_name().is_some_and(|name| name != "lock"));
    files.sort();
    let path = &files[random.random_range(0..files.len())];
    let mut bytes = fs::read(path).unwrap();
    let at = random.random_range(0..bytes.len());
    let what = match random.random_range(0..10) {
        0..5 => {
            bytes[at] ^= 1 << random.random_range(0..8);
            "a flipped bit"
        }
        5..7 => {
            bytes.truncate(at);
            "cut short"
        }
        7 => {
            let end = bytes.len().min(at + 512);
            bytes[at..end].fill(0);
            "a sector of zeros"
        }
        8 => {
            let end = bytes.len().min(at + 64);
            random.fill(&mut bytes[at..end]);
            "rubbish"
        }
        _ => {
            fs::remove_file(path).unwrap();
            return format!("{} is gone", path.display());
        }
    };
    fs::write(path, bytes).unwrap();
    format!("{what} at {at} of {}", path.display())
}

/// Each event is there as it was, or lies within a gap, or a doubt about the newest ones is told.
async fn check(directory: &Path, story: &str) {
    let outbox = Outbox::open(directory, 0).unwrap_or_else(|error| panic!("{story}: {error}"));
    let events = everything(&outbox).await;
    assert!(events.is_sorted_by_key(|event| event.seq), "{story}");
    let mut found = BTreeMap::new();
    let mut missing = Vec::new();
    let mut doubt = false;
    for event in events {
        match event.what {
            EventKind::Gap { count: 0, .. } => doubt = true,
            EventKind::Gap { from, to, .. } => missing.push(from.0..=to.0),
            what => drop(found.insert(event.seq.0, what)),
        }
    }
    for seq in outbox.acknowledged().0 + 1..=400 {
        let there = found.get(&seq);
        let told = doubt || missing.iter().any(|gap| gap.contains(&seq));
        assert!(there.is_none_or(|what| *what == event(seq)), "{story}: event {seq} is another: {there:?}");
        assert!(there.is_some() || told, "{story}: event {seq} vanished");
    }
    let next = outbox.append(UnixMicros(0), event(0)).await.unwrap();
    assert!(next > outbox.acknowledged(), "{story}");
    outbox.settle().await;
}

#[tokio::test]
async fn of_hundreds_of_random_faults_each_is_told_or_harmless() {
    let whole = tempfile::tempdir().unwrap();
    template(whole.path()).await;
    for seed in 0..CASES {
        let mut random = StdRng::seed_from_u64(seed);
        let directory = tempfile::tempdir().unwrap();
        copy(whole.path(), directory.path());
        let fault = damage(directory.path(), &mut random);
        check(directory.path(), &format!("seed {seed}: {fault}")).await;
        // And once more, as after another start.
        Outbox::open(directory.path(), 0).unwrap_or_else(|error| panic!("seed {seed}: {fault}: {error}"));
    }
}

#[tokio::test]
async fn the_newest_segment_and_the_mark_lost_together_leave_a_doubt_that_is_told() {
    let directory = tempfile::tempdir().unwrap();
    template(directory.path()).await;
    let (newest, _) = *segment::list(directory.path()).unwrap().last().unwrap();
    fs::remove_file(segment::path(directory.path(), newest)).unwrap();
    fs::remove_file(directory.path().join("mark")).unwrap();
    check(directory.path(), "newest segment and mark").await;
}

#[tokio::test]
async fn an_outbox_whose_files_are_all_gone_begins_anew_with_a_doubt() {
    let directory = tempfile::tempdir().unwrap();
    template(directory.path()).await;
    for (first, _) in segment::list(directory.path()).unwrap() {
        fs::remove_file(segment::path(directory.path(), first)).unwrap();
    }
    fs::remove_file(directory.path().join("mark")).unwrap();
    check(directory.path(), "everything").await;
}

#[tokio::test]
async fn events_numbered_again_after_a_set_back_are_counted_as_lost_and_the_others_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(directory.path(), 0).unwrap();
    for number in 1..=10 {
        outbox.append(UnixMicros(0), event(number)).await.unwrap();
    }
    // The controller holds 7 events of an earlier life with these numbers.
    outbox.acknowledge(EventSeq(7));
    let events = everything(&outbox).await;
    let numbers: Vec<_> = events.iter().map(|event| event.seq.0).collect();
    assert_eq!(numbers, [8, 9, 10, 11]);
    assert!(matches!(events[3].what, EventKind::Gap { count: 7, .. }), "{:?}", events[3]);
}
