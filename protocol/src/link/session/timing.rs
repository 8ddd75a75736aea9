//! When heartbeats are due and how long the peer has been silent. Pure: told the time, never asks for it.

use std::time::Duration;

use rand::Rng;
use tokio::time::Instant;

/// Heartbeats come this part of their interval sooner or later, so that ten thousand agents do not beat as one.
const JITTER: u32 = 10;

/// How long after the latest moment of a heartbeat it counts as overdue.
const OVERDUE: Duration = Duration::from_millis(500);

/// Nothing heard for this long: a heartbeat is missing.
pub(super) const LATE: Duration = Duration::from_secs(25);

/// Nothing heard for this long: the session is over.
pub(super) const SILENT: Duration = Duration::from_secs(45);

/// How long the peer may take to accept one message.
pub(super) const STALLED: Duration = Duration::from_secs(20);

/// What the clock says about a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Live,
    Late,
    Silent,
    Stalled,
}

/// The times that matter to one session.
#[derive(Debug)]
pub(super) struct Timing {
    /// When the peer was last heard, or reading resumed if that was later.
    heard: Instant,
    received: u64,
    reading: bool,
    /// Whether reading has paused since the last heartbeat was due or the peer's came in.
    paused: bool,
    /// Whether bytes have come in since then.
    told: bool,
    heartbeat_every: Duration,
    next_heartbeat: Instant,
    write_until: Option<Instant>,
}

impl Timing {
    /// Begins at `now`, with `received` bytes having come in before.
    pub(super) fn new(received: u64, heartbeat_every: Duration, now: Instant) -> Self {
        Self {
            heard: now,
            received,
            reading: true,
            paused: false,
            told: false,
            heartbeat_every,
            next_heartbeat: now + jittered(heartbeat_every),
            write_until: None,
        }
    }

    /// Notes how many bytes have come in so far.
    pub(super) fn received(&mut self, total: u64, now: Instant) {
        if total != self.received {
            self.received = total;
            self.heard = now;
            self.told = true;
        }
    }

    /// Notes that the peer's heartbeat has come in, which is answered: as good as one of this side's own, which is not due
    /// before the peer's next one is overdue. Else every idle session would be woken twice for each heartbeat.
    pub(super) fn pinged(&mut self, now: Instant) {
        self.next_heartbeat = now + self.heartbeat_every + self.heartbeat_every / JITTER + OVERDUE;
        self.told = false;
        self.paused = !self.reading;
    }

    /// Notes whether the socket is being read: while it is not, the peer cannot be heard.
    pub(super) fn reading(&mut self, reading: bool, now: Instant) {
        if reading && !self.reading {
            self.heard = now;
        }
        self.reading = reading;
        self.paused |= !reading;
    }

    /// Notes that a write has begun.
    pub(super) fn writing(&mut self, now: Instant) {
        self.write_until.get_or_insert(now + STALLED);
    }

    /// Notes that everything is written.
    pub(super) fn written(&mut self) {
        self.write_until = None;
    }

    pub(super) fn is_writing(&self) -> bool {
        self.write_until.is_some()
    }

    /// Whether a heartbeat is due, and if so whether the peer may have heard nothing since the last one was: reading paused,
    /// or what came in was no heartbeat. On a slow line that stands behind whatever else the peer has to tell.
    pub(super) fn take_heartbeat(&mut self, now: Instant) -> Option<bool> {
        if now < self.next_heartbeat {
            return None;
        }
        self.next_heartbeat = now + jittered(self.heartbeat_every);
        let unanswered = std::mem::take(&mut self.told);
        Some(std::mem::replace(&mut self.paused, !self.reading) | unanswered)
    }

    pub(super) fn verdict(&self, now: Instant) -> Verdict {
        if self.write_until.is_some_and(|until| now >= until) {
            return Verdict::Stalled;
        }
        match now.saturating_duration_since(self.heard) {
            _ if !self.reading => Verdict::Live,
            silence if silence >= SILENT => Verdict::Silent,
            silence if silence >= LATE => Verdict::Late,
            _ => Verdict::Live,
        }
    }

    /// When the answer of [`verdict`](Self::verdict) or [`take_heartbeat`](Self::take_heartbeat) may next change.
    pub(super) fn next_change(&self, now: Instant) -> Instant {
        let mut next = self.next_heartbeat;
        if let Some(until) = self.write_until {
            next = next.min(until);
        }
        if self.reading {
            let late = self.heard + LATE;
            next = next.min(if now < late { late } else { self.heard + SILENT });
        }
        next
    }
}

fn jittered(interval: Duration) -> Duration {
    let jitter = interval / JITTER;
    rand::rng().random_range(interval - jitter..=interval + jitter)
}

#[cfg(test)]
mod tests {
    use super::{LATE, OVERDUE, SILENT, STALLED, Timing, Verdict};
    use std::time::Duration;
    use tokio::time::Instant;

    const SECOND: Duration = Duration::from_secs(1);
    const HEARTBEAT: Duration = Duration::from_secs(20);
    const JITTER: Duration = Duration::from_secs(2);

    #[test]
    fn silence_is_late_and_then_the_end() {
        let start = Instant::now();
        let timing = Timing::new(0, HEARTBEAT, start);
        assert_eq!(timing.verdict(start + LATE - SECOND), Verdict::Live);
        assert_eq!(timing.verdict(start + LATE), Verdict::Late);
        assert_eq!(timing.verdict(start + SILENT - SECOND), Verdict::Late);
        assert_eq!(timing.verdict(start + SILENT), Verdict::Silent);
    }

    #[test]
    fn one_byte_ends_silence_and_an_unchanged_count_does_not() {
        let start = Instant::now();
        let mut timing = Timing::new(0, HEARTBEAT, start);
        timing.received(1, start + LATE);
        assert_eq!(timing.verdict(start + LATE), Verdict::Live);
        timing.received(1, start + LATE + LATE);
        assert_eq!(timing.verdict(start + LATE + LATE), Verdict::Late);
    }

    #[test]
    fn not_reading_is_not_silence_and_the_count_starts_when_reading_resumes() {
        let start = Instant::now();
        let mut timing = Timing::new(0, HEARTBEAT, start);
        timing.reading(false, start);
        let later = start + SILENT * 10;
        assert_eq!(timing.verdict(later), Verdict::Live);
        timing.reading(true, later);
        assert_eq!(timing.verdict(later + LATE - SECOND), Verdict::Live);
        assert_eq!(timing.verdict(later + SILENT), Verdict::Silent);
    }

    #[test]
    fn a_write_has_its_time_from_when_it_began() {
        let start = Instant::now();
        let mut timing = Timing::new(0, HEARTBEAT, start);
        timing.writing(start);
        timing.writing(start + SECOND);
        assert_eq!(timing.verdict(start + STALLED - SECOND), Verdict::Live);
        assert_eq!(timing.verdict(start + STALLED), Verdict::Stalled);
        timing.written();
        assert_eq!(timing.verdict(start + STALLED), Verdict::Live);
    }

    #[test]
    fn who_tells_much_and_sends_no_heartbeat_is_shown_that_it_is_heard() {
        let start = Instant::now();
        let mut timing = Timing::new(0, HEARTBEAT, start);
        let mut due = start;
        for (bytes, pinged, unanswered) in
            [(0, false, false), (10, false, true), (20, true, false), (20, false, false), (30, false, true)]
        {
            timing.received(bytes, due);
            if pinged {
                timing.pinged(due);
                assert_eq!(timing.take_heartbeat(due + HEARTBEAT + JITTER), None, "the peer's comes before");
            }
            due += HEARTBEAT + JITTER + OVERDUE;
            assert_eq!(timing.take_heartbeat(due), Some(unanswered), "{bytes}");
        }
    }

    #[test]
    fn heartbeats_come_with_jitter_and_tell_whether_reading_paused() {
        let start = Instant::now();
        let mut timing = Timing::new(0, HEARTBEAT, start);
        assert_eq!(timing.take_heartbeat(start + HEARTBEAT - JITTER - SECOND), None);
        let first = start + HEARTBEAT + JITTER;
        assert_eq!(timing.take_heartbeat(first), Some(false));
        timing.reading(false, first);
        timing.reading(true, first);
        let second = first + HEARTBEAT + JITTER;
        assert_eq!(timing.take_heartbeat(second), Some(true));
        assert_eq!(timing.take_heartbeat(second + HEARTBEAT + JITTER), Some(false));
    }

    #[test]
    fn a_pause_before_the_peers_heartbeat_is_made_good_by_its_answer() {
        let start = Instant::now();
        let mut timing = Timing::new(0, HEARTBEAT, start);
        timing.reading(false, start);
        timing.reading(true, start + SECOND);
        timing.pinged(start + SECOND);
        let due = start + SECOND + HEARTBEAT + JITTER + OVERDUE;
        assert!(due < start + SECOND + LATE, "the peer hears of this side in time");
        assert_eq!(timing.take_heartbeat(due), Some(false));
    }

    #[test]
    fn the_next_change_lies_ahead_until_it_is_the_end() {
        let start = Instant::now();
        let mut timing = Timing::new(0, HEARTBEAT, start);
        let mut now = start;
        while timing.verdict(now) != Verdict::Silent {
            let _ = timing.take_heartbeat(now);
            let next = timing.next_change(now);
            assert!(next > now);
            now = next;
        }
        assert_eq!(now, start + SILENT);
    }
}
