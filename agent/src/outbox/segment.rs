//! Segment files: an outbox is a row of them, each named after the first sequence number it may hold.
//!
//! A segment holds the numbers from its own name up to the name of the next. Numbers are never skipped when writing,
//! so each one that cannot be found when reading was lost, and a `Gap` event takes its place. That one rule covers
//! damaged records, cut-off files, missing files and segments dropped for want of room.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use roadstead_protocol::message::event::{Event, EventKind};
use roadstead_protocol::message::ids::{Epoch, EventSeq, Print};
use roadstead_protocol::message::time::UnixMicros;
use uuid::Uuid;

use super::record::{self, Stored, Tail};

/// Name, version and epoch, with a checksum.
pub(super) const HEADER: usize = 28;

const MAGIC: [u8; 8] = *b"RSOB\x01\0\0\0";

/// What a segment file holds.
#[derive(Debug)]
pub(super) struct Contents {
    /// The epoch in which it was begun, if its header can be read.
    pub epoch: Option<Epoch>,
    pub events: Vec<Stored>,
    pub tail: Tail,
    /// The file's size in bytes.
    pub bytes: u64,
}

/// Where the segment that begins at `first` lies.
pub(super) fn path(directory: &Path, first: u64) -> PathBuf {
    directory.join(format!("{first:020}.log"))
}

/// Every segment in `directory`: its first number and its size in bytes, ascending.
pub(super) fn list(directory: &Path) -> io::Result<Vec<(u64, u64)>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let first = name.to_str().and_then(|name| name.strip_suffix(".log")).and_then(|n| n.parse().ok());
        if let Some(first) = first {
            segments.push((first, entry.metadata()?.len()));
        }
    }
    segments.sort_unstable();
    Ok(segments)
}

/// A new, empty file for a segment, replacing a failed attempt of the same name.
pub(super) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// What a segment file begins with.
pub(super) fn header(epoch: Epoch) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(&MAGIC);
    header[8..24].copy_from_slice(epoch.0.as_bytes());
    let checksum = crc32fast::hash(&header[..24]);
    header[24..].copy_from_slice(&checksum.to_le_bytes());
    header
}

/// Reads a segment file, whatever its state.
pub(super) fn read(path: &Path) -> io::Result<Contents> {
    let bytes = fs::read(path)?;
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let Some((header, records)) = bytes.split_at_checked(HEADER) else {
        return Ok(Contents { epoch: None, events: Vec::new(), tail: Tail::Torn, bytes: length });
    };
    let scan = record::scan(records);
    Ok(Contents { epoch: parse(header), events: scan.events, tail: scan.tail, bytes: length })
}

fn parse(header: &[u8]) -> Option<Epoch> {
    let (body, checksum) = header.split_at(24);
    let whole = body.starts_with(&MAGIC) && crc32fast::hash(body).to_le_bytes() == checksum;
    whole.then(|| Uuid::from_slice(&body[8..24]).ok().map(Epoch)).flatten()
}

/// The events numbered `first` to before `end`, ascending, with a gap wherever some are missing.
pub(super) fn fill(first: u64, end: u64, events: Vec<Stored>, why: &str) -> Vec<Stored> {
    let mut filled = Vec::with_capacity(events.len());
    let mut next = first;
    for stored in events {
        let seq = stored.event.seq.0;
        if seq < next || seq >= end {
            continue;
        }
        if seq > next {
            filled.push(gap(next, seq - 1, why));
        }
        filled.push(stored);
        next = seq + 1;
    }
    if next < end {
        filled.push(gap(next, end - 1, why));
    }
    filled
}

/// The event that stands for the lost ones from `from` to `to`. It has the number of the last of them.
pub(super) fn gap(from: u64, to: u64, why: &str) -> Stored {
    let what = EventKind::Gap {
        from: EventSeq(from),
        to: EventSeq(to),
        count: to - from + 1,
        reason: why.to_owned(),
    };
    let event = Event { seq: EventSeq(to), at: UnixMicros::now(), what };
    // The same whenever these are found missing.
    let print = Print(crc32fast::hash(&[from.to_le_bytes(), to.to_le_bytes()].concat()));
    Stored { event, size: 64 + why.len(), print }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(seq: u64) -> Stored {
        let what = EventKind::AgentStarted { version: String::new() };
        Stored { event: Event { seq: EventSeq(seq), at: UnixMicros(0), what }, size: 1, print: Print(0) }
    }

    /// Each number, and `from-to` for a gap.
    fn shape(filled: &[Stored]) -> Vec<String> {
        let shown = |stored: &Stored| match &stored.event.what {
            EventKind::Gap { from, to, .. } => format!("{}-{}", from.0, to.0),
            _ => stored.event.seq.0.to_string(),
        };
        filled.iter().map(shown).collect()
    }

    #[test]
    fn holes_become_gaps() {
        let cases: [(&[u64], &[&str]); 6] = [
            (&[5, 6, 7, 8, 9], &["5", "6", "7", "8", "9"]),
            (&[5, 8, 9], &["5", "6-7", "8", "9"]),
            (&[7], &["5-6", "7", "8-9"]),
            (&[], &["5-9"]),
            // Left behind by a failed write, numbered anew in the next segment.
            (&[5, 6, 7, 8, 9, 10, 11], &["5", "6", "7", "8", "9"]),
            (&[4, 5, 5, 6, 3, 7, 8, 9], &["5", "6", "7", "8", "9"]),
        ];
        for (found, expected) in cases {
            let found = found.iter().map(|seq| stored(*seq)).collect();
            assert_eq!(shape(&fill(5, 10, found, "lost")), expected);
        }
    }

    #[test]
    fn a_gap_has_the_number_of_the_last_lost_event() {
        let gap = gap(3, 9, "why").event;
        assert_eq!(gap.seq, EventSeq(9));
        assert!(matches!(gap.what, EventKind::Gap { count: 7, .. }));
    }

    #[test]
    fn a_header_tells_its_epoch_or_nothing() {
        let epoch = Epoch::generate();
        let header = header(epoch);
        assert_eq!(parse(&header), Some(epoch));
        for bit in 0..HEADER * 8 {
            let mut header = header;
            header[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(parse(&header), None, "bit {bit}");
        }
    }
}
