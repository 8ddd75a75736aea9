//! The outbox as its users see it, through restarts, acknowledgements, overflow and damage.

use std::fs;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use roadstead_protocol::message::event::Event;
use roadstead_protocol::message::ids::ContainerId;
use tempfile::TempDir;
use tokio::time::timeout;

use super::*;

fn started(number: u64) -> EventKind {
    EventKind::AgentStarted { version: number.to_string() }
}

fn open(directory: &TempDir) -> Outbox {
    Outbox::open(directory.path(), DEFAULT_LIMIT).unwrap()
}

async fn append(outbox: &Outbox, number: u64) -> u64 {
    outbox.append(UnixMicros(0), started(number)).await.unwrap().0
}

/// Ends an outbox as the end of a process does.
async fn end(outbox: Outbox) {
    outbox.settle().await;
}

/// Everything there is after `after`, read in small batches.
async fn everything(outbox: &Outbox, after: u64) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    let mut after = EventSeq(after).max(outbox.acknowledged());
    while after < outbox.last() {
        let batch = outbox.next_batch(after, 200).await;
        assert!(batch.iter().all(|event| event.seq > after), "events ascend");
        after = batch.last().unwrap().seq;
        events.extend(batch);
    }
    assert!(events.is_sorted_by_key(|event| event.seq));
    events
}

/// The number of each event, or `from-to` for a gap.
fn shape(events: &[Event]) -> Vec<String> {
    let shown = |event: &Event| match &event.what {
        EventKind::Gap { from, to, .. } => format!("{}-{}", from.0, to.0),
        _ => event.seq.0.to_string(),
    };
    events.iter().map(shown).collect()
}

fn segments(directory: &Path) -> Vec<PathBuf> {
    segment::list(directory).unwrap().iter().map(|(first, _)| segment::path(directory, *first)).collect()
}

#[tokio::test]
async fn what_is_appended_is_read_in_order_and_forgotten_when_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = open(&directory);
    for number in 1..=5 {
        assert_eq!(append(&outbox, number).await, number);
    }
    assert_eq!(shape(&everything(&outbox, 0).await), ["1", "2", "3", "4", "5"]);
    assert_eq!(outbox.next_batch(EventSeq(3), 1).await.len(), 1, "at least one, however small the batch");
    outbox.acknowledge(EventSeq(3));
    outbox.acknowledge(EventSeq(2));
    assert_eq!(outbox.acknowledged(), EventSeq(3));
    assert_eq!(shape(&everything(&outbox, 0).await), ["4", "5"]);
}

#[tokio::test(start_paused = true)]
async fn a_reader_waits_for_the_next_event() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = open(&directory);
    let nothing = timeout(Duration::from_secs(60), outbox.next_batch(EventSeq(0), 100)).await;
    assert!(nothing.is_err());
    let (batch, _) = tokio::join!(outbox.next_batch(EventSeq(0), 100), append(&outbox, 1));
    assert_eq!(shape(&batch), ["1"]);
}

#[tokio::test]
async fn a_restart_keeps_events_numbers_epoch_and_engine_time() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = open(&directory);
    let epoch = outbox.epoch();
    assert_eq!(outbox.last_engine_time(), None);
    let engine = |action: &str| EventKind::Engine {
        object: "image".to_owned(),
        id: "base".to_owned(),
        action: action.to_owned(),
    };
    outbox.append(UnixMicros(70), engine("pull")).await.unwrap();
    outbox.append(UnixMicros(60), engine("tag")).await.unwrap();
    let inferred = EventKind::Container {
        id: ContainerId::try_from("a".repeat(64)).unwrap(),
        name: "".into(),
        image: "".into(),
        action: "die".into(),
        attributes: roadstead_protocol::message::attributes::Attributes::default(),
        inferred: true,
    };
    outbox.append(UnixMicros(99), inferred).await.unwrap();
    everything(&outbox, 0).await;
    outbox.acknowledge(EventSeq(1));
    end(outbox).await;

    let outbox = open(&directory);
    assert_eq!((outbox.epoch(), outbox.last(), outbox.acknowledged()), (epoch, EventSeq(3), EventSeq(1)));
    assert_eq!(outbox.last_engine_time(), Some(UnixMicros(70)), "the agent's own clock is another one");
    assert_eq!(outbox.recorded_since(UnixMicros(61)).await.len(), 1);
    assert_eq!(append(&outbox, 4).await, 4);
    assert_eq!(shape(&everything(&outbox, 0).await), ["2", "3", "4"]);
    assert_eq!(segments(directory.path()).len(), 1, "a clean segment is written on");
}

#[tokio::test]
async fn the_marks_loss_costs_repeats_and_leaves_a_doubt_that_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = open(&directory);
    let epoch = outbox.epoch();
    append(&outbox, 1).await;
    append(&outbox, 2).await;
    everything(&outbox, 0).await;
    outbox.acknowledge(EventSeq(2));
    end(outbox).await;
    fs::remove_file(directory.path().join("mark")).unwrap();
    let outbox = open(&directory);
    outbox.settle().await;
    assert_eq!((outbox.epoch(), outbox.last()), (epoch, EventSeq(3)));
    let events = everything(&outbox, 0).await;
    assert_eq!(shape(&events), ["1", "2", "3-3"]);
    assert!(
        matches!(&events[2].what, EventKind::Gap { count: 0, reason, .. } if reason.contains("cannot be told"))
    );
}

#[tokio::test]
async fn without_mark_and_headers_a_new_epoch_begins_with_a_gap() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = open(&directory);
    let epoch = outbox.epoch();
    append(&outbox, 1).await;
    append(&outbox, 2).await;
    end(outbox).await;
    fs::write(directory.path().join("mark"), [0xff; 1024]).unwrap();
    let segment = &segments(directory.path())[0];
    let mut bytes = fs::read(segment).unwrap();
    bytes[10] ^= 1;
    fs::write(segment, bytes).unwrap();
    let outbox = open(&directory);
    assert_ne!(outbox.epoch(), epoch);
    append(&outbox, 3).await;
    assert_eq!(shape(&everything(&outbox, 0).await), ["1-2", "3-3", "4"]);
}

#[tokio::test]
async fn a_full_outbox_drops_the_oldest_and_tells_one_gap() {
    let directory = tempfile::tempdir().unwrap();
    let limit = LEAST_LIMIT;
    let outbox = Outbox::open(directory.path(), limit).unwrap();
    let large = EventKind::EngineLost { reason: "x".repeat(8_000) };
    for _ in 0..200 {
        outbox.append(UnixMicros(0), large.clone()).await.unwrap();
    }
    let size: u64 = segment::list(directory.path()).unwrap().iter().map(|(_, bytes)| bytes).sum();
    assert!(size <= limit, "{size}");
    let check = |events: &[Event]| {
        let EventKind::Gap { from, to, count, reason } = &events[0].what else { panic!("{:?}", events[0]) };
        assert_eq!((from.0, *to, *count), (1, events[0].seq, to.0));
        assert!(reason.contains("full"), "{reason}");
        assert_eq!(u64::try_from(events.len() - 1).unwrap(), 200 - to.0, "nothing else is missing");
        assert!(events[1..].iter().all(|event| event.what == large));
    };
    check(&everything(&outbox, 0).await);
    end(outbox).await;
    check(&everything(&Outbox::open(directory.path(), limit).unwrap(), 0).await);
}

#[tokio::test]
async fn acknowledged_segments_go_and_the_newest_history_stays() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = open(&directory);
    let large = EventKind::EngineLost { reason: "x".repeat(50_000) };
    for _ in 0..40 {
        outbox.append(UnixMicros(0), large.clone()).await.unwrap();
    }
    assert!(segments(directory.path()).len() > 5);
    everything(&outbox, 0).await;
    outbox.acknowledge(EventSeq(40));
    outbox.settle().await;
    assert_eq!(segments(directory.path()).len(), 2);
    assert_eq!(append(&outbox, 41).await, 41);
}

#[tokio::test]
async fn a_failed_write_is_an_error_with_a_name_and_writing_works_again_afterwards() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = open(&directory);
    // Something else lies where the first segment should.
    let obstacle = segment::path(directory.path(), 1);
    fs::create_dir(&obstacle).unwrap();
    let error = outbox.append(UnixMicros(0), started(1)).await.unwrap_err().to_string();
    assert!(error.contains("00001.log"), "{error}");
    assert_eq!(outbox.last(), EventSeq(0));
    fs::remove_dir(&obstacle).unwrap();
    assert_eq!(append(&outbox, 1).await, 1);
    outbox.append_gap(3, "the disk was full".to_owned()).await.unwrap();
    let events = everything(&outbox, 0).await;
    assert_eq!(shape(&events), ["1", "2-2"]);
    assert!(matches!(events[1].what, EventKind::Gap { count: 3, .. }));
}

#[test]
fn a_full_disk_is_told_apart() {
    let full = io::Error::from_raw_os_error(28);
    let text = OutboxError::io("write", Path::new("/data/1.log"), full).to_string();
    assert_eq!(text, "no space left on the disk that holds /data/1.log; make room there");
}

#[tokio::test]
async fn an_event_too_large_to_send_is_refused_and_harms_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = open(&directory);
    let large = EventKind::EngineLost { reason: "x".repeat(70_000) };
    let (refused, kept) = tokio::join!(outbox.append(UnixMicros(0), large), append(&outbox, 1));
    assert!(matches!(refused, Err(OutboxError::Unfit(_))));
    assert_eq!(kept, 1);
}

#[tokio::test]
async fn an_outbox_set_back_to_an_older_copy_never_uses_a_number_twice() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = open(&directory);
    append(&outbox, 1).await;
    end(outbox).await;
    let outbox = open(&directory);
    append(&outbox, 2).await;
    append(&outbox, 3).await;
    // The controller holds 500 events of this epoch: 2 and 3 were others there.
    outbox.acknowledge(EventSeq(500));
    outbox.settle().await;
    assert_eq!(append(&outbox, 4).await, 502);
    let events = outbox.next_batch(EventSeq(500), 1_000).await;
    assert_eq!(shape(&events), ["501-501", "502"]);
    assert!(matches!(events[0].what, EventKind::Gap { count: 2, .. }));
    outbox.acknowledge(EventSeq(u64::MAX));
    assert_eq!(outbox.acknowledged(), EventSeq(500), "nonsense is ignored");
    end(outbox).await;
    assert_eq!(shape(&everything(&open(&directory), 0).await), ["501-501", "502"]);
}

#[tokio::test]
async fn one_directory_serves_one_process() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = open(&directory);
    assert!(matches!(Outbox::open(directory.path(), DEFAULT_LIMIT), Err(OutboxError::InUse(_))));
    end(outbox).await;
    open(&directory);
}

#[tokio::test]
async fn what_waits_together_is_written_together() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = open(&directory);
    let appends = (0..500).map(|number| outbox.append(UnixMicros(0), started(number)));
    let numbers = futures_util::future::join_all(appends).await;
    let mut numbers: Vec<_> = numbers.into_iter().map(|seq| seq.unwrap().0).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=500).collect::<Vec<_>>());
    assert_eq!(everything(&outbox, 0).await.len(), 500);
}

#[derive(Clone, Debug)]
enum Step {
    Append(usize),
    Acknowledge(prop::sample::Index),
    Reopen,
    Flip(prop::sample::Index, prop::sample::Index, u8),
    Truncate(prop::sample::Index, prop::sample::Index),
    Delete(prop::sample::Index),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let any = any::<prop::sample::Index>;
    let step = prop_oneof![
        6 => (1usize..30).prop_map(Step::Append),
        2 => any().prop_map(Step::Acknowledge),
        2 => Just(Step::Reopen),
        2 => (any(), any(), 0u8..8).prop_map(|(file, byte, bit)| Step::Flip(file, byte, bit)),
        2 => (any(), any()).prop_map(|(file, length)| Step::Truncate(file, length)),
        1 => any().prop_map(Step::Delete),
    ];
    prop::collection::vec(step, 1..25)
}

/// An event large enough that a few dozen fill a segment.
fn padded(number: usize) -> EventKind {
    EventKind::EngineLost { reason: format!("{number} {}", "x".repeat(4_000)) }
}

/// Damages one file of a closed outbox.
fn damage(directory: &Path, step: &Step) {
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| fs::metadata(path).unwrap().len() > 0);
    files.sort();
    match step {
        Step::Flip(file, byte, bit) => {
            let path = file.get(&files);
            let mut bytes = fs::read(path).unwrap();
            let byte = byte.index(bytes.len());
            bytes[byte] ^= 1 << bit;
            fs::write(path, bytes).unwrap();
        }
        Step::Truncate(file, length) => {
            let path = file.get(&files);
            let bytes = fs::read(path).unwrap();
            fs::write(path, &bytes[..length.index(bytes.len())]).unwrap();
        }
        Step::Delete(file) => fs::remove_file(file.get(&files)).unwrap(),
        Step::Append(_) | Step::Acknowledge(_) | Step::Reopen => {}
    }
}

/// Every event that was confirmed and not acknowledged is there, or lies within a gap; none is there twice, out of
/// order, or with other contents.
async fn check(outbox: &Outbox, written: &[(Epoch, u64, usize)]) {
    let events = everything(outbox, 0).await;
    let lost = |seq: u64| {
        events.iter().any(
            |event| matches!(event.what, EventKind::Gap { from, to, .. } if (from.0..=to.0).contains(&seq)),
        )
    };
    let acknowledged = outbox.acknowledged().0;
    for (epoch, seq, number) in written {
        assert_eq!(*epoch, outbox.epoch(), "one fault at a time never costs the epoch");
        let found = events.iter().find(|event| event.seq.0 == *seq).map(|event| event.what.clone());
        assert!(
            *seq <= acknowledged || found == Some(padded(*number)) || lost(*seq),
            "event {seq} has vanished: {found:?}"
        );
    }
}

async fn run(steps: Vec<Step>) {
    let directory = tempfile::tempdir().unwrap();
    // Small segments, so that there are several.
    let mut outbox = Outbox::open(directory.path(), 0).unwrap();
    let mut written = Vec::new();
    let mut number = 0;
    for step in steps {
        match step {
            Step::Append(count) => {
                let numbers: Vec<_> = (0..count).map(|more| number + more).collect();
                number += count;
                let events = numbers.iter().map(|number| (UnixMicros(0), padded(*number))).collect();
                let last = outbox.append_all(events).await.unwrap().0;
                for (seq, number) in (last + 1 - numbers.len() as u64..).zip(numbers) {
                    assert!(written.iter().all(|(_, used, _)| *used < seq), "{seq} is used twice");
                    written.push((outbox.epoch(), seq, number));
                }
            }
            Step::Acknowledge(upto) => {
                let last = usize::try_from(outbox.last().0).unwrap();
                outbox.acknowledge(EventSeq(u64::try_from(upto.index(last + 1)).unwrap()));
            }
            step => {
                end(outbox).await;
                damage(directory.path(), &step);
                outbox = Outbox::open(directory.path(), 0).unwrap();
            }
        }
        check(&outbox, &written).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_damage_goes_unnoticed(steps in steps()) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run(steps));
    }
}
