//! Commands and their logs.

use roadstead_protocol::message::codec::{self, MAX_MESSAGE};
use roadstead_protocol::message::ids::{BootId, CommandId, InstanceId};
use roadstead_protocol::message::time::UnixMicros;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::instances::ids;
use super::{Store, StoreError};
use crate::model::{CommandRecord, CommandState, LogLine};

#[cfg(test)]
mod tests;

/// Which commands to list; the default is all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandFilter {
    /// Only these instances'; none for all.
    pub instances: Option<Vec<InstanceId>>,
    /// Only this instance's.
    pub instance: Option<InstanceId>,
    /// Only those in this state.
    pub state: Option<CommandState>,
    /// Only those that have not ended.
    pub unfinished: bool,
}

/// A log line as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedLine {
    /// Number of the line.
    pub line: u64,
    /// When, by the agent's clock.
    pub at: UnixMicros,
    /// MessagePack of a `Progress`.
    pub entry: Vec<u8>,
}

/// How much of a command's log is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogSize {
    /// Bytes of all lines but the last.
    pub bytes_before_last: u64,
    /// The last line with its bytes.
    pub last: Option<(LogLine, u64)>,
}

const COLUMNS: &str = "id, instance, work, issued_by, issued_at, state, queue_until, deadline_secs, boot, \
     sent_at, started_at, ended_at, cancel_requested, outcome, reason";

impl Store {
    /// Stores a command, new or changed. One that is stored as ended stays as it is.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn save_command(&self, record: CommandRecord) -> Result<(), StoreError> {
        let work = encode(&record.work)?;
        let outcome = record.outcome.as_ref().map(encode).transpose()?;
        self.write(move |transaction| {
            let mut statement = transaction.prepare_cached(
                "INSERT INTO commands (id, instance, work, issued_by, issued_at, state, queue_until, \
                 deadline_secs, boot, sent_at, started_at, ended_at, cancel_requested, outcome, reason) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15) \
                 ON CONFLICT (id) DO UPDATE SET work = excluded.work, state = excluded.state, \
                 boot = excluded.boot, sent_at = excluded.sent_at, started_at = excluded.started_at, ended_at = excluded.ended_at, \
                 cancel_requested = excluded.cancel_requested, outcome = excluded.outcome, \
                 reason = excluded.reason WHERE commands.ended_at IS NULL",
            )?;
            statement.execute(params![
                blob(record.id.0),
                record.instance.as_str(),
                work,
                record.issued_by,
                record.issued_at.0,
                record.state.as_str(),
                record.queue_until.map(|at| at.0),
                record.deadline_secs,
                record.boot.map(|boot| blob(boot.0)),
                record.sent_at.map(|at| at.0),
                record.started_at.map(|at| at.0),
                record.ended_at.map(|at| at.0),
                record.cancel_requested,
                outcome,
                record.reason,
            ])?;
            Ok(())
        })
        .await
    }

    /// One command.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn command(&self, id: CommandId) -> Result<Option<CommandRecord>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM commands WHERE id = ?1");
        let mut found = self.read(move |connection| select(connection, &sql, vec![id_value(id)])).await?;
        Ok(found.pop())
    }

    /// Commands that have not ended, and those that ended after `since`, oldest first, with the size of their logs.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn recent_commands(
        &self,
        since: UnixMicros,
    ) -> Result<Vec<(CommandRecord, LogSize)>, StoreError> {
        let sql =
            format!("SELECT {COLUMNS} FROM commands WHERE ended_at IS NULL OR ended_at > ?1 ORDER BY id");
        self.read(move |connection| {
            let records = select(connection, &sql, vec![since.0.into()])?;
            records
                .into_iter()
                .map(|record| {
                    let size = log_size(connection, record.id)?;
                    Ok((record, size))
                })
                .collect()
        })
        .await
    }

    /// Commands, newest first, from the one before `before` on.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn commands(
        &self,
        filter: CommandFilter,
        before: Option<CommandId>,
        limit: usize,
    ) -> Result<Vec<CommandRecord>, StoreError> {
        let mut sql = format!("SELECT {COLUMNS} FROM commands WHERE TRUE");
        let mut values = Vec::new();
        if let Some(instances) = filter.instances {
            // Not by the index of instances: the newest of many are wanted, whichever they are of.
            sql.push_str(" AND +instance IN (SELECT value FROM json_each(?))");
            values.push(Value::from(ids(&instances)?));
        }
        if let Some(instance) = filter.instance {
            sql.push_str(" AND instance = ?");
            values.push(Value::from(String::from(instance)));
        }
        if let Some(state) = filter.state {
            sql.push_str(" AND state = ?");
            values.push(Value::from(state.as_str().to_owned()));
        }
        if filter.unfinished {
            sql.push_str(" AND ended_at IS NULL");
        }
        if let Some(before) = before {
            sql.push_str(" AND id < ?");
            values.push(id_value(before));
        }
        sql.push_str(" ORDER BY id DESC LIMIT ?");
        values.push(Value::from(integer(limit)));
        self.read(move |connection| select(connection, &sql, values)).await
    }

    /// Adds lines to a command's log; one whose number is there already replaces that.
    ///
    /// # Errors
    /// If they cannot be written, or there is no such command.
    pub async fn append_command_lines(
        &self,
        command: CommandId,
        lines: Vec<EncodedLine>,
    ) -> Result<(), StoreError> {
        self.write(move |transaction| {
            let mut statement = transaction.prepare_cached(
                "INSERT INTO command_lines (command, line, at, entry) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT (command, line) DO UPDATE SET at = excluded.at, entry = excluded.entry",
            )?;
            for line in lines {
                let number = i64::try_from(line.line).map_err(|_| StoreError::Corrupt("a line number"))?;
                statement.execute(params![blob(command.0), number, line.at.0, line.entry])?;
            }
            Ok(())
        })
        .await
    }

    /// Lines of a command's log from `from_line` on, in order.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn command_lines(
        &self,
        command: CommandId,
        from_line: u64,
        limit: usize,
    ) -> Result<Vec<LogLine>, StoreError> {
        let Ok(from_line) = i64::try_from(from_line) else { return Ok(Vec::new()) };
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT line, at, entry FROM command_lines WHERE command = ?1 AND line >= ?2 \
                 ORDER BY line LIMIT ?3",
            )?;
            let mut rows = statement.query(params![blob(command.0), from_line, integer(limit)])?;
            let mut lines = Vec::new();
            while let Some(row) = rows.next()? {
                lines.push(log_line(row)?);
            }
            Ok(lines)
        })
        .await
    }

    /// At most `limit` ended commands that are too old to keep: issued before `issued_before`, or behind the newest
    /// `keep` of their instance.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn outdated_commands(
        &self,
        issued_before: UnixMicros,
        keep: usize,
        limit: usize,
    ) -> Result<Vec<CommandId>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id FROM commands WHERE ended_at IS NOT NULL AND id < ?1 \
                 UNION SELECT commands.id FROM (SELECT DISTINCT instance FROM commands) AS hosts \
                 JOIN commands ON commands.instance = hosts.instance AND commands.ended_at IS NOT NULL \
                 AND commands.id <= (SELECT id FROM commands AS newer WHERE newer.instance = hosts.instance \
                 ORDER BY id DESC LIMIT 1 OFFSET ?2) LIMIT ?3",
            )?;
            let mut rows =
                statement.query(params![first_id_at(issued_before), integer(keep), integer(limit)])?;
            let mut ids = Vec::new();
            while let Some(row) = rows.next()? {
                ids.push(CommandId(uuid(&row.get::<_, Vec<u8>>(0)?)?));
            }
            Ok(ids)
        })
        .await
    }

    /// Forgets commands and their logs.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn remove_commands(&self, ids: Vec<CommandId>) -> Result<(), StoreError> {
        self.write(move |transaction| {
            let mut statement = transaction.prepare_cached("DELETE FROM commands WHERE id = ?1")?;
            for id in ids {
                statement.execute([blob(id.0)])?;
            }
            Ok(())
        })
        .await
    }
}

fn select(connection: &Connection, sql: &str, values: Vec<Value>) -> Result<Vec<CommandRecord>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        records.push(record(row)?);
    }
    Ok(records)
}

fn record(row: &Row<'_>) -> Result<CommandRecord, StoreError> {
    let time = |index| Ok::<_, StoreError>(row.get::<_, Option<i64>>(index)?.map(UnixMicros));
    let instance: String = row.get(1)?;
    let state: String = row.get(5)?;
    let boot: Option<Vec<u8>> = row.get(8)?;
    let outcome: Option<Vec<u8>> = row.get(13)?;
    Ok(CommandRecord {
        id: CommandId(uuid(&row.get::<_, Vec<u8>>(0)?)?),
        instance: InstanceId::try_from(instance).map_err(|_| StoreError::Corrupt("commands.instance"))?,
        work: decode(&row.get::<_, Vec<u8>>(2)?, "commands.work")?,
        issued_by: row.get(3)?,
        issued_at: UnixMicros(row.get(4)?),
        state: CommandState::ALL
            .into_iter()
            .find(|known| known.as_str() == state)
            .ok_or(StoreError::Corrupt("commands.state"))?,
        queue_until: time(6)?,
        deadline_secs: row.get(7)?,
        boot: boot.map(|bytes| uuid(&bytes).map(BootId)).transpose()?,
        sent_at: time(9)?,
        started_at: time(10)?,
        ended_at: time(11)?,
        cancel_requested: row.get(12)?,
        outcome: outcome.map(|bytes| decode(&bytes, "commands.outcome")).transpose()?,
        reason: row.get(14)?,
    })
}

fn log_size(connection: &Connection, command: CommandId) -> Result<LogSize, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT line, at, entry FROM command_lines WHERE command = ?1 ORDER BY line DESC LIMIT 1",
    )?;
    let last = statement
        .query_row([blob(command.0)], |row| Ok((log_line(row), row.get::<_, Vec<u8>>(2)?.len())))
        .optional()?;
    let Some((last, last_bytes)) = last else { return Ok(LogSize::default()) };
    let last_bytes = u64::try_from(last_bytes).unwrap_or(u64::MAX);
    let bytes: i64 = connection
        .prepare_cached("SELECT SUM(LENGTH(entry)) FROM command_lines WHERE command = ?1")?
        .query_row([blob(command.0)], |row| row.get(0))?;
    let bytes = u64::try_from(bytes).unwrap_or(0);
    Ok(LogSize { bytes_before_last: bytes.saturating_sub(last_bytes), last: Some((last?, last_bytes)) })
}

fn log_line(row: &Row<'_>) -> Result<LogLine, StoreError> {
    Ok(LogLine {
        line: u64::try_from(row.get::<_, i64>(0)?).map_err(|_| StoreError::Corrupt("command_lines.line"))?,
        at: UnixMicros(row.get(1)?),
        entry: decode(&row.get::<_, Vec<u8>>(2)?, "command_lines.entry")?,
    })
}

fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    codec::encode(value, MAX_MESSAGE).map_err(|_| StoreError::Corrupt("a command"))
}

fn decode<T: DeserializeOwned>(bytes: &[u8], column: &'static str) -> Result<T, StoreError> {
    codec::decode(bytes, MAX_MESSAGE).map_err(|_| StoreError::Corrupt(column))
}

fn uuid(bytes: &[u8]) -> Result<Uuid, StoreError> {
    Uuid::from_slice(bytes).map_err(|_| StoreError::Corrupt("an id of a command"))
}

fn blob(id: Uuid) -> [u8; 16] {
    id.into_bytes()
}

fn id_value(id: CommandId) -> Value {
    Value::Blob(blob(id.0).to_vec())
}

/// The smallest id that a command issued at `at` can have: an id begins with its milliseconds.
fn first_id_at(at: UnixMicros) -> [u8; 16] {
    let millis = u64::try_from(at.0 / 1000).unwrap_or(0);
    let mut id = [0; 16];
    id[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
    id
}

fn integer(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
