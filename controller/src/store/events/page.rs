//! Pages of the event log. Those of one instance go through the index of its outboxes, and through the newest events,
//! which are not in it yet.

use rusqlite::{Connection, OptionalExtension as _, ToSql};

use super::row::{self, COLUMNS, JOINS};
use super::{EventFilter, StoreError};
use crate::model::EventRecord;

/// Where a page's events come from.
#[derive(Clone, Copy)]
pub(super) enum From {
    /// Everywhere.
    All,
    /// An outbox's events that are newer than the index.
    Newest { outbox: i64, upto: i64 },
    /// An outbox's events in the index.
    Index { outbox: i64, upto: i64 },
}

/// At most `limit` events with an id below `cursor`, newest first.
pub(super) fn before(
    connection: &Connection,
    filter: &EventFilter,
    cursor: i64,
    limit: usize,
) -> Result<Vec<EventRecord>, StoreError> {
    let Some(instance) = &filter.instance else {
        return select(connection, &Query::new(filter, From::All, cursor, limit));
    };
    let upto = indexed(connection)?;
    let mut found = Vec::new();
    let mut outboxes = connection.prepare_cached("SELECT id FROM event_outboxes WHERE instance = ?1")?;
    let outboxes: Vec<i64> =
        outboxes.query_map([instance.as_str()], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for outbox in outboxes {
        let newest = select(connection, &Query::new(filter, From::Newest { outbox, upto }, cursor, limit))?;
        let left = limit - newest.len();
        found.extend(newest);
        if left > 0 {
            found
                .extend(select(connection, &Query::new(filter, From::Index { outbox, upto }, cursor, left))?);
        }
    }
    found.sort_unstable_by_key(|event| std::cmp::Reverse(event.id));
    found.truncate(limit);
    Ok(found)
}

/// Up to which event the index goes.
pub(super) fn indexed(connection: &Connection) -> Result<i64, StoreError> {
    let sql = "SELECT upto FROM event_index WHERE one = 1";
    Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?.unwrap_or(0))
}

fn select(connection: &Connection, query: &Query) -> Result<Vec<EventRecord>, StoreError> {
    let mut statement = connection.prepare_cached(&query.sql)?;
    let mut rows = statement.query(query.values().as_slice())?;
    let mut events = Vec::new();
    while let Some(found) = rows.next()? {
        events.push(row::read(found)?);
    }
    Ok(events)
}

/// A page's SQL. The last column compared is always the event's id, so that each form walks a key backwards.
pub(super) struct Query {
    pub sql: String,
    values: Vec<Box<dyn ToSql>>,
}

impl Query {
    pub fn new(filter: &EventFilter, from: From, cursor: i64, limit: usize) -> Self {
        let (tables, id) = match from {
            From::All | From::Newest { .. } => ("events AS e", "e.id"),
            From::Index { .. } => ("events_of AS i CROSS JOIN events AS e ON e.id = i.event", "i.event"),
        };
        let sql = format!("SELECT {COLUMNS} FROM {tables} {JOINS} WHERE ");
        let mut query = Self { sql, values: Vec::new() };
        match from {
            From::All => {}
            From::Newest { outbox, upto } => {
                query.add("e.id > ? AND ", upto);
                query.add("e.outbox = ? AND ", outbox);
            }
            From::Index { outbox, upto } => {
                query.add("i.outbox = ? AND ", outbox);
                query.add("i.event <= ? AND ", upto);
            }
        }
        if let Some(container) = &filter.container {
            query.add("+s.container = ? AND ", container.as_str().to_owned());
        }
        if let Some(kind) = &filter.kind {
            query.add("e.kind = ? AND ", row::stored_kind(kind));
        }
        if let Some(since) = filter.since {
            query.add("e.at >= ? AND ", since.0);
        }
        query.add(&format!("{id} < ? ORDER BY {id} DESC "), cursor);
        query.add("LIMIT ?", i64::try_from(limit).unwrap_or(i64::MAX));
        query
    }

    fn add(&mut self, sql: &str, value: impl ToSql + 'static) {
        self.sql.push_str(sql);
        self.values.push(Box::new(value));
    }

    fn values(&self) -> Vec<&dyn ToSql> {
        self.values.iter().map(AsRef::as_ref).collect()
    }
}
