//! The event log and how far each outbox has been stored.
//!
//! Appending is what it is made for: rows go to the log's end, events that came together share one (`rows`), what many
//! events share is written once (`subjects`), and the index by instance is filled in many events at a time
//! (`INDEXED_AT_ONCE`).

use std::collections::HashSet;
use std::hash::RandomState;

use roadstead_protocol::message::event::{EventBatch, Fork};
use roadstead_protocol::message::ids::{ContainerId, Epoch, EventSeq, InstanceId};
use roadstead_protocol::message::time::UnixMicros;
use rusqlite::Connection;
use tokio::sync::broadcast;

use super::writer::Job;
use super::{Store, StoreError};
use crate::model::{EventRecord, StoredEvents};

mod append;
mod marks;
mod page;
mod row;
mod rows;
mod shares;
mod subjects;

pub(super) use append::{Append, Log, Message};
pub use marks::Mark;
pub(super) use row::JOINS;
pub use row::kind;
use row::{COLUMNS, Reader};

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
    /// Whether nothing was taken, because the outbox's mark has been moved by somebody else's events or by an earlier
    /// session's: only a new Welcome can tell the agent which.
    pub out_of_step: bool,
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
        let (batch, told) = match batch.fork {
            Some(fork) => self.told_before(instance.clone(), fork, batch).await?,
            None => (batch, HashSet::new()),
        };
        let hasher = &self.inner.events.hasher;
        self.ask(|answer| Ok(Job::Events(Message::new(instance, batch, told, received_at, hasher, answer)?)))
            .await
    }

    /// Every event stored from now on, in the order of the log without holes.
    #[must_use]
    pub fn stored_events(&self) -> broadcast::Receiver<StoredEvents> {
        self.inner.events.told.subscribe()
    }

    /// Finds out which events of a batch were stored under an earlier epoch. Not among the writes, which others wait
    /// for; what is stored under that epoch meanwhile is not from the outbox that left it.
    async fn told_before(
        &self,
        instance: InstanceId,
        fork: Fork,
        batch: EventBatch,
    ) -> Result<(EventBatch, HashSet<EventSeq>), StoreError> {
        self.read(move |connection| {
            let told = marks::told_before(connection, &instance, fork, batch.events.iter())?;
            Ok((batch, told))
        })
        .await
    }

    /// Up to where an outbox has been stored.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn event_mark(&self, instance: InstanceId, epoch: Epoch) -> Result<Mark, StoreError> {
        self.read(move |connection| marks::standing(connection, &instance, epoch)?.mark()).await
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
        let _turn = self.inner.paging.acquire().await.map_err(|_| StoreError::Closed)?;
        self.read(move |connection| page::before(connection, &filter, cursor.unwrap_or(i64::MAX), limit))
            .await
    }
}

/// The events about containers after `after`, oldest first, and the id of the last event looked at; `after` if there is
/// none. Ends with the row in which `most` events have been looked at.
pub(super) fn read_containers_events(
    connection: &Connection,
    after: i64,
    most: usize,
) -> Result<(Vec<EventRecord>, i64), StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM events AS e {JOINS} WHERE e.id > ?1 ORDER BY e.id");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([after])?;
    let (mut events, mut looked_at, mut last) = (Vec::new(), 0, after);
    let mut reader = Reader::new(connection)?;
    while looked_at < most
        && let Some(found) = rows.next()?
    {
        for entry in row::entries(found)?.iter().filter(|entry| entry.id > after) {
            if entry.subject.is_some() {
                events.push(reader.read(found, entry)?);
            }
            (looked_at, last) = (looked_at + 1, entry.id);
        }
    }
    Ok((events, last))
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
