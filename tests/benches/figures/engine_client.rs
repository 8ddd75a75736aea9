//! The engine's API with nothing between: the yardstick, and what starts and stops containers here.

use std::path::Path;

use anyhow::{Context, ensure};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

/// One request on a connection of its own; gives the body.
///
/// # Errors
/// When the engine is away or does not answer with success.
pub async fn ask(socket: &Path, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Vec<u8>> {
    let mut answer = open(socket, method, path, body).await?;
    let mut content = Vec::new();
    answer.read_to_end(&mut content).await?;
    Ok(content)
}

/// The engine's events from now on, as they come.
pub struct RawEvents(BufReader<UnixStream>);

/// One event in the engine's own words.
pub struct RawEvent {
    /// The container.
    pub id: String,
    /// What happened.
    pub action: String,
    /// When, in microseconds since the epoch.
    pub at: i64,
}

impl RawEvents {
    /// Subscribes to events of containers.
    ///
    /// # Errors
    /// When the engine is away.
    pub async fn subscribe(socket: &Path) -> anyhow::Result<Self> {
        let path = "/events?filters=%7B%22type%22%3A%5B%22container%22%5D%7D";
        Ok(Self(open(socket, "GET", path, None).await?))
    }

    /// The next event.
    ///
    /// # Errors
    /// When the stream ends.
    pub async fn next(&mut self) -> anyhow::Result<RawEvent> {
        let mut line = String::new();
        ensure!(self.0.read_line(&mut line).await? > 0, "the engine ended its events");
        let event: Value = serde_json::from_str(&line)?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let at = event["timeNano"].as_i64().context("an event without its time")? / 1000;
        Ok(RawEvent { id: text(&event["Actor"]["ID"]), action: text(&event["Action"]), at })
    }
}

/// HTTP/1.0 keeps the engine from chunking: what follows the head is the body, until the end.
async fn open(
    socket: &Path,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> anyhow::Result<BufReader<UnixStream>> {
    let mut stream = UnixStream::connect(socket).await?;
    let content = body.map(Value::to_string).unwrap_or_default();
    let length = content.len();
    let head = format!(
        "{method} {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(format!("{head}{content}").as_bytes()).await?;
    let mut answer = BufReader::new(stream);
    let mut status = String::new();
    answer.read_line(&mut status).await?;
    loop {
        let mut line = String::new();
        if answer.read_line(&mut line).await? <= 2 {
            break;
        }
    }
    if !status.contains(" 20") {
        let mut problem = String::new();
        answer.read_to_string(&mut problem).await?;
        anyhow::bail!("{method} {path}: {} {problem}", status.trim());
    }
    Ok(answer)
}
