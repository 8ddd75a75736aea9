//! The controller's own identities, and what keeps an earlier one from being let go.

use roadstead_protocol::message::ids::PeerKey;
use roadstead_protocol::message::time::UnixMicros;
use rusqlite::params;

use super::{Store, StoreError};

/// An identity as stored.
#[derive(Clone)]
pub struct StoredIdentity {
    /// Its fingerprint.
    pub key: PeerKey,
    /// The key itself (PEM).
    pub secret: String,
    /// Its certificate (PEM).
    pub certificate: String,
    /// When it was made.
    pub made_at: UnixMicros,
}

impl Store {
    /// Every identity, newest first.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn identities(&self) -> Result<Vec<StoredIdentity>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT key, secret, certificate, made_at FROM identities ORDER BY made_at DESC";
            let mut statement = connection.prepare(sql)?;
            let rows = statement.query_map([], |row| {
                Ok(StoredIdentity {
                    key: PeerKey(row.get(0)?),
                    secret: row.get(1)?,
                    certificate: row.get(2)?,
                    made_at: UnixMicros(row.get(3)?),
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Stores a further identity.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn add_identity(&self, identity: StoredIdentity) -> Result<(), StoreError> {
        self.write(move |transaction| {
            let StoredIdentity { key, secret, certificate, made_at } = identity;
            transaction.execute(
                "INSERT INTO identities (key, secret, certificate, made_at) VALUES (?1, ?2, ?3, ?4)",
                params![key.0, secret, certificate, made_at.0],
            )?;
            Ok(())
        })
        .await
    }

    /// Forgets an identity.
    ///
    /// # Errors
    /// If that cannot be stored.
    pub async fn remove_identity(&self, key: PeerKey) -> Result<(), StoreError> {
        self.write(move |transaction| {
            transaction.execute("DELETE FROM identities WHERE key = ?1", [key.0])?;
            Ok(())
        })
        .await
    }

    /// How many agents have joined and not confirmed that they know the controller's `key`.
    ///
    /// # Errors
    /// If they cannot be counted.
    pub async fn agents_that_do_not_know(&self, key: PeerKey) -> Result<usize, StoreError> {
        self.read(move |connection| {
            let sql = "SELECT count(*) FROM instances WHERE key IS NOT NULL
                       AND (controller_keys IS NULL OR substr(controller_keys, 1, 32) <> ?1)";
            let count: i64 = connection.query_row(sql, [key.0], |row| row.get(0))?;
            Ok(usize::try_from(count).unwrap_or_default())
        })
        .await
    }

    /// Whether a join token that was made before `before` can still be used. One without an end can be made anew, with
    /// the newest key, and is not waited for.
    ///
    /// # Errors
    /// If that cannot be looked up.
    pub async fn has_token_from_before(
        &self,
        before: UnixMicros,
        now: UnixMicros,
    ) -> Result<bool, StoreError> {
        self.read(move |connection| {
            let sql = "SELECT 1 FROM join_tokens WHERE created_at < ?1 AND uses_left > 0
                       AND expires_at > ?2 AND expires_at < created_at + 32 * 86400000000";
            Ok(connection.prepare(sql)?.exists(params![before.0, now.0])?)
        })
        .await
    }
}
