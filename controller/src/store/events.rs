//! The event log and how far each outbox has been stored.
//!
//! Appending is what it is made for: rows go to the log's end, what many events share is written once (`subjects`), and
//! the index by instance is filled in many events at a time ([`INDEXED_AT_ONCE`]).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use roadstead_protocol::message::event::{Event, EventBatch, EventKind};
use roadstead_protocol::message::ids::{ContainerId, Epoch, EventSeq, InstanceId};
use roadstead_protocol::message::time::UnixMicros;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Transaction, params};

use super::{Store, StoreError};
use crate::model::EventRecord;

mod page;
mod row;
mod shares;
mod subjects;

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
        let write = move |transaction: &Transaction<'_>| {
            let known = match standing(transaction, &instance, batch.epoch) {
                Err(error @ StoreError::Corrupt(_)) => return Ok(Err(error)),
                known => known?,
            };
            let number = known.number.map_or_else(|| add_instance(transaction, &instance), Ok)?;
            let mut intake = Intake { mark: known.mark, ..Intake::default() };
            let mut subjects = memory.lock();
            let mut append = Append::new(transaction, &mut subjects, &instance, number, received_at)?;
            if let Some(missing) = missing(known.mark, events.iter().map(|new| &new.event)) {
                intake.stored.push(append.event(None, Encoded::new(missing)?)?);
            }
            for new in events {
                if new.event.seq <= known.mark {
                    intake.duplicates += 1;
                    continue;
                }
                intake.mark = new.event.seq;
                intake.stored.push(append.event(Some(batch.epoch), new)?);
            }
            let fresh = append.fresh;
            if let (Some(first), Some(last)) = (intake.stored.first(), intake.stored.last()) {
                move_mark(transaction, &instance, batch.epoch, known.mark, intake.mark)?;
                if indexed(first.id - 1) < indexed(last.id) {
                    let entered = [indexed(first.id - 1), indexed(last.id)];
                    transaction.prepare_cached(ENTER)?.execute(entered)?;
                }
            }
            Ok(Ok((intake, fresh)))
        };
        let (intake, fresh) = self.write_bare(write).await??;
        if !fresh.is_empty() {
            self.inner.events.lock().keep(fresh);
        }
        Ok(intake)
    }

    /// Up to where an outbox has been stored; 0 if not at all.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn event_mark(&self, instance: InstanceId, epoch: Epoch) -> Result<EventSeq, StoreError> {
        self.read(move |connection| Ok(standing(connection, &instance, epoch)?.mark)).await
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

/// Outboxes of one agent whose marks are kept. An honest one begins a new outbox only when it loses its data folder.
const MAX_MARKS: i64 = 16;

/// The shortest histories go first: nothing tells which outbox is the oldest.
const FORGET_MARKS: &str = "DELETE FROM event_marks WHERE instance = ?1 AND epoch <> ?2 AND epoch NOT IN (
    SELECT epoch FROM event_marks WHERE instance = ?1 AND epoch <> ?2 ORDER BY seq DESC, epoch LIMIT ?3)";

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

/// An instance's number, none if no event of it was stored; and the mark of one of its outboxes.
struct Standing {
    number: Option<i64>,
    mark: EventSeq,
}

fn standing(connection: &Connection, instance: &InstanceId, epoch: Epoch) -> Result<Standing, StoreError> {
    let sql = "SELECT n.id, m.seq FROM event_instances AS n
               LEFT JOIN event_marks AS m ON m.instance = n.instance AND m.epoch = ?2 WHERE n.instance = ?1";
    let found: Option<(i64, Option<i64>)> = connection
        .prepare_cached(sql)?
        .query_row(params![instance.as_str(), epoch.0.into_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((number, mark)) = found else { return Ok(Standing { number: None, mark: EventSeq(0) }) };
    Ok(Standing { number: Some(number), mark: mark.map_or(Ok(EventSeq(0)), to_seq)? })
}

fn add_instance(connection: &Connection, instance: &InstanceId) -> Result<i64, StoreError> {
    let sql = "INSERT INTO event_instances (instance) VALUES (?1)";
    Ok(connection.prepare_cached(sql)?.insert([instance.as_str()])?)
}

/// Moves the mark of an outbox, and forgets the marks of others if it is a new one.
fn move_mark(
    connection: &Connection,
    instance: &InstanceId,
    epoch: Epoch,
    before: EventSeq,
    mark: EventSeq,
) -> Result<(), StoreError> {
    let (instance, epoch, mark) = (instance.as_str(), epoch.0.into_bytes(), to_i64(mark)?);
    if before.0 > 0 {
        let sql = "UPDATE event_marks SET seq = ?3 WHERE instance = ?1 AND epoch = ?2";
        connection.prepare_cached(sql)?.execute(params![instance, epoch, mark])?;
    } else {
        let sql = "INSERT INTO event_marks (instance, epoch, seq) VALUES (?1, ?2, ?3)";
        connection.prepare_cached(sql)?.execute(params![instance, epoch, mark])?;
        connection.prepare_cached(FORGET_MARKS)?.execute(params![instance, epoch, MAX_MARKS - 1])?;
    }
    Ok(())
}

/// What stands for the events between the mark and the first new one: an agent tells every number, and forgets only what
/// was acknowledged, so they were acknowledged once and are not here.
fn missing<'a>(mark: EventSeq, mut events: impl Iterator<Item = &'a Event>) -> Option<Event> {
    let first = events.find(|event| event.seq > mark)?;
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

fn to_seq(seq: i64) -> Result<EventSeq, StoreError> {
    u64::try_from(seq).map(EventSeq).map_err(|_| StoreError::Corrupt("event_marks"))
}
