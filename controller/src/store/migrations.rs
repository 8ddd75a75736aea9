//! The schema, step by step. A step that was released is never edited; a change is a further step.

#[cfg(test)]
mod tests;

use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;
use super::audit::chained::chain_old_entries;

/// Each step brings the schema from its index to the next version.
const STEPS: [&str; 10] = [
    include_str!("migrations/001-first.sql"),
    include_str!("migrations/002-lifecycles.sql"),
    AUDIT_CHAIN,
    include_str!("migrations/004-people.sql"),
    include_str!("migrations/005-joining.sql"),
    include_str!("migrations/006-rollouts.sql"),
    include_str!("migrations/007-compact-events.sql"),
    include_str!("migrations/008-marks-by-number.sql"),
    include_str!("migrations/009-external-users.sql"),
    include_str!("migrations/010-events-together.sql"),
];

/// The step that hashes what is there, which SQL cannot do.
const AUDIT_CHAIN: &str = include_str!("migrations/003-audit-chain.sql");

/// The schema since which the event log is as it is.
const COMPACT_EVENTS: i64 = 7;

/// Brings the schema up to date, all steps in one transaction, which also finds out where it stands: another process
/// may be at it.
pub(super) fn run(connection: &mut Connection) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    if (1..known).contains(&found) {
        tracing::info!(
            from = found,
            to = known,
            "bringing the store to a newer schema; a large one may take a minute"
        );
    }
    if (1..COMPACT_EVENTS).contains(&found) {
        tracing::info!(
            "every event is copied: until that is done it takes up to three times the store's size of free disk"
        );
    }
    for step in STEPS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(step)?;
        if *step == AUDIT_CHAIN {
            chain_old_entries(&transaction)?;
        }
    }
    transaction.pragma_update(None, "user_version", known)?;
    transaction.commit()?;
    Ok(())
}
