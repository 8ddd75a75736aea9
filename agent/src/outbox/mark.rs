//! The outbox's mark: how far it got, in two slots of which one is always whole.
//!
//! The mark is written after each commit without waiting for the disk: a killed process loses nothing of it, and a
//! power cut sets it back a little, which costs repeats that the controller ignores. It tells what the segments
//! cannot tell about themselves: that records are missing at their end, and what was acknowledged.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use roadstead_protocol::message::event::Fork;
use roadstead_protocol::message::ids::{Epoch, EventSeq};
use roadstead_protocol::message::time::UnixMicros;
use uuid::Uuid;

/// Epoch, counter, three numbers, a time, and the two numbers of a fork.
const BODY: usize = 72;

/// The body without a fork, as agents of protocol 1.0 wrote it.
const OLD_BODY: usize = 56;

/// The body and its checksum.
const SLOT: usize = BODY + 4;

/// The slots lie in sectors of their own, so that one write never touches both.
const SLOT_OFFSETS: [u64; 2] = [0, 512];

/// Stands for "never" where a time is written.
const NEVER: i64 = i64::MIN;

/// What a slot says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub epoch: Epoch,
    /// The last event on disk.
    pub last: u64,
    /// The last event the controller holds.
    pub acknowledged: u64,
    /// The last event that was dropped because the outbox was full.
    pub dropped: u64,
    /// The newest time by the engine's clock.
    pub engine_time: Option<UnixMicros>,
    /// Where the epoch left another.
    pub fork: Option<Fork>,
}

/// The file the slots are in.
#[derive(Debug)]
pub(super) struct MarkFile {
    file: File,
    counter: u64,
}

impl MarkFile {
    /// Takes the file over and reads the newer whole slot.
    pub fn open(file: File) -> (Self, Option<Mark>) {
        let slots = SLOT_OFFSETS.iter().filter_map(|offset| {
            let mut bytes = [0; SLOT];
            let read = file.read_at(&mut bytes, *offset).ok()?;
            parse(&bytes[..read], BODY).or_else(|| parse(&bytes[..read], OLD_BODY))
        });
        let newest = slots.max_by_key(|(counter, _)| *counter);
        let counter = newest.map_or(0, |(counter, _)| counter);
        (Self { file, counter }, newest.map(|(_, mark)| mark))
    }

    /// Writes the older slot.
    pub fn write(&mut self, mark: &Mark) -> io::Result<()> {
        self.counter += 1;
        let offset = if self.counter.is_multiple_of(2) { SLOT_OFFSETS[0] } else { SLOT_OFFSETS[1] };
        self.file.write_all_at(&format(self.counter, mark), offset)
    }

    /// Writes both slots and waits for the disk: mends a damaged one.
    pub fn write_both(&mut self, mark: &Mark) -> io::Result<()> {
        self.write(mark)?;
        self.write(mark)?;
        self.file.sync_data()
    }
}

fn format(counter: u64, mark: &Mark) -> [u8; SLOT] {
    let mut slot = [0; SLOT];
    let time = mark.engine_time.map_or(NEVER, |time| time.0);
    slot[..16].copy_from_slice(mark.epoch.0.as_bytes());
    for (index, number) in [counter, mark.last, mark.acknowledged, mark.dropped].into_iter().enumerate() {
        slot[16 + index * 8..24 + index * 8].copy_from_slice(&number.to_le_bytes());
    }
    slot[48..56].copy_from_slice(&time.to_le_bytes());
    let (after, up_to) = mark.fork.map_or((0, 0), |fork| (fork.after.0, fork.up_to.0));
    slot[56..64].copy_from_slice(&after.to_le_bytes());
    slot[64..72].copy_from_slice(&up_to.to_le_bytes());
    let checksum = crc32fast::hash(&slot[..BODY]);
    slot[BODY..].copy_from_slice(&checksum.to_le_bytes());
    slot
}

/// Reads a slot whose body takes `length` bytes.
fn parse(slot: &[u8], length: usize) -> Option<(u64, Mark)> {
    let (body, checksum) = slot.get(..length + 4)?.split_at(length);
    if crc32fast::hash(body).to_le_bytes() != checksum {
        return None;
    }
    let epoch = Epoch(Uuid::from_slice(&body[..16]).ok()?);
    let at = |start: usize| body.get(start..start + 8)?.try_into().map(u64::from_le_bytes).ok();
    let number = |index: usize| at(16 + index * 8);
    let time = i64::from_le_bytes(body[48..56].try_into().ok()?);
    let fork = at(56).zip(at(64)).filter(|(_, up_to)| *up_to > 0);
    let mark = Mark {
        epoch,
        last: number(1)?,
        acknowledged: number(2)?,
        dropped: number(3)?,
        engine_time: (time != NEVER).then_some(UnixMicros(time)),
        fork: fork.map(|(after, up_to)| Fork { after: EventSeq(after), up_to: EventSeq(up_to) }),
    };
    Some((number(0)?, mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(last: u64) -> Mark {
        let epoch = Epoch(Uuid::from_u128(7));
        let fork = Some(Fork { after: EventSeq(1), up_to: EventSeq(last) });
        Mark { epoch, last, acknowledged: 3, dropped: 2, engine_time: Some(UnixMicros(-5)), fork }
    }

    #[test]
    fn a_mark_of_an_older_agent_is_read() {
        let old = Mark { fork: None, ..mark(9) };
        let mut slot = format(4, &old)[..OLD_BODY].to_vec();
        slot.extend(crc32fast::hash(&slot).to_le_bytes());
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&slot, SLOT_OFFSETS[1]).unwrap();
        assert_eq!(MarkFile::open(file).1, Some(old));
    }

    #[test]
    fn the_newest_slot_counts() {
        let file = tempfile::tempfile().unwrap();
        let (mut marks, found) = MarkFile::open(file.try_clone().unwrap());
        assert_eq!(found, None);
        for last in 1..=5 {
            marks.write(&mark(last)).unwrap();
            assert_eq!(MarkFile::open(file.try_clone().unwrap()).1, Some(mark(last)));
        }
    }

    #[test]
    fn a_damaged_slot_costs_one_step() {
        for bit in 0..SLOT * 8 {
            let file = tempfile::tempfile().unwrap();
            let (mut marks, _) = MarkFile::open(file.try_clone().unwrap());
            marks.write(&mark(1)).unwrap();
            marks.write(&mark(2)).unwrap();
            let mut byte = [0];
            let offset = u64::try_from(bit / 8).unwrap();
            file.read_exact_at(&mut byte, offset).unwrap();
            byte[0] ^= 1 << (bit % 8);
            file.write_all_at(&byte, offset).unwrap();
            assert_eq!(MarkFile::open(file).1, Some(mark(1)));
        }
    }
}
