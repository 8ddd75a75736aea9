//! An event as a row: what many events share is written elsewhere once, and a checksum holds it all together.

use std::collections::BTreeMap;

use roadstead_protocol::message::codec;
use roadstead_protocol::message::event::EventKind;
use roadstead_protocol::message::ids::{ContainerId, Epoch, EventSeq, InstanceId};
use roadstead_protocol::message::time::UnixMicros;
use rusqlite::Row;
use uuid::Uuid;

use super::StoreError;
use crate::model::EventRecord;

/// The words for kinds of events in filters and API; a kind is stored as its place.
const KINDS: [&str; 9] = [
    "unknown",
    "container",
    "engine",
    "engine_lost",
    "engine_found",
    "agent_started",
    "command_ended",
    "refused",
    "gap",
];

/// What an event is read from: the event, its outbox, its subject.
pub(super) const COLUMNS: &str = "e.id, o.instance, o.epoch, e.seq, e.at, e.lag, e.what, e.sum, s.container, s.name, \
                                  s.image";

/// What follows the table or tables with the event.
pub(super) const JOINS: &str =
    "CROSS JOIN event_outboxes AS o ON o.id = e.outbox LEFT JOIN event_subjects AS s ON s.id = e.subject";

/// What an event says of its container beyond what the subject says: action, attributes, inferred.
type Told<T, A> = (T, A, bool);

/// The word for a kind of event in filters and API.
#[must_use]
pub const fn kind(what: &EventKind) -> &'static str {
    KINDS[number_of(what)]
}

const fn number_of(what: &EventKind) -> usize {
    match what {
        EventKind::Unknown => 0,
        EventKind::Container { .. } => 1,
        EventKind::Engine { .. } => 2,
        EventKind::EngineLost { .. } => 3,
        EventKind::EngineFound { .. } => 4,
        EventKind::AgentStarted { .. } => 5,
        EventKind::CommandEnded { .. } => 6,
        EventKind::Refused { .. } => 7,
        EventKind::Gap { .. } => 8,
    }
}

/// How a kind is stored; one that there is not matches nothing.
pub(super) fn stored_kind(word: &str) -> i64 {
    KINDS.iter().position(|known| *known == word).map_or(-1, |place| i64::try_from(place).unwrap_or(-1))
}

/// The kind of an event as it is stored.
pub(super) fn kind_of(what: &EventKind) -> i64 {
    i64::try_from(number_of(what)).unwrap_or(0)
}

/// The container an event is about, with its name and image.
pub(super) fn subject(what: &EventKind) -> Option<(&ContainerId, &str, &str)> {
    match what {
        EventKind::Container { id, name, image, .. } => Some((id, name, image)),
        _ => None,
    }
}

/// An event without what its subject says, appended to `bytes`.
pub(super) fn encode(what: &EventKind, bytes: &mut Vec<u8>) -> Result<(), StoreError> {
    if let EventKind::Container { action, attributes, inferred, .. } = what {
        let told: Told<&str, &BTreeMap<String, String>> = (action, attributes, *inferred);
        return rmp_serde::encode::write(bytes, &told).map_err(|_| StoreError::Corrupt("event"));
    }
    let encoded = codec::encode(what, codec::MAX_MESSAGE).map_err(|_| StoreError::Corrupt("event"))?;
    bytes.extend_from_slice(&encoded);
    Ok(())
}

/// What a row's checksum is of.
pub(super) struct Summed<'a> {
    pub instance: &'a str,
    pub epoch: &'a [u8],
    pub seq: i64,
    pub at: i64,
    pub lag: i64,
    pub subject: Option<(&'a str, &'a str, &'a str)>,
    pub what: &'a [u8],
}

impl Summed<'_> {
    /// The checksum as it is stored: four bytes.
    pub fn sum(&self) -> i64 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(self.instance.as_bytes());
        hasher.update(self.epoch);
        for number in [self.seq, self.at, self.lag] {
            hasher.update(&number.to_le_bytes());
        }
        if let Some((container, name, image)) = self.subject {
            for text in [container, name, image] {
                hasher.update(text.as_bytes());
                hasher.update(&[0]);
            }
        }
        hasher.update(self.what);
        i64::from(hasher.finalize().cast_signed())
    }
}

/// Reads an event from [`COLUMNS`].
///
/// # Errors
/// [`StoreError::Corrupt`] if it is not what was written.
pub(super) fn read(row: &Row<'_>) -> Result<EventRecord, StoreError> {
    let corrupt = || StoreError::Corrupt("events");
    let instance = row.get_ref(1)?.as_str().map_err(|_| corrupt())?;
    let epoch = row.get_ref(2)?.as_blob().map_err(|_| corrupt())?;
    let (seq, at, lag): (Option<i64>, i64, i64) = (row.get(3)?, row.get(4)?, row.get(5)?);
    let what = row.get_ref(6)?.as_blob().map_err(|_| corrupt())?;
    let text = |column| row.get_ref(column)?.as_str_or_null().map_err(|_| corrupt());
    let subject = match (text(8)?, text(9)?, text(10)?) {
        (Some(container), Some(name), Some(image)) => Some((container, name, image)),
        _ => None,
    };
    if let Some(sum) = row.get::<_, Option<i64>>(7)? {
        let summed = Summed { instance, epoch, seq: seq.unwrap_or(0), at, lag, subject, what };
        if summed.sum() != sum {
            return Err(corrupt());
        }
    }
    let origin = match (Uuid::from_slice(epoch).ok(), seq) {
        (Some(epoch), Some(seq)) => {
            Some((Epoch(epoch), EventSeq(u64::try_from(seq).map_err(|_| corrupt())?)))
        }
        _ => None,
    };
    Ok(EventRecord {
        id: row.get(0)?,
        instance: InstanceId::try_from(instance.to_owned()).map_err(|_| corrupt())?,
        origin,
        at: UnixMicros(at),
        received_at: UnixMicros(at.saturating_add(lag)),
        what: decode(what, subject).ok_or_else(corrupt)?,
    })
}

fn decode(what: &[u8], subject: Option<(&str, &str, &str)>) -> Option<EventKind> {
    let Some((container, name, image)) = subject else {
        return codec::decode(what, codec::MAX_MESSAGE).ok();
    };
    let (action, attributes, inferred): Told<String, BTreeMap<String, String>> =
        rmp_serde::from_slice(what).ok()?;
    Some(EventKind::Container {
        id: container.parse().ok()?,
        name: name.to_owned(),
        image: image.to_owned(),
        action,
        attributes,
        inferred,
    })
}
