//! Users, as stored.

use roadstead_protocol::message::time::UnixMicros;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use super::{Store, StoreError};
use crate::model::role::Role;

/// Users there may be.
pub const MAX_USERS: u32 = 1000;

/// Somebody who signs in. Holds secrets, and therefore has no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct UserRecord {
    /// Name, as typed at login: lower case.
    pub name: String,
    /// Argon2id hash as a PHC string.
    pub password_hash: String,
    /// What the user may do.
    pub role: Role,
    /// The user sees and acts on instances with one of these tags; empty for all.
    pub tags: Vec<String>,
    /// Whether the user is kept out.
    pub disabled: bool,
    /// When the user was made.
    pub created_at: UnixMicros,
    /// When the user last signed in.
    pub last_login: Option<UnixMicros>,
    /// The secret of the second factor, once that is confirmed.
    pub totp_secret: Option<[u8; 20]>,
    /// The secret of a second factor that is still to be confirmed.
    pub totp_pending: Option<[u8; 20]>,
    /// The provider that the user signs in at; none for a user with a password.
    pub issuer: Option<String>,
}

/// What to change about a user: what is none stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserChange {
    /// New role.
    pub role: Option<Role>,
    /// New tags.
    pub tags: Option<Vec<String>>,
    /// Whether the user is kept out from now on.
    pub disabled: Option<bool>,
}

/// What became of a change of users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserWrite {
    /// It is stored.
    Done,
    /// There is no such user.
    Unknown,
    /// There is a user of that name already.
    Taken,
    /// There are [`MAX_USERS`] already.
    TooMany,
    /// No administrator who may sign in would be left.
    LastAdmin,
}

const COLUMNS: &str =
    "name, password_hash, role, tags, disabled, created_at, last_login, totp_secret, totp_pending, issuer";

impl Store {
    /// A user by exact name.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn user(&self, name: &str) -> Result<Option<UserRecord>, StoreError> {
        let name = name.to_owned();
        self.read(move |connection| find(connection, &name)).await
    }

    /// Every user, by name.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn users(&self) -> Result<Vec<UserRecord>, StoreError> {
        self.read(|connection| {
            let sql = format!("SELECT {COLUMNS} FROM users ORDER BY name");
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_and_then([], user)?;
            rows.collect()
        })
        .await
    }

    /// Stores a new user.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn add_user(&self, user: UserRecord) -> Result<UserWrite, StoreError> {
        self.write(move |transaction| {
            if find(transaction, &user.name)?.is_some() {
                return Ok(UserWrite::Taken);
            }
            let there: u32 = transaction.query_row("SELECT count(*) FROM users", [], |row| row.get(0))?;
            if there >= MAX_USERS {
                return Ok(UserWrite::TooMany);
            }
            transaction.execute(
                "INSERT INTO users (name, password_hash, role, tags, disabled, created_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    user.name,
                    user.password_hash,
                    user.role.as_str(),
                    json(&user.tags)?,
                    user.disabled,
                    user.created_at.0
                ],
            )?;
            Ok(UserWrite::Done)
        })
        .await
    }

    /// Changes a user, unless that would leave no administrator. Who is kept out from now on loses every session.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn change_user(&self, name: String, change: UserChange) -> Result<UserWrite, StoreError> {
        self.write(move |transaction| {
            let Some(user) = find(transaction, &name)? else { return Ok(UserWrite::Unknown) };
            let role = change.role.unwrap_or(user.role);
            let disabled = change.disabled.unwrap_or(user.disabled);
            if (role != Role::Admin || disabled) && is_last_admin(transaction, &user)? {
                return Ok(UserWrite::LastAdmin);
            }
            let tags = json(&change.tags.unwrap_or(user.tags))?;
            // Whoever is kept out or let in by a person is no longer so by a provider.
            let sql = "UPDATE users SET role = ?2, tags = ?3, disabled = ?4,
                       lapsed = CASE WHEN ?5 THEN 0 ELSE lapsed END WHERE name = ?1";
            let decided = change.disabled.is_some();
            transaction.execute(sql, params![name, role.as_str(), tags, disabled, decided])?;
            if disabled {
                transaction.execute("DELETE FROM web_sessions WHERE user = ?1", [&name])?;
            }
            Ok(UserWrite::Done)
        })
        .await
    }

    /// Removes a user with every session and API token, unless that would leave no administrator.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn remove_user(&self, name: String) -> Result<UserWrite, StoreError> {
        self.write(move |transaction| {
            let Some(user) = find(transaction, &name)? else { return Ok(UserWrite::Unknown) };
            if is_last_admin(transaction, &user)? {
                return Ok(UserWrite::LastAdmin);
            }
            transaction.execute("DELETE FROM web_sessions WHERE user = ?1", [&name])?;
            transaction.execute("DELETE FROM users WHERE name = ?1", [&name])?;
            Ok(UserWrite::Done)
        })
        .await
    }

    /// Gives a user a new password, which ends every web session of the user's but `keep`. Returns whether there is
    /// such a user.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn set_password(
        &self,
        name: String,
        password_hash: String,
        keep: Option<[u8; 32]>,
    ) -> Result<bool, StoreError> {
        self.write(move |transaction| {
            transaction.execute(
                "DELETE FROM web_sessions WHERE user = ?1 AND token_hash IS NOT ?2",
                params![name, keep],
            )?;
            let sql = "UPDATE users SET password_hash = ?2 WHERE name = ?1";
            Ok(transaction.execute(sql, params![name, password_hash])? > 0)
        })
        .await
    }

    /// Notes that a user signed in.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn note_login(&self, name: String, at: UnixMicros) -> Result<(), StoreError> {
        self.write(move |transaction| {
            let sql = "UPDATE users SET last_login = ?2 WHERE name = ?1";
            transaction.execute(sql, params![name, at.0])?;
            Ok(())
        })
        .await
    }
}

/// A list of texts as it is stored.
pub(super) fn json(texts: &[String]) -> Result<String, StoreError> {
    serde_json::to_string(texts).map_err(|_| StoreError::Corrupt("a list"))
}

/// A list of texts as it was stored.
pub(super) fn list(text: &str) -> Result<Vec<String>, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Corrupt("a list"))
}

pub(super) fn role(text: &str) -> Result<Role, StoreError> {
    text.parse().map_err(|_| StoreError::Corrupt("role"))
}

pub(super) fn find(connection: &Connection, name: &str) -> Result<Option<UserRecord>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM users WHERE name = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_row([name], |row| Ok(user(row))).optional()?.transpose()
}

pub(super) fn is_last_admin(transaction: &Transaction<'_>, user: &UserRecord) -> Result<bool, StoreError> {
    if user.role != Role::Admin || user.disabled {
        return Ok(false);
    }
    let sql = "SELECT count(*) FROM users WHERE role = ?1 AND disabled = 0 AND name <> ?2";
    let others: i64 =
        transaction.query_row(sql, params![Role::Admin.as_str(), user.name], |row| row.get(0))?;
    Ok(others == 0)
}

fn user(row: &Row<'_>) -> Result<UserRecord, StoreError> {
    Ok(UserRecord {
        name: row.get(0)?,
        password_hash: row.get(1)?,
        role: role(&row.get::<_, String>(2)?)?,
        tags: list(&row.get::<_, String>(3)?)?,
        disabled: row.get(4)?,
        created_at: UnixMicros(row.get(5)?),
        last_login: row.get::<_, Option<i64>>(6)?.map(UnixMicros),
        totp_secret: row.get(7)?,
        totp_pending: row.get(8)?,
        issuer: row.get(9)?,
    })
}
