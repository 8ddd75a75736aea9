//! Users and their web sessions, as stored.

use roadstead_protocol::message::time::UnixMicros;
use rusqlite::{OptionalExtension as _, Row, params};

use super::{Store, StoreError};
use crate::model::role::Role;

/// Web sessions that one user, or all guests together, may have open.
pub const SESSIONS_PER_USER: u32 = 1000;

/// A user who logs in with a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRecord {
    /// Name, as typed at login.
    pub name: String,
    /// Argon2id hash as a PHC string.
    pub password_hash: String,
    /// What the user may do.
    pub role: Role,
    /// When the user was made.
    pub created_at: UnixMicros,
}

/// A web session; the token itself is known to the browser alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSessionRecord {
    /// SHA-256 of the token.
    pub token_hash: [u8; 32],
    /// Whose session.
    pub user: String,
    /// What the session may do.
    pub role: Role,
    /// When it began.
    pub created_at: UnixMicros,
    /// When it ends, unless it is used before.
    pub expires_at: UnixMicros,
    /// When it was last used, to the minute.
    pub last_used: UnixMicros,
}

impl Store {
    /// A user by exact name.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn user(&self, name: &str) -> Result<Option<UserRecord>, StoreError> {
        let name = name.to_owned();
        self.read(move |connection| {
            let sql = "SELECT name, password_hash, role, created_at FROM users WHERE name = ?1";
            connection.query_row(sql, [name], |row| Ok(user(row))).optional()?.transpose()
        })
        .await
    }

    /// Stores a user, or what has changed about one. A changed password ends the user's web sessions.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn put_user(&self, user: UserRecord) -> Result<(), StoreError> {
        self.write(move |transaction| {
            transaction.execute("DELETE FROM web_sessions WHERE user = ?1", [&user.name])?;
            transaction.execute(
                "INSERT INTO users (name, password_hash, role, created_at) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (name) DO UPDATE SET password_hash = ?2, role = ?3",
                params![user.name, user.password_hash, user.role.as_str(), user.created_at.0],
            )?;
            Ok(())
        })
        .await
    }

    /// Stores a new web session; forgets those that have ended, and of the same user's those used longest ago beyond
    /// [`SESSIONS_PER_USER`].
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn add_web_session(&self, session: WebSessionRecord) -> Result<(), StoreError> {
        self.write(move |transaction| {
            transaction.execute("DELETE FROM web_sessions WHERE expires_at <= ?1", [session.created_at.0])?;
            transaction.execute(
                "INSERT INTO web_sessions (token_hash, user, role, created_at, expires_at, last_used)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    session.token_hash,
                    session.user,
                    session.role.as_str(),
                    session.created_at.0,
                    session.expires_at.0,
                    session.last_used.0
                ],
            )?;
            transaction.execute(
                "DELETE FROM web_sessions WHERE user = ?1 AND token_hash NOT IN
                 (SELECT token_hash FROM web_sessions WHERE user = ?1 ORDER BY last_used DESC LIMIT ?2)",
                params![session.user, SESSIONS_PER_USER],
            )?;
            Ok(())
        })
        .await
    }

    /// A web session by the hash of its token, ended or not.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn web_session(&self, token_hash: [u8; 32]) -> Result<Option<WebSessionRecord>, StoreError> {
        self.read(move |connection| {
            let sql = "SELECT token_hash, user, role, created_at, expires_at, last_used
                       FROM web_sessions WHERE token_hash = ?1";
            connection.query_row(sql, [token_hash], |row| Ok(web_session(row))).optional()?.transpose()
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

fn user(row: &Row<'_>) -> Result<UserRecord, StoreError> {
    Ok(UserRecord {
        name: row.get(0)?,
        password_hash: row.get(1)?,
        role: role(row.get(2)?)?,
        created_at: UnixMicros(row.get(3)?),
    })
}

fn web_session(row: &Row<'_>) -> Result<WebSessionRecord, StoreError> {
    Ok(WebSessionRecord {
        token_hash: row.get(0)?,
        user: row.get(1)?,
        role: role(row.get(2)?)?,
        created_at: UnixMicros(row.get(3)?),
        expires_at: UnixMicros(row.get(4)?),
        last_used: UnixMicros(row.get(5)?),
    })
}

fn role(text: String) -> Result<Role, StoreError> {
    text.parse().map_err(|_| StoreError::Corrupt("role"))
}
