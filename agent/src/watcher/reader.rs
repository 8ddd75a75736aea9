//! Reads the engine's events as fast as they come, whatever the rest of the agent is doing: an engine whose events
//! are not read slows down for everybody who uses it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::engine::{EngineError, EngineEvent};

/// Events that may wait to be processed. Beyond it they are dropped and counted, and the containers listed again.
pub(super) const ROOM: usize = 1024;

/// The receiving end of one subscription.
#[derive(Debug)]
pub(super) struct Feed {
    queue: mpsc::Receiver<EngineEvent>,
    dropped: Arc<AtomicU64>,
    /// Holds the one reading task, which ends with this.
    reader: JoinSet<String>,
}

impl Feed {
    /// Begins to read.
    pub fn new(mut stream: BoxStream<'static, Result<EngineEvent, EngineError>>) -> Self {
        let (sender, queue) = mpsc::channel(ROOM);
        let dropped = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&dropped);
        let mut reader = JoinSet::new();
        reader.spawn(async move {
            while let Some(event) = stream.next().await {
                let is_lost = match event {
                    Ok(event) => sender.try_send(event).is_err(),
                    Err(EngineError::Refused(_)) => true,
                    Err(error) => return error.to_string(),
                };
                if is_lost {
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
            "the engine closed its stream of events".to_owned()
        });
        Self { queue, dropped, reader }
    }

    /// Takes over events into `buffer`, at most `limit`; none once the stream is over and everything was taken. Safe
    /// to cancel.
    pub async fn take(&mut self, buffer: &mut Vec<EngineEvent>, limit: usize) -> usize {
        self.queue.recv_many(buffer, limit).await
    }

    /// How many events were dropped or could not be read since the last question.
    pub fn dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }

    /// Why the stream is over; to be asked once [`take`](Self::take) yields none.
    pub async fn end(&mut self) -> String {
        match self.reader.join_next().await {
            Some(Ok(reason)) => reason,
            _ => "reading the engine's events failed".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use roadstead_protocol::message::time::UnixMicros;

    use super::*;

    fn event(at: i64) -> EngineEvent {
        EngineEvent { at: UnixMicros(at), what: None, container: None }
    }

    #[tokio::test]
    async fn an_event_that_cannot_be_read_is_counted_and_those_after_it_are_taken() {
        let unreadable = || Err(EngineError::Refused("a line longer than 1 MiB".to_owned()));
        let gone = Err(EngineError::Unreachable("the cable is out".to_owned()));
        let told = [Ok(event(1)), unreadable(), Ok(event(2)), unreadable(), gone, Ok(event(3))];
        let mut feed = Feed::new(stream::iter(told).boxed());
        let mut taken = Vec::new();
        while feed.take(&mut taken, 8).await > 0 {}
        assert_eq!(taken, [event(1), event(2)]);
        assert_eq!(feed.dropped(), 2, "the end of the stream is no event");
        assert!(feed.end().await.contains("the cable is out"));
    }
}
