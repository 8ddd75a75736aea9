//! How one value lies on disk: length, checksum, MessagePack body; and what can be read back of damaged bytes. The
//! outbox and the command ledger are made of such records.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Length and checksum, both little-endian.
const HEAD: usize = 8;

/// Largest body in bytes: an event has to fit into a message together with the batch around it.
pub const MAX_BODY: usize = 60 * 1024;

/// A value that cannot be written. Ours to mend.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It takes this many bytes.
    #[error("a record of {0} bytes, the limit is {MAX_BODY}")]
    TooLarge(usize),
    /// It has no form in MessagePack.
    #[error(transparent)]
    Encode(#[from] rmp_serde::encode::Error),
}

/// A record that was made.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    /// Its size on disk in bytes.
    pub size: usize,
    /// The checksum in it.
    pub checksum: u32,
}

/// A value that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored<T> {
    /// The value.
    pub value: T,
    /// The size of its record on disk in bytes.
    pub size: usize,
    /// The checksum in its record.
    pub checksum: u32,
}

/// What bytes of a file hold.
#[derive(Debug)]
pub struct Scan<T> {
    /// Every value that can be read, in the order of the bytes.
    pub found: Vec<Stored<T>>,
    /// How the bytes end.
    pub tail: Tail,
}

/// How a file ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// With a whole record.
    Clean,
    /// With the beginning of a record, as a crash leaves it: it was never confirmed to anybody.
    Torn,
    /// With something that was a record.
    Damaged,
}

/// Appends the record of `value` to `bytes`, which is unchanged on failure.
///
/// # Errors
/// If the value is too large or has no form in MessagePack.
pub fn encode<T: Serialize>(value: &T, bytes: &mut Vec<u8>) -> Result<Written, RecordError> {
    let start = bytes.len();
    bytes.resize(start + HEAD, 0);
    let written = rmp_serde::encode::write_named(bytes, value).map_err(RecordError::from).and_then(|()| {
        let length = bytes.len() - start - HEAD;
        match u32::try_from(length) {
            Ok(small) if length <= MAX_BODY => Ok(small),
            _ => Err(RecordError::TooLarge(length)),
        }
    });
    match written {
        Ok(length) => {
            let length = length.to_le_bytes();
            let checksum = checksum(length, &bytes[start + HEAD..]);
            bytes[start..start + 4].copy_from_slice(&length);
            bytes[start + 4..start + HEAD].copy_from_slice(&checksum.to_le_bytes());
            Ok(Written { size: bytes.len() - start, checksum })
        }
        Err(error) => {
            bytes.truncate(start);
            Err(error)
        }
    }
}

/// Reads every record there is, going on after a damaged one where the next whole one begins.
#[must_use]
pub fn scan<T: DeserializeOwned>(bytes: &[u8]) -> Scan<T> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if let Some(stored) = whole(&bytes[at..]) {
            at += stored.size;
            found.push(stored);
            continue;
        }
        let Some(next) = (at + 1..bytes.len()).find(|next| whole::<T>(&bytes[*next..]).is_some()) else {
            let tail = if is_torn(&bytes[at..]) { Tail::Torn } else { Tail::Damaged };
            return Scan { found, tail };
        };
        at = next;
    }
    Scan { found, tail: Tail::Clean }
}

fn whole<T: DeserializeOwned>(bytes: &[u8]) -> Option<Stored<T>> {
    let length = body_length(bytes)?;
    let body = bytes.get(HEAD..HEAD + length)?;
    let expected = u32::from_le_bytes(bytes[4..HEAD].try_into().ok()?);
    if checksum(bytes[..4].try_into().ok()?, body) != expected {
        return None;
    }
    let value = rmp_serde::from_slice(body).ok()?;
    Some(Stored { value, size: HEAD + length, checksum: expected })
}

/// The length a record claims, if a record may have it.
fn body_length(bytes: &[u8]) -> Option<usize> {
    let length = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?);
    usize::try_from(length).ok().filter(|length| (1..=MAX_BODY).contains(length))
}

/// Whether bytes that hold no whole record look like a write that was cut short.
fn is_torn(rest: &[u8]) -> bool {
    rest.len() < HEAD
        || rest.iter().all(|byte| *byte == 0)
        || body_length(rest).is_some_and(|length| HEAD + length > rest.len())
}

fn checksum(length: [u8; 4], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(body);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use roadstead_protocol::message::event::{Event, EventKind};
    use roadstead_protocol::message::ids::EventSeq;
    use roadstead_protocol::message::time::UnixMicros;

    use super::*;

    fn event(seq: u64) -> Event {
        let what = EventKind::EngineLost { reason: format!("reason {seq}") };
        Event { seq: EventSeq(seq), at: UnixMicros(1_700_000_000_000_000), what }
    }

    fn three() -> (Vec<u8>, usize) {
        let mut bytes = Vec::new();
        let size = encode(&event(1), &mut bytes).unwrap().size;
        encode(&event(2), &mut bytes).unwrap();
        encode(&event(3), &mut bytes).unwrap();
        (bytes, size)
    }

    fn numbers(scan: &Scan<Event>) -> Vec<u64> {
        scan.found.iter().map(|stored| stored.value.seq.0).collect()
    }

    #[test]
    fn what_was_written_is_read() {
        let (bytes, _) = three();
        let scan = scan::<Event>(&bytes);
        assert_eq!((numbers(&scan), scan.tail), (vec![1, 2, 3], Tail::Clean));
        assert_eq!(scan.found[1].value, event(2));
    }

    #[test]
    fn every_truncation_leaves_the_whole_records_before_it() {
        let (bytes, size) = three();
        for length in 0..bytes.len() {
            let scan = scan::<Event>(&bytes[..length]);
            assert_eq!(scan.found.len(), length / size, "cut at {length}");
            assert_eq!(scan.tail == Tail::Clean, length % size == 0, "cut at {length}");
            assert_ne!(scan.tail, Tail::Damaged, "cut at {length}");
        }
    }

    #[test]
    fn every_flipped_bit_costs_one_record_and_is_noticed() {
        let (bytes, size) = three();
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let scan = scan::<Event>(&bytes);
            let hit = u64::try_from(bit / 8 / size).unwrap() + 1;
            let expected: Vec<u64> = (1..=3).filter(|seq| *seq != hit).collect();
            assert_eq!(numbers(&scan), expected, "bit {bit}");
            assert_eq!(scan.tail == Tail::Clean, hit != 3, "bit {bit}");
        }
    }

    #[test]
    fn zeros_after_the_last_record_are_a_torn_write() {
        let (mut bytes, _) = three();
        bytes.resize(bytes.len() + 4096, 0);
        let scan = scan::<Event>(&bytes);
        assert_eq!((scan.found.len(), scan.tail), (3, Tail::Torn));
    }

    #[test]
    fn an_event_too_large_to_send_is_refused_and_leaves_nothing_behind() {
        let mut bytes = vec![7];
        let mut large = event(1);
        large.what = EventKind::EngineLost { reason: "x".repeat(MAX_BODY) };
        assert!(matches!(encode(&large, &mut bytes), Err(RecordError::TooLarge(_))));
        assert_eq!(bytes, [7]);
    }
}
