//! The event log and how far each outbox has been stored.
//!
//! Appending is what it is made for: rows go to the log's end, what many events share is written once (`subjects`), and
//! the index by instance is filled in many events at a time ([`INDEXED_AT_ONCE`]).

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use roadstead_protocol::message::event::{Event, EventBatch, Fork};
use roadstead_protocol::message::ids::{ContainerId, Epoch, EventSeq, InstanceId};
use roadstead_protocol::message::time::UnixMicros;
use rusqlite::{CachedStatement, Connection, Transaction, params};

use super::{Store, StoreError};
use crate::model::EventRecord;

mod marks;
mod page;
mod row;
mod shares;
mod subjects;

pub use marks::Mark;
use row::COLUMNS;
pub(super) use row::JOINS;
pub use row::kind;
use subjects::{Fresh, Subjects};

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
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Intake {
    /// Everything of the epoch up to here is stored.
    pub mark: EventSeq,
    /// The events that are new, in order.
    pub stored: Vec<EventRecord>,
    /// How many were there already.
    pub duplicates: u64,
    /// Whether nothing was taken, because the outbox's mark has been moved by somebody else's events or by an earlier
    /// session's: only a new Welcome can tell the agent which.
    pub out_of_step: bool,
}

/// So many events are entered into the index of instances at once: those up to the last id that this divides are in it.
/// The rest is looked through for a page.
const INDEXED_AT_ONCE: i64 = 32 * 1024;

/// What of the event log is kept in memory.
#[derive(Clone, Debug, Default)]
pub(super) struct EventMemory(Arc<Mutex<Subjects>>);

impl EventMemory {
    fn lock(&self) -> MutexGuard<'_, Subjects> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
        let memory = self.inner.events.clone();
        // Whatever an event can be refused for is found out here, and not among the writes of others.
        let events = batch.events.into_iter().map(Encoded::new).collect::<Result<Vec<_>, _>>()?;
        let (events, told) = match batch.fork {
            Some(fork) => self.told_before(instance.clone(), fork, events).await?,
            None => (events, HashSet::new()),
        };
        let write = move |transaction: &Transaction<'_>| {
            let known = match marks::standing(transaction, &instance, batch.epoch) {
                Err(error @ StoreError::Corrupt(_)) => return Ok(Err(error)),
                known => known?,
            };
            let mut intake = Intake { mark: known.mark.seq, ..Intake::default() };
            if marks::is_out_of_step(known.mark, batch.print, events.iter().map(|new| new.event.seq)) {
                intake.out_of_step = true;
                return Ok(Ok((intake, Fresh::default())));
            }
            let number = known.number.map_or_else(|| marks::add_instance(transaction, &instance), Ok)?;
            let begun = known.mark.seq.0 > 0;
            let before = if begun { known.mark.seq } else { batch.fork.unwrap_or_default().after };
            let mut subjects = memory.lock();
            let mut append = Append::new(transaction, &mut subjects, &instance, number, received_at)?;
            if let Some(missing) = marks::missing(before, events.iter().map(|new| &new.event)) {
                intake.stored.push(append.event(None, Encoded::new(missing)?)?);
            }
            for new in events {
                if new.event.seq <= before {
                    intake.duplicates += 1;
                    continue;
                }
                intake.mark = new.event.seq;
                if told.contains(&new.event.seq) {
                    intake.duplicates += 1;
                } else {
                    intake.stored.push(append.event(Some(batch.epoch), new)?);
                }
            }
            let fresh = append.fresh;
            if intake.mark > known.mark.seq {
                let mark = Mark { seq: intake.mark, print: batch.print };
                marks::advance(transaction, &instance, batch.epoch, begun, mark)?;
            }
            if let (Some(first), Some(last)) = (intake.stored.first(), intake.stored.last())
                && indexed(first.id - 1) < indexed(last.id)
            {
                let entered = [indexed(first.id - 1), indexed(last.id)];
                transaction.prepare_cached(ENTER)?.execute(entered)?;
            }
            Ok(Ok((intake, fresh)))
        };
        let (intake, fresh) = self.write_bare(write).await??;
        if !fresh.is_empty() {
            self.inner.events.lock().keep(fresh);
        }
        Ok(intake)
    }

    /// Finds out which events of a batch were stored under an earlier epoch. Not among the writes, which others wait
    /// for; what is stored under that epoch meanwhile is not from the outbox that left it.
    async fn told_before(
        &self,
        instance: InstanceId,
        fork: Fork,
        events: Vec<Encoded>,
    ) -> Result<(Vec<Encoded>, HashSet<EventSeq>), StoreError> {
        self.read(move |connection| {
            let told = marks::told_before(connection, &instance, fork, events.iter().map(|new| &new.event))?;
            Ok((events, told))
        })
        .await
    }

    /// Up to where an outbox has been stored.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn event_mark(&self, instance: InstanceId, epoch: Epoch) -> Result<Mark, StoreError> {
        self.read(move |connection| Ok(marks::standing(connection, &instance, epoch)?.mark)).await
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
}

const APPEND: &str = "INSERT INTO events (instance, epoch, seq, at, received_at, kind, subject, what)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

/// In the order of the index, so that each of its pages is touched once.
const ENTER: &str = "INSERT INTO events_of (instance, event)
    SELECT instance, id FROM events WHERE id > ?1 AND id <= ?2 ORDER BY instance, id";

const OLD: &str = "SELECT id, instance
    FROM (SELECT id, instance, received_at FROM events WHERE id < ?1 ORDER BY id LIMIT ?3)
    WHERE received_at < ?2";

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

/// An event that can be stored.
struct Encoded {
    event: Event,
    seq: i64,
    what: Vec<u8>,
}

impl Encoded {
    fn new(event: Event) -> Result<Self, StoreError> {
        Ok(Self { seq: to_i64(event.seq)?, what: row::encode(&event.what)?, event })
    }
}

/// One write's appending.
struct Append<'a> {
    connection: &'a Connection,
    insert: CachedStatement<'a>,
    subjects: &'a mut Subjects,
    fresh: Fresh,
    instance: &'a InstanceId,
    number: i64,
    received_at: UnixMicros,
}

impl<'a> Append<'a> {
    fn new(
        connection: &'a Connection,
        subjects: &'a mut Subjects,
        instance: &'a InstanceId,
        number: i64,
        received_at: UnixMicros,
    ) -> Result<Self, StoreError> {
        let newest = subjects.newest.map_or_else(|| newest(connection), Ok)?;
        let fresh = subjects.begin(newest);
        let insert = connection.prepare_cached(APPEND)?;
        Ok(Self { connection, insert, subjects, fresh, instance, number, received_at })
    }

    /// Appends an event of an outbox, or one of the controller's own.
    fn event(&mut self, epoch: Option<Epoch>, new: Encoded) -> Result<EventRecord, StoreError> {
        let Encoded { event, seq, what } = new;
        let subject = row::about(&event.what)
            .map(|about| self.subjects.row(self.connection, &mut self.fresh, about))
            .transpose()?;
        let id = self.insert.insert(params![
            self.number,
            epoch.map(|epoch| epoch.0.into_bytes()),
            epoch.map(|_| seq),
            event.at.0,
            self.received_at.0,
            row::stored_kind(&event.what),
            subject,
            what,
        ])?;
        self.subjects.newest = Some(id);
        Ok(EventRecord {
            id,
            instance: self.instance.clone(),
            origin: epoch.map(|epoch| (epoch, event.seq)),
            at: event.at,
            received_at: self.received_at,
            what: event.what,
        })
    }
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

fn to_i64(seq: EventSeq) -> Result<i64, StoreError> {
    i64::try_from(seq.0).map_err(|_| StoreError::Corrupt("event number"))
}
