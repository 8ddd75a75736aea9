//! Which row stands for a container with its name and image: known in memory, so that an event about one that was heard
//! of costs no look-up. A row is not looked for on disk: after a restart, and from time to time, a container gets another
//! one, so that rows can go with the events that are about them.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

use rusqlite::{Connection, params};

use super::StoreError;
use super::row::About;

/// Containers that are known; beyond that all are forgotten and get new rows.
const MOST: usize = 50_000;

/// After so many events every container gets another row.
const ERA: i64 = 1 << 19;

/// The rows of containers that are committed, by a hash of the container's id, name and image: with a key that nobody
/// knows, and few of them, two have the same one less often than memory fails.
#[derive(Debug, Default)]
pub(super) struct Subjects {
    known: HashMap<u64, i64>,
    hasher: RandomState,
    era: i64,
    /// The id of the log's newest event, or a higher one; none until an event was appended.
    pub newest: Option<i64>,
}

/// The rows that a write added, and in which era.
#[derive(Debug, Default)]
pub(super) struct Fresh {
    rows: HashMap<u64, i64>,
    era: i64,
}

impl Fresh {
    /// Whether it added none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl Subjects {
    /// Begins a write of events after `newest`.
    pub fn begin(&mut self, newest: i64) -> Fresh {
        let era = newest / ERA;
        if era != self.era || self.known.len() > MOST {
            self.known.clear();
            self.era = era;
        }
        Fresh { rows: HashMap::new(), era }
    }

    /// The row for a container; adds one to the database and to `fresh` if none is known.
    pub fn row(
        &self,
        connection: &Connection,
        fresh: &mut Fresh,
        about: About<'_>,
    ) -> Result<i64, StoreError> {
        let (container, name, image) = about;
        let hash = self.hasher.hash_one(about);
        if let Some(row) = self.known.get(&hash).or_else(|| fresh.rows.get(&hash)) {
            return Ok(*row);
        }
        // The next era is for what a write that began in this one adds.
        let last = (fresh.era + 2) * ERA;
        let sql = "INSERT INTO event_subjects (last, container, name, image) VALUES (?1, ?2, ?3, ?4)";
        let row = connection.prepare_cached(sql)?.insert(params![last, container.as_str(), name, image])?;
        fresh.rows.insert(hash, row);
        Ok(row)
    }

    /// Takes over what a committed write added.
    pub fn keep(&mut self, fresh: Fresh) {
        if fresh.era == self.era {
            self.known.extend(fresh.rows);
        }
    }
}
