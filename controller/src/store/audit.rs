//! The audit log, as stored: append, read, and forget the oldest beyond a number.

use roadstead_protocol::message::time::UnixMicros;
use rusqlite::params;

use super::{Store, StoreError};

/// Entries kept; an older one is forgotten when a newer one needs its place.
pub const KEPT: i64 = 200_000;

/// One entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// Its place in the log, ascending; 0 before it is stored.
    pub id: i64,
    /// When.
    pub at: UnixMicros,
    /// Who: a user's name, or what was claimed at login.
    pub who: String,
    /// From which network address.
    pub address: Option<String>,
    /// What was done or asked.
    pub what: String,
    /// To what.
    pub target: Option<String>,
    /// `ok`, `refused` or `failed`.
    pub result: String,
    /// More, for a person to read.
    pub detail: Option<String>,
}

impl Store {
    /// Appends an entry.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn append_audit(&self, entry: AuditRecord) -> Result<(), StoreError> {
        self.write(move |transaction| {
            transaction.execute(
                "INSERT INTO audit (at, who, address, what, target, result, detail)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    entry.at.0,
                    entry.who,
                    entry.address,
                    entry.what,
                    entry.target,
                    entry.result,
                    entry.detail
                ],
            )?;
            let newest = transaction.last_insert_rowid();
            transaction.execute("DELETE FROM audit WHERE id <= ?1", [newest - KEPT])?;
            Ok(())
        })
        .await
    }

    /// Entries older than `before` (none: from the newest), newest first.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn audit_page(&self, before: Option<i64>, limit: u32) -> Result<Vec<AuditRecord>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, at, who, address, what, target, result, detail FROM audit
                 WHERE id < ?1 ORDER BY id DESC LIMIT ?2",
            )?;
            let rows = statement.query_map((before.unwrap_or(i64::MAX), limit), |row| {
                Ok(AuditRecord {
                    id: row.get(0)?,
                    at: UnixMicros(row.get(1)?),
                    who: row.get(2)?,
                    address: row.get(3)?,
                    what: row.get(4)?,
                    target: row.get(5)?,
                    result: row.get(6)?,
                    detail: row.get(7)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }
}
