//! How one event lies on disk: a [record](crate::record), which also holds the print of the one before it, so that its
//! checksum is the print of the whole history up to it.

use roadstead_protocol::message::event::{Event, EventKind};
use roadstead_protocol::message::ids::{EventSeq, Print};
use roadstead_protocol::message::time::UnixMicros;
use serde::Serialize;

use crate::record;
pub(super) use crate::record::{RecordError, Tail};

/// An event with its size on disk in bytes, which is close to its size on the wire.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stored {
    pub event: Event,
    pub size: usize,
    pub print: Print,
}

/// What bytes of a segment hold.
#[derive(Debug)]
pub(super) struct Scan {
    /// Every event that can be read, in the order of the bytes.
    pub events: Vec<Stored>,
    /// How the bytes end.
    pub tail: Tail,
}

/// An event and what went before it. Reads as an [`Event`], by older agents too.
#[derive(Serialize)]
struct Linked<'a> {
    seq: EventSeq,
    at: UnixMicros,
    what: &'a EventKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    follows: Option<Print>,
}

/// Appends the record of `event`, which follows what `follows` is the print of, to `bytes`; `bytes` is unchanged on
/// failure.
pub(super) fn encode(
    event: Event,
    follows: Option<Print>,
    bytes: &mut Vec<u8>,
) -> Result<Stored, RecordError> {
    let linked = Linked { seq: event.seq, at: event.at, what: &event.what, follows };
    let written = record::encode(&linked, bytes)?;
    Ok(Stored { event, size: written.size, print: Print(written.checksum) })
}

/// Reads every event there is.
pub(super) fn scan(bytes: &[u8]) -> Scan {
    let record::Scan { found, tail } = record::scan(bytes);
    let stored = |found: record::Stored<Event>| Stored {
        event: found.value,
        size: found.size,
        print: Print(found.checksum),
    };
    Scan { events: found.into_iter().map(stored).collect(), tail }
}
