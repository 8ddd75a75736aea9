//! Registered instances and the keys of removed ones.

use roadstead_protocol::message::codec;
use roadstead_protocol::message::ids::{InstanceId, PeerKey};
use roadstead_protocol::message::policy::Policy;
use roadstead_protocol::message::time::UnixMicros;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::api_tokens::release_tokens;
use super::{Store, StoreError};
use crate::model::{InstanceRecord, MemberTerms};

mod keys;

/// Longest name in characters.
pub const MAX_NAME: usize = 64;

/// Another instance has what must be unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// The id: it was derived from an address that the other one has left since.
    Id,
    /// The name.
    Name,
    /// The address.
    Url,
    /// The key.
    Key,
}

/// Why a key counts no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Former {
    /// Its instance was removed.
    Removed,
    /// A newer key of the same instance took its place.
    Replaced,
}

const COLUMNS: &str = "id, name, url, description, environment, tags, key, created_at, last_seen, agent_version, policy, abilities, next_key, key_since, controller_keys, ceiling, declared";

impl Store {
    /// Every instance, by name.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn instances(&self) -> Result<Vec<InstanceRecord>, StoreError> {
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached(&format!("SELECT {COLUMNS} FROM instances ORDER BY name"))?;
            let mut rows = statement.query([])?;
            let mut instances = Vec::new();
            while let Some(row) = rows.next()? {
                instances.push(read_instance(row)?);
            }
            Ok(instances)
        })
        .await
    }

    /// One instance.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn instance(&self, id: InstanceId) -> Result<Option<InstanceRecord>, StoreError> {
        self.read(move |connection| by_id(connection, &id)).await
    }

    /// Several instances; those that are gone are left out.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn instances_of(&self, ids: Vec<InstanceId>) -> Result<Vec<InstanceRecord>, StoreError> {
        self.read(move |connection| ids.iter().filter_map(|id| by_id(connection, id).transpose()).collect())
            .await
    }

    /// The instance whose agent has `key`, or will have it next.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn instance_by_key(&self, key: PeerKey) -> Result<Option<InstanceRecord>, StoreError> {
        self.read(move |connection| by_key(connection, &key)).await
    }

    /// Why `key` no longer counts; none if it never did, or does.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn former_key(&self, key: PeerKey) -> Result<Option<Former>, StoreError> {
        self.read(move |connection| former(connection, &key)).await
    }

    /// Enters a new instance.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn insert_instance(&self, record: InstanceRecord) -> Result<Result<(), Conflict>, StoreError> {
        self.write(move |transaction| {
            if let Some(conflict) = conflict_of_new(transaction, &record)? {
                return Ok(Err(conflict));
            }
            insert(transaction, &record)?;
            Ok(Ok(()))
        })
        .await
    }

    /// Changes an instance: `change` gets the record as it is and makes it what it is to be; the id stays. None if
    /// there is no such instance.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn update_instance<F>(
        &self,
        id: InstanceId,
        change: F,
    ) -> Result<Option<Result<InstanceRecord, Conflict>>, StoreError>
    where
        F: FnOnce(&mut InstanceRecord) + Send + 'static,
    {
        self.write(move |transaction| {
            let Some(mut record) = by_id(transaction, &id)? else { return Ok(None) };
            change(&mut record);
            record.id = id;
            if let Some(conflict) = conflict(transaction, &record)? {
                return Ok(Some(Err(conflict)));
            }
            update(transaction, &record)?;
            Ok(Some(Ok(record)))
        })
        .await
    }

    /// Removes an instance with its tokens and picture and remembers its key as removed. Its events and commands
    /// stay: they are history. None if there is no such instance.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn remove_instance(
        &self,
        id: InstanceId,
        now: UnixMicros,
    ) -> Result<Option<InstanceRecord>, StoreError> {
        self.write(move |transaction| {
            let Some(record) = by_id(transaction, &id)? else { return Ok(None) };
            transaction.execute("DELETE FROM instances WHERE id = ?1", [id.as_str()])?;
            release_tokens(transaction, &id)?;
            for key in record.key.iter().chain(&record.terms.next_key) {
                file(transaction, key, Former::Removed, now)?;
            }
            Ok(Some(record))
        })
        .await
    }

    /// Notes when instances were last in contact.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn save_last_seen(&self, seen: Vec<(InstanceId, UnixMicros)>) -> Result<(), StoreError> {
        self.write(move |transaction| {
            let mut statement =
                transaction.prepare_cached("UPDATE instances SET last_seen = ?2 WHERE id = ?1")?;
            for (id, at) in seen {
                statement.execute(params![id.as_str(), at.0])?;
            }
            Ok(())
        })
        .await
    }
}

pub(super) fn by_id(connection: &Connection, id: &InstanceId) -> Result<Option<InstanceRecord>, StoreError> {
    one(connection, "id", id.as_str())
}

pub(super) fn by_key(connection: &Connection, key: &PeerKey) -> Result<Option<InstanceRecord>, StoreError> {
    match one(connection, "key", key.0)? {
        None => one(connection, "next_key", key.0),
        found => Ok(found),
    }
}

/// The instance whose agent has proven `key`, and has no newer one.
pub(super) fn by_present_key(
    connection: &Connection,
    key: &PeerKey,
) -> Result<Option<InstanceRecord>, StoreError> {
    one(connection, "key", key.0)
}

/// Whoever named `key` as its next one has not proven it: another has.
pub(super) fn forget_claims(connection: &Connection, key: &PeerKey) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE instances SET next_key = NULL WHERE next_key = ?1")?
        .execute([key.0])?;
    Ok(())
}

pub(super) fn name_is_taken(connection: &Connection, name: &str) -> Result<bool, StoreError> {
    Ok(connection.prepare_cached("SELECT 1 FROM instances WHERE name = ?1")?.exists([name])?)
}

pub(super) fn former(connection: &Connection, key: &PeerKey) -> Result<Option<Former>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT reason FROM removed_keys WHERE key = ?1")?;
    let reason: Option<String> = statement.query_row([key.0], |row| row.get(0)).optional()?;
    Ok(reason.map(|reason| if reason == REPLACED { Former::Replaced } else { Former::Removed }))
}

/// Remembers a key that counts no longer, and why.
pub(super) fn file(
    connection: &Connection,
    key: &PeerKey,
    why: Former,
    now: UnixMicros,
) -> Result<(), StoreError> {
    let why = match why {
        Former::Removed => "removed",
        Former::Replaced => REPLACED,
    };
    connection.execute(
        "INSERT INTO removed_keys (key, removed_at, reason) VALUES (?1, ?2, ?3)
         ON CONFLICT (key) DO UPDATE SET removed_at = excluded.removed_at, reason = excluded.reason",
        params![key.0, now.0, why],
    )?;
    Ok(())
}

const REPLACED: &str = "replaced";

pub(super) fn forget_removed(connection: &Connection, key: &PeerKey) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM removed_keys WHERE key = ?1")?.execute([key.0])?;
    Ok(())
}

pub(super) fn insert(connection: &Connection, record: &InstanceRecord) -> Result<(), StoreError> {
    connection
        .prepare_cached(&format!(
            "INSERT INTO instances ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12,
             ?13, ?14, ?15, ?16, ?17)"
        ))?
        .execute(values(record)?.each_ref().map(AsRef::as_ref))?;
    Ok(())
}

pub(super) fn update(connection: &Connection, record: &InstanceRecord) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE instances SET name = ?2, url = ?3, description = ?4, environment = ?5, tags = ?6, key = ?7,
             created_at = ?8, last_seen = ?9, agent_version = ?10, policy = ?11, abilities = ?12,
             next_key = ?13, key_since = ?14, controller_keys = ?15, ceiling = ?16, declared = ?17 WHERE id = ?1",
        )?
        .execute(values(record)?.each_ref().map(AsRef::as_ref))?;
    Ok(())
}

pub(super) fn conflict_of_new(
    connection: &Connection,
    record: &InstanceRecord,
) -> Result<Option<Conflict>, StoreError> {
    match conflict(connection, record)? {
        None if by_id(connection, &record.id)?.is_some() => Ok(Some(Conflict::Id)),
        found => Ok(found),
    }
}

/// Which unique value of `record` another instance has. Within the writer's transaction nobody comes in between.
fn conflict(connection: &Connection, record: &InstanceRecord) -> Result<Option<Conflict>, StoreError> {
    let id = record.id.as_str();
    let taken = |sql: &str, value: &dyn rusqlite::ToSql| -> Result<bool, StoreError> {
        Ok(connection.prepare_cached(sql)?.exists(params![value, id])?)
    };
    if taken("SELECT 1 FROM instances WHERE url = ?1 AND id <> ?2", &record.url)? {
        return Ok(Some(Conflict::Url));
    }
    if taken("SELECT 1 FROM instances WHERE name = ?1 AND id <> ?2", &record.name)? {
        return Ok(Some(Conflict::Name));
    }
    for key in record.key.iter().chain(&record.terms.next_key) {
        if taken("SELECT 1 FROM instances WHERE (key = ?1 OR next_key = ?1) AND id <> ?2", &key.0)? {
            return Ok(Some(Conflict::Key));
        }
    }
    Ok(None)
}

type Value = Box<dyn rusqlite::ToSql>;

fn values(record: &InstanceRecord) -> Result<[Value; 17], StoreError> {
    let json = |list: &[String]| serde_json::to_string(list).map_err(|_| StoreError::Corrupt("tags"));
    let policy = match &record.policy {
        Some(policy) => {
            Some(codec::encode(policy, codec::MAX_MESSAGE).map_err(|_| StoreError::Corrupt("policy"))?)
        }
        None => None,
    };
    Ok([
        Box::new(record.id.as_str().to_owned()),
        Box::new(record.name.clone()),
        Box::new(record.url.clone()),
        Box::new(record.description.clone()),
        Box::new(record.environment.clone()),
        Box::new(json(&record.tags)?),
        Box::new(record.key.map(|key| key.0)),
        Box::new(record.created_at.0),
        Box::new(record.last_seen.map(|at| at.0)),
        Box::new(record.agent_version.clone()),
        Box::new(policy),
        Box::new(json(&record.abilities)?),
        Box::new(record.terms.next_key.map(|key| key.0)),
        Box::new(record.terms.key_since.map(|at| at.0)),
        Box::new(
            record
                .terms
                .controller_keys
                .as_ref()
                .map(|keys| keys.iter().flat_map(|key| key.0).collect::<Vec<u8>>()),
        ),
        Box::new(record.terms.ceiling.as_ref().map(ToString::to_string)),
        Box::new(record.terms.declared),
    ])
}

fn one(
    connection: &Connection,
    column: &str,
    value: impl rusqlite::ToSql,
) -> Result<Option<InstanceRecord>, StoreError> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM instances WHERE {column} = ?1"))?;
    let mut rows = statement.query([value])?;
    rows.next()?.map(read_instance).transpose()
}

fn keys_of(bytes: &[u8]) -> Vec<PeerKey> {
    bytes.chunks_exact(32).filter_map(|key| key.try_into().ok().map(PeerKey)).collect()
}

fn read_instance(row: &Row<'_>) -> Result<InstanceRecord, StoreError> {
    let corrupt = || StoreError::Corrupt("instances");
    let json = |text: String| serde_json::from_str(&text).map_err(|_| corrupt());
    let policy: Option<Policy> = match row.get_ref(10)?.as_blob_or_null().map_err(|_| corrupt())? {
        Some(bytes) => Some(codec::decode(bytes, codec::MAX_MESSAGE).map_err(|_| corrupt())?),
        None => None,
    };
    Ok(InstanceRecord {
        id: row.get::<_, String>(0)?.parse().map_err(|_| corrupt())?,
        name: row.get(1)?,
        url: row.get(2)?,
        description: row.get(3)?,
        environment: row.get(4)?,
        tags: json(row.get(5)?)?,
        key: row.get::<_, Option<[u8; 32]>>(6)?.map(PeerKey),
        created_at: UnixMicros(row.get(7)?),
        last_seen: row.get::<_, Option<i64>>(8)?.map(UnixMicros),
        agent_version: row.get(9)?,
        policy,
        abilities: json(row.get(11)?)?,
        terms: MemberTerms {
            next_key: row.get::<_, Option<[u8; 32]>>(12)?.map(PeerKey),
            key_since: row.get::<_, Option<i64>>(13)?.map(UnixMicros),
            controller_keys: row.get::<_, Option<Vec<u8>>>(14)?.map(|bytes| keys_of(&bytes)),
            ceiling: row
                .get::<_, Option<String>>(15)?
                .map(|text| text.parse())
                .transpose()
                .map_err(|_| corrupt())?,
            declared: row.get(16)?,
        },
    })
}

/// Ids as SQL reads a list of them: a JSON array.
pub(super) fn ids(instances: &[InstanceId]) -> Result<String, StoreError> {
    serde_json::to_string(instances).map_err(|_| StoreError::Corrupt("instances"))
}
