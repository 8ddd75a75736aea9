//! The audit log: who did what, when, from where, and how it went.

use std::net::IpAddr;

use roadstead_protocol::message::ids::CommandId;
use roadstead_protocol::message::time::UnixMicros;

use crate::store::audit::{AuditEntry, AuditRecord};
use crate::store::{Store, StoreError};

pub mod export;
pub mod retention;

pub use crate::store::audit::chain::{Anchor, Broken, Verified};

/// Longest text of one field, in characters; the rest is cut off.
const LONGEST: usize = 512;

/// Writes and reads the audit log; cheap to clone.
#[derive(Clone)]
pub struct Audit {
    store: Store,
}

/// How something that is audited went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditResult {
    /// It was done, or accepted to be done.
    Done,
    /// It was not allowed.
    Refused,
    /// It was allowed and did not work.
    Failed,
}

impl AuditResult {
    /// The word used in storage and API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "ok",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// What is to be written down.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Who: a user's name, or what was claimed at login.
    pub who: &'a str,
    /// From which address.
    pub address: Option<IpAddr>,
    /// What was done or asked (`login`, `instance.register`, `command.sync`, …).
    pub what: &'a str,
    /// To what.
    pub target: Option<&'a str>,
    /// How it went.
    pub result: AuditResult,
    /// More, for a person to read.
    pub detail: Option<&'a str>,
}

impl Entry<'_> {
    /// The entry as it is stored, for a write that it belongs to.
    #[must_use]
    pub fn to_store(&self) -> AuditEntry {
        AuditEntry {
            at: UnixMicros::now(),
            who: clean(self.who),
            address: self.address.map(|address| address.to_canonical().to_string()),
            what: clean(self.what),
            target: self.target.map(clean),
            result: self.result.as_str().to_owned(),
            detail: self.detail.map(clean),
            command: None,
        }
    }
}

impl Audit {
    /// An audit log in `store`.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    /// Writes an entry and returns when it is on disk. A failure is logged, with the entry, and not returned: what
    /// the entry tells of has happened already.
    pub async fn record(&self, entry: Entry<'_>) {
        self.record_about(entry, None).await;
    }

    /// The same, about a command: its end is found in the ledger under this id.
    pub async fn record_about(&self, entry: Entry<'_>, command: Option<CommandId>) {
        self.write(vec![AuditEntry { command, ..entry.to_store() }]).await;
    }

    /// The same for entries as they are stored, in one write.
    pub async fn write(&self, entries: Vec<AuditEntry>) {
        if let Err(error) = self.store.append_audit(entries.clone()).await {
            tracing::error!(%error, ?entries, "the audit log could not be written; check the disk");
        }
    }

    /// Entries older than `before`, newest first.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn page(&self, before: Option<i64>, limit: u32) -> Result<Vec<AuditRecord>, StoreError> {
        self.store.audit_page(before, limit).await
    }

    /// Entries newer than number `after`, oldest first: 0 from the oldest there is.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn after(&self, after: i64, limit: u32) -> Result<Vec<AuditRecord>, StoreError> {
        self.store.audit_after(after, limit).await
    }

    /// The newest entry's place in the chain, to be noted elsewhere.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn head(&self) -> Result<Anchor, StoreError> {
        self.store.audit_head().await
    }

    /// Walks the whole chain, past the places that were `noted` elsewhere.
    ///
    /// # Errors
    /// If the store cannot be read; the inner result is what the walk found.
    pub async fn verify(&self, noted: Vec<Anchor>) -> Result<Result<Verified, Broken>, StoreError> {
        self.store.verify_audit(noted).await
    }
}

/// Text from outside as it may stand in a log: without control characters, of bounded length.
fn clean(text: &str) -> String {
    text.chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pages_run_from_the_newest_to_the_oldest() {
        let folder = tempfile::tempdir().unwrap();
        let audit = Audit::new(Store::open(folder.path()).unwrap());
        for what in ["first", "second", "third"] {
            audit
                .record(Entry {
                    who: "admin",
                    address: None,
                    what,
                    target: None,
                    result: AuditResult::Done,
                    detail: None,
                })
                .await;
        }
        let newest = audit.page(None, 2).await.unwrap();
        assert_eq!(
            newest.iter().map(|record| record.entry.what.as_str()).collect::<Vec<_>>(),
            ["third", "second"]
        );
        let rest = audit.page(Some(newest[1].id), 2).await.unwrap();
        assert_eq!(rest.iter().map(|record| record.entry.what.as_str()).collect::<Vec<_>>(), ["first"]);
    }

    #[test]
    fn a_forged_line_break_does_not_survive() {
        assert_eq!(clean("eve\n2026 admin login ok"), "eve 2026 admin login ok");
        assert_eq!(clean(&"x".repeat(LONGEST + 1)).len(), LONGEST);
    }
}
