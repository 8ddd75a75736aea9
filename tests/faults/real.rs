//! The real engine: what happens on it, and a witness of what it tells.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use roadstead_tests::{Dockerd, ImageOptions, busybox_image};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};

use crate::checker::Told;
use crate::faults::now;

/// How long the engine may take for one thing.
const ANSWER: Duration = Duration::from_secs(60);

/// Containers that are there at the same time, at most.
const MOST: u64 = 6;

/// The words that agents ask for.
const ACTIONS: [&str; 11] =
    ["create", "start", "restart", "stop", "die", "kill", "oom", "pause", "unpause", "rename", "destroy"];

/// Starts an engine with an image to make containers of.
pub async fn engine() -> Dockerd {
    let engine = Dockerd::start().await;
    busybox_image(&engine, "app:1", &ImageOptions::default()).await;
    engine
}

/// Asks an engine for something; status and answer, if it answered.
pub async fn ask(socket: &Path, method: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
    let asked = async {
        let mut stream = UnixStream::connect(socket).await.ok()?;
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.0\r\nHost: docker\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some((status, serde_json::from_str(body).unwrap_or(Value::Null)))
    };
    timeout(ANSWER, asked).await.ok().flatten()
}

/// What happens on the engine.
#[derive(Debug)]
pub struct Life {
    socket: PathBuf,
    made: u64,
}

impl Life {
    pub fn new(engine: &Dockerd) -> Self {
        Self { socket: engine.socket(), made: 0 }
    }

    /// A container is made and started; the oldest is killed, and the one before it removed.
    pub async fn go_on(&mut self) {
        let number = self.made;
        self.made += 1;
        let config = json!({ "Image": "app:1", "NetworkDisabled": true,
            "HostConfig": { "NetworkMode": "none", "RestartPolicy": { "Name": "no" } } });
        self.ask("POST", &format!("/containers/create?name=real-{number}"), &config).await;
        self.ask("POST", &format!("/containers/real-{number}/start"), &Value::Null).await;
        if let Some(old) = number.checked_sub(MOST - 2) {
            self.ask("POST", &format!("/containers/real-{old}/kill"), &Value::Null).await;
        }
        if let Some(old) = number.checked_sub(MOST) {
            self.ask("DELETE", &format!("/containers/real-{old}?force=1"), &Value::Null).await;
        }
    }

    /// So many events at once: one container changes its name again and again.
    pub async fn burst(&mut self, events: usize) {
        let Some(number) = self.made.checked_sub(1) else { return };
        let name = |turn: usize| {
            if turn.is_multiple_of(2) { format!("real-{number}") } else { format!("turned-{number}") }
        };
        for turn in 0..events.next_multiple_of(2) {
            let path = format!("/containers/{}/rename?name={}", name(turn), name(turn + 1));
            self.ask("POST", &path, &Value::Null).await;
        }
    }

    async fn ask(&self, method: &str, path: &str, body: &Value) {
        // Whether it worked is for the comparison to see: the engine may be away.
        let _ = ask(&self.socket, method, path, body).await;
    }
}

/// Hears everything an engine tells of its containers, however often it goes away.
#[derive(Debug)]
pub struct Witness {
    heard: Arc<Mutex<Vec<Told>>>,
    hearing: JoinHandle<()>,
}

impl Witness {
    pub fn of(engine: &Dockerd) -> Self {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hearing = tokio::spawn(hear(engine.socket(), now(), Arc::clone(&heard)));
        Self { heard, hearing }
    }

    /// Everything so far, in order.
    pub fn heard(&self) -> Vec<Told> {
        let mut all = self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone();
        all.sort_by_key(|told| told.at);
        all
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.hearing.abort();
    }
}

async fn hear(socket: PathBuf, mut since: i64, heard: Arc<Mutex<Vec<Told>>>) {
    let mut known = HashSet::new();
    let mut tries = interval(Duration::from_millis(100));
    loop {
        tries.tick().await;
        let Ok(mut stream) = UnixStream::connect(&socket).await else { continue };
        let request = format!(
            "GET /events?since={}.{:06}000&filters=%7B%22type%22:%5B%22container%22%5D%7D HTTP/1.0\r\nHost: docker\r\n\r\n",
            since / 1_000_000,
            since % 1_000_000
        );
        if stream.write_all(request.as_bytes()).await.is_err() {
            continue;
        }
        let mut lines = BufReader::new(stream).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let Some(told) = read(&line) else { continue };
            if known.insert(told.clone()) {
                since = since.max(told.at - 1_000_000);
                heard.lock().unwrap_or_else(PoisonError::into_inner).push(told);
            }
        }
    }
}

fn read(line: &str) -> Option<Told> {
    let event: Value = serde_json::from_str(line).ok()?;
    let action = event["Action"].as_str().filter(|action| ACTIONS.contains(action))?;
    Some(Told {
        at: event["timeNano"].as_i64()?.div_euclid(1_000),
        container: event["Actor"]["ID"].as_str()?.to_owned(),
        action: action.to_owned(),
        number: None,
    })
}
