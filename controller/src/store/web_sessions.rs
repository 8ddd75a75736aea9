//! Web sessions, as stored.

use roadstead_protocol::message::time::UnixMicros;
use rusqlite::{OptionalExtension as _, Row, Transaction, params};

use super::users::{UserRecord, list, role};
use super::{Store, StoreError};
use crate::model::role::Role;

/// Web sessions that one user, or all guests together, may have open.
pub const SESSIONS_PER_USER: u32 = 1000;

/// Most sessions of one list.
const LISTED: u32 = 1000;

/// The beginning of a session's hash, by which people name it.
pub type SessionId = [u8; 12];

/// A web session; the token itself is known to the browser alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSessionRecord {
    /// SHA-256 of the token.
    pub token_hash: [u8; 32],
    /// Whose session.
    pub user: String,
    /// What its user may do; as read, by the user's present role.
    pub role: Role,
    /// The user's tags; as read, the present ones.
    pub tags: Vec<String>,
    /// When it began.
    pub created_at: UnixMicros,
    /// When it ends, unless it is used before.
    pub expires_at: UnixMicros,
    /// When it was last used, to the minute.
    pub last_used: UnixMicros,
    /// The network it was begun from.
    pub address: Option<String>,
    /// What the browser called itself.
    pub client: Option<String>,
    /// When it ends even if it is used.
    pub ends_at: Option<UnixMicros>,
}

/// Sessions of users who may sign in, and of guests, who are no users.
const SELECT: &str =
    "SELECT s.token_hash, s.user, coalesce(u.role, s.role), coalesce(u.tags, '[]'), s.created_at,
    s.expires_at, s.last_used, s.address, s.client, s.ends_at
    FROM web_sessions s LEFT JOIN users u ON u.name = s.user WHERE (u.disabled = 0 OR s.role = 'guest')";

impl WebSessionRecord {
    /// The name of the session in lists.
    #[must_use]
    pub fn id(&self) -> SessionId {
        let mut id = SessionId::default();
        for (to, from) in id.iter_mut().zip(self.token_hash) {
            *to = from;
        }
        id
    }
}

impl Store {
    /// Stores a new web session; forgets those that have ended, and of the same user's those used longest ago beyond
    /// [`SESSIONS_PER_USER`].
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn add_web_session(&self, session: WebSessionRecord) -> Result<(), StoreError> {
        self.write(move |transaction| add(transaction, &session)).await
    }

    /// Stores a new web session as [`add_web_session`](Self::add_web_session) does, if `user` has the password and the
    /// second factor that were proven, and is not kept out. Returns whether it did.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn add_proven_session(
        &self,
        session: WebSessionRecord,
        user: UserRecord,
    ) -> Result<bool, StoreError> {
        self.write(move |transaction| {
            let sql = "SELECT 1 FROM users WHERE name = ?1 AND password_hash = ?2 AND totp_secret IS ?3 AND NOT disabled";
            let proven = params![user.name, user.password_hash, user.totp_secret];
            let still = transaction.query_row(sql, proven, |_| Ok(())).optional()?.is_some();
            if still {
                add(transaction, &session)?;
            }
            Ok(still)
        })
        .await
    }

    /// A web session by the hash of its token, ended or not, unless its user is gone or kept out.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn web_session(&self, token_hash: [u8; 32]) -> Result<Option<WebSessionRecord>, StoreError> {
        self.look_up(move |connection| {
            let mut statement = connection.prepare_cached(&format!("{SELECT} AND s.token_hash = ?1"))?;
            statement.query_row([token_hash], |row| Ok(web_session(row))).optional()?.transpose()
        })
        .await
    }

    /// The sessions of a user that have not ended at `now`, the last used first.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn web_sessions_of(
        &self,
        user: String,
        now: UnixMicros,
    ) -> Result<Vec<WebSessionRecord>, StoreError> {
        self.read(move |connection| {
            let sql =
                format!("{SELECT} AND s.user = ?1 AND s.expires_at > ?2 ORDER BY s.last_used DESC LIMIT ?3");
            let mut statement = connection.prepare_cached(&sql)?;
            statement.query_and_then(params![user, now.0, LISTED], web_session)?.collect()
        })
        .await
    }

    /// Notes that a session was used, and its new end.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn touch_web_session(
        &self,
        token_hash: [u8; 32],
        last_used: UnixMicros,
        expires_at: UnixMicros,
    ) -> Result<(), StoreError> {
        self.write(move |transaction| {
            let sql = "UPDATE web_sessions SET last_used = ?2, expires_at = ?3 WHERE token_hash = ?1";
            transaction.execute(sql, params![token_hash, last_used.0, expires_at.0])?;
            Ok(())
        })
        .await
    }

    /// Ends a session.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn remove_web_session(&self, token_hash: [u8; 32]) -> Result<(), StoreError> {
        self.write(move |transaction| {
            transaction.execute("DELETE FROM web_sessions WHERE token_hash = ?1", [token_hash])?;
            Ok(())
        })
        .await
    }

    /// Ends the session of this id, if it is `user`'s (none: whoever's). Returns whose it was.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn revoke_web_session(
        &self,
        id: SessionId,
        user: Option<String>,
    ) -> Result<Option<String>, StoreError> {
        self.write(move |transaction| {
            let sql =
                "DELETE FROM web_sessions WHERE substr(token_hash, 1, 12) = ?1 AND user = coalesce(?2, user)
                       RETURNING user";
            Ok(transaction.query_row(sql, params![id, user], |row| row.get(0)).optional()?)
        })
        .await
    }

    /// How many web sessions have not ended at `now`.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn count_web_sessions(&self, now: UnixMicros) -> Result<u64, StoreError> {
        self.read(move |connection| {
            let sql = "SELECT count(*) FROM web_sessions WHERE expires_at > ?1";
            let count: i64 = connection.query_row(sql, [now.0], |row| row.get(0))?;
            Ok(u64::try_from(count).unwrap_or(0))
        })
        .await
    }
}

fn web_session(row: &Row<'_>) -> Result<WebSessionRecord, StoreError> {
    Ok(WebSessionRecord {
        token_hash: row.get(0)?,
        user: row.get(1)?,
        role: role(&row.get::<_, String>(2)?)?,
        tags: list(&row.get::<_, String>(3)?)?,
        created_at: UnixMicros(row.get(4)?),
        expires_at: UnixMicros(row.get(5)?),
        last_used: UnixMicros(row.get(6)?),
        address: row.get(7)?,
        client: row.get(8)?,
        ends_at: row.get::<_, Option<i64>>(9)?.map(UnixMicros),
    })
}
fn add(transaction: &Transaction<'_>, session: &WebSessionRecord) -> Result<(), StoreError> {
    transaction.execute("DELETE FROM web_sessions WHERE expires_at <= ?1", [session.created_at.0])?;
    transaction.execute(
        "INSERT INTO web_sessions
                 (token_hash, user, role, created_at, expires_at, last_used, address, client, ends_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            session.token_hash,
            session.user,
            session.role.as_str(),
            session.created_at.0,
            session.expires_at.0,
            session.last_used.0,
            session.address,
            session.client,
            session.ends_at.map(|at| at.0)
        ],
    )?;
    transaction.execute(
        "DELETE FROM web_sessions WHERE user = ?1 AND token_hash NOT IN
                 (SELECT token_hash FROM web_sessions WHERE user = ?1 ORDER BY last_used DESC LIMIT ?2)",
        params![session.user, SESSIONS_PER_USER],
    )?;
    Ok(())
}
