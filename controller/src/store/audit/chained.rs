//! Chains the entries of a store from before there was a chain: the part of that migration that SQL cannot do.

use roadstead_protocol::message::time::UnixMicros;
use rusqlite::Transaction;

use super::{AuditEntry, StoreError, ends, insert};

/// Moves every entry of `audit_unchained` into the chain, with the number it has, and drops that table.
pub(in crate::store) fn chain_old_entries(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    let (_, mut head) = ends(transaction)?;
    let sql = "SELECT id, at, who, address, what, target, result, detail FROM audit_unchained ORDER BY id";
    let mut statement = transaction.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let entry = AuditEntry {
            at: UnixMicros(row.get(1)?),
            who: row.get(2)?,
            address: row.get(3)?,
            what: row.get(4)?,
            target: row.get(5)?,
            result: row.get(6)?,
            detail: row.get(7)?,
            command: None,
        };
        head = insert(transaction, head, row.get(0)?, &entry)?;
    }
    drop(rows);
    drop(statement);
    transaction.execute_batch("DROP TABLE audit_unchained")?;
    Ok(())
}
