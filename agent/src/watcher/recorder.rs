//! Hands what happened over to the outbox without ever making the watcher wait for the disk.
//!
//! While the outbox cannot be written (disk full), events wait here, up to a bound; beyond it they are counted, and
//! the count becomes a gap once the outbox can be written again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use roadstead_protocol::message::event::EventKind;
use roadstead_protocol::message::time::UnixMicros;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::outbox::{Outbox, OutboxError};

/// Events that may wait for the outbox.
const ROOM: usize = 1024;

/// Events recorded with one append.
const GROUP: usize = 64;

/// Pause before another try to write.
const RETRY: Duration = Duration::from_secs(1);

/// How long the end of the agent waits for the last events.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(2);

const REASON: &str =
    "the agent could not record events fast enough, or not at all: its disk was full or failing";

type Happened = (UnixMicros, EventKind);

/// The watcher's side.
#[derive(Debug)]
pub(super) struct Recorder {
    queue: mpsc::Sender<Happened>,
    lost: Arc<Lost>,
}

/// The outbox's side, to be run beside the watcher.
#[derive(Debug)]
pub(super) struct Recording {
    queue: mpsc::Receiver<Happened>,
    lost: Arc<Lost>,
    outbox: Outbox,
    shutdown: CancellationToken,
}

/// Events of which only the number is known, and how many were handed over and are on disk in one way or the other.
#[derive(Debug, Default)]
struct Lost {
    count: AtomicU64,
    some: Notify,
    handed_over: AtomicU64,
    on_disk: watch::Sender<u64>,
}

/// The two sides of recording into `outbox`.
pub(super) fn recording(outbox: Outbox, shutdown: CancellationToken) -> (Recorder, Recording) {
    let (sender, receiver) = mpsc::channel(ROOM);
    let lost = Arc::new(Lost::default());
    let recorder = Recorder { queue: sender, lost: Arc::clone(&lost) };
    (recorder, Recording { queue: receiver, lost, outbox, shutdown })
}

impl Recorder {
    /// Records an event, or that there was one.
    pub fn record(&self, at: UnixMicros, what: EventKind) {
        self.lost.handed_over.fetch_add(1, Ordering::Relaxed);
        if self.queue.try_send((at, what)).is_err() {
            self.lost.add(1);
        }
    }

    /// Records that `count` events happened which nobody could take in.
    pub fn lose(&self, count: u64) {
        self.lost.handed_over.fetch_add(count, Ordering::Relaxed);
        self.lost.add(count);
    }

    /// Returns when everything that was handed over up to this call is on disk, or at least how many events that was.
    pub fn settled(&self) -> impl Future<Output = ()> + use<> {
        let handed_over = self.lost.handed_over.load(Ordering::Relaxed);
        let (lost, mut on_disk) = (Arc::clone(&self.lost), self.lost.on_disk.subscribe());
        async move {
            let settled = |on_disk: &u64| *on_disk >= handed_over && lost.count.load(Ordering::Relaxed) == 0;
            // Cannot fail: this holds the sender.
            let _ = on_disk.wait_for(settled).await;
        }
    }
}

impl Lost {
    fn add(&self, count: u64) {
        self.count.fetch_add(count, Ordering::Relaxed);
        self.some.notify_one();
    }

    /// So many more are on disk now.
    fn close(&self, count: u64) {
        self.on_disk.send_modify(|on_disk| *on_disk += count);
    }
}

impl Recording {
    /// Records until the watcher is gone and everything is written, or the time for that is over.
    pub async fn run(mut self) {
        let shutdown = self.shutdown.clone();
        let deadline = async {
            shutdown.cancelled().await;
            tokio::time::sleep(LAST_WORDS).await;
        };
        tokio::select! {
            () = self.record_all() => {}
            () = deadline => tracing::warn!("the last events could not be recorded in time"),
        }
    }

    async fn record_all(&mut self) {
        let mut group = Vec::with_capacity(GROUP);
        loop {
            let received = tokio::select! {
                received = self.queue.recv_many(&mut group, GROUP) => Some(received),
                () = self.lost.some.notified() => None,
            };
            if !group.is_empty() {
                self.persist(&mut group).await;
            }
            // What did not fit into the queue came after what was in it.
            let lost = if self.queue.is_empty() { self.lost.count.swap(0, Ordering::Relaxed) } else { 0 };
            if lost > 0 {
                tracing::warn!(lost, "events could not be recorded");
                self.retry(|| self.outbox.append_gap(lost, REASON.to_owned())).await;
                self.lost.close(lost);
            }
            if received == Some(0) {
                return;
            }
        }
    }

    /// Writes a group, however long it takes; leaves it empty.
    async fn persist(&self, group: &mut Vec<Happened>) {
        let written = self.retry(|| self.outbox.append_all(group.clone())).await;
        if written.is_some() {
            self.lost.close(group.len().try_into().unwrap_or(u64::MAX));
            group.clear();
            return;
        }
        // One of them cannot be written at all: that one is lost, not the others.
        for (at, what) in group.drain(..) {
            match self.retry(|| self.outbox.append(at, what.clone())).await {
                Some(_) => self.lost.close(1),
                None => self.lost.add(1),
            }
        }
    }

    /// Tries until it works; none if it never can.
    async fn retry<T, F: Future<Output = Result<T, OutboxError>>>(
        &self,
        append: impl Fn() -> F,
    ) -> Option<T> {
        let mut told = false;
        loop {
            match append().await {
                Ok(written) => {
                    if told {
                        tracing::info!("events are recorded again");
                    }
                    return Some(written);
                }
                Err(error @ OutboxError::Unfit(_)) => {
                    tracing::error!(%error, "an event is lost");
                    return None;
                }
                Err(error) => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::error!(%error, "cannot record events; trying again every second");
                    }
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }
}
