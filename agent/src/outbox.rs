//! The outbox: what the agent has yet to tell the controller, on disk until the controller has it.
//!
//! Events are numbered without holes and appended to segment files. Whoever appends while the disk is busy is
//! written with the next sync (group commit): there is no timer, so an append waits for one and a half syncs on
//! average. Any number that cannot be read back is reported as a `Gap` in its place; see [`segment`].

mod index;
mod mark;
mod record;
mod segment;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use roadstead_protocol::message::event::{Event, EventKind};
use roadstead_protocol::message::ids::{Epoch, EventSeq};
use roadstead_protocol::message::time::UnixMicros;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::spawn_blocking;

use index::{Index, Source, batch, engine_time};
use record::{RecordError, Stored};
use writer::Writer;

/// How much an outbox may take of the disk in bytes, unless it is configured otherwise.
pub const DEFAULT_LIMIT: u64 = 64 * 1024 * 1024;

/// The least it can work with, in bytes.
const LEAST_LIMIT: u64 = 512 * 1024;

/// Appends that wait at the same time; more wait for room.
const MAX_WAITING: usize = 256;

/// About how much is written with one sync, in bytes.
const GROUP_BYTES: usize = 64 * 1024;

/// `ENOMEM`, `ENFILE`, `EMFILE`: says nothing about the file.
const OUT_OF_RESOURCES: [i32; 3] = [12, 23, 24];

/// Acknowledgements further ahead than this are nonsense.
const MAX_JUMP: u64 = 1 << 40;

/// A durable queue of events. A clone is another handle on the same one.
#[derive(Clone, Debug)]
pub struct Outbox {
    shared: Arc<Shared>,
    _lock: Arc<File>,
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

#[derive(Debug)]
struct Shared {
    directory: PathBuf,
    epoch: Epoch,
    index: Mutex<Index>,
    writer: Mutex<Writer>,
    queue: Mutex<Queue>,
    room: Semaphore,
    /// The last event on disk.
    last: watch::Sender<u64>,
    /// Whether somebody writes.
    busy: watch::Sender<bool>,
    /// The segment last read back, until its events are sent.
    ahead: Mutex<Option<Arc<Vec<Stored>>>>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    acknowledged: bool,
    flushing: bool,
}

/// Events of one caller; all of them are written with one sync.
#[derive(Debug)]
struct Waiting {
    events: Vec<(UnixMicros, What)>,
    reply: oneshot::Sender<Result<EventSeq, OutboxError>>,
}

#[derive(Debug)]
enum What {
    Happened(EventKind),
    Lost { count: u64, reason: String },
}

impl Outbox {
    /// Opens the outbox in `directory`, making it if there is none, and repairs what a crash left. It takes at most
    /// about `limit_bytes` of the disk: beyond that the oldest events are replaced by one `Gap`.
    ///
    /// # Errors
    /// If the directory cannot be read or written, or is used by another process. Damaged contents are no error.
    pub fn open(directory: &Path, limit_bytes: u64) -> Result<Self, OutboxError> {
        let lock = writer::lock(directory)?;
        let (writer, index) = Writer::open(directory, limit_bytes.max(LEAST_LIMIT))?;
        let shared = Shared {
            directory: directory.to_owned(),
            epoch: index.epoch,
            last: watch::Sender::new(index.last),
            index: Mutex::new(index),
            writer: Mutex::new(writer),
            queue: Mutex::default(),
            room: Semaphore::new(MAX_WAITING),
            busy: watch::Sender::new(false),
            ahead: Mutex::default(),
        };
        Ok(Self { shared: Arc::new(shared), _lock: Arc::new(lock) })
    }

    /// The life of this outbox.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.shared.epoch
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

    /// Forgets every event up to `up_to`: the controller has them. If that is beyond the last event there ever was
    /// here, this outbox was set back to an older copy, and goes on after `up_to`.
    pub fn acknowledge(&self, up_to: EventSeq) {
        {
            let mut index = locked(&self.shared.index);
            if up_to.0 <= index.acknowledged || up_to.0 > index.last.saturating_add(MAX_JUMP) {
                return;
            }
            index.acknowledged = up_to.0;
        }
        let mut queue = locked(&self.shared.queue);
        queue.acknowledged = true;
        self.start_flushing(queue);
    }

    /// The events after `after`, in order, at most about `max_bytes` of them but at least one; waits until there is
    /// one. Safe to cancel.
    pub async fn next_batch(&self, after: EventSeq, max_bytes: usize) -> Vec<Event> {
        let mut last = self.shared.last.subscribe();
        loop {
            last.mark_unchanged();
            let source = locked(&self.shared.index).source(after.0, max_bytes);
            match source {
                Source::Ready(events) => {
                    *locked(&self.shared.ahead) = None;
                    return events;
                }
                Source::Wait => {
                    // Cannot fail while this handle holds the sender.
                    let _ = last.changed().await;
                }
                Source::Segment { first, end, start } => {
                    let shared = Arc::clone(&self.shared);
                    let read = spawn_blocking(move || shared.read_back(first, end, start, max_bytes)).await;
                    match read {
                        Ok(events) if !events.is_empty() => return events,
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
        let read = spawn_blocking(move || {
            let history = locked(&shared.index).history();
            let events = history.into_iter().flat_map(|(first, end)| {
                shared.read(first, end).unwrap_or_default().into_iter().map(|stored| stored.event)
            });
            events.filter(|event| engine_time(event).is_some_and(|at| at >= since)).collect()
        });
        read.await.unwrap_or_default()
    }

    /// Returns when everything handed over so far is written and nothing is left to do.
    pub async fn settle(&self) {
        let _ = self.shared.busy.subscribe().wait_for(|busy| !busy).await;
    }

    async fn enqueue(&self, events: Vec<(UnixMicros, What)>) -> Result<EventSeq, OutboxError> {
        let _room = self.shared.room.acquire().await.map_err(|_| OutboxError::Closed)?;
        let (reply, answer) = oneshot::channel();
        {
            // The guard's scope ends here, so that this future can be sent between threads.
            let mut queue = locked(&self.shared.queue);
            queue.waiting.push_back(Waiting { events, reply });
            self.start_flushing(queue);
        }
        answer.await.map_err(|_| OutboxError::Closed)?
    }

    /// Sees to it that somebody writes. The thread ends by itself when there is nothing left to write.
    fn start_flushing(&self, mut queue: MutexGuard<'_, Queue>) {
        if queue.flushing {
            return;
        }
        queue.flushing = true;
        self.shared.busy.send_replace(true);
        drop(queue);
        let shared = Arc::clone(&self.shared);
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || shared.flush())),
            Err(_) => shared.flush(),
        }
    }
}

impl Shared {
    /// Writes until nothing waits. There is never more than one of it.
    fn flush(&self) {
        let mut writer = locked(&self.writer);
        loop {
            let acknowledged = {
                let mut queue = locked(&self.queue);
                if queue.waiting.is_empty() && !queue.acknowledged {
                    queue.flushing = false;
                    self.busy.send_replace(false);
                    return;
                }
                std::mem::take(&mut queue.acknowledged)
            };
            if acknowledged {
                self.forget(&mut writer);
            }
            self.commit(&mut writer);
        }
    }

    fn forget(&self, writer: &mut Writer) {
        let lost = {
            let mut index = locked(&self.index);
            let ahead = index.acknowledged > index.last;
            let first = index.last_at_open + 1;
            let lost = (index.last + 1).saturating_sub(first);
            if ahead {
                index.jump();
                index.last_at_open = index.last;
            }
            ahead.then_some(lost)
        };
        writer.forget(&self.index);
        let Some(count) = lost else { return };
        writer.close_segment();
        self.last.send_replace(locked(&self.index).last);
        tracing::warn!(
            "the controller holds later events than this outbox: it was set back to an older copy"
        );
        if count > 0 {
            let reason =
                "the outbox was set back to an older copy, and numbered them like earlier events".to_owned();
            let events = vec![(UnixMicros::now(), What::Lost { count, reason })];
            locked(&self.queue).waiting.push_front(Waiting { events, reply: oneshot::channel().0 });
        }
    }

    /// Writes what waits with one sync, as far as a group may go.
    fn commit(&self, writer: &mut Writer) {
        let mut last = locked(&self.index).last;
        let mut records = Vec::new();
        let mut events = Vec::new();
        let mut replies = Vec::new();
        while records.len() < GROUP_BYTES {
            let Some(Waiting { events: wanted, reply }) = locked(&self.queue).waiting.pop_front() else {
                break;
            };
            match encode(last, wanted, &mut records) {
                Ok(stored) => {
                    last = stored.last().map_or(last, |stored| stored.event.seq.0);
                    events.extend(stored);
                    replies.push((EventSeq(last), reply));
                }
                Err(error) => drop(reply.send(Err(OutboxError::Unfit(error.to_string())))),
            }
        }
        let written = if events.is_empty() { Ok(()) } else { writer.commit(&self.index, &records, events) };
        if written.is_ok() {
            self.last.send_replace(last);
        }
        for (seq, reply) in replies {
            // Whoever no longer waits does not want to know.
            let _ = reply.send(written.clone().map(|()| seq));
        }
    }

    /// The events from `start` on of the segment that holds `first` to before `end`.
    fn read_back(&self, first: u64, end: u64, start: u64, max_bytes: usize) -> Vec<Event> {
        let held = locked(&self.ahead).clone();
        let holds = |events: &[Stored]| {
            let ends = |stored: Option<&Stored>| stored.map_or(0, |stored| stored.event.seq.0);
            ends(events.last()) >= start && ends(events.first()) <= start && ends(events.first()) >= first
        };
        let events = match held.filter(|events| holds(events)) {
            Some(events) => events,
            None => match self.read(first, end) {
                Some(events) => Arc::new(events),
                None => return Vec::new(),
            },
        };
        let wanted = batch(events.iter().filter(|stored| stored.event.seq.0 >= start), max_bytes);
        *locked(&self.ahead) = Some(events);
        wanted
    }

    /// Every event of a segment, gaps in place of lost ones; none if it cannot be told just now.
    fn read(&self, first: u64, end: u64) -> Option<Vec<Stored>> {
        let path = segment::path(&self.directory, first);
        let found = match segment::read(&path) {
            Ok(contents) if contents.epoch.is_none_or(|epoch| epoch == self.epoch) => contents.events,
            Ok(_) => Vec::new(),
            // Gone by now because it was dropped or acknowledged: the index knows better where to look.
            Err(_) if !locked(&self.index).lists(first) => return None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cannot read a file of the outbox");
                if OUT_OF_RESOURCES.contains(&error.raw_os_error().unwrap_or(0)) {
                    return None;
                }
                Vec::new()
            }
        };
        let why = locked(&self.index).why(end.saturating_sub(1));
        Some(segment::fill(first, end, found, why))
    }
}

/// Adds the records of `wanted`, numbered from after `last`; leaves `records` alone if one of them does not fit.
fn encode(
    last: u64,
    wanted: Vec<(UnixMicros, What)>,
    records: &mut Vec<u8>,
) -> Result<Vec<Stored>, RecordError> {
    let start = records.len();
    let mut stored = Vec::with_capacity(wanted.len());
    for ((at, what), seq) in wanted.into_iter().zip(last + 1..) {
        let seq = EventSeq(seq);
        let what = match what {
            What::Happened(what) => what,
            What::Lost { count, reason } => EventKind::Gap { from: seq, to: seq, count, reason },
        };
        let event = Event { seq, at, what };
        match record::encode(&event, records) {
            Ok(size) => stored.push(Stored { event, size }),
            Err(error) => {
                records.truncate(start);
                return Err(error);
            }
        }
    }
    Ok(stored)
}

/// A lock whose holder cannot leave things half done: a poisoned one is as good as any.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
