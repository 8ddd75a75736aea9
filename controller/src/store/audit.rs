//! The audit log, as stored: a chain that grows at its end and loses, to retention alone, its beginning. Triggers of
//! the database refuse everything else, to this program as to others.

use roadstead_protocol::message::ids::CommandId;
use roadstead_protocol::message::time::UnixMicros;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use uuid::Uuid;

pub mod chain;
pub(super) mod chained;
#[cfg(test)]
mod tests;

use self::chain::{Anchor, AuditHash, Broken, RETENTION, Verified, Walk, hash_of};
use super::{Store, StoreError};

/// Most entries that one run of retention removes, so that others do not wait long for it.
const MOST_REMOVED: i64 = 20_000;

/// What is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
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
    /// The command that it is about.
    pub command: Option<CommandId>,
}

/// An entry with its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// Its number, ascending.
    pub id: i64,
    /// What it says.
    pub entry: AuditEntry,
    /// The hash of the entry before it.
    pub previous: AuditHash,
    /// Its own.
    pub hash: AuditHash,
}

impl AuditRecord {
    /// Its place in the chain.
    #[must_use]
    pub const fn anchor(&self) -> Anchor {
        Anchor { id: self.id, hash: self.hash }
    }
}

impl Store {
    /// Appends entries, and gives the place of the last.
    ///
    /// # Errors
    /// If they cannot be stored; then none is.
    pub async fn append_audit(&self, entries: Vec<AuditEntry>) -> Result<Anchor, StoreError> {
        self.write(move |transaction| {
            let (_, mut head) = ends(transaction)?;
            for entry in &entries {
                head = insert(transaction, head, head.id + 1, entry)?;
            }
            Ok(head)
        })
        .await
    }

    /// Entries older than `before` (none: from the newest), newest first.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn audit_page(&self, before: Option<i64>, limit: u32) -> Result<Vec<AuditRecord>, StoreError> {
        let sql =
            "SELECT id, at, who, address, what, target, result, detail, command, previous, hash FROM audit
                   WHERE id < ?1 ORDER BY id DESC LIMIT ?2";
        self.read(move |connection| rows(connection, sql, before.unwrap_or(i64::MAX), limit)).await
    }

    /// Entries newer than number `after`, oldest first.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn audit_after(&self, after: i64, limit: u32) -> Result<Vec<AuditRecord>, StoreError> {
        self.read(move |connection| rows(connection, AFTER, after, limit)).await
    }

    /// The newest entry's place in the chain; number 0, or that before the first, if there is none.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn audit_head(&self) -> Result<Anchor, StoreError> {
        self.read(|connection| Ok(ends(connection)?.1)).await
    }

    /// Walks the whole chain, as it is at one moment, past the places `noted` elsewhere.
    ///
    /// # Errors
    /// If the store cannot be read; the inner result is what the walk found.
    pub async fn verify_audit(&self, noted: Vec<Anchor>) -> Result<Result<Verified, Broken>, StoreError> {
        self.read(move |connection| {
            let snapshot = connection.unchecked_transaction()?;
            let (base, head) = ends(&snapshot)?;
            let mut walk = Walk::new(base, noted);
            let mut statement = snapshot.prepare(AFTER)?;
            // Whatever is there, also what lies before the beginning.
            let mut rows = statement.query((i64::MIN, i64::MAX))?;
            while let Some(row) = rows.next()? {
                let step = match record(row) {
                    Ok(record) => walk.step(&record),
                    Err(StoreError::Corrupt(_)) => Err(Broken::Changed(row.get(0)?)),
                    Err(error) => return Err(error),
                };
                if let Err(broken) = step {
                    return Ok(Err(broken));
                }
            }
            Ok(walk.end(head))
        })
        .await
    }

    /// Removes what is older than `before` and, of more than `most` entries, the oldest. What is gone is told by an
    /// entry of its own, with the hash that the rest of the chain begins from. Returns how many entries went: at most
    /// 20,000, so call it now and then.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn prune_audit(
        &self,
        before: UnixMicros,
        most: i64,
        now: UnixMicros,
    ) -> Result<u64, StoreError> {
        self.write(move |transaction| prune(transaction, before, most, now)).await
    }
}

const AFTER: &str =
    "SELECT id, at, who, address, what, target, result, detail, command, previous, hash FROM audit
    WHERE id > ?1 ORDER BY id LIMIT ?2";

fn rows(connection: &Connection, sql: &str, from: i64, limit: u32) -> Result<Vec<AuditRecord>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query((from, limit))?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        records.push(record(row)?);
    }
    Ok(records)
}

fn record(row: &Row<'_>) -> Result<AuditRecord, StoreError> {
    let command: Option<Vec<u8>> = row.get(8)?;
    let command = command.map(|bytes| Uuid::from_slice(&bytes).map(CommandId)).transpose();
    Ok(AuditRecord {
        id: row.get(0)?,
        entry: AuditEntry {
            at: UnixMicros(row.get(1)?),
            who: row.get(2)?,
            address: row.get(3)?,
            what: row.get(4)?,
            target: row.get(5)?,
            result: row.get(6)?,
            detail: row.get(7)?,
            command: command.map_err(|_| StoreError::Corrupt("an audit entry's command"))?,
        },
        previous: hash(row, 9)?,
        hash: hash(row, 10)?,
    })
}

fn hash(row: &Row<'_>, column: usize) -> Result<AuditHash, StoreError> {
    let bytes: Vec<u8> = row.get(column)?;
    bytes.try_into().map(AuditHash).map_err(|_| StoreError::Corrupt("a hash of the audit log"))
}

/// Where the chain begins after, and its last entry.
fn ends(connection: &Connection) -> Result<(Anchor, Anchor), StoreError> {
    let sql = "SELECT base_id, base_hash, head_id, head_hash FROM audit_chain";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let row = rows.next()?.ok_or(StoreError::Corrupt("the ends of the audit log"))?;
    let anchor = |id, column| Ok::<_, StoreError>(Anchor { id: row.get(id)?, hash: hash(row, column)? });
    Ok((anchor(0, 1)?, anchor(2, 3)?))
}

/// Appends an entry within a write that it belongs to. The transaction holds the database alone, so nobody else appends
/// after the same entry.
pub(super) fn append(transaction: &Transaction<'_>, entry: &AuditEntry) -> Result<Anchor, StoreError> {
    let (_, head) = ends(transaction)?;
    insert(transaction, head, head.id + 1, entry)
}

fn insert(
    transaction: &Transaction<'_>,
    head: Anchor,
    id: i64,
    entry: &AuditEntry,
) -> Result<Anchor, StoreError> {
    let hash = hash_of(head.hash, id, entry);
    let mut statement = transaction.prepare_cached(
        "INSERT INTO audit (id, at, who, address, what, target, result, detail, command, previous, hash)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    statement.execute(params![
        id,
        entry.at.0,
        entry.who,
        entry.address,
        entry.what,
        entry.target,
        entry.result,
        entry.detail,
        entry.command.map(|command| command.0.into_bytes()),
        head.hash.0,
        hash.0
    ])?;
    Ok(Anchor { id, hash })
}

fn prune(
    transaction: &Transaction<'_>,
    before: UnixMicros,
    most: i64,
    now: UnixMicros,
) -> Result<u64, StoreError> {
    let (base, head) = ends(transaction)?;
    // The first that stays, among those looked at: clocks go back now and then, and only a beginning may go.
    let sql = "SELECT id FROM audit WHERE id <= ?1 AND at >= ?2 ORDER BY id LIMIT 1";
    let most_removed = base.id.saturating_add(MOST_REMOVED).min(head.id);
    let stays: Option<i64> =
        transaction.query_row(sql, (most_removed, before.0), |row| row.get(0)).optional()?;
    let by_age = stays.map_or(most_removed, |id| id - 1);
    let last = by_age.max(head.id - most).min(most_removed);
    let sql = "SELECT id, hash FROM audit WHERE id <= ?1 ORDER BY id DESC LIMIT 1";
    let found = transaction
        .prepare_cached(sql)?
        .query_row([last], |row| Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?)))
        .optional()?;
    let Some((id, bytes)) = found.filter(|_| last > base.id) else { return Ok(0) };
    let hash = bytes.try_into().map(AuditHash).map_err(|_| StoreError::Corrupt("a hash of the audit log"))?;
    let cut = Anchor { id, hash };
    let moved = "UPDATE audit_chain SET base_id = ?1, base_hash = ?2";
    transaction.execute(moved, params![cut.id, cut.hash.0])?;
    let removed = transaction.execute("DELETE FROM audit WHERE id <= ?1", [cut.id])?;
    let told = AuditEntry {
        at: now,
        who: "controller".to_owned(),
        address: None,
        what: RETENTION.to_owned(),
        target: None,
        result: "ok".to_owned(),
        detail: Some(format!("removed {removed} old entries, the last of them {cut}")),
        command: None,
    };
    append(transaction, &told)?;
    Ok(removed as u64)
}
