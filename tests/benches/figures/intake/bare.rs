//! The yardstick: rows appended to a table in groups of one transaction each, and nothing else.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use roadstead_controller::store::TRANSACTION_EVENTS;
use roadstead_protocol::message::codec;
use roadstead_protocol::message::time::UnixMicros;
use rusqlite::{Connection, params};
use tokio::time::Instant;

use super::{AGENTS, happened};

/// Events of a host until they begin again.
const ROUND: u64 = 40;

/// Bytes of disk for each event of the store in `folder`: everything that is there for events alone.
///
/// # Errors
/// When it cannot be read.
pub fn bytes_per_event(folder: &Path) -> anyhow::Result<f64> {
    let connection = Connection::open(folder.join("roadstead.db"))?;
    let sql = "SELECT sum(pgsize) * 1.0 / (SELECT sum(1 + more) FROM events) FROM dbstat
               WHERE name LIKE 'event%' OR name LIKE 'sqlite_autoindex_event%'";
    Ok(connection.query_row(sql, [], |row| row.get(0))?)
}

/// Rows stored in a second: each transaction holds a message of `events` events of every agent, or of as many as the store
/// takes into one. The bytes of the rows are made beforehand, as the agents' messages are.
///
/// # Errors
/// When SQLite fails.
pub fn rate(folder: &Path, events: u64, time: Duration) -> anyhow::Result<f64> {
    let path = folder.join("bare.db");
    let mut connection = Connection::open(&path)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000;
         CREATE TABLE log (id INTEGER PRIMARY KEY, agent INTEGER, seq INTEGER, at INTEGER, body BLOB);
         CREATE TABLE marks (agent INTEGER PRIMARY KEY, seq INTEGER);",
    )?;
    let encoded =
        |agent, seq| codec::encode(&happened(agent, seq), codec::MAX_MESSAGE).ok().context("too large");
    let of_agent = |agent| (0..ROUND).map(|seq| encoded(agent, seq)).collect::<anyhow::Result<Vec<_>>>();
    let bodies = (0..AGENTS).map(of_agent).collect::<anyhow::Result<Vec<_>>>()?;
    let agents: Vec<_> = bodies.iter().enumerate().collect();
    let of_one = TRANSACTION_EVENTS / usize::try_from(events)?;
    let parts = (0..).flat_map(|turn| agents.chunks(of_one).map(move |part| (turn * events, part)));
    let mut rows = 0_u32;
    let began = Instant::now();
    for (seq, part) in parts.take_while(|_| began.elapsed() < time) {
        let transaction = connection.transaction()?;
        {
            let mut append = transaction
                .prepare_cached("INSERT INTO log (agent, seq, at, body) VALUES (?1, ?2, ?3, ?4)")?;
            let mut mark = transaction.prepare_cached("REPLACE INTO marks (agent, seq) VALUES (?1, ?2)")?;
            for &(agent, bodies) in part {
                let number = i64::try_from(agent)?;
                for one in 1..=events {
                    let body = &bodies[usize::try_from((seq + one) % ROUND)?];
                    append.execute(params![number, i64::try_from(seq + one)?, UnixMicros::now().0, body])?;
                    rows += 1;
                }
                mark.execute(params![number, i64::try_from(seq + events)?])?;
            }
        }
        transaction.commit()?;
    }
    let rate = f64::from(rows) / began.elapsed().as_secs_f64();
    drop(connection);
    std::fs::remove_file(path)?;
    Ok(rate)
}
