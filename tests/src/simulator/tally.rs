//! What happened, counted.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use roadstead_protocol::message::time::UnixMicros;
use serde::Serialize;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

/// Buckets of latencies: four for each doubling, from a microsecond on.
const BUCKETS: usize = 160;

/// Counters of the whole fleet.
pub(super) struct Tally {
    live: watch::Sender<usize>,
    settled: broadcast::Sender<Settled>,
    /// From the start until all were live for the first time.
    first_all_live: Mutex<Option<Duration>>,
    started: Instant,
    pub(super) sessions: Counter,
    pub(super) lost: Counter,
    pub(super) cut: Counter,
    pub(super) late: Counter,
    pub(super) undialled: Counter,
    pub(super) events: Counter,
    pub(super) acknowledged: Counter,
    pub(super) held_back: Counter,
    pub(super) orders: Counter,
    pub(super) outcomes: Counter,
    refusals: Mutex<BTreeMap<String, u64>>,
    ends: Mutex<BTreeMap<String, u64>>,
    pub(super) linking: Latencies,
    pub(super) acknowledging: Latencies,
}

/// Settled events that are kept for a follower.
const SETTLED: usize = 65_536;

/// An event that its agent knows to be stored.
#[derive(Debug, Clone, Copy)]
pub struct Settled {
    /// When it happened.
    pub happened: UnixMicros,
    /// When its agent had the acknowledgement.
    pub acknowledged: UnixMicros,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

/// How long something took, each time.
#[derive(Debug)]
pub(super) struct Latencies {
    buckets: Vec<AtomicU64>,
    worst: AtomicU64,
}

/// How long something took, in milliseconds. Percentiles are at most a fifth too large.
#[derive(Debug, Clone, Serialize)]
pub struct Took {
    /// How often it was measured.
    pub count: u64,
    /// Usually.
    pub p50_ms: f64,
    /// Seldom longer.
    pub p99_ms: f64,
    /// Longest.
    pub worst_ms: f64,
}

/// What has happened to a fleet.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Agents in all.
    pub agents: usize,
    /// Those with a session now.
    pub live: usize,
    /// Seconds since the start.
    pub seconds: f64,
    /// Seconds from the start until all were live for the first time.
    pub all_live_after_seconds: Option<f64>,
    /// Sessions that were begun.
    pub sessions: u64,
    /// Sessions that ended without our doing.
    pub lost: u64,
    /// Why they ended, and how often.
    pub ends: BTreeMap<String, u64>,
    /// Links cut by the script.
    pub cut: u64,
    /// How often a controller was late with its answer to a heartbeat.
    pub late: u64,
    /// Attempts that ended before the controller had said anything.
    pub undialled: u64,
    /// Named refusals, and how often.
    pub refusals: BTreeMap<String, u64>,
    /// Events that happened.
    pub events: u64,
    /// Events that the controller has acknowledged.
    pub acknowledged: u64,
    /// Happenings that were left out, because too many events waited for their acknowledgement.
    pub held_back: u64,
    /// Orders that were taken.
    pub orders: u64,
    /// Orders that came to their end.
    pub outcomes: u64,
    /// From dialling to welcome.
    pub linking: Took,
    /// From telling a batch of events to its acknowledgement.
    pub acknowledging: Took,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            live: watch::Sender::new(0),
            settled: broadcast::Sender::new(SETTLED),
            first_all_live: Mutex::new(None),
            started: Instant::now(),
            sessions: Counter::default(),
            lost: Counter::default(),
            cut: Counter::default(),
            late: Counter::default(),
            undialled: Counter::default(),
            events: Counter::default(),
            acknowledged: Counter::default(),
            held_back: Counter::default(),
            orders: Counter::default(),
            outcomes: Counter::default(),
            refusals: Mutex::default(),
            ends: Mutex::default(),
            linking: Latencies::default(),
            acknowledging: Latencies::default(),
        }
    }
}

/// A session that counts as live until it is dropped.
pub(super) struct Live<'a>(&'a Tally);

impl Tally {
    /// These events are acknowledged now.
    pub(super) fn settled(&self, happened: &[UnixMicros]) {
        if self.settled.receiver_count() == 0 {
            return;
        }
        let acknowledged = UnixMicros::now();
        for &happened in happened {
            // Whoever followed may be gone by now.
            let _ = self.settled.send(Settled { happened, acknowledged });
        }
    }

    pub(super) fn follow_settled(&self) -> broadcast::Receiver<Settled> {
        self.settled.subscribe()
    }

    pub(super) fn live(&self) -> usize {
        *self.live.borrow()
    }

    pub(super) fn watch_live(&self) -> watch::Receiver<usize> {
        self.live.subscribe()
    }

    /// A session of a fleet of so many agents has begun.
    pub(super) fn begun(&self, agents: usize) -> Live<'_> {
        self.sessions.add(1);
        self.live.send_modify(|live| *live += 1);
        if self.live() == agents {
            let mut first = self.first_all_live.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert_with(|| self.started.elapsed());
        }
        Live(self)
    }

    pub(super) fn refused(&self, reason: String) {
        count(&self.refusals, reason);
    }

    /// A session ended without our doing.
    pub(super) fn lost(&self, end: String) {
        self.lost.add(1);
        count(&self.ends, end);
    }

    pub(super) fn forget_latencies(&self) {
        self.linking.forget();
        self.acknowledging.forget();
    }

    pub(super) fn summary(&self, agents: usize, elapsed: Duration) -> Summary {
        let copy =
            |map: &Mutex<BTreeMap<String, u64>>| map.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let first = *self.first_all_live.lock().unwrap_or_else(PoisonError::into_inner);
        Summary {
            agents,
            live: self.live(),
            seconds: elapsed.as_secs_f64(),
            all_live_after_seconds: first.map(|after| after.as_secs_f64()),
            sessions: self.sessions.value(),
            lost: self.lost.value(),
            ends: copy(&self.ends),
            cut: self.cut.value(),
            late: self.late.value(),
            undialled: self.undialled.value(),
            refusals: copy(&self.refusals),
            events: self.events.value(),
            acknowledged: self.acknowledged.value(),
            held_back: self.held_back.value(),
            orders: self.orders.value(),
            outcomes: self.outcomes.value(),
            linking: self.linking.took(),
            acknowledging: self.acknowledging.took(),
        }
    }
}

impl Drop for Live<'_> {
    fn drop(&mut self) {
        self.0.live.send_modify(|live| *live -= 1);
    }
}

impl Counter {
    pub(super) fn add(&self, more: usize) {
        self.0.fetch_add(more as u64, Ordering::Relaxed);
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Default for Latencies {
    fn default() -> Self {
        Self { buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(), worst: AtomicU64::new(0) }
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rounding is what buckets are"
)]
impl Latencies {
    pub(super) fn add(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        let bucket = ((micros as f64).log2() * 4.0) as usize;
        self.buckets[bucket.min(BUCKETS - 1)].fetch_add(1, Ordering::Relaxed);
        self.worst.fetch_max(micros, Ordering::Relaxed);
    }

    fn forget(&self) {
        self.buckets.iter().for_each(|bucket| bucket.store(0, Ordering::Relaxed));
        self.worst.store(0, Ordering::Relaxed);
    }

    fn took(&self) -> Took {
        let counts: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        let count: u64 = counts.iter().sum();
        let worst_ms = self.worst.load(Ordering::Relaxed) as f64 / 1000.0;
        let percentile = |per_cent: u64| {
            let mut left = (count * per_cent).div_ceil(100);
            let bucket = counts.iter().position(|here| {
                left = left.saturating_sub(*here);
                left == 0
            });
            let upper = 2_f64.powf((bucket.unwrap_or(0) + 1) as f64 / 4.0) / 1000.0;
            upper.min(worst_ms)
        };
        Took { count, p50_ms: percentile(50), p99_ms: percentile(99), worst_ms }
    }
}

fn count(map: &Mutex<BTreeMap<String, u64>>, what: String) {
    *map.lock().unwrap_or_else(PoisonError::into_inner).entry(what).or_default() += 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_a_fifth_too_large_at_most() {
        let latencies = Latencies::default();
        for millis in 1..=1000 {
            latencies.add(Duration::from_millis(millis));
        }
        let took = latencies.took();
        assert!((500.0..600.0).contains(&took.p50_ms), "{took:?}");
        assert!((990.0..=1000.0).contains(&took.p99_ms), "{took:?}");
        assert!((took.worst_ms - 1000.0).abs() < 1e-9);
        latencies.forget();
        assert_eq!(latencies.took().count, 0);
        assert!(latencies.took().p99_ms.abs() < 1e-9);
    }

    #[test]
    fn the_first_time_that_all_are_live_is_kept() {
        let tally = Tally::default();
        let one = tally.begun(2);
        assert_eq!(tally.summary(2, Duration::ZERO).all_live_after_seconds, None);
        let two = tally.begun(2);
        drop((one, two));
        let summary = tally.summary(2, Duration::ZERO);
        assert_eq!((summary.live, summary.sessions), (0, 2));
        assert!(summary.all_live_after_seconds.is_some());
    }
}
