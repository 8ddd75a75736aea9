//! What the handles of an outbox share: the queue of those who append, and the one who writes for all of them.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use roadstead_protocol::message::event::{Event, EventKind};
use roadstead_protocol::message::ids::{EventSeq, Print};
use roadstead_protocol::message::time::UnixMicros;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot, watch};

use super::index::{Index, Taken, batch, engine_time};
use super::record::{self, RecordError, Stored};
use super::writer::Writer;
use super::{OutboxError, segment};

/// Appends that wait at the same time; more wait for room.
pub(super) const MAX_WAITING: usize = 256;

/// About how much is written with one sync, in bytes.
const GROUP_BYTES: usize = 64 * 1024;

/// `ENOMEM`, `ENFILE`, `EMFILE`: says nothing about the file.
const OUT_OF_RESOURCES: [i32; 3] = [12, 23, 24];

#[derive(Debug)]
pub(super) struct Shared {
    directory: PathBuf,
    pub index: Mutex<Index>,
    writer: Mutex<Writer>,
    queue: Mutex<Queue>,
    pub room: Semaphore,
    /// The last event on disk.
    pub last: watch::Sender<u64>,
    /// Whether somebody writes.
    pub busy: watch::Sender<bool>,
    /// The segment last read back, until its events are sent.
    pub ahead: Mutex<Option<Arc<Vec<Stored>>>>,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    pub waiting: VecDeque<Waiting>,
    pub acknowledged: bool,
    flushing: bool,
}

/// Events of one caller; all of them are written with one sync.
#[derive(Debug)]
pub(super) struct Waiting {
    pub events: Vec<(UnixMicros, What)>,
    pub reply: oneshot::Sender<Result<EventSeq, OutboxError>>,
}

#[derive(Debug)]
pub(super) enum What {
    Happened(EventKind),
    Lost { count: u64, reason: String },
}

impl Shared {
    pub fn new(directory: &Path, writer: Writer, index: Index) -> Self {
        Self {
            directory: directory.to_owned(),
            last: watch::Sender::new(index.last),
            index: Mutex::new(index),
            writer: Mutex::new(writer),
            queue: Mutex::default(),
            room: Semaphore::new(MAX_WAITING),
            busy: watch::Sender::new(false),
            ahead: Mutex::default(),
        }
    }

    /// Changes the queue and sees to it that somebody writes. The thread ends by itself when nothing is left.
    pub fn hand_over(self: &Arc<Self>, change: impl FnOnce(&mut Queue)) {
        {
            let mut queue = locked(&self.queue);
            change(&mut queue);
            if queue.flushing {
                return;
            }
            queue.flushing = true;
            self.busy.send_replace(true);
        }
        let shared = Arc::clone(self);
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || shared.flush())),
            Err(_) => shared.flush(),
        }
    }

    /// What the engine told since `since`, as far as the newest segments reach.
    pub fn recorded_since(&self, since: UnixMicros) -> Vec<Event> {
        self.recent().filter(|event| engine_time(event).is_some_and(|at| at >= since)).collect()
    }

    /// The events of the newest segments, acknowledged ones included.
    pub fn recent(&self) -> impl Iterator<Item = Event> {
        let history = locked(&self.index).history();
        let stored = history.into_iter().flat_map(|(first, end)| self.read(first, end).unwrap_or_default());
        stored.map(|stored| stored.event)
    }

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

    /// Begins another epoch if the controller, which holds an event `held` with this print, got that from another outbox of
    /// the same epoch. Tells whether it did.
    pub fn forks(&self, held: u64, print: Print) -> Result<bool, OutboxError> {
        // From here on nothing is written until it is decided.
        let mut writer = locked(&self.writer);
        let (acknowledged, last) = {
            let index = locked(&self.index);
            (index.acknowledged, index.last)
        };
        let is_ours =
            held <= acknowledged || (held <= last && self.print(held).is_none_or(|own| own == print));
        if !is_ours {
            writer.fork(&self.index)?;
        }
        Ok(!is_ours)
    }

    /// The print of an event that is not acknowledged; none if it cannot be read any more.
    fn print(&self, seq: u64) -> Option<Print> {
        let (print, (first, end)) = {
            let index = locked(&self.index);
            (index.print_in_memory(seq), index.holder(seq))
        };
        let read = || self.read(first?, end)?.into_iter().find(|stored| stored.event.seq.0 == seq);
        print.or_else(|| Some(read()?.print))
    }

    fn forget(&self, writer: &mut Writer) {
        let lost = {
            let mut index = locked(&self.index);
            std::mem::take(&mut index.is_set_back).then(|| index.jump())
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
        let (mut last, mut print) = {
            let index = locked(&self.index);
            (index.last, index.print)
        };
        let mut records = Vec::new();
        let mut events = Vec::new();
        let mut replies = Vec::new();
        while records.len() < GROUP_BYTES {
            let Some(Waiting { events: wanted, reply }) = locked(&self.queue).waiting.pop_front() else {
                break;
            };
            match encode(last, print, wanted, &mut records) {
                Ok(stored) => {
                    (last, print) = stored
                        .last()
                        .map_or((last, print), |stored| (stored.event.seq.0, Some(stored.print)));
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
    pub fn read_back(&self, first: u64, end: u64, start: u64, max_bytes: usize) -> Taken {
        let held = locked(&self.ahead).clone();
        let holds = |events: &[Stored]| {
            let ends = |stored: Option<&Stored>| stored.map_or(0, |stored| stored.event.seq.0);
            ends(events.last()) >= start && ends(events.first()) <= start && ends(events.first()) >= first
        };
        let events = match held.filter(|events| holds(events)) {
            Some(events) => events,
            None => match self.read(first, end) {
                Some(events) => Arc::new(events),
                None => return Taken::default(),
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
            Ok(contents) => contents.events,
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

/// Adds the records of `wanted`, numbered from after `last`, whose print is `print`; leaves `records` alone if one of them
/// does not fit.
fn encode(
    last: u64,
    mut print: Option<Print>,
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
        match record::encode(Event { seq, at, what }, print, records) {
            Ok(one) => {
                print = Some(one.print);
                stored.push(one);
            }
            Err(error) => {
                records.truncate(start);
                return Err(error);
            }
        }
    }
    Ok(stored)
}

/// A lock whose holder cannot leave things half done: a poisoned one is as good as any.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
