//! How far each outbox has been stored, and whether what comes next goes on from there: on disk, and in memory what was
//! asked for lately, so that a message costs no look-up.

use std::collections::{HashMap, HashSet};

use roadstead_protocol::message::event::{Event, EventKind, Fork};
use roadstead_protocol::message::ids::{Epoch, EventSeq, InstanceId, Print};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::row::{self, COLUMNS, JOINS, Reader};
use super::{StoreError, indexed, newest};

/// Up to where an outbox has been stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The last stored event; 0 if there is none.
    pub seq: EventSeq,
    /// Its print, if the agent told it.
    pub print: Option<Print>,
}

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
    /// The print of the event at the mark, if the agent told it.
    pub print: Option<Print>,
    epoch: Epoch,
    /// The row of the mark; none if there is none.
    row: Option<i64>,
    /// Whether the mark is other than on disk.
    waits: bool,
}

impl Standing {
    pub fn mark(self) -> Result<Mark, StoreError> {
        let seq = u64::try_from(self.seq).map_err(|_| StoreError::Corrupt("event_marks"))?;
        Ok(Mark { seq: EventSeq(seq), print: self.print })
    }
}

/// The standing of instances, of each that of the outbox it told last.
#[derive(Debug, Default)]
pub(super) struct Marks {
    places: HashMap<InstanceId, usize>,
    known: Vec<(InstanceId, Standing)>,
    /// Places of those whose marks were moved and not written yet.
    moved: Vec<usize>,
}

/// Where in memory the standing of an instance is, until the transaction ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place(usize);

impl Marks {
    /// Where an instance stands with an outbox.
    pub fn of(
        &mut self,
        connection: &Connection,
        instance: &InstanceId,
        epoch: Epoch,
    ) -> Result<(Place, Standing), StoreError> {
        let place = self.places.get(instance).copied();
        if let Some((_, known)) = place.and_then(|place| self.known.get(place))
            && let Some(place) = place
            && known.epoch == epoch
        {
            return Ok((Place(place), *known));
        }
        // Another outbox than the last one: that one's mark must not be lost.
        self.write(connection)?;
        let standing = standing(connection, instance, epoch)?;
        let place = place.unwrap_or(self.known.len());
        match self.known.get_mut(place) {
            Some(known) => known.1 = standing,
            None => {
                self.known.push((instance.clone(), standing));
                self.places.insert(instance.clone(), place);
            }
        }
        Ok((Place(place), standing))
    }

    /// Moves a mark in memory; [`write`](Self::write) has to follow in the same transaction.
    pub fn moved(&mut self, place: Place, now: Standing) {
        let Some((_, known)) = self.known.get_mut(place.0) else { return };
        let waits = known.waits;
        *known = Standing { waits: true, ..now };
        if !waits {
            self.moved.push(place.0);
        }
    }

    /// Writes the marks that were moved.
    pub fn write(&mut self, connection: &Connection) -> Result<(), StoreError> {
        if self.moved.is_empty() {
            return Ok(());
        }
        let sql = "UPDATE event_marks SET seq = ?2, print = ?3 WHERE id = ?1";
        let mut update = connection.prepare_cached(sql)?;
        for place in self.moved.drain(..) {
            let Some((instance, known)) = self.known.get_mut(place) else { continue };
            match known.row {
                Some(row) => {
                    update.execute(params![row, known.seq, known.print.map(|print| print.0)])?;
                }
                None => known.row = Some(insert(connection, instance, known)?),
            }
            known.waits = false;
        }
        Ok(())
    }

    /// Ends a transaction's use of it.
    pub fn end(&mut self) {
        if self.known.len() > MOST_KNOWN {
            *self = Self::default();
        }
    }
}

/// The mark of a new outbox; marks of others are forgotten where there are too many.
fn insert(connection: &Connection, instance: &InstanceId, now: &Standing) -> Result<i64, StoreError> {
    let (instance, epoch) = (instance.as_str(), now.epoch.0.into_bytes());
    let sql = "INSERT INTO event_marks (instance, epoch, seq, print) VALUES (?1, ?2, ?3, ?4)";
    let print = now.print.map(|print| print.0);
    let row = connection.prepare_cached(sql)?.insert(params![instance, epoch, now.seq, print])?;
    connection.prepare_cached(FORGET_MARKS)?.execute(params![instance, epoch, MAX_MARKS - 1])?;
    Ok(row)
}

/// Where an instance stands with an outbox, as it is on disk.
pub(super) fn standing(
    connection: &Connection,
    instance: &InstanceId,
    epoch: Epoch,
) -> Result<Standing, StoreError> {
    let sql = "SELECT n.id, m.id, m.seq, m.print FROM event_instances AS n
               LEFT JOIN event_marks AS m ON m.instance = n.instance AND m.epoch = ?2 WHERE n.instance = ?1";
    let (number, row, seq, print): (_, _, Option<i64>, Option<i64>) = connection
        .prepare_cached(sql)?
        .query_row(params![instance.as_str(), epoch.0.into_bytes()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?
        .unwrap_or_default();
    let print = print.and_then(|print| u32::try_from(print).ok()).map(Print);
    let standing = Standing { number, seq: seq.unwrap_or(0), print, epoch, row, waits: false };
    standing.mark().map(|_| standing)
}

/// A number of an event as it is stored.
pub(super) fn to_i64(seq: EventSeq) -> Result<i64, StoreError> {
    i64::try_from(seq.0).map_err(|_| StoreError::Corrupt("event number"))
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

/// Rows of an instance's events that are looked through, the newest first. An outbox that is not alone is found out within minutes.
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
         WHERE e.seq >= ?4 AND (e.more > 0 OR e.seq <= ?5)"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![number, upto, LOOKED_THROUGH, to_i64(*from)?, to_i64(*to)?])?;
    let (mut before, mut reader) = (HashSet::new(), Reader::new(connection)?);
    while let Some(found) = rows.next()? {
        // What cannot be read is like none.
        for entry in row::entries(found).unwrap_or_default() {
            let seq = entry.seq.and_then(|seq| u64::try_from(seq).ok());
            let Some(event) = seq.and_then(|seq| told.get(&EventSeq(seq))) else { continue };
            let Ok(record) = reader.read(found, &entry) else { continue };
            // A gap is as old as its last reading.
            let same_time = record.at == event.at || matches!(event.what, EventKind::Gap { .. });
            if same_time && record.what == event.what {
                before.insert(event.seq);
            }
        }
    }
    Ok(before)
}
