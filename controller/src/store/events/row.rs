//! An event as a row: what many events share is written elsewhere once.

use std::borrow::Cow;

use roadstead_protocol::message::attributes::Attributes;
use roadstead_protocol::message::codec;
use roadstead_protocol::message::event::EventKind;
use roadstead_protocol::message::ids::{ContainerId, Epoch, EventSeq};
use roadstead_protocol::message::time::UnixMicros;
use rusqlite::Row;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
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

/// What an event is read from: the event `e`, its instance `n`, its subject `s`.
pub(super) const COLUMNS: &str = "e.id, n.instance, e.epoch, e.seq, e.at, e.received_at, e.what, s.container, s.name, \
                                  s.image";

/// What follows the tables that `e` comes from.
pub(in crate::store) const JOINS: &str =
    "CROSS JOIN event_instances AS n ON n.id = e.instance LEFT JOIN event_subjects AS s ON s.id = e.subject";

/// What an event says of its container beyond what the subject says.
#[derive(Serialize, Deserialize)]
struct Told<'a> {
    #[serde(rename = "d")]
    action: Cow<'a, SmolStr>,
    #[serde(rename = "a", default, skip_serializing_if = "none")]
    attributes: Cow<'a, Attributes>,
    #[serde(rename = "i", default, skip_serializing_if = "std::ops::Not::not")]
    inferred: bool,
}

fn none(attributes: &Attributes) -> bool {
    attributes.is_empty()
}

/// The word for a kind of event in filters and API.
#[must_use]
pub const fn kind(what: &EventKind) -> &'static str {
    KINDS[place(what)]
}

const fn place(what: &EventKind) -> usize {
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

/// How the kind of an event is stored.
pub(super) const fn stored_kind(what: &EventKind) -> u8 {
    place(what).to_le_bytes()[0]
}

/// How the kind of this name is stored; one that there is not matches nothing.
pub(super) fn kind_named(word: &str) -> Option<i64> {
    KINDS.iter().zip(0..).find_map(|(known, stored)| (*known == word).then_some(stored))
}

/// A container that events are about: its id, name and image.
pub(super) type About<'a> = (&'a ContainerId, &'a str, &'a str);

/// The container an event is about.
pub(super) fn about(what: &EventKind) -> Option<About<'_>> {
    match what {
        EventKind::Container { id, name, image, .. } => Some((id, name, image)),
        _ => None,
    }
}

/// Writes the bytes of an event, without what [`about`] tells, after those of others.
pub(super) fn encode(bytes: &mut Vec<u8>, what: &EventKind) -> Result<(), StoreError> {
    let written = match what {
        // Every field by name: one that is added must not get lost here.
        EventKind::Container { id: _, name: _, image: _, action, attributes, inferred } => {
            let (action, attributes) = (Cow::Borrowed(action), Cow::Borrowed(attributes));
            let told = Told { action, attributes, inferred: *inferred };
            codec::encode_after(bytes, &told, codec::MAX_MESSAGE)
        }
        what => codec::encode_after(bytes, what, codec::MAX_MESSAGE),
    };
    written.map_err(|_| StoreError::Corrupt("event"))
}

/// Reads an event from [`COLUMNS`].
///
/// # Errors
/// [`StoreError::Corrupt`] if it is not what was written.
pub(super) fn read(row: &Row<'_>) -> Result<EventRecord, StoreError> {
    let corrupt = || StoreError::Corrupt("events");
    let origin = match (row.get::<_, Option<[u8; 16]>>(2)?, row.get::<_, Option<i64>>(3)?) {
        (Some(epoch), Some(seq)) => {
            Some((Epoch(Uuid::from_bytes(epoch)), EventSeq(u64::try_from(seq).map_err(|_| corrupt())?)))
        }
        _ => None,
    };
    let bytes = row.get_ref(6)?.as_blob().map_err(|_| corrupt())?;
    // A subject without a name is of an event from before there were any.
    let text = |column| Ok::<_, rusqlite::Error>(row.get_ref(column)?.as_str_or_null()?.map(SmolStr::new));
    let what = match text(8)? {
        None => codec::decode(bytes, codec::MAX_MESSAGE).map_err(|_| corrupt())?,
        Some(name) => {
            let told: Told<'_> = codec::decode(bytes, codec::MAX_MESSAGE).map_err(|_| corrupt())?;
            EventKind::Container {
                id: text(7)?.ok_or_else(corrupt)?.parse().map_err(|_| corrupt())?,
                name,
                image: text(9)?.ok_or_else(corrupt)?,
                action: told.action.into_owned(),
                attributes: told.attributes.into_owned(),
                inferred: told.inferred,
            }
        }
    };
    Ok(EventRecord {
        id: row.get(0)?,
        instance: text(1)?.ok_or_else(corrupt)?.parse().map_err(|_| corrupt())?,
        origin,
        at: UnixMicros(row.get(4)?),
        received_at: UnixMicros(row.get(5)?),
        what,
    })
}
