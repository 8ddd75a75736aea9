//! The outbox of a simulated agent: in memory, otherwise as the protocol wants it.

use std::collections::VecDeque;
use std::time::Duration;

use roadstead_protocol::message::event::{Event, EventBatch, EventKind};
use roadstead_protocol::message::ids::{Epoch, EventSeq};
use roadstead_protocol::message::time::UnixMicros;
use tokio::time::Instant;

/// Most events that wait for their acknowledgement. Beyond it nothing happens on the host.
const MOST: usize = 4096;

/// Most events of a batch: some 16 KiB.
const BATCH: usize = 48;

/// Events that the controller has not acknowledged.
#[derive(Debug)]
pub(super) struct Outbox {
    epoch: Epoch,
    events: VecDeque<Event>,
    last: EventSeq,
    /// The last event that was told in this session.
    told: EventSeq,
    /// The last event of each batch that was told in this session and is not acknowledged, and when that was.
    under_way: VecDeque<(EventSeq, Instant)>,
}

impl Outbox {
    pub(super) fn new() -> Self {
        Self {
            epoch: Epoch::generate(),
            events: VecDeque::new(),
            last: EventSeq(0),
            told: EventSeq(0),
            under_way: VecDeque::new(),
        }
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(super) fn last(&self) -> EventSeq {
        self.last
    }

    pub(super) fn is_full(&self) -> bool {
        self.events.len() >= MOST
    }

    pub(super) fn append(&mut self, what: EventKind) {
        self.last = self.last.next();
        self.events.push_back(Event { seq: self.last, at: UnixMicros::now(), what });
    }

    /// A session begins; the controller holds everything up to `acknowledged`. Gives how many events that settles.
    pub(super) fn begin_session(&mut self, acknowledged: EventSeq) -> usize {
        self.under_way.clear();
        let settled = self.forget(acknowledged);
        self.told = acknowledged;
        settled
    }

    /// The next events to tell, if there are any.
    pub(super) fn next_batch(&mut self) -> Option<EventBatch> {
        let first = self.events.partition_point(|event| event.seq <= self.told);
        let events: Vec<Event> = self.events.range(first..).take(BATCH).cloned().collect();
        self.told = events.last()?.seq;
        self.under_way.push_back((self.told, Instant::now()));
        Some(EventBatch::plain(self.epoch, events))
    }

    /// The controller holds everything up to `up_to`. Gives when the events that this settles happened, and how long each
    /// batch took.
    pub(super) fn acknowledged(&mut self, epoch: Epoch, up_to: EventSeq) -> (Vec<UnixMicros>, Vec<Duration>) {
        if epoch != self.epoch {
            return (Vec::new(), Vec::new());
        }
        let mut took = Vec::new();
        while let Some((_, told_at)) = self.under_way.pop_front_if(|(last, _)| *last <= up_to) {
            took.push(told_at.elapsed());
        }
        let settled = self.events.partition_point(|event| event.seq <= up_to);
        (self.events.drain(..settled).map(|event| event.at).collect(), took)
    }

    fn forget(&mut self, up_to: EventSeq) -> usize {
        let settled = self.events.partition_point(|event| event.seq <= up_to);
        self.events.drain(..settled);
        settled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(count: usize) -> Outbox {
        let mut outbox = Outbox::new();
        for _ in 0..count {
            outbox.append(EventKind::AgentStarted { version: String::new() });
        }
        outbox
    }

    #[test]
    fn each_event_is_told_once_in_a_session_and_again_in_the_next() {
        let mut outbox = filled(BATCH + 2);
        assert_eq!(outbox.begin_session(EventSeq(1)), 1);
        assert_eq!(outbox.next_batch().unwrap().events.len(), BATCH);
        assert_eq!(outbox.next_batch().unwrap().events.len(), 1);
        assert!(outbox.next_batch().is_none());
        outbox.begin_session(EventSeq(1));
        assert_eq!(outbox.next_batch().unwrap().events[0].seq, EventSeq(2));
    }

    #[test]
    fn what_is_acknowledged_is_forgotten_and_another_epoch_means_nothing() {
        let mut outbox = filled(3);
        outbox.begin_session(EventSeq(0));
        outbox.next_batch();
        assert_eq!(outbox.acknowledged(Epoch::generate(), EventSeq(3)).0.len(), 0);
        let (settled, took) = outbox.acknowledged(outbox.epoch(), EventSeq(2));
        assert_eq!((settled.len(), took.len()), (2, 0), "the batch is not wholly acknowledged");
        let (settled, took) = outbox.acknowledged(outbox.epoch(), EventSeq(3));
        assert_eq!((settled.len(), took.len()), (1, 1));
        assert!(outbox.events.is_empty() && !outbox.is_full());
    }
}
