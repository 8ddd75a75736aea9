//! Pages of the event log. Those of one instance go through its index, and through the newest events, which are not in
//! it yet.

use std::collections::HashSet;

use roadstead_protocol::message::ids::ContainerId;
use rusqlite::{Connection, ToSql};

use super::row::{self, COLUMNS, Entry, JOINS, Reader};
use super::rows::OF_ONE_ROW;
use super::{EventFilter, StoreError, indexed};
use crate::model::EventRecord;
use crate::store::instances::ids;

/// Where a page's events come from.
#[derive(Clone, Copy)]
pub(super) enum From {
    /// The log, after this id.
    Log(i64),
    /// The index of the filter's instance.
    Index,
}

/// At most `limit` events with an id below `cursor`, newest first.
pub(super) fn before(
    connection: &Connection,
    filter: &EventFilter,
    cursor: i64,
    limit: usize,
) -> Result<Vec<EventRecord>, StoreError> {
    // What is read in turns has to be from one moment.
    let connection = &connection.unchecked_transaction()?;
    let (wanted, reader) = (Wanted::new(connection, filter, cursor)?, Reader::new(connection)?);
    let mut page = Page { wanted, reader, events: Vec::new(), limit };
    if page.wanted.cannot_be() {
        return Ok(page.events);
    }
    // A row has the place of its last event: one of the next rows may begin before the cursor.
    let rows = cursor.saturating_add(OF_ONE_ROW - 1);
    let Some(_) = &filter.instance else {
        page.read(connection, &Query::new(filter, From::Log(0), rows)?)?;
        return Ok(page.events);
    };
    let upto = indexed(super::newest(connection)?);
    page.read(connection, &Query::new(filter, From::Log(upto), rows)?)?;
    page.read(connection, &Query::new(filter, From::Index, rows.min(upto + 1))?)?;
    Ok(page.events)
}

/// Which events of the rows that are found are asked for: a row's columns tell of its last event only.
struct Wanted {
    cursor: i64,
    kind: Option<Option<i64>>,
    since: i64,
    subjects: Option<HashSet<i64>>,
}

impl Wanted {
    fn new(connection: &Connection, filter: &EventFilter, cursor: i64) -> Result<Self, StoreError> {
        let subjects = |container: &ContainerId| {
            let sql = "SELECT id FROM event_subjects WHERE container = ?1";
            let mut statement = connection.prepare_cached(sql)?;
            let found = statement.query_map([container.as_str()], |row| row.get(0))?;
            found.collect::<rusqlite::Result<_>>()
        };
        Ok(Self {
            cursor,
            kind: filter.kind.as_deref().map(row::kind_named),
            since: filter.since.map_or(i64::MIN, |since| since.0),
            subjects: filter.container.as_ref().map(subjects).transpose()?,
        })
    }

    /// Whether no event can be what is asked for.
    fn cannot_be(&self) -> bool {
        self.kind == Some(None) || self.subjects.as_ref().is_some_and(HashSet::is_empty)
    }

    fn wants(&self, entry: &Entry<'_>) -> bool {
        entry.id < self.cursor
            && entry.at >= self.since
            && self.kind.is_none_or(|kind| kind == Some(entry.kind))
            && self
                .subjects
                .as_ref()
                .is_none_or(|these| entry.subject.is_some_and(|one| these.contains(&one)))
    }
}

/// What has been found.
struct Page<'c> {
    wanted: Wanted,
    reader: Reader<'c>,
    events: Vec<EventRecord>,
    limit: usize,
}

impl Page<'_> {
    /// Adds what a query finds, until it is enough.
    fn read(&mut self, connection: &Connection, query: &Query) -> Result<(), StoreError> {
        let mut statement = connection.prepare_cached(&query.sql)?;
        let values: Vec<&dyn ToSql> = query.values.iter().map(AsRef::as_ref).collect();
        let mut rows = statement.query(values.as_slice())?;
        while self.events.len() < self.limit
            && let Some(found) = rows.next()?
        {
            let (entries, left) = (row::entries(found)?, self.limit - self.events.len());
            for entry in entries.iter().rev().filter(|entry| self.wanted.wants(entry)).take(left) {
                self.events.push(self.reader.read(found, entry)?);
            }
        }
        Ok(())
    }
}

/// A page's SQL, for rows before a place: which of their events are wanted is decided when they are read, and of what is
/// compared here a row of several events is excepted. The last column compared is always the id, so that each form walks a key backwards.
pub(super) struct Query {
    pub sql: String,
    values: Vec<Box<dyn ToSql>>,
}

impl Query {
    pub fn new(filter: &EventFilter, from: From, before: i64) -> Result<Self, StoreError> {
        let (tables, of, id) = match from {
            From::Log(_) => ("events AS e", "+e.instance", "e.id"),
            From::Index => {
                ("events_of AS i CROSS JOIN events AS e ON e.id = i.event", "i.instance", "i.event")
            }
        };
        let sql = format!("SELECT {COLUMNS} FROM {tables} {JOINS} WHERE ");
        let mut query = Self { sql, values: Vec::new() };
        if let Some(instance) = &filter.instance {
            let named = format!("{of} = (SELECT id FROM event_instances WHERE instance = ?) AND ");
            query.add(&named, instance.as_str().to_owned());
        }
        if let From::Log(after @ 1..) = from {
            query.add("e.id > ? AND ", after);
        }
        if let Some(instances) = &filter.instances {
            // Not by the index: the newest of many are wanted, whichever they are of.
            query.add("+n.instance IN (SELECT value FROM json_each(?)) AND ", ids(instances)?);
        }
        if let Some(container) = &filter.container {
            let named =
                "(e.more > 0 OR +e.subject IN (SELECT id FROM event_subjects WHERE container = ?)) AND ";
            query.add(named, container.as_str().to_owned());
        }
        if let Some(kind) = &filter.kind {
            query.add("(e.more > 0 OR e.kind = ?) AND ", row::kind_named(kind));
        }
        if let Some(since) = filter.since {
            query.add("(e.more > 0 OR e.at >= ?) AND ", since.0);
        }
        query.add(&format!("{id} < ? ORDER BY {id} DESC"), before);
        Ok(query)
    }

    fn add(&mut self, sql: &str, value: impl ToSql + 'static) {
        self.sql.push_str(sql);
        self.values.push(Box::new(value));
    }
}

#[cfg(test)]
mod tests {
    use roadstead_protocol::message::time::UnixMicros;

    use super::{EventFilter, From, Query};
    use crate::fixtures::{container_id, instance, store};

    #[tokio::test]
    async fn every_page_walks_a_key() {
        let (store, _directory) = store();
        let mut statements = Vec::new();
        for named in 0..32 {
            let filter = EventFilter {
                instances: (named & 16 > 0).then(|| vec![instance("a"), instance("b")]),
                instance: (named & 1 > 0).then(|| instance("a")),
                container: (named & 2 > 0).then(|| container_id(1)),
                kind: (named & 4 > 0).then(|| "container".to_owned()),
                since: (named & 8 > 0).then_some(UnixMicros(1)),
            };
            statements.push((Query::new(&filter, From::Log(named % 2), 10).unwrap().sql, "SEARCH e "));
            if filter.instance.is_some() {
                statements.push((Query::new(&filter, From::Index, 10).unwrap().sql, "SEARCH i "));
            }
        }
        store
            .read(move |connection| {
                for (sql, first) in statements {
                    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
                    let parameters = vec![1; statement.parameter_count()];
                    let steps: Vec<String> = statement
                        .query_map(rusqlite::params_from_iter(parameters), |row| row.get("detail"))?
                        .collect::<Result<_, _>>()?;
                    let plan = steps.join("; ");
                    assert!(plan.starts_with(first), "{sql}: {plan}");
                    assert!(!plan.contains("SCAN event") && !plan.contains("TEMP B-TREE"), "{sql}: {plan}");
                }
                Ok(())
            })
            .await
            .unwrap();
    }
}
