//! The event log and how far each outbox has been stored.

use roadstead_protocol::message::codec;
use roadstead_protocol::message::event::{Event, EventBatch, EventKind};
use roadstead_protocol::message::ids::{ContainerId, Epoch, EventSeq, InstanceId};
use roadstead_protocol::message::time::UnixMicros;
use rusqlite::{Connection, OptionalExtension as _, Row, ToSql, params};
use uuid::Uuid;

use super::instances::ids;
use super::{Store, StoreError};
use crate::model::EventRecord;

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

const COLUMNS: &str = "id, instance, epoch, seq, at, received_at, what";

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
        self.write(move |transaction| {
            let before = read_mark(transaction, &instance, batch.epoch)?;
            let mut intake = Intake { mark: before, ..Intake::default() };
            if let Some(missing) = missing(before, &batch.events) {
                intake.stored.push(insert(transaction, &instance, None, missing, received_at)?);
            }
            for event in batch.events {
                if event.seq <= before {
                    intake.duplicates += 1;
                    continue;
                }
                intake.mark = event.seq;
                intake.stored.push(insert(transaction, &instance, Some(batch.epoch), event, received_at)?);
            }
            if intake.mark > before {
                transaction
                    .prepare_cached(
                        "INSERT INTO event_marks (instance, epoch, seq) VALUES (?1, ?2, ?3)
                         ON CONFLICT (instance, epoch) DO UPDATE SET seq = excluded.seq",
                    )?
                    .execute(params![instance.as_str(), batch.epoch.0.into_bytes(), to_i64(intake.mark)?])?;
                if before.0 == 0 {
                    let params = params![instance.as_str(), batch.epoch.0.into_bytes(), MAX_MARKS - 1];
                    transaction.prepare_cached(FORGET_MARKS)?.execute(params)?;
                }
            }
            Ok(intake)
        })
        .await
    }

    /// Up to where an outbox has been stored; 0 if not at all.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn event_mark(&self, instance: InstanceId, epoch: Epoch) -> Result<EventSeq, StoreError> {
        self.read(move |connection| read_mark(connection, &instance, epoch)).await
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
        self.read(move |connection| {
            let query = Query::new(&filter, cursor, limit)?;
            let mut statement = connection.prepare_cached(&query.sql)?;
            let mut rows = statement.query(query.values().as_slice())?;
            let mut events = Vec::new();
            while let Some(row) = rows.next()? {
                events.push(read_event(row)?);
            }
            Ok(events)
        })
        .await
    }

    /// Deletes at most `chunk` of the oldest events: those received before `before`, and those beyond the newest
    /// `keep`. The newest event always stays, so that ids never begin again. Returns how many went.
    ///
    /// # Errors
    /// If they cannot be deleted.
    pub async fn prune_events(
        &self,
        before: UnixMicros,
        keep: u64,
        chunk: usize,
    ) -> Result<usize, StoreError> {
        let keep = i64::try_from(keep).unwrap_or(i64::MAX);
        let chunk = i64::try_from(chunk).unwrap_or(i64::MAX);
        self.write(move |transaction| {
            let Some(newest) = transaction
                .query_row("SELECT max(id) FROM events", [], |row| row.get::<_, Option<i64>>(0))?
            else {
                return Ok(0);
            };
            let beyond = newest.saturating_sub(keep);
            Ok(transaction.prepare_cached(PRUNE)?.execute(params![newest, beyond, before.0, chunk])?)
        })
        .await
    }
}

/// Outboxes of one agent whose marks are kept. An honest one begins a new outbox only when it loses its data folder.
const MAX_MARKS: i64 = 16;

/// The shortest histories go first: nothing tells which outbox is the oldest.
const FORGET_MARKS: &str = "DELETE FROM event_marks WHERE instance = ?1 AND epoch <> ?2 AND epoch NOT IN (
    SELECT epoch FROM event_marks WHERE instance = ?1 AND epoch <> ?2 ORDER BY seq DESC, epoch LIMIT ?3)";

const PRUNE: &str = "DELETE FROM events WHERE id IN (
    SELECT id FROM (SELECT id, received_at FROM events WHERE id < ?1 ORDER BY id LIMIT ?4)
    WHERE id <= ?2 OR received_at < ?3)";

/// The events about containers after `after` and up to `last`, oldest first.
pub(super) fn read_containers_events(
    connection: &Connection,
    after: i64,
    last: i64,
) -> Result<Vec<EventRecord>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM events WHERE id > ?1 AND id <= ?2 AND container IS NOT NULL ORDER BY id"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([after, last])?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        events.push(read_event(row)?);
    }
    Ok(events)
}

/// A page's SQL. The last column compared is always the id, so that each form walks an index backwards.
struct Query {
    sql: String,
    values: Vec<Box<dyn ToSql>>,
}

impl Query {
    fn new(filter: &EventFilter, cursor: Option<i64>, limit: usize) -> Result<Self, StoreError> {
        let mut query = Self { sql: format!("SELECT {COLUMNS} FROM events WHERE "), values: Vec::new() };
        if let Some(instances) = &filter.instances {
            // Not by the index of instances: the newest of many are wanted, whichever they are of.
            query.add("+instance IN (SELECT value FROM json_each(?)) AND ", ids(instances)?);
        }
        if let Some(instance) = &filter.instance {
            query.add("instance = ? AND ", instance.as_str().to_owned());
        }
        if let Some(container) = &filter.container {
            query.add("container = ? AND ", container.as_str().to_owned());
        }
        if let Some(kind) = &filter.kind {
            query.add("kind = ? AND ", kind.clone());
        }
        if let Some(since) = filter.since {
            query.add("at >= ? AND ", since.0);
        }
        query.add("id < ? ORDER BY id DESC ", cursor.unwrap_or(i64::MAX));
        query.add("LIMIT ?", i64::try_from(limit).unwrap_or(i64::MAX));
        Ok(query)
    }

    fn add(&mut self, sql: &str, value: impl ToSql + 'static) {
        self.sql.push_str(sql);
        self.values.push(Box::new(value));
    }

    fn values(&self) -> Vec<&dyn ToSql> {
        self.values.iter().map(AsRef::as_ref).collect()
    }
}

/// The word for a kind of event in storage, filters and API.
#[must_use]
pub const fn kind(what: &EventKind) -> &'static str {
    match what {
        EventKind::Container { .. } => "container",
        EventKind::Engine { .. } => "engine",
        EventKind::EngineLost { .. } => "engine_lost",
        EventKind::EngineFound { .. } => "engine_found",
        EventKind::AgentStarted { .. } => "agent_started",
        EventKind::CommandEnded { .. } => "command_ended",
        EventKind::Refused { .. } => "refused",
        EventKind::Gap { .. } => "gap",
        EventKind::Unknown => "unknown",
    }
}

/// What stands for the events between the mark and the first new one: an agent tells every number, and forgets only what
/// was acknowledged, so they were acknowledged once and are not here.
fn missing(mark: EventSeq, events: &[Event]) -> Option<Event> {
    let first = events.iter().find(|event| event.seq > mark)?;
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

fn read_mark(connection: &Connection, instance: &InstanceId, epoch: Epoch) -> Result<EventSeq, StoreError> {
    let mark: Option<i64> = connection
        .prepare_cached("SELECT seq FROM event_marks WHERE instance = ?1 AND epoch = ?2")?
        .query_row(params![instance.as_str(), epoch.0.into_bytes()], |row| row.get(0))
        .optional()?;
    mark.map_or(Ok(EventSeq(0)), to_seq)
}

fn insert(
    connection: &Connection,
    instance: &InstanceId,
    epoch: Option<Epoch>,
    event: Event,
    received_at: UnixMicros,
) -> Result<EventRecord, StoreError> {
    let what = codec::encode(&event.what, codec::MAX_MESSAGE).map_err(|_| StoreError::Corrupt("event"))?;
    let id = connection
        .prepare_cached(
            "INSERT INTO events (instance, at, received_at, kind, container, epoch, seq, what)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .insert(params![
            instance.as_str(),
            event.at.0,
            received_at.0,
            kind(&event.what),
            container(&event.what).map(ContainerId::as_str),
            epoch.map(|epoch| epoch.0.into_bytes()),
            epoch.map(|_| to_i64(event.seq)).transpose()?,
            what,
        ])?;
    Ok(EventRecord {
        id,
        instance: instance.clone(),
        origin: epoch.map(|epoch| (epoch, event.seq)),
        at: event.at,
        received_at,
        what: event.what,
    })
}

fn read_event(row: &Row<'_>) -> Result<EventRecord, StoreError> {
    let corrupt = || StoreError::Corrupt("events");
    let origin = match (row.get::<_, Option<[u8; 16]>>(2)?, row.get::<_, Option<i64>>(3)?) {
        (Some(epoch), Some(seq)) => Some((Epoch(Uuid::from_bytes(epoch)), to_seq(seq)?)),
        _ => None,
    };
    Ok(EventRecord {
        id: row.get(0)?,
        instance: row.get::<_, String>(1)?.parse().map_err(|_| corrupt())?,
        origin,
        at: UnixMicros(row.get(4)?),
        received_at: UnixMicros(row.get(5)?),
        what: codec::decode(row.get_ref(6)?.as_blob().map_err(|_| corrupt())?, codec::MAX_MESSAGE)
            .map_err(|_| corrupt())?,
    })
}

const fn container(what: &EventKind) -> Option<&ContainerId> {
    match what {
        EventKind::Container { id, .. } => Some(id),
        _ => None,
    }
}

fn to_i64(seq: EventSeq) -> Result<i64, StoreError> {
    i64::try_from(seq.0).map_err(|_| StoreError::Corrupt("event number"))
}

fn to_seq(seq: i64) -> Result<EventSeq, StoreError> {
    u64::try_from(seq).map(EventSeq).map_err(|_| StoreError::Corrupt("event_marks"))
}

#[cfg(test)]
mod tests {
    use roadstead_protocol::message::time::UnixMicros;

    use super::{EventFilter, PRUNE, Query};
    use crate::fixtures::{container_id, instance, store};

    #[tokio::test]
    async fn every_query_walks_an_index() {
        let (store, _directory) = store();
        let mut statements = vec![
            PRUNE.to_owned(),
            "SELECT max(id) FROM events".to_owned(),
            "SELECT seq FROM event_marks WHERE instance = ?1 AND epoch = ?2".to_owned(),
        ];
        for named in 0..32 {
            let filter = EventFilter {
                instances: (named & 16 > 0).then(|| vec![instance("a"), instance("b")]),
                instance: (named & 1 > 0).then(|| instance("a")),
                container: (named & 2 > 0).then(|| container_id(1)),
                kind: (named & 4 > 0).then(|| "container".to_owned()),
                since: (named & 8 > 0).then_some(UnixMicros(1)),
            };
            statements.push(Query::new(&filter, None, 10).unwrap().sql);
        }
        store
            .read(move |connection| {
                for sql in statements {
                    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
                    let parameters = vec![1; statement.parameter_count()];
                    let steps: Vec<String> = statement
                        .query_map(rusqlite::params_from_iter(parameters), |row| row.get("detail"))?
                        .collect::<Result<_, _>>()?;
                    let plan = steps.join("; ");
                    assert!(!plan.contains("SCAN events"), "{sql}: {plan}");
                    assert!(!plan.contains("TEMP B-TREE"), "{sql}: {plan}");
                }
                Ok(())
            })
            .await
            .unwrap();
    }
}
