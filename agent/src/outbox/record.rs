//! How one event lies on disk: a [record](crate::record).

use roadstead_protocol::message::event::Event;

use crate::record;
pub(super) use crate::record::{RecordError, Tail};

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

/// Appends the record of `event` to `bytes` and tells its size; `bytes` is unchanged on failure.
pub(super) fn encode(event: &Event, bytes: &mut Vec<u8>) -> Result<usize, RecordError> {
    record::encode(event, bytes)
}

/// Reads every event there is.
pub(super) fn scan(bytes: &[u8]) -> Scan {
    let record::Scan { found, tail } = record::scan(bytes);
    let events = found.into_iter().map(|stored| Stored { event: stored.value, size: stored.size });
    Scan { events: events.collect(), tail }
}
