//! How far each outbox has been stored, and whether what comes next goes on from there.

use std::collections::{HashMap, HashSet};

use roadstead_protocol::message::event::{Event, EventKind, Fork};
use roadstead_protocol::message::ids::{Epoch, EventSeq, InstanceId, Print};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::row::{self, COLUMNS, JOINS};
use super::{StoreError, indexed, newest, to_i64};

/// Up to where an outbox has been stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The last stored event; 0 if there is none.
    pub seq: EventSeq,
    /// Its print, if the agent told it.
    pub print: Option<Print>,
}

/// Outboxes of one agent whose marks are kept. An honest one begins a new outbox only when it loses its data folder.
const MAX_MARKS: i64 = 16;

/// The shortest histories go first: nothing tells which outbox is the oldest.
const FORGET_MARKS: &str = "DELETE FROM event_marks WHERE instance = ?1 AND epoch <> ?2 AND epoch NOT IN (
    SELECT epoch FROM event_marks WHERE instance = ?1 AND epoch <> ?2 ORDER BY seq DESC, epoch LIMIT ?3)";

/// An instance's number, none if no event of it was stored; and the mark of one of its outboxes.
pub(super) struct Standing {
    pub number: Option<i64>,
    pub mark: Mark,
}

pub(super) fn standing(
    connection: &Connection,
    instance: &InstanceId,
    epoch: Epoch,
) -> Result<Standing, StoreError> {
    let sql = "SELECT n.id, m.seq, m.print FROM event_instances AS n
               LEFT JOIN event_marks AS m ON m.instance = n.instance AND m.epoch = ?2 WHERE n.instance = ?1";
    let found: Option<(i64, Option<i64>, Option<i64>)> = connection
        .prepare_cached(sql)?
        .query_row(params![instance.as_str(), epoch.0.into_bytes()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((number, seq, print)) = found else {
        return Ok(Standing { number: None, mark: Mark::default() });
    };
    let seq = seq.map_or(Ok(EventSeq(0)), to_seq)?;
    let print = print.and_then(|print| u32::try_from(print).ok()).map(Print);
    Ok(Standing { number: Some(number), mark: Mark { seq, print } })
}

pub(super) fn add_instance(connection: &Connection, instance: &InstanceId) -> Result<i64, StoreError> {
    let sql = "INSERT INTO event_instances (instance) VALUES (?1)";
    Ok(connection.prepare_cached(sql)?.insert([instance.as_str()])?)
}

/// Moves the mark of an outbox, and forgets the marks of others if it has none yet.
pub(super) fn advance(
    connection: &Connection,
    instance: &InstanceId,
    epoch: Epoch,
    begun: bool,
    mark: Mark,
) -> Result<(), StoreError> {
    let (instance, epoch, seq) = (instance.as_str(), epoch.0.into_bytes(), to_i64(mark.seq)?);
    let print = mark.print.map(|print| print.0);
    if begun {
        let sql = "UPDATE event_marks SET seq = ?3, print = ?4 WHERE instance = ?1 AND epoch = ?2";
        connection.prepare_cached(sql)?.execute(params![instance, epoch, seq, print])?;
    } else {
        let sql = "INSERT INTO event_marks (instance, epoch, seq, print) VALUES (?1, ?2, ?3, ?4)";
        connection.prepare_cached(sql)?.execute(params![instance, epoch, seq, print])?;
        connection.prepare_cached(FORGET_MARKS)?.execute(params![instance, epoch, MAX_MARKS - 1])?;
    }
    Ok(())
}

/// Whether a batch neither goes on from the mark nor is what was stored last: then the mark has been moved by another
/// outbox with the same epoch, or by an earlier session that was not over yet, and what is not above it need not be what
/// is stored. Cannot be told of agents without prints.
pub(super) fn is_out_of_step(
    mark: Mark,
    print: Option<Print>,
    mut seqs: impl Iterator<Item = EventSeq>,
) -> bool {
    let (Some(first), Some(_), Some(_)) = (seqs.next(), print, mark.print) else { return false };
    let last = seqs.last().unwrap_or(first);
    first <= mark.seq && (last, print) != (mark.seq, mark.print)
}

/// Events of an instance that are looked through, the newest first. An outbox that is not alone is found out within minutes.
const LOOKED_THROUGH: i64 = 200_000;

const NEWEST_OF: &str = "SELECT * FROM (SELECT event FROM events_of WHERE instance = ?1 AND event <= ?2 ORDER BY event DESC LIMIT ?3)
     UNION ALL SELECT id FROM events WHERE id > ?2 AND +instance = ?1";

/// Which of the events were stored under an earlier epoch of this instance before `fork`: those that are the same, at the
/// same number.
pub(super) fn told_before<'a>(
    connection: &Connection,
    instance: &InstanceId,
    fork: Fork,
    events: impl Iterator<Item = &'a Event>,
) -> Result<HashSet<EventSeq>, StoreError> {
    let told: HashMap<EventSeq, &Event> =
        events.filter(|event| event.seq <= fork.up_to).map(|event| (event.seq, event)).collect();
    let (Some(from), Some(to)) = (told.keys().min(), told.keys().max()) else { return Ok(HashSet::new()) };
    let sql = "SELECT id FROM event_instances WHERE instance = ?1";
    let number: Option<i64> =
        connection.prepare_cached(sql)?.query_row([instance.as_str()], |row| row.get(0)).optional()?;
    let upto = indexed(newest(connection)?);
    let sql = format!(
        "WITH o (event) AS ({NEWEST_OF}) SELECT {COLUMNS} FROM o CROSS JOIN events AS e ON e.id = o.event {JOINS} \
         WHERE e.seq BETWEEN ?4 AND ?5"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![number, upto, LOOKED_THROUGH, to_i64(*from)?, to_i64(*to)?])?;
    let mut before = HashSet::new();
    while let Some(found) = rows.next()? {
        // One that cannot be read is like none.
        let Ok(record) = row::read(found) else { continue };
        let Some(event) = record.origin.and_then(|(_, seq)| told.get(&seq)) else { continue };
        // A gap is as old as its last reading.
        let same_time = record.at == event.at || matches!(event.what, EventKind::Gap { .. });
        if same_time && record.what == event.what {
            before.insert(event.seq);
        }
    }
    Ok(before)
}

/// What stands for the events between the mark and the first new one: an agent tells every number, and forgets only what
/// was acknowledged, so they were acknowledged once and are not here.
pub(super) fn missing<'a>(mark: EventSeq, mut events: impl Iterator<Item = &'a Event>) -> Option<Event> {
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

fn to_seq(seq: i64) -> Result<EventSeq, StoreError> {
    u64::try_from(seq).map(EventSeq).map_err(|_| StoreError::Corrupt("event_marks"))
}
