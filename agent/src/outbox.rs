//! The outbox: what the agent has yet to tell the controller, on disk until the controller has it.
//!
//! Events are numbered without holes and appended to segment files. Whoever appends while the disk is busy is
//! written with the next sync (group commit): there is no timer, so an append waits for one and a half syncs on
//! average. Any number that cannot be read back is reported as a `Gap` in its place; see the `segment` module.

#[cfg(test)]
mod corruptions;
mod index;
mod mark;
mod record;
mod segment;
mod shared;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use roadstead_protocol::message::event::{Event, EventBatch, EventKind};
use roadstead_protocol::message::ids::{CommandId, Epoch, EventSeq, Print};
use roadstead_protocol::message::time::UnixMicros;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use index::{Source, Taken};
use shared::{Shared, Waiting, What, locked};
use writer::Writer;

/// How much an outbox may take of the disk in bytes, unless it is configured otherwise.
pub const DEFAULT_LIMIT: u64 = 64 * 1024 * 1024;

/// The least it can work with, in bytes.
const LEAST_LIMIT: u64 = 512 * 1024;

/// What stands in place of events that may have been lost with the mark that would tell.
const IN_DOUBT: &str =
    "the outbox on disk was damaged: whether events are missing before this cannot be told";

/// Acknowledgements further ahead than this are nonsense.
const MAX_JUMP: u64 = 1 << 40;

/// A durable queue of events. A clone is another handle on the same one.
#[derive(Clone, Debug)]
pub struct Outbox {
    shared: Arc<Shared>,
    _lock: Arc<File>,
}

/// Whether outbox and controller mean the same by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Agreement {
    /// They do.
    Reached,
    /// They did not, and another epoch has begun.
    Forked,
}

/// Why an event was not recorded, or the outbox not opened.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OutboxError {
    /// The disk is full: the owner must make room. Appending works again once there is some.
    #[error("no space left on the disk that holds {}; make room there", path.display())]
    NoSpace {
        /// The file that could not be written.
        path: PathBuf,
    },
    /// The disk or the file system does not do what it should: the owner must look after it.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What came of it.
        source: Arc<io::Error>,
    },
    /// Another process uses the directory: the owner must end one of them.
    #[error("{} is in use by another agent; stop it, or give each a data directory of its own", .0.display())]
    InUse(PathBuf),
    /// The event is too large to be sent. Ours to mend.
    #[error("the event cannot be recorded: {0}")]
    Unfit(String),
    /// The program is ending.
    #[error("the outbox is closed")]
    Closed,
}

impl OutboxError {
    fn io(action: &'static str, path: &Path, error: io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace { path },
            _ => Self::Io { action, path, source: Arc::new(error) },
        }
    }
}

impl Outbox {
    /// Opens the outbox in `directory`, making it if there is none, and repairs what a crash left. It takes at most
    /// about `limit_bytes` of the disk: beyond that the oldest events are replaced by one `Gap`.
    ///
    /// # Errors
    /// If the directory cannot be read or written, or is used by another process. Damaged contents are no error.
    pub fn open(directory: &Path, limit_bytes: u64) -> Result<Self, OutboxError> {
        let (lock, used) = writer::lock(directory)?;
        let (writer, index) = Writer::open(directory, limit_bytes.max(LEAST_LIMIT), used)?;
        let in_doubt = index.in_doubt;
        let shared = Arc::new(Shared::new(directory, writer, index));
        if in_doubt {
            let doubt = What::Lost { count: 0, reason: IN_DOUBT.to_owned() };
            let waiting = Waiting { events: vec![(UnixMicros::now(), doubt)], reply: oneshot::channel().0 };
            shared.hand_over(|queue| queue.waiting.push_back(waiting));
        }
        Ok(Self { shared, _lock: Arc::new(lock) })
    }

    /// The life of this outbox.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        locked(&self.shared.index).epoch
    }

    /// The last event on disk.
    #[must_use]
    pub fn last(&self) -> EventSeq {
        EventSeq(*self.shared.last.borrow())
    }

    /// The last event the controller is known to hold.
    #[must_use]
    pub fn acknowledged(&self) -> EventSeq {
        EventSeq(locked(&self.shared.index).acknowledged)
    }

    /// The last event that the controller is not known to hold; 0 if there is none.
    #[must_use]
    pub fn pending(&self) -> EventSeq {
        let index = locked(&self.shared.index);
        EventSeq(if index.acknowledged < index.last { index.last } else { 0 })
    }

    /// The newest time by the engine's clock of any event the engine itself told of; none if there never was one.
    #[must_use]
    pub fn last_engine_time(&self) -> Option<UnixMicros> {
        locked(&self.shared.index).engine_time
    }

    /// Records an event and returns its number once it is on disk. Dropping the future does not take it back.
    ///
    /// # Errors
    /// If it is not on disk, and why. Later appends may succeed again; its number is not used up.
    pub async fn append(&self, at: UnixMicros, what: EventKind) -> Result<EventSeq, OutboxError> {
        self.enqueue(vec![(at, What::Happened(what))]).await
    }

    /// Records several events in this order with one sync, all or none; returns the number of the last.
    ///
    /// # Errors
    /// As for [`append`](Self::append).
    pub async fn append_all(&self, events: Vec<(UnixMicros, EventKind)>) -> Result<EventSeq, OutboxError> {
        let events = events.into_iter().map(|(at, what)| (at, What::Happened(what))).collect();
        self.enqueue(events).await
    }

    /// Records that `count` events happened which could not be recorded.
    ///
    /// # Errors
    /// As for [`append`](Self::append).
    pub async fn append_gap(&self, count: u64, reason: String) -> Result<EventSeq, OutboxError> {
        self.enqueue(vec![(UnixMicros::now(), What::Lost { count, reason })]).await
    }

    /// Holds what a controller's Welcome says against what is here, and acknowledges it. Where the controller got its
    /// `held` event from another outbox of the same epoch, which a copied or set back data folder makes, nothing is
    /// forgotten: this outbox goes on in an epoch of its own, and everything since the last acknowledgement is told
    /// under that. The session that was to begin must not.
    ///
    /// # Errors
    /// If the new epoch cannot be written. The session must not begin then either.
    pub async fn agree(&self, held: EventSeq, print: Option<Print>) -> Result<Agreement, OutboxError> {
        if let Some(print) = print {
            let shared = Arc::clone(&self.shared);
            let forked = spawn_blocking(move || shared.forks(held.0, print)).await;
            if forked.map_err(|_| OutboxError::Closed)?? {
                return Ok(Agreement::Forked);
            }
        }
        self.acknowledge(held);
        Ok(Agreement::Reached)
    }

    /// Forgets every event up to `up_to`: the controller has them. If that is beyond the last event there ever was
    /// here, this outbox was set back to an older copy, and goes on after `up_to`.
    pub fn acknowledge(&self, up_to: EventSeq) {
        {
            let mut index = locked(&self.shared.index);
            if up_to.0 <= index.acknowledged || up_to.0 > index.last.saturating_add(MAX_JUMP) {
                return;
            }
            index.acknowledge(up_to.0);
        }
        self.shared.hand_over(|queue| queue.acknowledged = true);
    }

    /// The events after `after`, in order, at most about `max_bytes` of them but at least one; waits until there is
    /// one. Safe to cancel.
    pub async fn next_batch(&self, after: EventSeq, max_bytes: usize) -> Vec<Event> {
        self.next_told(after, max_bytes).await.events
    }

    /// The same as it is told to a controller that holds everything up to `after`.
    pub async fn next_told(&self, after: EventSeq, max_bytes: usize) -> EventBatch {
        let mut last = self.shared.last.subscribe();
        loop {
            last.mark_unchanged();
            let source = locked(&self.shared.index).source(after.0, max_bytes);
            match source {
                Source::Ready(taken) => {
                    *locked(&self.shared.ahead) = None;
                    return self.handed_out(after, taken);
                }
                Source::Wait => {
                    // Cannot fail while this handle holds the sender.
                    let _ = last.changed().await;
                }
                Source::Segment { first, end, start } => {
                    let shared = Arc::clone(&self.shared);
                    let read = spawn_blocking(move || shared.read_back(first, end, start, max_bytes)).await;
                    match read {
                        Ok(taken) if !taken.events.is_empty() => return self.handed_out(after, taken),
                        // The segment went meanwhile, or cannot be read for want of resources.
                        _ => tokio::time::sleep(Duration::from_millis(100)).await,
                    }
                }
            }
        }
    }

    /// What is known to be recorded of what the engine told since `since`, oldest first; reaches back a few hundred
    /// events at least, further than any engine replays.
    pub async fn recorded_since(&self, since: UnixMicros) -> Vec<Event> {
        let shared = Arc::clone(&self.shared);
        let read = spawn_blocking(move || shared.recorded_since(since));
        read.await.unwrap_or_default()
    }

    /// The commands whose ends were recorded lately: in the newest segments, acknowledged or not.
    pub async fn recently_ended(&self) -> HashSet<CommandId> {
        let shared = Arc::clone(&self.shared);
        let ended = |event: Event| match event.what {
            EventKind::CommandEnded { command, .. } => Some(command),
            _ => None,
        };
        let read = spawn_blocking(move || shared.recent().filter_map(ended).collect());
        read.await.unwrap_or_default()
    }

    /// Returns when everything handed over so far is written and nothing is left to do.
    pub async fn settle(&self) {
        let _ = self.shared.busy.subscribe().wait_for(|busy| !busy).await;
    }

    /// Takes note of what is about to be sent.
    fn handed_out(&self, held: EventSeq, Taken { events, print }: Taken) -> EventBatch {
        let last = events.last().map_or(0, |event| event.seq.0);
        let mut index = locked(&self.shared.index);
        index.handed_out = index.handed_out.max(last);
        EventBatch { epoch: index.epoch, events, print, fork: index.fork_for(held.0) }
    }

    async fn enqueue(&self, events: Vec<(UnixMicros, What)>) -> Result<EventSeq, OutboxError> {
        let _room = self.shared.room.acquire().await.map_err(|_| OutboxError::Closed)?;
        let (reply, answer) = oneshot::channel();
        self.shared.hand_over(|queue| queue.waiting.push_back(Waiting { events, reply }));
        answer.await.map_err(|_| OutboxError::Closed)?
    }
}
