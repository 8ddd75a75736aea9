//! Users who sign in at a provider, as stored: by issuer and subject.

use roadstead_protocol::message::time::UnixMicros;
use rusqlite::{OptionalExtension as _, Row, Transaction, params};

use super::users::{MAX_USERS, UserRecord, find, is_last_admin, json};
use super::{Store, StoreError};
use crate::model::role::Role;

/// Somebody whom a provider has just vouched for.
#[derive(Clone)]
pub struct ExternalSignIn {
    /// The provider.
    pub issuer: String,
    /// Its name for the person.
    pub subject: String,
    /// Names to be known by here, the best first: the first that is free is taken, once.
    pub names: Vec<String>,
    /// What the person may do from now on.
    pub role: Role,
    /// The tags that go with it.
    pub tags: Vec<String>,
    /// When it is.
    pub at: UnixMicros,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExternalWrite {
    /// A user was made for the person, of this name.
    Made(String),
    /// The person is the user of this name, as before or with another role or other tags.
    Known {
        /// The name.
        name: String,
        /// Whether role or tags changed, or the user was kept out for want of a group until now.
        changed: bool,
    },
    /// An administrator keeps the user of this name out.
    KeptOut(String),
    /// The user of this name would lose the role of the last administrator.
    LastAdmin(String),
    /// There are [`MAX_USERS`] already, or every name is taken.
    TooMany,
}

impl Store {
    /// Signs somebody in: makes the user at the first time, and gives role and tags as they are now.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn sign_in_external(&self, person: ExternalSignIn) -> Result<ExternalWrite, StoreError> {
        self.write(move |transaction| match known(transaction, &person.issuer, &person.subject)? {
            Some((user, lapsed)) => again(transaction, &person, user, lapsed),
            None => first(transaction, &person),
        })
        .await
    }

    /// Keeps somebody out whom no group lets in any more, and ends the person's sessions; the last administrator stays.
    /// Returns the name of the user who is kept out from now on.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn lapse_external(
        &self,
        issuer: String,
        subject: String,
    ) -> Result<Option<String>, StoreError> {
        self.write(move |transaction| {
            let Some((user, _)) = known(transaction, &issuer, &subject)? else { return Ok(None) };
            if user.disabled || is_last_admin(transaction, &user)? {
                return Ok(None);
            }
            transaction.execute("UPDATE users SET disabled = 1, lapsed = 1 WHERE name = ?1", [&user.name])?;
            transaction.execute("DELETE FROM web_sessions WHERE user = ?1", [&user.name])?;
            Ok(Some(user.name))
        })
        .await
    }
}

fn known(
    transaction: &Transaction<'_>,
    issuer: &str,
    subject: &str,
) -> Result<Option<(UserRecord, bool)>, StoreError> {
    let sql = "SELECT name, lapsed FROM users WHERE issuer = ?1 AND subject = ?2";
    let row = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get(1)?));
    let Some((name, lapsed)) = transaction.query_row(sql, [issuer, subject], row).optional()? else {
        return Ok(None);
    };
    Ok(find(transaction, &name)?.map(|user| (user, lapsed)))
}

fn again(
    transaction: &Transaction<'_>,
    person: &ExternalSignIn,
    user: UserRecord,
    lapsed: bool,
) -> Result<ExternalWrite, StoreError> {
    if user.disabled && !lapsed {
        return Ok(ExternalWrite::KeptOut(user.name));
    }
    if person.role != Role::Admin && is_last_admin(transaction, &user)? {
        return Ok(ExternalWrite::LastAdmin(user.name));
    }
    let sql =
        "UPDATE users SET role = ?2, tags = ?3, disabled = 0, lapsed = 0, last_login = ?4 WHERE name = ?1";
    transaction.execute(sql, params![user.name, person.role.as_str(), json(&person.tags)?, person.at.0])?;
    let changed = lapsed || (user.role, user.tags) != (person.role, person.tags.clone());
    Ok(ExternalWrite::Known { name: user.name, changed })
}

fn first(transaction: &Transaction<'_>, person: &ExternalSignIn) -> Result<ExternalWrite, StoreError> {
    let there: u32 = transaction.query_row("SELECT count(*) FROM users", [], |row| row.get(0))?;
    let mut free = None;
    for name in &person.names {
        if find(transaction, name)?.is_none() {
            free = Some(name.clone());
            break;
        }
    }
    let Some(name) = free.filter(|_| there < MAX_USERS) else { return Ok(ExternalWrite::TooMany) };
    transaction.execute(
        // No password fits an empty hash.
        "INSERT INTO users (name, password_hash, role, tags, created_at, last_login, issuer, subject)
         VALUES (?1, '', ?2, ?3, ?4, ?4, ?5, ?6)",
        params![name, person.role.as_str(), json(&person.tags)?, person.at.0, person.issuer, person.subject],
    )?;
    Ok(ExternalWrite::Made(name))
}
