//! The event log and how far each outbox has been stored.
//!
//! Appending is what this is made for: rows go to the log's end, what many events share is written once (`subjects`),
//! and which events are an instance's is found out later, many at a time (`index_newest`).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use roadstead_protocol::message::event::{Event, EventBatch, EventKind};
use roadstead_protocol::message::ids::{ContainerId, Epoch, EventSeq, InstanceId};
use roadstead_protocol::message::time::UnixMicros;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Store, StoreError};
use crate::model::EventRecord;

mod page;
#[cfg(test)]
mod plans;
mod row;
mod subjects;

pub use row::kind;
use row::{COLUMNS, JOINS, Summed};
use subjects::{ERA, Fresh, Subjects};

/// Which events to show. What is none is not asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of this instance.
    pub instance: Option<InstanceId>,
    /// About this container.
    pub container: Option<ContainerId>,
    /// Of this kind, as [`kind`] names it.
    pub kind: Option<String>,
    /// Not before this time.
    pub since: Option<UnixMicros>,
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Intake {
    /// Everything of the epoch up to here is stored.
    pub mark: EventSeq,
    /// The events that are new, in order.
    pub stored: Vec<EventRecord>,
    /// How many were there already.
    pub duplicates: u64,
}

/// Events that wait to be entered into the index of their outboxes; those are looked through for a page.
const UNINDEXED: i64 = 32 * 1024;

/// What the event log keeps in memory.
#[derive(Debug, Default)]
pub(super) struct EventMemory {
    subjects: Arc<Mutex<Subjects>>,
    /// Up to where the index is known to go; held by the one who extends it.
    indexed: tokio::sync::Mutex<i64>,
}

impl Store {
    /// Stores what is new of a batch and moves the outbox's mark, in one transaction. The batch's numbers must
    /// ascend.
    ///
    /// # Errors
    /// If it cannot be stored; then nothing of it is.
    pub async fn append_events(
        &self,
        instance: InstanceId,
        batch: EventBatch,
        received_at: UnixMicros,
    ) -> Result<Intake, StoreError> {
        let memory = Arc::clone(&self.inner.events.subjects);
        let write = self.write(move |transaction| {
            let subjects = locked(&memory);
            let epoch = batch.epoch.0.into_bytes();
            let (outbox, mark) = outbox(transaction, &instance, &epoch)?;
            let mut intake = Intake { mark, ..Intake::default() };
            let mut append = Append::new(transaction, &instance, &subjects, received_at);
            if let Some(missing) = missing(mark, &batch.events) {
                append.event(None, missing, &mut intake.stored)?;
            }
            for event in batch.events {
                if event.seq <= mark {
                    intake.duplicates += 1;
                    continue;
                }
                intake.mark = event.seq;
                append.event(Some((outbox, batch.epoch)), event, &mut intake.stored)?;
            }
            if intake.mark > mark {
                let sql = "UPDATE event_outboxes SET seq = ?2 WHERE id = ?1";
                transaction.prepare_cached(sql)?.execute([outbox, to_i64(intake.mark)?])?;
            }
            Ok((intake, append.fresh))
        });
        let (intake, fresh) = write.await?;
        if let Some(last) = intake.stored.last().map(|event| event.id) {
            locked(&self.inner.events.subjects).keep(fresh, last);
            self.index_newest(last).await;
        }
        Ok(intake)
    }

    /// Enters events up to `last` into the index of their outboxes, if enough wait for it and nobody does so already.
    async fn index_newest(&self, last: i64) {
        let Ok(mut indexed) = self.inner.events.indexed.try_lock() else { return };
        if last - *indexed < UNINDEXED {
            return;
        }
        let entered = self.write(move |transaction| {
            let from = page::indexed(transaction)?;
            let upto = last.min(from + 2 * UNINDEXED);
            if last - from < UNINDEXED {
                return Ok(from);
            }
            transaction.prepare_cached(ENTER)?.execute([from, upto])?;
            let sql = "INSERT INTO event_index (one, upto) VALUES (1, ?1)
                       ON CONFLICT (one) DO UPDATE SET upto = excluded.upto";
            transaction.prepare_cached(sql)?.execute([upto])?;
            Ok(upto)
        });
        match entered.await {
            Ok(upto) => *indexed = upto,
            Err(error) => tracing::debug!(%error, "the index of events waits for the next batch"),
        }
    }

    /// Up to where an outbox has been stored; 0 if not at all.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn event_mark(&self, instance: InstanceId, epoch: Epoch) -> Result<EventSeq, StoreError> {
        self.read(move |connection| {
            let known = known_outbox(connection, &instance, &epoch.0.into_bytes())?;
            Ok(known.map_or(EventSeq(0), |(_, mark)| mark))
        })
        .await
    }

    /// At most `limit` events with an id below `cursor`, newest first.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn events_before(
        &self,
        filter: EventFilter,
        cursor: Option<i64>,
        limit: usize,
    ) -> Result<Vec<EventRecord>, StoreError> {
        self.read(move |connection| page::before(connection, &filter, cursor.unwrap_or(i64::MAX), limit))
            .await
    }

    /// Deletes at most `chunk` of the oldest events: those received before `before`, and those beyond the newest
    /// `keep`. The newest event always stays, so that ids never begin again. Returns how many went.
    ///
    /// # Errors
    /// If they cannot be deleted.
    pub async fn prune_events(
        &self,
        before: UnixMicros,
        keep: u64,
        chunk: usize,
    ) -> Result<usize, StoreError> {
        let keep = i64::try_from(keep).unwrap_or(i64::MAX);
        let chunk = i64::try_from(chunk).unwrap_or(i64::MAX);
        self.write(move |transaction| {
            let newest = "SELECT max(id) FROM events";
            let newest: Option<i64> = transaction.query_row(newest, [], |row| row.get(0))?;
            let Some(newest) = newest else { return Ok(0) };
            let beyond = newest.saturating_sub(keep);
            let mut victims = transaction.prepare_cached(VICTIMS)?;
            let victims: Vec<(i64, i64)> = victims
                .query_map(params![newest, beyond, before.0, chunk], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<_, _>>()?;
            let mut entry =
                transaction.prepare_cached("DELETE FROM events_of WHERE outbox = ?1 AND event = ?2")?;
            let mut event = transaction.prepare_cached("DELETE FROM events WHERE id = ?1")?;
            for (id, outbox) in &victims {
                entry.execute([outbox, id])?;
                event.execute([id])?;
            }
            let oldest: i64 = transaction.query_row("SELECT min(id) FROM events", [], |row| row.get(0))?;
            transaction.prepare_cached(FORGET_SUBJECTS)?.execute([(oldest / ERA - 1) * ERA, chunk])?;
            Ok(victims.len())
        })
        .await
    }
}

const ENTER: &str =
    "INSERT OR IGNORE INTO events_of (outbox, event) SELECT outbox, id FROM events WHERE id > ?1 AND id <= ?2
     ORDER BY outbox, id";

const VICTIMS: &str = "SELECT id, outbox
    FROM (SELECT id, outbox, at + lag AS received_at FROM events WHERE id < ?1 ORDER BY id LIMIT ?4)
    WHERE id <= ?2 OR received_at < ?3";

/// The rows of containers that only deleted events are about: they were added in order, and never used after their era.
const FORGET_SUBJECTS: &str = "DELETE FROM event_subjects
    WHERE id IN (SELECT id FROM event_subjects ORDER BY id LIMIT ?2) AND born < ?1";

/// The events about containers after `after` and up to `last`, oldest first.
pub(super) fn read_containers_events(
    connection: &Connection,
    after: i64,
    last: i64,
) -> Result<Vec<EventRecord>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM events AS e {JOINS} WHERE e.id > ?1 AND e.id <= ?2 AND e.subject IS NOT NULL \
         ORDER BY e.id"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([after, last])?;
    let mut events = Vec::new();
    while let Some(found) = rows.next()? {
        events.push(row::read(found)?);
    }
    Ok(events)
}

/// One write's appending.
struct Append<'a> {
    connection: &'a Connection,
    instance: &'a InstanceId,
    subjects: &'a Subjects,
    received_at: UnixMicros,
    fresh: Fresh,
    bytes: Vec<u8>,
}

impl<'a> Append<'a> {
    fn new(
        connection: &'a Connection,
        instance: &'a InstanceId,
        subjects: &'a Subjects,
        received_at: UnixMicros,
    ) -> Self {
        Self { connection, instance, subjects, received_at, fresh: Fresh::new(), bytes: Vec::new() }
    }

    /// Appends an event of an outbox, or one of the controller's own.
    fn event(
        &mut self,
        origin: Option<(i64, Epoch)>,
        event: Event,
        stored: &mut Vec<EventRecord>,
    ) -> Result<(), StoreError> {
        let epoch = origin.map(|(_, epoch)| epoch.0.into_bytes());
        let (outbox, seq) = match origin {
            Some((outbox, _)) => (outbox, Some(to_i64(event.seq)?)),
            None => (outbox(self.connection, self.instance, &[])?.0, None),
        };
        let subject = row::subject(&event.what);
        let subject_row = subject
            .map(|subject| self.subjects.row(self.connection, &mut self.fresh, subject))
            .transpose()?;
        self.bytes.clear();
        row::encode(&event.what, &mut self.bytes)?;
        let lag = self.received_at.0.saturating_sub(event.at.0);
        let summed = Summed {
            instance: self.instance.as_str(),
            epoch: epoch.as_ref().map_or(&[], |bytes| bytes.as_slice()),
            seq: seq.unwrap_or(0),
            at: event.at.0,
            lag,
            subject: subject.map(|(container, name, image)| (container.as_str(), name, image)),
            what: &self.bytes,
        };
        let sum = summed.sum();
        let id = self.connection.prepare_cached(APPEND)?.insert(params![
            outbox,
            seq,
            event.at.0,
            lag,
            row::kind_of(&event.what),
            subject_row,
            self.bytes,
            sum
        ])?;
        stored.push(EventRecord {
            id,
            instance: self.instance.clone(),
            origin: origin.map(|(_, epoch)| (epoch, event.seq)),
            at: event.at,
            received_at: self.received_at,
            what: event.what,
        });
        Ok(())
    }
}

const APPEND: &str = "INSERT INTO events (outbox, seq, at, lag, kind, subject, what, sum)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

/// An outbox and how far it is stored; adds one that is new.
fn outbox(
    connection: &Connection,
    instance: &InstanceId,
    epoch: &[u8],
) -> Result<(i64, EventSeq), StoreError> {
    if let Some(known) = known_outbox(connection, instance, epoch)? {
        return Ok(known);
    }
    let sql = "INSERT INTO event_outboxes (instance, epoch) VALUES (?1, ?2)";
    let id = connection.prepare_cached(sql)?.insert(params![instance.as_str(), epoch])?;
    Ok((id, EventSeq(0)))
}

fn known_outbox(
    connection: &Connection,
    instance: &InstanceId,
    epoch: &[u8],
) -> Result<Option<(i64, EventSeq)>, StoreError> {
    let sql = "SELECT id, seq FROM event_outboxes WHERE instance = ?1 AND epoch = ?2";
    let found: Option<(i64, i64)> = connection
        .prepare_cached(sql)?
        .query_row(params![instance.as_str(), epoch], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let corrupt = |_| StoreError::Corrupt("event_outboxes");
    found.map(|(id, seq)| Ok((id, EventSeq(u64::try_from(seq).map_err(corrupt)?)))).transpose()
}

/// What stands for the events between the mark and the first new one: an agent tells every number, and forgets only what
/// was acknowledged, so they were acknowledged once and are not here.
fn missing(mark: EventSeq, events: &[Event]) -> Option<Event> {
    let first = events.iter().find(|event| event.seq > mark)?;
    let begins = match first.what {
        EventKind::Gap { from, .. } => from,
        _ => first.seq,
    };
    let (from, to) = (EventSeq(mark.0 + 1), EventSeq(begins.0.saturating_sub(1)));
    let reason = "the agent had told these to a controller before, but they are not in this one's store: it was set \
                  back to an older copy, damaged, or is another one";
    let what = EventKind::Gap { from, to, count: to.0.checked_sub(mark.0)?, reason: reason.to_owned() };
    (from <= to).then_some(Event { seq: to, at: first.at, what })
}

fn to_i64(seq: EventSeq) -> Result<i64, StoreError> {
    i64::try_from(seq.0).map_err(|_| StoreError::Corrupt("event number"))
}

fn locked(subjects: &Mutex<Subjects>) -> MutexGuard<'_, Subjects> {
    subjects.lock().unwrap_or_else(PoisonError::into_inner)
}
