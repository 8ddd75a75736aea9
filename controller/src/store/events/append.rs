//! Appending to the log. Whoever has a message of events makes everything ready; the one thread that writes only gives
//! each event its place, and after the commit tells them, in the order of the log.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

use roadstead_protocol::message::event::{Event, EventBatch, EventKind, Fork};
use roadstead_protocol::message::ids::{Epoch, EventSeq, InstanceId, Print};
use roadstead_protocol::message::time::UnixMicros;
use rusqlite::{Connection, Transaction};
use tokio::sync::broadcast;

use super::marks::{Mark, Marks, Place, Standing, is_out_of_step, to_i64};
use super::rows::{Row, Rows};
use super::subjects::Subjects;
use super::{Intake, StoreError, indexed, newest, row};
use crate::model::{EventRecord, StoredEvents};
use crate::store::Answer;
use crate::store::writer::{cause, conclude};

/// In the order of the index, so that each of its pages is touched once.
const ENTER: &str = "INSERT INTO events_of (instance, event, more)
    SELECT instance, id, more FROM events WHERE id > ?1 AND id <= ?2 ORDER BY instance, id";

/// Events that are told at once: what waits for a slow listener is counted in such pieces.
const TOLD_AT_ONCE: usize = 256;

/// Room for the bytes of an event: few take more.
const BYTES: usize = 112;

/// A message of an agent, ready to be appended.
pub(in crate::store) struct Message {
    instance: InstanceId,
    epoch: Epoch,
    print: Option<Print>,
    /// Few have one, and thousands of messages may wait.
    forked: Option<Box<Forked>>,
    events: Vec<Ready>,
    bytes: Vec<u8>,
    result: Option<Result<Intake, StoreError>>,
    answer: Answer<Intake>,
}

/// Of an outbox that left an epoch it shared.
struct Forked {
    fork: Fork,
    /// What was stored under an earlier epoch already.
    told: HashSet<EventSeq>,
}

/// An event that is ready.
struct Ready {
    /// Without its place in the log.
    record: EventRecord,
    seq: i64,
    /// Hash of what it is about.
    subject: Option<u64>,
    /// Where its bytes end; they begin where those of the one before end.
    end: usize,
}

impl Message {
    /// Makes a message ready. Whatever an event can be refused for is found out here, and not among the writes of others.
    pub fn new(
        instance: InstanceId,
        batch: EventBatch,
        told: HashSet<EventSeq>,
        received_at: UnixMicros,
        hasher: &RandomState,
        answer: Answer<Intake>,
    ) -> Result<Self, StoreError> {
        let EventBatch { epoch, events: sent, print, fork } = batch;
        let mut events = Vec::with_capacity(sent.len());
        let mut bytes = Vec::with_capacity(sent.len() * BYTES);
        for Event { seq: number, at, what } in sent {
            row::encode(&mut bytes, &what)?;
            let (seq, subject) = (to_i64(number)?, row::about(&what).map(|about| hasher.hash_one(about)));
            let (instance, origin) = (instance.clone(), Some((epoch, number)));
            let record = EventRecord { id: 0, instance, origin, at, received_at, what };
            events.push(Ready { record, seq, subject, end: bytes.len() });
        }
        let forked = fork.map(|fork| Box::new(Forked { fork, told }));
        Ok(Self { instance, epoch, print, forked, events, bytes, result: None, answer })
    }

    /// How many events it has.
    pub fn events(&self) -> usize {
        self.events.len()
    }

    /// Tells whoever waits for it how the commit went.
    pub fn answer(self, commit: Result<(), String>) {
        // Nobody waiting any more is fine: the write itself stands.
        let _ = self.answer.send(conclude(self.result, commit));
    }
}

/// What the thread that writes knows of the log. All of it is on disk, or in the transaction that is open: when that
/// fails, everything is to be [forgotten](Self::forget).
#[derive(Debug)]
pub(in crate::store) struct Log {
    subjects: Subjects,
    marks: Marks,
    rows: Rows,
    /// The id of the newest event; none if it has to be looked up.
    newest: Option<i64>,
    /// What SQLite says when another process has written.
    version: i64,
    /// What is about to be told.
    piece: Vec<EventRecord>,
    told: broadcast::Sender<StoredEvents>,
}

impl Log {
    pub fn new(told: broadcast::Sender<StoredEvents>) -> Self {
        let (subjects, marks, rows) = (Subjects::default(), Marks::default(), Rows::default());
        Self { subjects, marks, rows, newest: None, version: 0, piece: Vec::new(), told }
    }

    /// Forgets what is in memory; it is read from disk again.
    pub fn forget(&mut self) {
        (self.subjects, self.marks) = (Subjects::default(), Marks::default());
        (self.rows, self.newest) = (Rows::default(), None);
    }

    /// Tells the events of these messages, which are committed, in the order of the log.
    pub fn tell<'a>(&mut self, messages: impl Iterator<Item = &'a mut Message>) {
        if self.told.receiver_count() == 0 {
            return;
        }
        for message in messages.filter(|message| matches!(message.result, Some(Ok(_)))) {
            for event in message.events.drain(..) {
                self.piece.push(event.record);
                if self.piece.len() == TOLD_AT_ONCE {
                    self.tell_piece();
                }
            }
        }
        self.tell_piece();
    }

    fn tell_piece(&mut self) {
        if !self.piece.is_empty() {
            // Nobody listening is fine.
            let _ = self.told.send(self.piece.drain(..).collect());
        }
    }
}

/// A transaction's appending.
pub(in crate::store) struct Append<'a> {
    connection: &'a Connection,
    log: &'a mut Log,
    /// The id of the newest event that is written; none until there is something to append.
    before: Option<i64>,
}

impl<'a> Append<'a> {
    pub fn new(transaction: &'a Transaction<'_>, log: &'a mut Log) -> Self {
        Self { connection: transaction, log, before: None }
    }

    /// Appends what is new of a message. An error makes the whole transaction fail.
    pub fn message(&mut self, message: &mut Message) -> Result<(), String> {
        let standing =
            self.begin().and_then(|()| self.log.marks.of(self.connection, &message.instance, message.epoch));
        let result = match standing {
            // Nothing was written yet, and others can be.
            Err(error @ StoreError::Corrupt(_)) => {
                message.result = Some(Err(error));
                return Ok(());
            }
            found => found.and_then(|(place, standing)| self.new_ones(message, place, standing)),
        };
        let failed = result.as_ref().map(drop).map_err(cause);
        message.result = Some(result);
        failed
    }

    /// Writes what waits to be written together, so that another write finds it.
    pub fn settle(&mut self) -> Result<(), StoreError> {
        let Some(before) = self.before else { return Ok(()) };
        self.log.rows.insert(self.connection)?;
        self.log.marks.write(self.connection)?;
        let newest = self.log.rows.last();
        if indexed(before) < indexed(newest) {
            self.connection.prepare_cached(ENTER)?.execute([indexed(before), indexed(newest)])?;
        }
        self.before = Some(newest);
        Ok(())
    }

    /// What belongs to the transaction once; call it last.
    pub fn finish(mut self) -> Result<(), StoreError> {
        self.settle()?;
        if self.before.is_some() {
            self.log.marks.end();
            self.log.newest = self.before;
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        if self.before.is_some() {
            return Ok(());
        }
        let sql = "PRAGMA data_version";
        let version: i64 = self.connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
        if std::mem::replace(&mut self.log.version, version) != version {
            self.log.forget();
        }
        let before = self.log.newest.map_or_else(|| newest(self.connection), Ok)?;
        self.log.subjects.begin(before);
        self.log.rows.begin(before);
        self.before = Some(before);
        Ok(())
    }

    fn new_ones(
        &mut self,
        message: &mut Message,
        place: Place,
        mut standing: Standing,
    ) -> Result<Intake, StoreError> {
        let mark = standing.mark()?;
        let Message { instance, events, bytes, forked, print, .. } = message;
        let numbers = events.iter().filter_map(|event| Some(event.record.origin?.1));
        if is_out_of_step(mark, *print, numbers) {
            // None of it is stored, so none of it is told.
            events.clear();
            return Ok(Intake { mark: mark.seq, duplicates: 0, out_of_step: true });
        }
        let after = forked.as_ref().map_or(EventSeq(0), |forked| forked.fork.after);
        let before = if standing.seq > 0 { mark.seq } else { after };
        // Whatever an agent says of its fork must not become an error, which would be everybody's.
        let known = i64::try_from(before.0).unwrap_or(i64::MAX);
        let old = events.partition_point(|event| event.seq <= known);
        let mut begins = old.checked_sub(1).map_or(0, |last| events[last].end);
        events.drain(..old);
        let mut duplicates = u64::try_from(old).unwrap_or(u64::MAX);
        let (Some(first), Some(last)) = (events.first(), events.last()) else {
            return Ok(Intake { mark: mark.seq, duplicates, out_of_step: false });
        };
        let number = match standing.number {
            Some(number) => number,
            None => add_instance(self.connection, instance)?,
        };
        (standing.number, standing.seq, standing.print) = (Some(number), last.seq, *print);
        let missing =
            missing(before, &first.record).map(|missing| self.missing(number, missing)).transpose()?;
        for Ready { record, seq, subject, end } in events.iter_mut() {
            let bytes = &bytes[begins..*end];
            begins = *end;
            if let (Some(forked), Some((_, number))) = (&forked, record.origin)
                && forked.told.contains(&number)
            {
                duplicates += 1;
                continue;
            }
            let subject = match (subject, row::about(&record.what)) {
                (Some(hash), Some(about)) => Some(self.log.subjects.row(self.connection, *hash, about)?),
                _ => None,
            };
            self.push(number, record, Some(*seq), subject, bytes)?;
        }
        // What has no place in the log was there already.
        events.retain(|event| event.record.id != 0);
        let gap = |record| Ready { record, seq: 0, subject: None, end: 0 };
        events.splice(..0, missing.map(gap));
        self.log.marks.moved(place, standing);
        let Mark { seq, .. } = standing.mark()?;
        Ok(Intake { mark: seq, duplicates, out_of_step: false })
    }

    fn missing(&mut self, number: i64, mut missing: EventRecord) -> Result<EventRecord, StoreError> {
        let mut bytes = Vec::new();
        row::encode(&mut bytes, &missing.what)?;
        self.push(number, &mut missing, None, None, &bytes)?;
        Ok(missing)
    }

    /// Appends an event, and gives it its place.
    fn push(
        &mut self,
        number: i64,
        record: &mut EventRecord,
        seq: Option<i64>,
        subject: Option<i64>,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let row = Row {
            instance: number,
            epoch: record.origin.map(|(epoch, _)| epoch.0.into_bytes()),
            seq,
            at: record.at.0,
            received_at: record.received_at.0,
            kind: row::stored_kind(&record.what),
            subject,
        };
        record.id = self.log.rows.push(self.connection, row, bytes)?;
        Ok(())
    }
}

fn add_instance(connection: &Connection, instance: &InstanceId) -> Result<i64, StoreError> {
    let sql = "INSERT INTO event_instances (instance) VALUES (?1)";
    Ok(connection.prepare_cached(sql)?.insert([instance.as_str()])?)
}

/// What stands for the events between the mark and the first new one: an agent tells every number, and forgets only what
/// was acknowledged, so they were acknowledged once and are not here.
fn missing(mark: EventSeq, first: &EventRecord) -> Option<EventRecord> {
    let begins = match (&first.what, first.origin) {
        (EventKind::Gap { from, .. }, _) => *from,
        (_, origin) => origin?.1,
    };
    let (from, to) = (EventSeq(mark.0 + 1), EventSeq(begins.0.saturating_sub(1)));
    let reason = "the agent had told these to a controller before, but they are not in this one's store: it was set \
                  back to an older copy, damaged, or is another one";
    let what = EventKind::Gap { from, to, count: to.0.checked_sub(mark.0)?, reason: reason.to_owned() };
    (from <= to).then(|| EventRecord {
        id: 0,
        instance: first.instance.clone(),
        origin: None,
        what,
        ..*first
    })
}
