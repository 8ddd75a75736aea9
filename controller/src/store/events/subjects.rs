//! Which row stands for a container with its name and image: known in memory, so that an event about one that was heard
//! of costs no look-up. A row is not looked for on disk: after a restart, and from time to time, a container gets another
//! one, so that rows can go with the events that are about them.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use super::StoreError;
use super::row::About;

/// Containers that are known; beyond that all are forgotten and get new rows.
const MOST: usize = 50_000;

/// After so many events every container gets another row.
const ERA: i64 = 1 << 19;

/// The rows of containers, by a hash of the container's id, name and image: with a key that nobody knows, and few of
/// them, two have the same one less often than memory fails.
#[derive(Debug, Default)]
pub(super) struct Subjects {
    known: HashMap<u64, i64>,
    era: i64,
}

impl Subjects {
    /// Begins a transaction that appends after `newest`.
    pub fn begin(&mut self, newest: i64) {
        let era = newest / ERA;
        if era != self.era || self.known.len() > MOST {
            self.known.clear();
            self.era = era;
        }
    }

    /// The row for a container of this hash; adds one to the database if none is known.
    pub fn row(&mut self, connection: &Connection, hash: u64, about: About<'_>) -> Result<i64, StoreError> {
        if let Some(row) = self.known.get(&hash) {
            return Ok(*row);
        }
        let (container, name, image) = about;
        // The next era is for what a transaction that began in this one adds.
        let last = (self.era + 2) * ERA;
        let sql = "INSERT INTO event_subjects (last, container, name, image) VALUES (?1, ?2, ?3, ?4)";
        let row = connection.prepare_cached(sql)?.insert(params![last, container.as_str(), name, image])?;
        self.known.insert(hash, row);
        Ok(row)
    }
}
