//! Which row stands for a container: known in memory, so that an event about one that was heard of costs no look-up.
//! A row is not looked for on disk: after a restart, and from time to time, a container gets another one.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use roadstead_protocol::message::ids::ContainerId;
use rusqlite::{Connection, params};

use super::StoreError;

/// Containers that are known; beyond that all are forgotten and get new rows.
const MOST: usize = 50_000;

/// So many events are about the same rows at most; rows of events that were deleted long enough go with them.
pub(super) const ERA: i64 = 1 << 19;

/// The rows of containers, as far as they are committed.
#[derive(Debug, Default)]
pub(super) struct Subjects {
    known: HashMap<ContainerId, (i64, u64)>,
    era: i64,
}

/// The rows that one write added.
pub(super) type Fresh = HashMap<ContainerId, (i64, u64)>;

impl Subjects {
    /// The row for a container with this name and image; adds one to `fresh` and the database if none is known.
    pub fn row(
        &self,
        connection: &Connection,
        fresh: &mut Fresh,
        (container, name, image): (&ContainerId, &str, &str),
    ) -> Result<i64, StoreError> {
        let named = hash(name, image);
        let known = fresh.get(container).or_else(|| self.known.get(container));
        if let Some((row, _)) = known.filter(|(_, same)| *same == named) {
            return Ok(*row);
        }
        let sql = "INSERT INTO event_subjects (born, container, name, image)
                   SELECT coalesce(max(id), 0), ?1, ?2, ?3 FROM events";
        let row = connection.prepare_cached(sql)?.insert(params![container.as_str(), name, image])?;
        fresh.insert(container.clone(), (row, named));
        Ok(row)
    }

    /// Takes over what a committed write added; `last` is the newest event's id.
    pub fn keep(&mut self, fresh: Fresh, last: i64) {
        if last / ERA != self.era || self.known.len() + fresh.len() > MOST {
            self.known.clear();
            self.era = last / ERA;
            return;
        }
        self.known.extend(fresh);
    }
}

fn hash(name: &str, image: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (name, image).hash(&mut hasher);
    hasher.finish()
}
