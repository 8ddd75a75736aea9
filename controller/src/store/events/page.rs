//! Pages of the event log. Those of one instance go through its index, and through the newest events, which are not in
//! it yet.

use rusqlite::{Connection, ToSql};

use super::row::{self, COLUMNS, JOINS};
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
    let Some(_) = &filter.instance else {
        return read(connection, &Query::new(filter, From::Log(0), cursor, limit)?);
    };
    let upto = indexed(super::newest(connection)?);
    let mut events = read(connection, &Query::new(filter, From::Log(upto), cursor, limit)?)?;
    if events.len() < limit {
        // What was entered into the index meanwhile was read from the log.
        let (cursor, left) = (cursor.min(upto + 1), limit - events.len());
        events.extend(read(connection, &Query::new(filter, From::Index, cursor, left)?)?);
    }
    Ok(events)
}

fn read(connection: &Connection, query: &Query) -> Result<Vec<EventRecord>, StoreError> {
    let mut statement = connection.prepare_cached(&query.sql)?;
    let values: Vec<&dyn ToSql> = query.values.iter().map(AsRef::as_ref).collect();
    let mut rows = statement.query(values.as_slice())?;
    let mut events = Vec::new();
    while let Some(found) = rows.next()? {
        events.push(row::read(found)?);
    }
    Ok(events)
}

/// A page's SQL. The last column compared is always the id, so that each form walks a key backwards.
pub(super) struct Query {
    pub sql: String,
    values: Vec<Box<dyn ToSql>>,
}

impl Query {
    pub fn new(filter: &EventFilter, from: From, cursor: i64, limit: usize) -> Result<Self, StoreError> {
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
            let named = "+e.subject IN (SELECT id FROM event_subjects WHERE container = ?) AND ";
            query.add(named, container.as_str().to_owned());
        }
        if let Some(kind) = &filter.kind {
            query.add("e.kind = ? AND ", row::kind_named(kind));
        }
        if let Some(since) = filter.since {
            query.add("e.at >= ? AND ", since.0);
        }
        query.add(&format!("{id} < ? ORDER BY {id} DESC "), cursor);
        query.add("LIMIT ?", i64::try_from(limit).unwrap_or(i64::MAX));
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
            statements.push((Query::new(&filter, From::Log(named % 2), 10, 10).unwrap().sql, "SEARCH e "));
            if filter.instance.is_some() {
                statements.push((Query::new(&filter, From::Index, 10, 10).unwrap().sql, "SEARCH i "));
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
