//! The event log: each event of each agent stored once, acknowledged after it is on disk, then told to listeners.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use roadstead_protocol::message::event::EventBatch;
use roadstead_protocol::message::ids::{Epoch, EventSeq, InstanceId};
use roadstead_protocol::message::time::UnixMicros;
use tokio::sync::broadcast;

use crate::model::{EventRecord, StoredEvents};
use crate::store::{Store, StoreError};

pub mod retention;
#[cfg(test)]
mod tests;

pub use crate::store::events::{EventFilter, Mark, kind};

/// Messages of events kept for a slow subscriber; one that falls further behind is told so and reads the log instead.
const WAITING_MESSAGES: usize = 1024;

/// Most events of one page.
pub const MAX_PAGE: usize = 500;

/// The event log; cheap to clone.
#[derive(Clone)]
pub struct Events {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    stored: broadcast::Sender<StoredEvents>,
    duplicates: AtomicU64,
}

/// Events of the log, newest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventPage {
    /// The events.
    pub events: Vec<Arc<EventRecord>>,
    /// The cursor of the next page; none if this is the last.
    pub next: Option<i64>,
}

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// Our disk's fault: the agent keeps the events and sends them again.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The peer's fault: ends the session.
    #[error("the agent's events do not ascend: {after:?} follows {before:?}")]
    Disordered {
        /// The number before.
        before: EventSeq,
        /// The number that follows it.
        after: EventSeq,
    },
    /// Nobody's fault that is known: the agent finds out when it is welcomed again.
    #[error("other events were stored under these numbers meanwhile")]
    OutOfStep,
}

impl Events {
    /// The log in `store`.
    #[must_use]
    pub fn new(store: Store) -> Self {
        let (stored, _) = broadcast::channel(WAITING_MESSAGES);
        Self { inner: Arc::new(Inner { store, stored, duplicates: AtomicU64::new(0) }) }
    }

    /// Stores what is new of a batch and returns up to where to acknowledge. What is already there is counted and
    /// ignored. Call it for one batch of an instance after the other.
    ///
    /// # Errors
    /// If the batch makes no sense or cannot be stored.
    pub async fn intake(&self, instance: &InstanceId, batch: EventBatch) -> Result<EventSeq, IntakeError> {
        check_order(&batch)?;
        let intake = self.inner.store.append_events(instance.clone(), batch, UnixMicros::now()).await?;
        if intake.out_of_step {
            return Err(IntakeError::OutOfStep);
        }
        self.inner.duplicates.fetch_add(intake.duplicates, Ordering::Relaxed);
        if !intake.stored.is_empty() {
            // Nobody listening is fine.
            let _ = self.inner.stored.send(intake.stored.into_iter().map(Arc::new).collect());
        }
        Ok(intake.mark)
    }

    /// Up to where an outbox has been stored: what Welcome tells the agent.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn mark(&self, instance: &InstanceId, epoch: Epoch) -> Result<Mark, StoreError> {
        self.inner.store.event_mark(instance.clone(), epoch).await
    }

    /// A page of at most `limit` (and [`MAX_PAGE`]) events before `cursor`, newest first.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn page(
        &self,
        filter: EventFilter,
        cursor: Option<i64>,
        limit: usize,
    ) -> Result<EventPage, StoreError> {
        let limit = limit.clamp(1, MAX_PAGE);
        let mut events = self.inner.store.events_before(filter, cursor, limit + 1).await?;
        let more = events.len() > limit;
        events.truncate(limit);
        let next = if more { events.last().map(|event| event.id) } else { None };
        Ok(EventPage { events: events.into_iter().map(Arc::new).collect(), next })
    }

    /// Every event stored from now on. Subscribe, then read a page: what comes twice has the same id.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<StoredEvents> {
        self.inner.stored.subscribe()
    }

    /// How many events came again after they were stored, since the controller started.
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        self.inner.duplicates.load(Ordering::Relaxed)
    }
}

fn check_order(batch: &EventBatch) -> Result<(), IntakeError> {
    let mut before = EventSeq(0);
    for event in &batch.events {
        if event.seq <= before {
            return Err(IntakeError::Disordered { before, after: event.seq });
        }
        before = event.seq;
    }
    Ok(())
}
