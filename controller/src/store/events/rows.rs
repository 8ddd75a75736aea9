//! Rows on their way into the log: events that came together share one, and many go into one statement, since SQLite takes
//! most of its time for each row and each statement.

use std::sync::LazyLock;

use roadstead_protocol::message::codec;
use rusqlite::{Connection, Statement};
use serde_bytes::Bytes;

use super::StoreError;

/// Rows of one statement.
const TOGETHER: usize = 32;

/// Events of one row, …
pub(super) const OF_ONE_ROW: i64 = 64;

/// … and the bytes after which no further one joins them: a large row is read in many pieces.
const EARLIER_BYTES: usize = 16 * 1024;

/// Values of a row.
const VALUES: usize = 11;

const APPEND: &str = "INSERT INTO events
    (id, instance, epoch, seq, at, received_at, kind, subject, what, more, earlier) VALUES ";

const ROW: &str = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

static APPEND_ONE: LazyLock<String> = LazyLock::new(|| [APPEND, ROW].concat());

static APPEND_MANY: LazyLock<String> = LazyLock::new(|| [APPEND, &[ROW; TOGETHER].join(", ")].concat());

/// A row without its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub instance: i64,
    pub epoch: Option<[u8; 16]>,
    pub seq: Option<i64>,
    pub at: i64,
    pub received_at: i64,
    pub kind: u8,
    pub subject: Option<i64>,
}

/// An event of a row that is not its last, as its bytes have it: number, time, kind, subject, and what is told.
pub(super) type Earlier<'a> = (Option<i64>, i64, u8, Option<i64>, &'a Bytes);

/// Writes it after those of others.
pub(super) fn encode_earlier(bytes: &mut Vec<u8>, earlier: &Earlier<'_>) -> Result<(), StoreError> {
    codec::encode_after(bytes, earlier, codec::MAX_MESSAGE).map_err(|_| StoreError::Corrupt("events"))
}

/// A row that waits. Its bytes, and those of its earlier events, begin where those of the row before end.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    row: Row,
    /// Its place in the log.
    id: i64,
    more: i64,
    bytes_end: usize,
    earlier_end: usize,
}

/// Rows that wait to be inserted together.
#[derive(Debug, Default)]
pub(super) struct Rows {
    rows: Vec<Waiting>,
    bytes: Vec<u8>,
    earlier: Vec<u8>,
    /// The place of the last event in the log.
    last: i64,
}

impl Rows {
    /// Begins after an event with this place.
    pub fn begin(&mut self, newest: i64) {
        self.clear();
        self.last = newest;
    }

    fn clear(&mut self) {
        self.rows.clear();
        self.bytes.clear();
        self.earlier.clear();
    }

    /// Takes an event, and gives it its place; [`insert`](Self::insert) has to follow in the same transaction.
    pub fn push(&mut self, connection: &Connection, row: Row, bytes: &[u8]) -> Result<i64, StoreError> {
        let joined = self.join_last(&row)?;
        if !joined && self.rows.len() == TOGETHER {
            self.insert(connection)?;
        }
        self.last += 1;
        self.bytes.extend_from_slice(bytes);
        let (id, bytes_end, earlier_end) = (self.last, self.bytes.len(), self.earlier.len());
        match self.rows.last_mut() {
            Some(open) if joined => {
                *open = Waiting { row, id, more: open.more + 1, bytes_end, earlier_end };
            }
            _ => self.rows.push(Waiting { row, id, more: 0, bytes_end, earlier_end }),
        }
        Ok(self.last)
    }

    /// Makes the last event that waits an earlier one of the row that `next` is to be the last of, if they may share one.
    fn join_last(&mut self, next: &Row) -> Result<bool, StoreError> {
        let [.., open] = self.rows.as_slice() else { return Ok(false) };
        let before = self.rows.len().checked_sub(2).map(|before| self.rows[before]);
        let (bytes_begin, earlier_begin) =
            before.map_or((0, 0), |before| (before.bytes_end, before.earlier_end));
        let size = open.bytes_end - bytes_begin + open.earlier_end - earlier_begin;
        let same = next.shared().is_some() && open.row.shared() == next.shared();
        if !same || open.more + 1 >= OF_ONE_ROW || size > EARLIER_BYTES {
            return Ok(false);
        }
        let Row { seq, at, kind, subject, .. } = open.row;
        let earlier: Earlier<'_> = (seq, at, kind, subject, Bytes::new(&self.bytes[bytes_begin..]));
        encode_earlier(&mut self.earlier, &earlier)?;
        self.bytes.truncate(bytes_begin);
        Ok(true)
    }

    /// The place of the last event.
    pub fn last(&self) -> i64 {
        self.last
    }

    /// Inserts those that wait.
    pub fn insert(&mut self, connection: &Connection) -> Result<(), StoreError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let many = self.rows.len() == TOGETHER;
        let mut statement = connection.prepare_cached(if many { &APPEND_MANY } else { &APPEND_ONE })?;
        let (mut bytes_begin, mut earlier_begin) = (0, 0);
        for (place, waiting) in self.rows.iter().enumerate() {
            let bytes = &self.bytes[bytes_begin..waiting.bytes_end];
            let earlier = &self.earlier[earlier_begin..waiting.earlier_end];
            bind(&mut statement, if many { place } else { 0 }, waiting, bytes, earlier)?;
            if !many || place + 1 == TOGETHER {
                statement.raw_execute()?;
            }
            (bytes_begin, earlier_begin) = (waiting.bytes_end, waiting.earlier_end);
        }
        self.clear();
        Ok(())
    }
}

impl Row {
    /// What all events of a row have in common. One without a number has no message that it came in, and stands alone.
    fn shared(&self) -> Option<(i64, [u8; 16], i64)> {
        self.seq.and(self.epoch).map(|epoch| (self.instance, epoch, self.received_at))
    }
}

fn bind(
    statement: &mut Statement<'_>,
    place: usize,
    waiting: &Waiting,
    bytes: &[u8],
    earlier: &[u8],
) -> rusqlite::Result<()> {
    let (first, row) = (place * VALUES + 1, &waiting.row);
    statement.raw_bind_parameter(first, waiting.id)?;
    statement.raw_bind_parameter(first + 1, row.instance)?;
    statement.raw_bind_parameter(first + 2, row.epoch)?;
    statement.raw_bind_parameter(first + 3, row.seq)?;
    statement.raw_bind_parameter(first + 4, row.at)?;
    statement.raw_bind_parameter(first + 5, row.received_at)?;
    statement.raw_bind_parameter(first + 6, row.kind)?;
    statement.raw_bind_parameter(first + 7, row.subject)?;
    statement.raw_bind_parameter(first + 8, bytes)?;
    statement.raw_bind_parameter(first + 9, waiting.more)?;
    statement.raw_bind_parameter(first + 10, Some(earlier).filter(|earlier| !earlier.is_empty()))
}
