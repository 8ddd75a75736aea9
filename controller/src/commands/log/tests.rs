//! Doubles, holes, and logs that are full.

use proptest::prelude::*;
use roadstead_protocol::message::ids::CommandId;
use roadstead_protocol::message::progress::LogStream;

use super::*;

const NOW: UnixMicros = UnixMicros::from_secs(1_000_000);

fn line(number: u64, text: &str) -> ProgressLine {
    ProgressLine {
        command: CommandId(uuid::Uuid::from_u128(7)),
        line: number,
        at: NOW,
        entry: Progress::Log { stream: LogStream::Agent, service: None, text: text.to_owned() },
    }
}

fn lines(numbers: impl IntoIterator<Item = u64>) -> Vec<ProgressLine> {
    numbers.into_iter().map(|number| line(number, "pulling")).collect()
}

fn numbers(lines: &[EncodedLine]) -> Vec<u64> {
    lines.iter().map(|line| line.line).collect()
}

fn at(next_line: u64) -> LogMark {
    LogMark { next_line, ..LogMark::default() }
}

fn dropped(taken: &Taken) -> Option<Progress> {
    taken.store.last().map(|line| codec::decode(&line.entry, MAX_LINE).unwrap())
}

#[test]
fn doubles_are_skipped() {
    let (mark, taken) = at(2).take(lines([0, 1, 2, 2, 3]), NOW).unwrap();
    assert_eq!(numbers(&taken.store), [2, 3]);
    assert_eq!(mark.next_line, 4);
    assert!(!taken.ask);
}

#[test]
fn a_hole_is_asked_for_now_and_then_and_at_last_filled() {
    let mut mark = at(1);
    let mut now = NOW;
    for _ in 0..ASK_TIMES {
        let (after, taken) = mark.take(lines([3, 4]), now).unwrap();
        assert!(taken.ask && taken.store.is_empty());
        let (again, taken) = after.take(lines([3, 4]), now).unwrap();
        assert!(!taken.ask && taken.store.is_empty(), "the answer is on its way");
        mark = again;
        now = now.plus(ASK_EVERY);
    }
    let (mark, taken) = mark.take(lines([3, 4]), now).unwrap();
    assert_eq!(numbers(&taken.store), [1, 3, 4]);
    assert_eq!(taken.tell[0].entry, Progress::Dropped { count: 2 });
    assert_eq!(mark.next_line, 5);
}

#[test]
fn a_hole_that_closes_is_forgotten() {
    let (mark, taken) = at(0).take(lines([1]), NOW).unwrap();
    assert!(taken.ask);
    let (mark, taken) = mark.take(lines([0, 1]), NOW).unwrap();
    assert_eq!(numbers(&taken.store), [0, 1]);
    assert_eq!(mark.hole, None);
}

#[test]
fn a_full_log_ends_in_a_count_that_grows() {
    let (mark, taken) = at(MAX_LINES - 1).take(lines([MAX_LINES - 1, MAX_LINES]), NOW).unwrap();
    assert_eq!(numbers(&taken.store), [MAX_LINES - 1, MAX_LINES]);
    assert_eq!(dropped(&taken), Some(Progress::Dropped { count: 1 }));
    assert_eq!(taken.tell.len(), 2);
    let (mark, taken) = mark.take(lines([MAX_LINES, MAX_LINES + 1, MAX_LINES + 2]), NOW).unwrap();
    assert_eq!(numbers(&taken.store), [MAX_LINES]);
    assert_eq!(dropped(&taken), Some(Progress::Dropped { count: 3 }));
    assert!(taken.tell.is_empty(), "told once");

    let last = LogLine { line: MAX_LINES, at: NOW, entry: Progress::Dropped { count: 3 } };
    let reopened = LogMark::of_stored(mark.bytes, Some((&last, 0)));
    assert_eq!(reopened, mark, "a restart loses nothing of it");
}

#[test]
fn a_log_is_full_by_bytes_too() {
    let mark = LogMark { bytes: MAX_BYTES, ..at(5) };
    let (mark, taken) = mark.take(lines([5, 6]), NOW).unwrap();
    assert_eq!(dropped(&taken), Some(Progress::Dropped { count: 2 }));
    assert_eq!(mark.dropped_at, Some(5));
}

#[test]
fn a_drop_that_the_agent_told_of_is_a_line_like_any_other() {
    let last = LogLine { line: 4, at: NOW, entry: Progress::Dropped { count: 90 } };
    let mark = LogMark::of_stored(100, Some((&last, 10)));
    assert_eq!((mark.next_line, mark.bytes, mark.dropped_at), (5, 110, None));
}

#[test]
fn what_cannot_be_believed_or_kept_does_no_harm() {
    let (mark, taken) = at(0).take(vec![line(u64::MAX, "x")], NOW).unwrap();
    assert_eq!((mark, taken), (at(0), Taken::default()));
    let (mark, taken) = at(0).take(vec![line(0, &"x".repeat(MAX_LINE))], NOW).unwrap();
    assert_eq!(taken.tell[0].entry, Progress::Dropped { count: 1 });
    assert_eq!(mark.next_line, 1);
}

proptest! {
    /// However the lines are cut into deliveries, repeated or held back: stored in order, once, without a hole.
    #[test]
    fn every_delivery_keeps_the_log_whole(
        deliveries in prop::collection::vec((0_u64..30, 1_u64..10), 0..40)
    ) {
        let mut mark = LogMark::default();
        let mut stored = Vec::new();
        for (from, count) in deliveries {
            let (after, taken) = mark.take(lines(from..from + count), NOW).unwrap();
            prop_assert_eq!(taken.tell.len(), taken.store.len());
            stored.extend(numbers(&taken.store));
            mark = after;
        }
        prop_assert_eq!(stored, (0..mark.next_line).collect::<Vec<_>>());
    }
}
