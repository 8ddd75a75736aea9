//! An event as a row: what many events share is written elsewhere once.

use std::borrow::Cow;
use std::collections::{HashMap, hash_map};

use roadstead_protocol::message::attributes::Attributes;
use roadstead_protocol::message::codec;
use roadstead_protocol::message::event::EventKind;
use roadstead_protocol::message::ids::{ContainerId, Epoch, EventSeq};
use roadstead_protocol::message::time::UnixMicros;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Row};
use serde::{Deserialize, Serialize};
use serde_bytes::Bytes;
use smol_str::SmolStr;
use uuid::Uuid;

use super::StoreError;
use super::rows::{self, Earlier, OF_ONE_ROW};
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

/// What events are read from: the row `e`, its instance `n`.
pub(super) const COLUMNS: &str =
    "e.id, n.instance, e.epoch, e.received_at, e.seq, e.at, e.kind, e.subject, e.what, e.more, e.earlier";

/// What follows the tables that `e` comes from.
pub(in crate::store) const JOINS: &str = "CROSS JOIN event_instances AS n ON n.id = e.instance";

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

/// An event of a row, before it is read whole.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    /// Its place in the log.
    pub id: i64,
    pub seq: Option<i64>,
    pub at: i64,
    pub kind: i64,
    pub subject: Option<i64>,
    bytes: &'a [u8],
}

/// The events of a row, the oldest first.
///
/// # Errors
/// [`StoreError::Corrupt`] if it is not what was written.
pub(super) fn entries<'a>(row: &'a Row<'_>) -> Result<Vec<Entry<'a>>, StoreError> {
    let (id, count): (i64, i64) = (row.get(0)?, events(row.get(9)?)?);
    let earlier: Vec<Earlier<'_>> = match row.get_ref(10)?.as_blob_or_null().map_err(|_| CORRUPT)? {
        None if count == 1 => Vec::new(),
        None => return Err(CORRUPT),
        Some(bytes) => {
            let earlier = usize::try_from(count - 1).map_err(|_| CORRUPT)?;
            codec::decode_several(bytes, earlier, codec::MAX_MESSAGE).map_err(|_| CORRUPT)?
        }
    };
    let mut entries = Vec::with_capacity(earlier.len() + 1);
    for ((seq, at, kind, subject, bytes), id) in earlier.into_iter().zip(id - count + 1..) {
        entries.push(Entry { id, seq, at, kind: kind.into(), subject, bytes });
    }
    let bytes = row.get_ref(8)?.as_blob().map_err(|_| CORRUPT)?;
    let (seq, at, kind, subject) = (row.get(4)?, row.get(5)?, row.get(6)?, row.get(7)?);
    entries.push(Entry { id, seq, at, kind, subject, bytes });
    Ok(entries)
}

/// How many events a row has that says it has `more` than one.
///
/// # Errors
/// [`StoreError::Corrupt`] if none was written that has so many.
pub(super) fn events(more: i64) -> Result<i64, StoreError> {
    if (0..OF_ONE_ROW).contains(&more) { Ok(1 + more) } else { Err(CORRUPT) }
}

/// The bytes of the events of a row that are not its last.
///
/// # Errors
/// Never, of what was read from a row.
pub(super) fn encode_earlier(entries: &[Entry<'_>]) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    for Entry { seq, at, kind, subject, bytes: told, .. } in entries {
        let kind = u8::try_from(*kind).map_err(|_| CORRUPT)?;
        let earlier: Earlier<'_> = (*seq, *at, kind, *subject, Bytes::new(told));
        rows::encode_earlier(&mut bytes, &earlier)?;
    }
    Ok(bytes)
}

const CORRUPT: StoreError = StoreError::Corrupt("events");

/// Reads events whole, and remembers the containers that they are about.
pub(super) struct Reader<'c> {
    subjects: CachedStatement<'c>,
    known: HashMap<i64, Option<Subject>>,
}

/// A container. One without a name is of an event from before names were kept here; the event itself has it then.
type Subject = (ContainerId, Option<(SmolStr, SmolStr)>);

impl<'c> Reader<'c> {
    pub fn new(connection: &'c Connection) -> Result<Self, StoreError> {
        let subjects =
            connection.prepare_cached("SELECT container, name, image FROM event_subjects WHERE id = ?1")?;
        Ok(Self { subjects, known: HashMap::new() })
    }

    /// An event of a row.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if it is not what was written.
    pub fn read(&mut self, row: &Row<'_>, entry: &Entry<'_>) -> Result<EventRecord, StoreError> {
        let origin = match (row.get::<_, Option<[u8; 16]>>(2)?, entry.seq) {
            (Some(epoch), Some(seq)) => {
                Some((Epoch(Uuid::from_bytes(epoch)), EventSeq(u64::try_from(seq).map_err(|_| CORRUPT)?)))
            }
            _ => None,
        };
        let named = match entry.subject {
            Some(subject) => self.subject(subject)?.and_then(|(id, names)| Some((id, names.as_ref()?))),
            None => None,
        };
        let what = match named {
            None => codec::decode(entry.bytes, codec::MAX_MESSAGE).map_err(|_| CORRUPT)?,
            Some((id, (name, image))) => {
                let told: Told<'_> = codec::decode(entry.bytes, codec::MAX_MESSAGE).map_err(|_| CORRUPT)?;
                EventKind::Container {
                    id: id.clone(),
                    name: name.clone(),
                    image: image.clone(),
                    action: told.action.into_owned(),
                    attributes: told.attributes.into_owned(),
                    inferred: told.inferred,
                }
            }
        };
        let instance = row.get_ref(1)?.as_str().map_err(|_| CORRUPT)?;
        Ok(EventRecord {
            id: entry.id,
            instance: instance.parse().map_err(|_| CORRUPT)?,
            origin,
            at: UnixMicros(entry.at),
            received_at: UnixMicros(row.get(3)?),
            what,
        })
    }

    fn subject(&mut self, number: i64) -> Result<Option<&Subject>, StoreError> {
        let found = match self.known.entry(number) {
            hash_map::Entry::Occupied(known) => known.into_mut(),
            hash_map::Entry::Vacant(unknown) => {
                let read = |row: &Row<'_>| {
                    Ok((
                        row.get::<_, String>(0)?,
                        row.get::<_, Option<String>>(1)?,
                        row.get::<_, Option<String>>(2)?,
                    ))
                };
                let found = match self.subjects.query_row([number], read).optional()? {
                    None => None,
                    Some((container, name, image)) => {
                        let names = match (name, image) {
                            (Some(name), Some(image)) => Some((name.into(), image.into())),
                            (None, _) => None,
                            (Some(_), None) => return Err(CORRUPT),
                        };
                        Some((container.parse().map_err(|_| CORRUPT)?, names))
                    }
                };
                unknown.insert(found)
            }
        };
        Ok(found.as_ref())
    }
}
