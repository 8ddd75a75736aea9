//! How one event lies on disk: length, checksum, MessagePack body; and what can be read back of damaged bytes.

use roadstead_protocol::message::event::Event;

/// Length and checksum, both little-endian.
const HEAD: usize = 8;

/// Largest body in bytes: an event has to fit into a message together with the batch around it.
pub(super) const MAX_BODY: usize = 60 * 1024;

/// An event that cannot be written.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecordError {
    #[error("an event of {0} bytes, the limit is {MAX_BODY}")]
    TooLarge(usize),
    #[error(transparent)]
    Encode(#[from] rmp_serde::encode::Error),
}

/// An event with its size on disk in bytes, which is close to its size on the wire.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stored {
    pub event: Event,
    pub size: usize,
}

/// What bytes of a segment hold.
#[derive(Debug)]
pub(super) struct Scan {
    /// Every event that can be read, in the order of the bytes.
    pub events: Vec<Stored>,
    /// How the bytes end.
    pub tail: Tail,
}

/// How a segment ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// With a whole record.
    Clean,
    /// With the beginning of a record, as a crash leaves it: it was never confirmed to anybody.
    Torn,
    /// With something that was a record.
    Damaged,
}

/// Appends the record of `event` to `bytes` and tells its size; `bytes` is unchanged on failure.
pub(super) fn encode(event: &Event, bytes: &mut Vec<u8>) -> Result<usize, RecordError> {
    let start = bytes.len();
    bytes.resize(start + HEAD, 0);
    let written = rmp_serde::encode::write_named(bytes, event).map_err(RecordError::from).and_then(|()| {
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
            Ok(bytes.len() - start)
        }
        Err(error) => {
            bytes.truncate(start);
            Err(error)
        }
    }
}

/// Reads every record there is, going on after a damaged one where the next whole one begins.
pub(super) fn scan(bytes: &[u8]) -> Scan {
    let mut events = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if let Some(stored) = whole(&bytes[at..]) {
            at += stored.size;
            events.push(stored);
            continue;
        }
        let Some(next) = (at + 1..bytes.len()).find(|next| whole(&bytes[*next..]).is_some()) else {
            let tail = if is_torn(&bytes[at..]) { Tail::Torn } else { Tail::Damaged };
            return Scan { events, tail };
        };
        at = next;
    }
    Scan { events, tail: Tail::Clean }
}

fn whole(bytes: &[u8]) -> Option<Stored> {
    let length = body_length(bytes)?;
    let body = bytes.get(HEAD..HEAD + length)?;
    let expected = u32::from_le_bytes(bytes[4..HEAD].try_into().ok()?);
    if checksum(bytes[..4].try_into().ok()?, body) != expected {
        return None;
    }
    let event = rmp_serde::from_slice(body).ok()?;
    Some(Stored { event, size: HEAD + length })
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
    use roadstead_protocol::message::event::EventKind;
    use roadstead_protocol::message::ids::EventSeq;
    use roadstead_protocol::message::time::UnixMicros;

    use super::*;

    fn event(seq: u64) -> Event {
        let what = EventKind::EngineLost { reason: format!("reason {seq}") };
        Event { seq: EventSeq(seq), at: UnixMicros(1_700_000_000_000_000), what }
    }

    fn three() -> (Vec<u8>, usize) {
        let mut bytes = Vec::new();
        let size = encode(&event(1), &mut bytes).unwrap();
        encode(&event(2), &mut bytes).unwrap();
        encode(&event(3), &mut bytes).unwrap();
        (bytes, size)
    }

    fn numbers(scan: &Scan) -> Vec<u64> {
        scan.events.iter().map(|stored| stored.event.seq.0).collect()
    }

    #[test]
    fn what_was_written_is_read() {
        let (bytes, _) = three();
        let scan = scan(&bytes);
        assert_eq!((numbers(&scan), scan.tail), (vec![1, 2, 3], Tail::Clean));
        assert_eq!(scan.events[1].event, event(2));
    }

    #[test]
    fn every_truncation_leaves_the_whole_records_before_it() {
        let (bytes, size) = three();
        for length in 0..bytes.len() {
            let scan = scan(&bytes[..length]);
            assert_eq!(scan.events.len(), length / size, "cut at {length}");
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
            let scan = scan(&bytes);
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
        let scan = scan(&bytes);
        assert_eq!((scan.events.len(), scan.tail), (3, Tail::Torn));
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
