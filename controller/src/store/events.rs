//! The event log and how far each outbox has been stored.
//!
//! Appending is what it is made for: rows go to the log's end, what many events share is written once (`subjects`), and
//! the index by instance is filled in many events at a time ([`INDEXED_AT_ONCE`]).

use std::hash::RandomState;

use roadstead_protocol::message::event::EventBatch;
use roadstead_protocol::message::ids::{ContainerId, Epoch, EventSeq, InstanceId};
use roadstead_protocol::message::time::UnixMicros;
use rusqlite::{Connection, params};
use tokio::sync::broadcast;

use super::writer::Job;
use super::{Store, StoreError};
use crate::model::{EventRecord, StoredEvents};

mod append;
mod marks;
mod page;
mod row;
mod rows;
mod subjects;

pub(super) use append::{Append, Log, Message};
use marks::standing;
use row::COLUMNS;
pub(super) use row::JOINS;
pub use row::kind;

/// Which events to show. What is none is not asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of these instances.
    pub instances: Option<Vec<InstanceId>>,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intake {
    /// Everything of the epoch up to here is stored.
    pub mark: EventSeq,
    /// How many were there already.
    pub duplicates: u64,
}

/// So many events are entered into the index of instances at once: those up to the last id that this divides are in it.
/// The rest is looked through for a page.
const INDEXED_AT_ONCE: i64 = 32 * 1024;

/// Pieces of events kept for a slow listener; one that falls further behind is told so.
const WAITING: usize = 1024;

/// What those who have events and the thread that writes them share.
pub(super) struct EventLog {
    told: broadcast::Sender<StoredEvents>,
    /// For what events are about.
    hasher: RandomState,
}

impl Default for EventLog {
    fn default() -> Self {
        Self { told: broadcast::Sender::new(WAITING), hasher: RandomState::new() }
    }
}

impl EventLog {
    /// What the thread that writes knows.
    pub fn writing(&self) -> Log {
        Log::new(self.told.clone())
    }
}

impl Store {
    /// Stores what is new of a batch and moves the outbox's mark, in one transaction; listeners are told before this
    /// returns. The batch's numbers must ascend.
    ///
    /// # Errors
    /// If it cannot be stored; then nothing of it is.
    pub async fn append_events(
        &self,
        instance: InstanceId,
        batch: EventBatch,
        received_at: UnixMicros,
    ) -> Result<Intake, StoreError> {
        let hasher = &self.inner.events.hasher;
        self.ask(|answer| Ok(Job::Events(Message::new(instance, batch, received_at, hasher, answer)?))).await
    }

    /// Every event stored from now on, in the order of the log without holes.
    #[must_use]
    pub fn stored_events(&self) -> broadcast::Receiver<StoredEvents> {
        self.inner.events.told.subscribe()
    }

    /// Up to where an outbox has been stored; 0 if not at all.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn event_mark(&self, instance: InstanceId, epoch: Epoch) -> Result<EventSeq, StoreError> {
        self.read(move |connection| standing(connection, &instance, epoch)?.mark()).await
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
            let newest = newest(transaction)?;
            let beyond = newest.saturating_sub(keep);
            let mut old = transaction.prepare_cached(OLD)?;
            let old: Vec<(i64, i64)> = old
                .query_map(params![newest, beyond, before.0, chunk], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<_, _>>()?;
            let sql = "DELETE FROM events_of WHERE instance = ?1 AND event = ?2";
            let mut entry = transaction.prepare_cached(sql)?;
            let mut event = transaction.prepare_cached("DELETE FROM events WHERE id = ?1")?;
            for (id, instance) in &old {
                entry.execute([instance, id])?;
                event.execute([id])?;
            }
            transaction.prepare_cached(FORGET_SUBJECTS)?.execute([chunk])?;
            Ok(old.len())
        })
        .await
    }
}

const OLD: &str = "SELECT id, instance
    FROM (SELECT id, instance, received_at FROM events WHERE id < ?1 ORDER BY id LIMIT ?4)
    WHERE id <= ?2 OR received_at < ?3";

const FORGET_SUBJECTS: &str = "DELETE FROM event_subjects WHERE last < (SELECT min(id) FROM events)
    AND id IN (SELECT id FROM event_subjects ORDER BY id LIMIT ?1)";

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

/// The id of the newest event, which is never deleted; 0 if there was none.
fn newest(connection: &Connection) -> Result<i64, StoreError> {
    let sql = "SELECT max(id) FROM events";
    Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get::<_, Option<i64>>(0))?.unwrap_or(0))
}

/// Up to where events are in the index of instances when the newest is `newest`.
const fn indexed(newest: i64) -> i64 {
    newest / INDEXED_AT_ONCE * INDEXED_AT_ONCE
}
