//! What the outbox knows of its segments without reading them, and the newest events.

use std::collections::VecDeque;

use roadstead_protocol::message::event::{Event, EventKind, Fork};
use roadstead_protocol::message::ids::{Epoch, Print};
use roadstead_protocol::message::time::UnixMicros;

use super::mark::Mark;
use super::record::Stored;
use super::segment;

/// Newest events that are kept in memory, in bytes on disk. Older ones are read back when they are wanted.
const RECENT_BYTES: usize = 64 * 1024;

/// Newest segments that are kept although acknowledged: after a restart they tell which of the engine's replayed
/// events were recorded before.
const HISTORY: usize = 2;

/// What a lost event is put down to.
const DAMAGED: &str = "the outbox on disk was damaged or cut short";
const FULL: &str = "the outbox was full: the controller had been away for too long";

/// A segment file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub first: u64,
    pub bytes: u64,
}

/// Some events in order, and the print of the last.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub events: Vec<Event>,
    pub print: Option<Print>,
}

/// Where the next events come from.
#[derive(Debug)]
pub(super) enum Source {
    /// There are none yet.
    Wait,
    /// From memory.
    Ready(Taken),
    /// From the segment that holds the numbers from `first` to before `end`; the next one wanted is `start`.
    Segment { first: u64, end: u64, start: u64 },
}

#[derive(Debug)]
pub(super) struct Index {
    pub epoch: Epoch,
    segments: VecDeque<Segment>,
    /// The last event on disk.
    pub last: u64,
    /// The last event when the outbox was opened.
    pub last_at_open: u64,
    /// The last event that was handed out to be sent.
    pub handed_out: u64,
    /// Whether the controller holds events that were never sent from here, and that is not dealt with yet.
    pub is_set_back: bool,
    /// Whether the newest events may be missing without a trace.
    pub in_doubt: bool,
    /// The last event the controller holds. Beyond `last` if the outbox was set back to an older copy.
    pub acknowledged: u64,
    dropped: u64,
    pub engine_time: Option<UnixMicros>,
    /// Where the epoch left another.
    pub fork: Option<Fork>,
    /// The print of the newest event that could be read or was written.
    pub print: Option<Print>,
    recent: VecDeque<Stored>,
    recent_bytes: usize,
}

impl Index {
    pub fn new(mark: &Mark, segments: Vec<(u64, u64)>, print: Option<Print>, in_doubt: bool) -> Self {
        Self {
            epoch: mark.epoch,
            segments: segments.into_iter().map(|(first, bytes)| Segment { first, bytes }).collect(),
            last: mark.last,
            last_at_open: mark.last,
            handed_out: 0,
            is_set_back: false,
            in_doubt,
            acknowledged: mark.acknowledged,
            dropped: mark.dropped,
            engine_time: mark.engine_time,
            fork: mark.fork,
            print,
            recent: VecDeque::new(),
            recent_bytes: 0,
        }
    }

    pub fn mark(&self) -> Mark {
        Mark {
            epoch: self.epoch,
            last: self.last,
            acknowledged: self.acknowledged,
            dropped: self.dropped,
            engine_time: self.engine_time,
            fork: self.fork,
        }
    }

    /// Takes note of a segment about to be written. The newest is written anew if nothing could be written to it.
    pub fn add_segment(&mut self, first: u64) {
        if self.segments.back().is_none_or(|newest| newest.first != first) {
            self.segments.push_back(Segment { first, bytes: 0 });
        }
    }

    /// Takes note of events that are on disk now, in the newest segment, which is `bytes` long with them.
    pub fn committed(&mut self, events: Vec<Stored>, bytes: u64) {
        if let Some(segment) = self.segments.back_mut() {
            segment.bytes = bytes;
        }
        for stored in events {
            self.last = stored.event.seq.0;
            self.engine_time = self.engine_time.max(engine_time(&stored.event));
            self.print = Some(stored.print);
            self.recent_bytes += stored.size;
            self.recent.push_back(stored);
        }
        while self.recent_bytes > RECENT_BYTES {
            let Some(oldest) = self.recent.pop_front() else { break };
            self.recent_bytes -= oldest.size;
        }
    }

    /// Forgets what is in memory of acknowledged events, and names the segments that are no longer needed.
    pub fn retire(&mut self) -> Vec<u64> {
        while self.recent.front().is_some_and(|stored| stored.event.seq.0 <= self.acknowledged) {
            self.recent_bytes -= self.recent.pop_front().map_or(0, |stored| stored.size);
        }
        let mut retired = Vec::new();
        while self.segments.len() > HISTORY && self.segments[1].first <= self.acknowledged + 1 {
            retired.extend(self.segments.pop_front().map(|segment| segment.first));
        }
        retired
    }

    /// Gives up the oldest segment if `more` bytes would not fit below `limit`, and names it.
    pub fn make_room(&mut self, more: u64, limit: u64) -> Option<u64> {
        let total: u64 = self.segments.iter().map(|segment| segment.bytes).sum();
        if total + more <= limit || self.segments.len() < 2 {
            return None;
        }
        let oldest = self.segments.pop_front()?;
        let last_of_it = self.segments[0].first - 1;
        if last_of_it > self.acknowledged {
            self.dropped = last_of_it;
        }
        Some(oldest.first)
    }

    /// Takes note of an acknowledgement. One of events that were never sent from here tells that this outbox was set
    /// back to an older copy.
    pub fn acknowledge(&mut self, up_to: u64) {
        self.is_set_back |= up_to > self.last_at_open.max(self.handed_out);
        self.acknowledged = up_to;
    }

    /// Goes on after what the controller holds, whose numbers were used in another life. Tells how many events of this
    /// life have such a number: they cannot be sent.
    pub fn jump(&mut self) -> u64 {
        let conflicting = self.acknowledged.min(self.last).saturating_sub(self.last_at_open);
        if self.acknowledged > self.last {
            self.last = self.acknowledged;
            self.recent.clear();
            self.recent_bytes = 0;
        }
        self.last_at_open = self.last;
        conflicting
    }

    /// Where the events after `after` come from, at most `max_bytes` of them, but at least one.
    pub fn source(&self, after: u64, max_bytes: usize) -> Source {
        let start = after.max(self.acknowledged) + 1;
        if start > self.last {
            return Source::Wait;
        }
        if let Some(wanted) = self.in_memory(start) {
            return Source::Ready(batch(wanted, max_bytes));
        }
        let (first, end) = self.holder(start);
        match first {
            Some(first) => Source::Segment { first, end, start },
            None => Source::Ready(batch(
                [&segment::gap(start, end - 1, self.why(end - 1))].into_iter(),
                max_bytes,
            )),
        }
    }

    /// The events from `start` on, if they are in memory.
    fn in_memory(&self, start: u64) -> Option<impl Iterator<Item = &Stored>> {
        let behind = start.checked_sub(self.recent.front()?.event.seq.0)?;
        Some(self.recent.iter().skip(usize::try_from(behind).unwrap_or(usize::MAX)))
    }

    /// The print of the event `seq`, if it is in memory.
    pub fn print_in_memory(&self, seq: u64) -> Option<Print> {
        let stored = self.in_memory(seq)?.next()?;
        (stored.event.seq.0 == seq).then_some(stored.print)
    }

    /// The segment that holds the event `seq`: its first number, none if it is gone, and the one its successor begins
    /// with.
    pub fn holder(&self, seq: u64) -> (Option<u64>, u64) {
        let holder = self.segments.iter().rposition(|segment| segment.first <= seq);
        let following = holder.map_or(0, |holder| holder + 1);
        let end = self.segments.get(following).map_or(self.last + 1, |segment| segment.first);
        (holder.map(|holder| self.segments[holder].first), end)
    }

    /// The fork, if it matters to a controller that holds this epoch up to `held`: it needs to know where the epoch
    /// begins, and which events may have been told before under another.
    pub fn fork_for(&self, held: u64) -> Option<Fork> {
        self.fork.filter(|fork| held <= fork.after.0 || held < fork.up_to.0)
    }

    /// Whether there is a segment that begins with `first`.
    pub fn lists(&self, first: u64) -> bool {
        self.segments.iter().any(|segment| segment.first == first)
    }

    /// What the loss of the event numbered `seq` is put down to.
    pub fn why(&self, seq: u64) -> &'static str {
        if seq <= self.dropped { FULL } else { DAMAGED }
    }

    /// The newest segments, oldest first: the number each begins with, and the one its successor does.
    pub fn history(&self) -> Vec<(u64, u64)> {
        let ends = self.segments.iter().skip(1).map(|segment| segment.first).chain([self.last + 1]);
        let all: Vec<_> = self.segments.iter().map(|segment| segment.first).zip(ends).collect();
        all[all.len().saturating_sub(HISTORY)..].to_vec()
    }
}

/// The first of `events` up to `max_bytes`, but at least one.
pub(super) fn batch<'a>(events: impl Iterator<Item = &'a Stored>, max_bytes: usize) -> Taken {
    let mut size = 0;
    let mut batch = Taken::default();
    for stored in events {
        size += stored.size;
        if size > max_bytes && !batch.events.is_empty() {
            break;
        }
        batch.events.push(stored.event.clone());
        batch.print = Some(stored.print);
    }
    batch
}

/// When an event happened by the engine's clock, if the engine itself told of it.
pub(super) fn engine_time(event: &Event) -> Option<UnixMicros> {
    let told = matches!(event.what, EventKind::Container { inferred: false, .. } | EventKind::Engine { .. });
    told.then_some(event.at)
}
