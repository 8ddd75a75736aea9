//! How far each outbox has been stored: on disk, and in memory what was asked for lately, so that a message costs no
//! look-up.

use std::collections::HashMap;

use roadstead_protocol::message::ids::{Epoch, EventSeq, InstanceId};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::StoreError;

/// Instances that are known in memory; beyond that all are forgotten and read again.
const MOST_KNOWN: usize = 32_768;

/// Outboxes of one agent whose marks are kept. An honest one begins a new outbox only when it loses its data folder.
const MAX_MARKS: i64 = 16;

/// The shortest histories go first: nothing tells which outbox is the oldest.
const FORGET_MARKS: &str = "DELETE FROM event_marks WHERE instance = ?1 AND epoch <> ?2 AND epoch NOT IN (
    SELECT epoch FROM event_marks WHERE instance = ?1 AND epoch <> ?2 ORDER BY seq DESC, epoch LIMIT ?3)";

/// Where an instance stands with one of its outboxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// The instance's number; none if no event of it was stored.
    pub number: Option<i64>,
    /// The mark.
    pub seq: i64,
    epoch: Epoch,
    /// The row of the mark; none if there is none.
    row: Option<i64>,
    /// Whether the mark is other than on disk.
    waits: bool,
}

impl Standing {
    pub fn mark(self) -> Result<EventSeq, StoreError> {
        u64::try_from(self.seq).map(EventSeq).map_err(|_| StoreError::Corrupt("event_marks"))
    }
}

/// The standing of instances, of each that of the outbox it told last.
#[derive(Debug, Default)]
pub(super) struct Marks {
    known: HashMap<InstanceId, Standing>,
    /// Those whose marks were moved and not written yet.
    moved: Vec<InstanceId>,
}

impl Marks {
    /// Where an instance stands with an outbox.
    pub fn of(
        &mut self,
        connection: &Connection,
        instance: &InstanceId,
        epoch: Epoch,
    ) -> Result<Standing, StoreError> {
        if let Some(known) = self.known.get(instance).filter(|known| known.epoch == epoch) {
            return Ok(*known);
        }
        // Another outbox than the last one: that one's mark must not be lost.
        self.write(connection)?;
        standing(connection, instance, epoch)
    }

    /// Moves a mark in memory; [`write`](Self::write) has to follow in the same transaction.
    pub fn moved(&mut self, instance: &InstanceId, now: Standing) {
        let now = Standing { waits: true, ..now };
        match self.known.get_mut(instance) {
            Some(known) => {
                if std::mem::replace(known, now).waits {
                    return;
                }
            }
            None => drop(self.known.insert(instance.clone(), now)),
        }
        self.moved.push(instance.clone());
    }

    /// Writes the marks that were moved.
    pub fn write(&mut self, connection: &Connection) -> Result<(), StoreError> {
        if self.moved.is_empty() {
            return Ok(());
        }
        let mut update = connection.prepare_cached("UPDATE event_marks SET seq = ?2 WHERE id = ?1")?;
        for instance in self.moved.drain(..) {
            let Some(known) = self.known.get_mut(&instance) else { continue };
            match known.row {
                Some(row) => drop(update.execute([row, known.seq])?),
                None => known.row = Some(insert(connection, &instance, known)?),
            }
            known.waits = false;
        }
        if self.known.len() > MOST_KNOWN {
            self.known.clear();
        }
        Ok(())
    }
}

/// The mark of a new outbox; marks of others are forgotten where there are too many.
fn insert(connection: &Connection, instance: &InstanceId, now: &Standing) -> Result<i64, StoreError> {
    let (instance, epoch) = (instance.as_str(), now.epoch.0.into_bytes());
    let sql = "INSERT INTO event_marks (instance, epoch, seq) VALUES (?1, ?2, ?3)";
    let row = connection.prepare_cached(sql)?.insert(params![instance, epoch, now.seq])?;
    connection.prepare_cached(FORGET_MARKS)?.execute(params![instance, epoch, MAX_MARKS - 1])?;
    Ok(row)
}

/// Where an instance stands with an outbox, as it is on disk.
pub(super) fn standing(
    connection: &Connection,
    instance: &InstanceId,
    epoch: Epoch,
) -> Result<Standing, StoreError> {
    let sql = "SELECT n.id, m.id, m.seq FROM event_instances AS n
               LEFT JOIN event_marks AS m ON m.instance = n.instance AND m.epoch = ?2 WHERE n.instance = ?1";
    let (number, row, seq): (_, _, Option<i64>) = connection
        .prepare_cached(sql)?
        .query_row(params![instance.as_str(), epoch.0.into_bytes()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?
        .unwrap_or_default();
    let standing = Standing { number, seq: seq.unwrap_or(0), epoch, row, waits: false };
    standing.mark().map(|_| standing)
}

/// A number of an event as it is stored.
pub(super) fn to_i64(seq: EventSeq) -> Result<i64, StoreError> {
    i64::try_from(seq.0).map_err(|_| StoreError::Corrupt("event number"))
}
