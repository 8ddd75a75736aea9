//! API tokens, as stored: without their secrets.

use roadstead_protocol::message::ids::InstanceId;
use roadstead_protocol::message::time::UnixMicros;
use rusqlite::{OptionalExtension as _, Row, Transaction, params};
use uuid::Uuid;

use super::users::{json, list, role};
use super::{Store, StoreError};
use crate::model::role::Role;

/// API tokens that one user may have.
pub const TOKENS_PER_USER: u32 = 100;

/// Most tokens of one list.
const LISTED: u32 = 1000;

/// An API token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiTokenRecord {
    /// Its id.
    pub id: Uuid,
    /// Whose token: it may never do more than this user.
    pub user: String,
    /// Name, unique among the user's.
    pub name: String,
    /// SHA-256 of the token.
    pub secret_hash: [u8; 32],
    /// The most it may do.
    pub scope: Role,
    /// It sees and acts on instances with one of these tags, and
    pub tags: Vec<String>,
    /// these instances, by id; both empty for all of the user's.
    pub instances: Vec<String>,
    /// When it was made.
    pub created_at: UnixMicros,
    /// When it ends; none if it does not.
    pub expires_at: Option<UnixMicros>,
    /// When it was last used, to the minute.
    pub last_used: Option<UnixMicros>,
    /// From where it was last used.
    pub last_address: Option<String>,
}

/// A token together with what its user may do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiTokenOwner {
    /// The token.
    pub token: ApiTokenRecord,
    /// The user's role.
    pub role: Role,
    /// The user's tags.
    pub tags: Vec<String>,
}

/// What became of a new token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiTokenWrite {
    /// It is stored.
    Done,
    /// The user has a token of that name.
    Taken,
    /// The user has [`TOKENS_PER_USER`] already.
    TooMany,
}

const COLUMNS: &str = "t.id, t.user, t.name, t.secret_hash, t.scope, t.tags, t.instances, t.created_at, \
    t.expires_at, t.last_used, t.last_address";

impl Store {
    /// Stores a new token.
    ///
    /// # Errors
    /// If it cannot be stored, or there is no such user.
    pub async fn add_api_token(&self, token: ApiTokenRecord) -> Result<ApiTokenWrite, StoreError> {
        self.write(move |transaction| {
            let sql = "SELECT count(*), coalesce(max(name = ?2), 0) FROM api_tokens WHERE user = ?1";
            let (there, taken): (u32, bool) =
                transaction
                    .query_row(sql, [&token.user, &token.name], |row| Ok((row.get(0)?, row.get(1)?)))?;
            if taken {
                return Ok(ApiTokenWrite::Taken);
            }
            if there >= TOKENS_PER_USER {
                return Ok(ApiTokenWrite::TooMany);
            }
            transaction.execute(
                "INSERT INTO api_tokens
                 (id, user, name, secret_hash, scope, tags, instances, created_at, expires_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                params![
                    token.id.into_bytes(),
                    token.user,
                    token.name,
                    token.secret_hash,
                    token.scope.as_str(),
                    json(&token.tags)?,
                    json(&token.instances)?,
                    token.created_at.0,
                    token.expires_at.map(|at| at.0)
                ],
            )?;
            Ok(ApiTokenWrite::Done)
        })
        .await
    }

    /// A token by the hash of its secret, ended or not, unless its user is kept out.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn api_token(&self, secret_hash: [u8; 32]) -> Result<Option<ApiTokenOwner>, StoreError> {
        self.look_up(move |connection| {
            let sql = format!(
                "SELECT {COLUMNS}, u.role, u.tags FROM api_tokens t JOIN users u ON u.name = t.user
                 WHERE u.disabled = 0 AND t.secret_hash = ?1"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            statement.query_row([secret_hash], |row| Ok(owner(row))).optional()?.transpose()
        })
        .await
    }

    /// The tokens of a user, or everybody's, by user and name.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn api_tokens(&self, user: Option<String>) -> Result<Vec<ApiTokenRecord>, StoreError> {
        self.read(move |connection| {
            let sql = format!(
                "SELECT {COLUMNS} FROM api_tokens t WHERE t.user = coalesce(?1, t.user)
                 ORDER BY t.user, t.name LIMIT ?2"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            statement.query_and_then(params![user, LISTED], token)?.collect()
        })
        .await
    }

    /// Revokes a token, if it is `user`'s (none: whoever's). Returns whose it was, and its name.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn remove_api_token(
        &self,
        id: Uuid,
        user: Option<String>,
    ) -> Result<Option<(String, String)>, StoreError> {
        self.write(move |transaction| {
            let sql =
                "DELETE FROM api_tokens WHERE id = ?1 AND user = coalesce(?2, user) RETURNING user, name";
            let removed = transaction
                .query_row(sql, params![id.into_bytes(), user], |row| Ok((row.get(0)?, row.get(1)?)));
            Ok(removed.optional()?)
        })
        .await
    }

    /// Notes that a token was used.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn touch_api_token(&self, id: Uuid, at: UnixMicros, address: String) -> Result<(), StoreError> {
        self.write(move |transaction| {
            let sql = "UPDATE api_tokens SET last_used = ?2, last_address = ?3 WHERE id = ?1";
            transaction.execute(sql, params![id.into_bytes(), at.0, address])?;
            Ok(())
        })
        .await
    }
}

/// Takes a removed instance out of the limits of tokens. One that is registered later may have its id, and is not what
/// they were made for. Something stays in its place: a token that had this limit alone must not become one without limits.
pub(super) fn release_tokens(transaction: &Transaction<'_>, id: &InstanceId) -> Result<(), StoreError> {
    let sql =
        "UPDATE api_tokens SET instances = replace(instances, '\"' || ?1 || '\"', '\"removed-' || ?1 || '\"')
               WHERE instr(instances, '\"' || ?1 || '\"') > 0";
    transaction.execute(sql, [id.as_str()])?;
    Ok(())
}

fn owner(row: &Row<'_>) -> Result<ApiTokenOwner, StoreError> {
    let (role_text, tags): (String, String) = (row.get(11)?, row.get(12)?);
    Ok(ApiTokenOwner { token: token(row)?, role: role(&role_text)?, tags: list(&tags)? })
}

fn token(row: &Row<'_>) -> Result<ApiTokenRecord, StoreError> {
    Ok(ApiTokenRecord {
        id: Uuid::from_bytes(row.get(0)?),
        user: row.get(1)?,
        name: row.get(2)?,
        secret_hash: row.get(3)?,
        scope: role(&row.get::<_, String>(4)?)?,
        tags: list(&row.get::<_, String>(5)?)?,
        instances: list(&row.get::<_, String>(6)?)?,
        created_at: UnixMicros(row.get(7)?),
        expires_at: row.get::<_, Option<i64>>(8)?.map(UnixMicros),
        last_used: row.get::<_, Option<i64>>(9)?.map(UnixMicros),
        last_address: row.get(10)?,
    })
}
