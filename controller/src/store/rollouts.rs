//! Rollouts and their steps.

use roadstead_protocol::message::command::Strategy;
use roadstead_protocol::message::ids::{CommandId, InstanceId};
use roadstead_protocol::message::time::UnixMicros;
use rusqlite::{Connection, Row, ToSql, Transaction, params};
use uuid::Uuid;

use super::{Store, StoreError};
use crate::model::rollout::{RolloutId, RolloutRecord, RolloutStep, StepState, Stopped};

/// Ended rollouts that are kept, the newest.
const KEPT: i64 = 500;

const COLUMNS: &str = "id, issued_by, issued_at, batch_size, stop_on_failure, queue_secs, strategy, verify_secs, \
     failed_host, stopped_by, ended_at";

impl Store {
    /// Stores a new rollout, and forgets the oldest of too many ended ones.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn add_rollout(&self, record: RolloutRecord) -> Result<(), StoreError> {
        self.write(move |transaction| {
            upsert(transaction, &record)?;
            for place in 0..record.steps.len() {
                upsert_step(transaction, &record, place)?;
            }
            transaction
                .prepare_cached(
                    "DELETE FROM rollouts WHERE ended_at IS NOT NULL AND id NOT IN \
                     (SELECT id FROM rollouts WHERE ended_at IS NOT NULL ORDER BY id DESC LIMIT ?1)",
                )?
                .execute([KEPT])?;
            Ok(())
        })
        .await
    }

    /// Stores a rollout that has changed, with the steps at `places`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn save_rollout(&self, record: RolloutRecord, places: Vec<usize>) -> Result<(), StoreError> {
        self.write(move |transaction| {
            upsert(transaction, &record)?;
            for place in places {
                upsert_step(transaction, &record, place)?;
            }
            Ok(())
        })
        .await
    }

    /// One rollout.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn rollout(&self, id: RolloutId) -> Result<Option<RolloutRecord>, StoreError> {
        let mut found = self.read(move |connection| select(connection, "WHERE id = ?1", &blob(id.0))).await?;
        Ok(found.pop())
    }

    /// The newest rollouts, newest first.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn rollouts(&self, limit: usize) -> Result<Vec<RolloutRecord>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.read(move |connection| select(connection, "ORDER BY id DESC LIMIT ?1", &limit)).await
    }

    /// Those that have not ended, oldest first.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn unfinished_rollouts(&self) -> Result<Vec<RolloutRecord>, StoreError> {
        self.read(|connection| select(connection, "WHERE ended_at IS NULL AND ?1 ORDER BY id", &true)).await
    }
}

fn upsert(transaction: &Transaction<'_>, record: &RolloutRecord) -> Result<(), StoreError> {
    let (failed_host, stopped_by) = match &record.stopped {
        Some(Stopped::Failure { host }) => (Some(host), None),
        Some(Stopped::Person { name }) => (None, Some(name)),
        None => (None, None),
    };
    transaction
        .prepare_cached(
            "INSERT INTO rollouts (id, issued_by, issued_at, batch_size, stop_on_failure, queue_secs, strategy, \
             verify_secs, failed_host, stopped_by, ended_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
             ON CONFLICT (id) DO UPDATE SET failed_host = excluded.failed_host, \
             stopped_by = excluded.stopped_by, ended_at = excluded.ended_at",
        )?
        .execute(params![
            blob(record.id.0),
            record.issued_by,
            record.issued_at.0,
            record.batch_size,
            record.stop_on_failure,
            record.queue_secs,
            record.strategy.map(strategy_word),
            record.verify_secs,
            failed_host,
            stopped_by,
            record.ended_at.map(|at| at.0),
        ])?;
    Ok(())
}

fn upsert_step(
    transaction: &Transaction<'_>,
    record: &RolloutRecord,
    place: usize,
) -> Result<(), StoreError> {
    let step = record.steps.get(place).ok_or(StoreError::Corrupt("a rollout's step"))?;
    transaction
        .prepare_cached(
            "INSERT INTO rollout_steps (rollout, place, instance, name, project, state, command, reason) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (rollout, place) DO UPDATE SET \
             state = excluded.state, command = excluded.command, reason = excluded.reason",
        )?
        .execute(params![
            blob(record.id.0),
            i64::try_from(place).unwrap_or(i64::MAX),
            step.instance.as_str(),
            step.name,
            step.project,
            step.state.as_str(),
            step.command.map(|id| blob(id.0)),
            step.reason,
        ])?;
    Ok(())
}

fn select(connection: &Connection, which: &str, value: &dyn ToSql) -> Result<Vec<RolloutRecord>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM rollouts {which}"))?;
    let mut rows = statement.query([value])?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        let mut record = record(row)?;
        record.steps = steps(connection, record.id)?;
        records.push(record);
    }
    Ok(records)
}

fn record(row: &Row<'_>) -> Result<RolloutRecord, StoreError> {
    let strategy: Option<String> = row.get(6)?;
    let (failed_host, stopped_by): (Option<String>, Option<String>) = (row.get(8)?, row.get(9)?);
    let failed = failed_host.map(|host| Stopped::Failure { host });
    Ok(RolloutRecord {
        id: RolloutId(uuid(&row.get::<_, Vec<u8>>(0)?)?),
        issued_by: row.get(1)?,
        issued_at: UnixMicros(row.get(2)?),
        batch_size: row.get(3)?,
        stop_on_failure: row.get(4)?,
        queue_secs: row.get(5)?,
        strategy: strategy.map(|word| strategy_of(&word)).transpose()?,
        verify_secs: row.get(7)?,
        stopped: failed.or_else(|| stopped_by.map(|name| Stopped::Person { name })),
        ended_at: row.get::<_, Option<i64>>(10)?.map(UnixMicros),
        steps: Vec::new(),
    })
}

fn steps(connection: &Connection, rollout: RolloutId) -> Result<Vec<RolloutStep>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT instance, name, project, state, command, reason FROM rollout_steps WHERE rollout = ?1 \
         ORDER BY place",
    )?;
    let mut rows = statement.query([blob(rollout.0)])?;
    let mut steps = Vec::new();
    while let Some(row) = rows.next()? {
        let instance: String = row.get(0)?;
        let state: String = row.get(3)?;
        let command: Option<Vec<u8>> = row.get(4)?;
        steps.push(RolloutStep {
            instance: InstanceId::try_from(instance)
                .map_err(|_| StoreError::Corrupt("rollout_steps.instance"))?,
            name: row.get(1)?,
            project: row.get(2)?,
            state: StepState::ALL
                .into_iter()
                .find(|known| known.as_str() == state)
                .ok_or(StoreError::Corrupt("rollout_steps.state"))?,
            command: command.map(|bytes| uuid(&bytes).map(CommandId)).transpose()?,
            reason: row.get(5)?,
        });
    }
    Ok(steps)
}

const fn strategy_word(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Script => "script",
        Strategy::Compose => "compose",
        Strategy::Engine => "engine",
        Strategy::Unknown => "unknown",
    }
}

fn strategy_of(word: &str) -> Result<Strategy, StoreError> {
    match word {
        "script" => Ok(Strategy::Script),
        "compose" => Ok(Strategy::Compose),
        "engine" => Ok(Strategy::Engine),
        _ => Err(StoreError::Corrupt("rollouts.strategy")),
    }
}

fn uuid(bytes: &[u8]) -> Result<Uuid, StoreError> {
    Uuid::from_slice(bytes).map_err(|_| StoreError::Corrupt("an id of a rollout"))
}

fn blob(id: Uuid) -> [u8; 16] {
    id.into_bytes()
}
