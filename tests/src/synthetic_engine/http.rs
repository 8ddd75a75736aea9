//! The little of Docker's API that an agent asks a synthetic engine for. One request a connection, as agents do.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::{MissedTickBehavior, interval};

use super::Shared;
use super::book::Book;

/// How often a subscriber is told something.
const TURN: Duration = Duration::from_millis(10);
const TURNS_A_SECOND: u32 = 100;

/// Events that a subscriber of a forgetful engine may be behind before it loses some.
const BEHIND: usize = 1024;

/// Longest request head that is read, in bytes.
const MAX_HEAD: usize = 16 * 1024;

/// Answers one request, or tells events until the other side has enough.
pub(super) async fn answer(mut stream: UnixStream, shared: Arc<Shared>) {
    // Whoever hangs up has had enough.
    let _ = answered(&mut stream, &shared).await;
}

async fn answered(stream: &mut UnixStream, shared: &Shared) -> io::Result<()> {
    let Some((method, target)) = head(stream).await? else { return Ok(()) };
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && !is_version(part)).collect();
    let found = match (method.as_str(), parts.as_slice()) {
        ("GET", ["events"]) => {
            return tell(stream, shared, time(query, "since="), time(query, "until=")).await;
        }
        (_, ["_ping"]) => Some(json!("OK")),
        ("GET", ["version"]) => Some(json!({ "Version": "synthetic", "ApiVersion": "1.41" })),
        ("GET", ["info"]) => {
            Some(json!({ "OperatingSystem": "synthetic", "NCPU": 2, "MemTotal": 1_073_741_824 }))
        }
        ("GET", ["containers", "json"]) => Some(shared.book().list()),
        ("GET", ["containers", container, "json"]) => shared.book().inspect(container),
        ("POST", ["containers", container, "restart"]) => {
            shared.change(|book| book.restart(container)).then_some(Value::Null)
        }
        _ => None,
    };
    let (status, body) = match found {
        Some(Value::Null) => ("204 No Content", String::new()),
        Some(body) => ("200 OK", body.to_string()),
        None => ("404 Not Found", json!({ "message": format!("no such thing: {target}") }).to_string()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nApi-Version: 1.41\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await
}

/// The method and target of a request; none if it is none. Bodies are not read: nothing here needs one.
async fn head(stream: &mut UnixStream) -> io::Result<Option<(String, String)>> {
    let mut read = Vec::new();
    let mut piece = [0; 2048];
    while !read.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        let length = stream.read(&mut piece).await?;
        if length == 0 || read.len() > MAX_HEAD {
            return Ok(None);
        }
        read.extend_from_slice(&piece[..length]);
    }
    let text = String::from_utf8_lossy(&read);
    let mut words = text.split(' ');
    Ok(words.next().zip(words.next()).map(|(method, target)| (method.to_owned(), target.to_owned())))
}

/// Tells events from `since` on, or from now, as fast as the engine's pace allows; until a time if one is given.
async fn tell(
    stream: &mut UnixStream,
    shared: &Shared,
    since: Option<i64>,
    until: Option<i64>,
) -> io::Result<()> {
    let since = since.unwrap_or_else(|| jiff::Timestamp::now().as_microsecond());
    let mut told = shared.told.subscribe();
    let head = "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Type: application/json\r\n\
                Connection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    let turn = (shared.options.pace / TURNS_A_SECOND).max(1) as usize;
    let mut ticks = interval(TURN);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut next = shared.book().first(since, shared.options.keeps);
    loop {
        let lines: String = {
            let book = shared.book();
            let all = book.told();
            if let Some(keeps) = shared.options.keeps
                && all.len() - next > BEHIND
            {
                next = all.len() - keeps;
            }
            let last =
                until.map_or(all.len(), |until| all.partition_point(|told| told.at <= until)).max(next);
            let some = &all[next..last.min(next + turn)];
            next += some.len();
            some.iter().map(Book::line).collect()
        };
        if lines.is_empty() && until.is_some_and(|until| until <= jiff::Timestamp::now().as_microsecond()) {
            return Ok(());
        }
        if lines.is_empty() {
            let mut nothing = [0; 1];
            tokio::select! {
                changed = told.changed() => changed.map_err(io::Error::other)?,
                _ = stream.read(&mut nothing) => return Ok(()),
            }
        } else {
            stream.write_all(lines.as_bytes()).await?;
        }
        ticks.tick().await;
    }
}

/// `v1.41`.
fn is_version(part: &str) -> bool {
    part.strip_prefix('v').is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

/// The time `seconds.nanoseconds` after `name` in the query, in microseconds; none if it is left out.
fn time(query: &str, name: &str) -> Option<i64> {
    let (seconds, nanos) = query.split('&').find_map(|pair| pair.strip_prefix(name))?.split_once('.')?;
    let number = |text: &str| text.parse::<i64>().unwrap_or(0);
    Some(number(seconds) * 1_000_000 + number(nanos) / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic_engine::{SyntheticEngine, SyntheticOptions};

    async fn connect(engine: &SyntheticEngine, request: &str) -> UnixStream {
        let path = engine.host();
        let mut stream = UnixStream::connect(path.strip_prefix("unix://").unwrap()).await.unwrap();
        stream.write_all(format!("{request} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
        stream
    }

    async fn ask(engine: &SyntheticEngine, request: &str) -> String {
        let mut answer = String::new();
        connect(engine, request).await.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn it_answers_what_agents_ask() {
        let engine = SyntheticEngine::start(SyntheticOptions::default());
        engine.run("web", &[]);
        assert!(ask(&engine, "GET /_ping").await.contains("Api-Version: 1.41"));
        assert!(ask(&engine, "GET /v1.41/containers/web/json").await.contains("\"running\""));
        assert!(ask(&engine, "POST /v1.41/containers/web/restart?t=3").await.contains("204"));
        assert!(ask(&engine, "GET /v1.41/images/x/json").await.contains("404"));
        assert_eq!(engine.restarts("web"), 1);
    }

    #[tokio::test]
    async fn it_tells_the_past_and_goes_on() {
        let engine = SyntheticEngine::start(SyntheticOptions { keeps: Some(3), ..Default::default() });
        engine.happen(10);
        let mut stream = connect(&engine, "GET /v1.41/events?since=0.000000000&filters=x").await;
        let mut read = String::new();
        // What is to be news may only happen once the past was told.
        for (so_far, more) in [(3, 2), (5, 0)] {
            while read.matches("timeNano").count() < so_far {
                let mut piece = [0; 4096];
                let length = stream.read(&mut piece).await.unwrap();
                assert!(length > 0, "{read}");
                read.push_str(std::str::from_utf8(&piece[..length]).unwrap());
            }
            engine.happen(more);
        }
        assert!(!read.contains("\"6\"") && read.contains("\"7\"") && read.contains("\"11\""), "{read}");
    }
}
