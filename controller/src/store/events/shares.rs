//! Room for the events of every instance: what one of them tells too much goes at its own expense.

use std::collections::{BTreeMap, BTreeSet};

use roadstead_protocol::message::time::UnixMicros;
use rusqlite::{Connection, ToSql, Transaction, params};

use super::row::{self, COLUMNS, JOINS};
use super::{indexed, newest};
use crate::store::{Store, StoreError};

/// Events that an instance has too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excess {
    /// The instance's number in the log.
    instance: i64,
    /// How many of its oldest events are to go.
    pub events: u64,
}

impl Store {
    /// Deletes at most `chunk` of the oldest events, if they were received before `before`. The newest event always
    /// stays, so that ids never begin again. Returns how many went.
    ///
    /// # Errors
    /// If they cannot be deleted.
    pub async fn prune_events(&self, before: UnixMicros, chunk: usize) -> Result<usize, StoreError> {
        let chunk = i64::try_from(chunk).unwrap_or(i64::MAX);
        self.write(move |transaction| {
            let newest = newest(transaction)?;
            let old = oldest(transaction, OLD, params![newest, before.0, chunk], newest, chunk)?;
            transaction.prepare_cached(FORGET_SUBJECTS)?.execute([chunk])?;
            delete(transaction, &old)
        })
        .await
    }

    /// Which instances have more events than there is room for if the log is to keep `keep` of all.
    ///
    /// # Errors
    /// If they cannot be counted.
    pub async fn crowding_events(&self, keep: u64) -> Result<Vec<Excess>, StoreError> {
        self.read(move |connection| {
            // The index may be filled in meanwhile.
            let connection = &connection.unchecked_transaction()?;
            let sql = "SELECT (SELECT id - more FROM events WHERE id = (SELECT min(id) FROM events)),
                (SELECT max(id) FROM events)";
            let ends: (Option<i64>, Option<i64>) =
                connection.prepare_cached(sql)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let (Some(oldest), Some(newest)) = ends else { return Ok(Vec::new()) };
            if u64::try_from(newest - oldest).unwrap_or(0) < keep {
                return Ok(Vec::new());
            }
            let mut counts = BTreeMap::new();
            let mut add = |(instance, count): (i64, i64)| {
                *counts.entry(instance).or_insert(0) += u64::try_from(count).unwrap_or(0);
            };
            let sql = "SELECT instance, sum(1 + more) FROM events_of GROUP BY instance";
            for found in
                connection.prepare_cached(sql)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            {
                add(found?);
            }
            let sql = "SELECT instance, sum(1 + more) FROM events WHERE id > ?1 GROUP BY instance";
            let mut tail = connection.prepare_cached(sql)?;
            for found in tail.query_map([indexed(newest)], |row| Ok((row.get(0)?, row.get(1)?)))? {
                add(found?);
            }
            Ok(excess(&counts, keep))
        })
        .await
    }

    /// Deletes at most `chunk` of the events that an instance has too many, the oldest first. Returns how many went.
    ///
    /// # Errors
    /// If they cannot be deleted.
    pub async fn prune_crowding(&self, excess: Excess, chunk: usize) -> Result<usize, StoreError> {
        let Excess { instance, events } = excess;
        let most = i64::try_from(events).unwrap_or(i64::MAX).min(i64::try_from(chunk).unwrap_or(i64::MAX));
        self.write(move |transaction| {
            let newest = newest(transaction)?;
            let mut old = oldest(transaction, OLDEST_INDEXED, params![instance, newest, most], newest, most)?;
            let most = most - old.iter().map(|old| old.events).sum::<i64>();
            let others = params![instance, newest, most, indexed(newest)];
            old.extend(oldest(transaction, OLDEST_OTHERS, others, newest, most)?);
            delete(transaction, &old)
        })
        .await
    }

    /// Deletes what is kept of containers that no event is about any more. Where events went from between others, that
    /// is not told by the oldest one.
    ///
    /// # Errors
    /// If they cannot be found or deleted.
    pub async fn sweep_subjects(&self, chunk: usize) -> Result<usize, StoreError> {
        let unused = self.read(|connection| {
            // No event to come is about these: which of them are in use can only become fewer.
            let newest = newest(connection)?;
            let sql = "SELECT id FROM event_subjects WHERE last <= ?1";
            let mut unused: BTreeSet<i64> = connection
                .prepare_cached(sql)?
                .query_map([newest], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            if !unused.is_empty() {
                let sql = format!(
                    "SELECT {COLUMNS} FROM events AS e {JOINS} WHERE e.id <= ?1 AND (e.more > 0 OR e.subject IS NOT NULL)"
                );
                let mut used = connection.prepare_cached(&sql)?;
                let mut rows = used.query([newest])?;
                while let Some(row) = rows.next()? {
                    // One that cannot be read is about nobody.
                    for subject in row::entries(row).unwrap_or_default().iter().filter_map(|entry| entry.subject) {
                        unused.remove(&subject);
                    }
                }
            }
            Ok(Vec::from_iter(unused))
        });
        let unused = unused.await?;
        for part in unused.chunks(chunk.max(1)) {
            let part = part.to_vec();
            self.write(move |transaction| {
                let mut statement = transaction.prepare_cached("DELETE FROM event_subjects WHERE id = ?1")?;
                for id in part {
                    statement.execute([id])?;
                }
                Ok(())
            })
            .await?;
        }
        Ok(unused.len())
    }
}

/// What is deleted of a row: so many of its events, the oldest first.
struct Old {
    id: i64,
    instance: i64,
    events: i64,
    whole: bool,
}

const OLD: &str = "SELECT id, instance, more
    FROM (SELECT id, instance, more, received_at FROM events WHERE id <= ?1 ORDER BY id LIMIT ?3)
    WHERE received_at < ?2";

const OLDEST_INDEXED: &str = "SELECT event, instance, more FROM events_of WHERE instance = ?1 AND event <= ?2
    ORDER BY event LIMIT ?3";

const OLDEST_OTHERS: &str =
    "SELECT id, instance, more FROM events WHERE +instance = ?1 AND id <= ?2 AND id > ?4
    ORDER BY id LIMIT ?3";

const FORGET_SUBJECTS: &str = "DELETE FROM event_subjects
    WHERE last < (SELECT id - more FROM events WHERE id = (SELECT min(id) FROM events))
    AND id IN (SELECT id FROM event_subjects ORDER BY id LIMIT ?1)";

/// At most `most` events of the rows that are found, without the newest of all.
fn oldest(
    connection: &Connection,
    sql: &str,
    values: &[&dyn ToSql],
    newest: i64,
    most: i64,
) -> Result<Vec<Old>, StoreError> {
    let (mut statement, mut old, mut left) = (connection.prepare_cached(sql)?, Vec::new(), most);
    let mut rows = statement.query(values)?;
    while left > 0
        && let Some(row) = rows.next()?
    {
        let (id, of_row) = (row.get(0)?, row::events(row.get(2)?)?);
        let events = left.min(if id == newest { of_row - 1 } else { of_row });
        left -= events;
        if events > 0 {
            old.push(Old { id, instance: row.get(1)?, events, whole: events == of_row });
        }
    }
    Ok(old)
}

/// Deletes events, and returns how many they are.
fn delete(transaction: &Transaction<'_>, old: &[Old]) -> Result<usize, StoreError> {
    let sql = "DELETE FROM events_of WHERE instance = ?1 AND event = ?2";
    let mut entry = transaction.prepare_cached(sql)?;
    let mut event = transaction.prepare_cached("DELETE FROM events WHERE id = ?1")?;
    let mut events = 0;
    for row in old {
        if row.whole {
            entry.execute([row.instance, row.id])?;
            event.execute([row.id])?;
        } else {
            shorten(transaction, row)?;
        }
        events += row.events;
    }
    Ok(usize::try_from(events).unwrap_or(usize::MAX))
}

/// Deletes some of the earlier events of a row.
fn shorten(transaction: &Transaction<'_>, row: &Old) -> Result<(), StoreError> {
    let Old { id, instance, events, .. } = row;
    let sql = format!("SELECT {COLUMNS} FROM events AS e {JOINS} WHERE e.id = ?1");
    let mut statement = transaction.prepare_cached(&sql)?;
    let mut rows = statement.query([id])?;
    let Some(found) = rows.next()? else { return Err(StoreError::Corrupt("events_of")) };
    let (entries, gone) = (row::entries(found)?, usize::try_from(*events).unwrap_or(usize::MAX));
    let Some([earlier @ .., _]) = entries.get(gone..) else { return Err(StoreError::Corrupt("events_of")) };
    let (more, earlier) = (i64::try_from(earlier.len()).unwrap_or(0), row::encode_earlier(earlier)?);
    let sql = "UPDATE events SET more = ?2, earlier = nullif(?3, x'') WHERE id = ?1";
    transaction.prepare_cached(sql)?.execute(params![id, more, earlier])?;
    let sql = "UPDATE events_of SET more = ?3 WHERE instance = ?1 AND event = ?2";
    transaction.prepare_cached(sql)?.execute([instance, id, &more])?;
    Ok(())
}

/// What is to go so that at most `keep` stay: whoever has less than an equal share keeps all, and what those leave is
/// shared by the others.
fn excess(counts: &BTreeMap<i64, u64>, keep: u64) -> Vec<Excess> {
    let mut sorted: Vec<u64> = counts.values().copied().collect();
    sorted.sort_unstable();
    let (mut room, mut sharers) = (keep, u64::try_from(sorted.len()).unwrap_or(u64::MAX));
    let mut share = None;
    for count in sorted {
        let equal = room / sharers;
        if count > equal {
            share = Some(equal);
            break;
        }
        (room, sharers) = (room - count, sharers - 1);
    }
    let Some(share) = share else { return Vec::new() };
    let crowding = counts.iter().filter(|(_, count)| **count > share);
    crowding.map(|(instance, count)| Excess { instance: *instance, events: count - share }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::store;

    fn left(counts: &[u64], keep: u64) -> Vec<u64> {
        let counts: BTreeMap<i64, u64> = (0..).zip(counts.iter().copied()).collect();
        let mut left: Vec<u64> = counts.values().copied().collect();
        for Excess { instance, events } in excess(&counts, keep) {
            left[usize::try_from(instance).unwrap()] -= events;
        }
        left
    }

    #[test]
    fn who_has_less_than_an_equal_share_keeps_all() {
        assert!(left(&[], 10).is_empty());
        assert_eq!(left(&[3, 4, 3], 10), [3, 4, 3]);
        assert_eq!(left(&[3, 100, 2], 10), [3, 5, 2]);
        assert_eq!(left(&[50, 100, 2], 12), [5, 5, 2]);
        assert_eq!(left(&[7, 7, 7], 2), [0, 0, 0]);
        for keep in 0..40 {
            let sum: u64 = left(&[9, 1, 30, 4], keep).iter().sum();
            assert!(sum <= keep && keep.min(44) - sum < 4, "{keep}: {sum}");
        }
    }

    #[tokio::test]
    async fn containers_that_no_event_is_about_are_forgotten_and_the_others_are_not() {
        let (store, _directory) = store();
        store
            .write(|transaction| {
                transaction.execute_batch(
                    "INSERT INTO event_instances (id, instance) VALUES (1, 'a');
                     INSERT INTO event_subjects (id, last, container) VALUES (1, 5, 'x'), (2, 5, 'y'), (3, 99, 'z');
                     INSERT INTO events (id, instance, at, received_at, kind, subject, what)
                        VALUES (4, 1, 0, 0, 1, 2, x'c0'), (6, 1, 0, 0, 4, NULL, x'c0');",
                )?;
                Ok(())
            })
            .await
            .unwrap();
        assert_eq!(store.sweep_subjects(1000).await.unwrap(), 1);
        let kept = "SELECT group_concat(id) FROM (SELECT id FROM event_subjects ORDER BY id)";
        let kept: String = store
            .read(move |connection| Ok(connection.query_row(kept, [], |row| row.get(0))?))
            .await
            .unwrap();
        assert_eq!(kept, "2,3", "one is in use, and events to come may be about the other");
    }
}
