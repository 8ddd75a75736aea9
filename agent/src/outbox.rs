//! Stand-in until the durable outbox is merged.
use roadstead_protocol::message::event::{Event, EventKind};
use roadstead_protocol::message::ids::{Epoch, EventSeq};
use roadstead_protocol::message::time::UnixMicros;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;
/// Stand-in.
#[derive(Clone)]
pub struct Outbox {
    epoch: Epoch,
    events: Arc<Mutex<Vec<Event>>>,
    last: watch::Sender<u64>,
}
/// Stand-in.
#[derive(Debug, thiserror::Error)]
#[error("no")]
pub struct OutboxError;
#[allow(missing_docs, clippy::unwrap_used, clippy::unused_async, clippy::missing_errors_doc)]
impl Outbox {
    pub fn open(_: &Path, _: u64) -> Result<Self, OutboxError> {
        Ok(Self { epoch: Epoch::generate(), events: Arc::default(), last: watch::Sender::new(0) })
    }
    pub async fn append(&self, at: UnixMicros, what: EventKind) -> Result<EventSeq, OutboxError> {
        let mut events = self.events.lock().unwrap();
        let seq = EventSeq(events.len() as u64 + 1);
        events.push(Event { seq, at, what });
        self.last.send_replace(seq.0);
        Ok(seq)
    }
    pub async fn next_batch(&self, after: EventSeq, _max: usize) -> Vec<Event> {
        let _ = self.last.subscribe().wait_for(|last| *last > after.0).await;
        self.events.lock().unwrap().iter().filter(|e| e.seq > after).cloned().collect()
    }
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }
    pub fn last(&self) -> EventSeq {
        EventSeq(*self.last.borrow())
    }
}
