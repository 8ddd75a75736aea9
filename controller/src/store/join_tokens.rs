//! Join tokens, and redeeming one: the only place where a stranger's key becomes a member's.

use roadstead_protocol::message::hello::Refusal;
use roadstead_protocol::message::ids::{InstanceId, PeerKey, TokenId};
use roadstead_protocol::message::time::UnixMicros;
use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use super::audit::{self, AuditEntry};
use super::instances::{self, Conflict, Former};
use super::{Store, StoreError};
use crate::model::{Direction, Grants, InstanceRecord, JoinTokenRecord};

/// What redeeming a token is decided by, all read in the transaction that redeems it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFacts {
    /// The token.
    pub token: Option<JoinTokenRecord>,
    /// The instance the token is for, or else the one that was dialled.
    pub target: Option<InstanceRecord>,
    /// Why the key counts no longer, if it ever did.
    pub former: Option<Former>,
}

/// What a redeemed token makes of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Binding {
    /// The key of an instance that exists, with what the token gives it.
    Existing(InstanceId, Grants),
    /// The key of an instance that is made now.
    New {
        /// What it is to be. A name that is taken gets a number.
        record: Box<InstanceRecord>,
        /// The id it gets if its own is taken.
        spare_id: InstanceId,
    },
}

const COLUMNS: &str = "id, secret_hash, instance, direction, created_at, expires_at, uses_left, used_at, name, tags, environment, ceiling";

impl Store {
    /// Stores a new token.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn insert_join_token(&self, record: JoinTokenRecord) -> Result<(), StoreError> {
        self.write(move |transaction| insert(transaction, &record)).await
    }

    /// Stores a new instance and a token for it, both or neither.
    ///
    /// # Errors
    /// If they cannot be stored.
    pub async fn insert_instance_with_token(
        &self,
        instance: InstanceRecord,
        token: JoinTokenRecord,
    ) -> Result<Result<(), Conflict>, StoreError> {
        self.write(move |transaction| {
            if let Some(conflict) = instances::conflict_of_new(transaction, &instance)? {
                return Ok(Err(conflict));
            }
            instances::insert(transaction, &instance)?;
            insert(transaction, &token)?;
            Ok(Ok(()))
        })
        .await
    }

    /// Every token, newest first.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn join_tokens(&self) -> Result<Vec<JoinTokenRecord>, StoreError> {
        self.read(|connection| {
            let mut statement = connection
                .prepare(&format!("SELECT {COLUMNS} FROM join_tokens ORDER BY created_at DESC, id"))?;
            let mut rows = statement.query([])?;
            let mut tokens = Vec::new();
            while let Some(row) = rows.next()? {
                tokens.push(read_token(row)?);
            }
            Ok(tokens)
        })
        .await
    }

    /// Whether a token for `instance` can still be redeemed.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn has_open_join_token(
        &self,
        instance: InstanceId,
        now: UnixMicros,
    ) -> Result<bool, StoreError> {
        self.read(move |connection| {
            Ok(connection
                .prepare_cached(
                    "SELECT 1 FROM join_tokens WHERE instance = ?1 AND uses_left > 0 AND expires_at > ?2",
                )?
                .exists(params![instance.as_str(), now.0])?)
        })
        .await
    }

    /// Deletes a token. Whether there was one.
    ///
    /// # Errors
    /// If it cannot be deleted.
    pub async fn delete_join_token(&self, id: TokenId) -> Result<bool, StoreError> {
        self.write(move |transaction| {
            Ok(transaction.execute("DELETE FROM join_tokens WHERE id = ?1", [id.0.into_bytes()])? > 0)
        })
        .await
    }

    /// Deletes the tokens for `instance` that end at `expires_at`, but for `except`.
    ///
    /// # Errors
    /// If they cannot be deleted.
    pub async fn delete_join_tokens_of(
        &self,
        instance: InstanceId,
        expires_at: UnixMicros,
        except: Option<TokenId>,
    ) -> Result<(), StoreError> {
        self.write(move |transaction| {
            transaction.execute(
                "DELETE FROM join_tokens WHERE instance = ?1 AND expires_at = ?2 AND id IS NOT ?3",
                params![instance.as_str(), expires_at.0, except.map(|id| id.0.into_bytes())],
            )?;
            Ok(())
        })
        .await
    }

    /// Deletes tokens that expired before `before`. How many.
    ///
    /// # Errors
    /// If they cannot be deleted.
    pub async fn prune_join_tokens(&self, before: UnixMicros) -> Result<usize, StoreError> {
        self.write(move |transaction| {
            Ok(transaction.execute("DELETE FROM join_tokens WHERE expires_at < ?1", [before.0])?)
        })
        .await
    }

    /// Redeems a token in one transaction: `decide` judges the facts; by its word one use is taken, the key bound
    /// (an earlier key of the instance becomes a removed one), the instance made if it is new, `tell` enters what
    /// its agent tells of itself, and the `entry` about it is written to the audit log. A key that has become a member in the
    /// meantime is that member, and no use is taken.
    ///
    /// # Errors
    /// If it cannot be stored; then nothing of it is.
    pub async fn redeem_join_token<F, T, A>(
        &self,
        (id, key): (TokenId, PeerKey),
        dialled: Option<InstanceId>,
        now: UnixMicros,
        decide: F,
        tell: T,
        entry: A,
    ) -> Result<Result<InstanceRecord, Refusal>, StoreError>
    where
        F: FnOnce(&TokenFacts) -> Result<Binding, Refusal> + Send + 'static,
        T: FnOnce(&mut InstanceRecord) + Send + 'static,
        A: FnOnce(&InstanceRecord) -> AuditEntry + Send + 'static,
    {
        self.write(move |transaction| {
            if let Some(member) = instances::by_present_key(transaction, &key)? {
                return Ok(Ok(member));
            }
            let facts = facts(transaction, id, &key, dialled)?;
            let binding = match decide(&facts) {
                Ok(binding) => binding,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let sql = "UPDATE join_tokens SET uses_left = uses_left - 1, used_at = ?2 WHERE id = ?1";
            transaction.prepare_cached(sql)?.execute(params![id.0.into_bytes(), now.0])?;
            instances::forget_removed(transaction, &key)?;
            instances::forget_claims(transaction, &key)?;
            let record = bind(transaction, binding, key, now, tell)?;
            audit::append(transaction, &entry(&record))?;
            Ok(Ok(record))
        })
        .await
    }
}

fn facts(
    connection: &Connection,
    id: TokenId,
    key: &PeerKey,
    dialled: Option<InstanceId>,
) -> Result<TokenFacts, StoreError> {
    let token = one(connection, id)?;
    let target = token.as_ref().and_then(|token| token.instance.clone()).or(dialled);
    let target = match target {
        Some(target) => instances::by_id(connection, &target)?,
        None => None,
    };
    Ok(TokenFacts { token, target, former: instances::former(connection, key)? })
}

fn bind(
    connection: &Connection,
    binding: Binding,
    key: PeerKey,
    now: UnixMicros,
    tell: impl FnOnce(&mut InstanceRecord),
) -> Result<InstanceRecord, StoreError> {
    match binding {
        Binding::Existing(id, grants) => {
            let mut record = instances::by_id(connection, &id)?.ok_or(StoreError::Corrupt("join_tokens"))?;
            for earlier in record.key.replace(key).iter().chain(&record.terms.next_key.take()) {
                instances::file(connection, earlier, Former::Replaced, now)?;
            }
            record.terms.key_since = Some(now);
            record.terms.controller_keys = None;
            give(&mut record, grants);
            tell(&mut record);
            instances::update(connection, &record)?;
            Ok(record)
        }
        Binding::New { mut record, spare_id } => {
            record.key = Some(key);
            record.terms.key_since = Some(now);
            record.name = free_name(connection, &record.name)?;
            if instances::by_id(connection, &record.id)?.is_some() {
                record.id = spare_id;
            }
            tell(&mut record);
            instances::insert(connection, &record)?;
            Ok(*record)
        }
    }
}

/// What a token gives to an instance that exists: tags are added, the rest takes the place of what was.
pub fn give(record: &mut InstanceRecord, grants: Grants) {
    record.tags.extend(grants.tags);
    record.tags.sort();
    record.tags.dedup();
    if grants.environment.is_some() {
        record.environment = grants.environment;
    }
    if grants.ceiling.is_some() {
        record.terms.ceiling = grants.ceiling;
    }
}

/// `name`, or with a number behind it if it is taken: `host`, `host-2`, `host-3`, …
fn free_name(connection: &Connection, name: &str) -> Result<String, StoreError> {
    let mut candidate = name.to_owned();
    let mut number = 1_u32;
    while instances::name_is_taken(connection, &candidate)? {
        number += 1;
        let suffix = format!("-{number}");
        let kept: String = name.chars().take(instances::MAX_NAME - suffix.len()).collect();
        candidate = kept + &suffix;
    }
    Ok(candidate)
}

fn insert(connection: &Connection, record: &JoinTokenRecord) -> Result<(), StoreError> {
    connection.execute(
        &format!(
            "INSERT INTO join_tokens ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
        ),
        params![
            record.id.0.into_bytes(),
            record.secret_hash,
            record.instance.as_ref().map(InstanceId::as_str),
            record.direction.as_str(),
            record.created_at.0,
            record.expires_at.0,
            record.uses_left,
            record.used_at.map(|at| at.0),
            record.name,
            serde_json::to_string(&record.grants.tags).map_err(|_| StoreError::Corrupt("tags"))?,
            record.grants.environment,
            record.grants.ceiling.as_ref().map(ToString::to_string),
        ],
    )?;
    Ok(())
}

fn one(connection: &Connection, id: TokenId) -> Result<Option<JoinTokenRecord>, StoreError> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM join_tokens WHERE id = ?1"))?;
    let mut rows = statement.query([id.0.into_bytes()])?;
    rows.next()?.map(read_token).transpose()
}

fn read_token(row: &Row<'_>) -> Result<JoinTokenRecord, StoreError> {
    let corrupt = || StoreError::Corrupt("join_tokens");
    let instance =
        row.get::<_, Option<String>>(2)?.map(|id| id.parse().map_err(|_| corrupt())).transpose()?;
    let direction = match row.get_ref(3)?.as_str().map_err(|_| corrupt())? {
        "outbound" => Direction::Outbound,
        "inbound" => Direction::Inbound,
        _ => return Err(corrupt()),
    };
    Ok(JoinTokenRecord {
        id: TokenId(Uuid::from_bytes(row.get(0)?)),
        secret_hash: row.get(1)?,
        instance,
        direction,
        created_at: UnixMicros(row.get(4)?),
        expires_at: UnixMicros(row.get(5)?),
        uses_left: row.get(6)?,
        used_at: row.get::<_, Option<i64>>(7)?.map(UnixMicros),
        name: row.get(8)?,
        grants: Grants {
            tags: serde_json::from_str(&row.get::<_, String>(9)?).map_err(|_| corrupt())?,
            environment: row.get(10)?,
            ceiling: row
                .get::<_, Option<String>>(11)?
                .map(|text| text.parse())
                .transpose()
                .map_err(|_| corrupt())?,
        },
    })
}
