//! The server-sent events of `/api/live`.

use std::time::Duration;

use reqwest::Response;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

/// One event of the stream.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveEvent {
    /// Its name; `message` if it has none.
    pub name: String,
    /// Its data.
    pub data: Value,
}

/// The stream.
#[derive(Debug)]
pub struct Live {
    response: Response,
    buffer: Vec<u8>,
}

impl Live {
    pub(super) fn new(response: Response) -> Self {
        Self { response, buffer: Vec::new() }
    }

    /// The next event; none when the controller has ended the stream. Comments are skipped.
    pub async fn next(&mut self) -> Option<LiveEvent> {
        loop {
            while let Some(end) = self.buffer.windows(2).position(|bytes| bytes == b"\n\n") {
                let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
                if let Some(event) = parse(&String::from_utf8_lossy(&block)) {
                    return Some(event);
                }
            }
            self.buffer.extend_from_slice(&self.response.chunk().await.ok()??);
        }
    }

    /// Skips events until one gives a value, and returns that.
    ///
    /// # Panics
    /// When none does by the deadline, or the stream ends.
    pub async fn until<T>(
        &mut self,
        what: &str,
        deadline: Duration,
        mut wanted: impl FnMut(&LiveEvent) -> Option<T>,
    ) -> T {
        let end = Instant::now() + deadline;
        let mut seen = 0;
        loop {
            match timeout_at(end, self.next()).await {
                Ok(Some(event)) => {
                    if let Some(value) = wanted(&event) {
                        return value;
                    }
                    seen += 1;
                }
                Ok(None) => panic!("the live stream ended after {seen} events, without {what}"),
                Err(_) => panic!("waited {deadline:?} in vain for {what}; {seen} other events came"),
            }
        }
    }
}

fn parse(block: &str) -> Option<LiveEvent> {
    let (mut name, mut data) = ("message", Vec::new());
    for line in block.lines() {
        match line.split_once(':') {
            Some(("event", value)) => name = value.trim_start(),
            Some(("data", value)) => data.push(value.trim_start()),
            _ => {}
        }
    }
    if data.is_empty() {
        return None;
    }
    let data = data.join("\n");
    let data = serde_json::from_str(&data).unwrap_or(Value::String(data));
    Some(LiveEvent { name: name.to_owned(), data })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_have_names_and_data_and_comments_are_none() {
        let event = parse("id: 7\nevent: host\ndata: {\"a\":\ndata: 1}\n\n").unwrap();
        assert_eq!(event, LiveEvent { name: "host".to_owned(), data: json!({ "a": 1 }) });
        assert_eq!(parse(": still here\n\n"), None);
        assert_eq!(parse("data: text\n\n").unwrap().data, json!("text"));
    }
}
