//! Token buckets and waits per key, for whatever a stranger may try only so often.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How often something may be tried: `burst` times at once, then once per `refill`.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Tries at once.
    pub burst: u32,
    /// One try comes back after this long.
    pub refill: Duration,
}

/// One bucket for each key. Holds at most `capacity` keys: when there is no room, buckets that are full again are
/// forgotten; if none is, every further key shares one bucket.
pub struct Buckets<K> {
    rate: Rate,
    capacity: usize,
    buckets: HashMap<K, Bucket>,
    shared: Bucket,
}

/// A bucket as the moment at which it will be full again: nothing has to tick.
#[derive(Clone, Copy)]
struct Bucket {
    full_at: Option<Instant>,
}

/// How long to wait after failures.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// Failures that cost nothing.
    pub free: u32,
    /// The wait after the first failure that costs something; each further one doubles it.
    pub first: Duration,
    /// No wait is longer.
    pub longest: Duration,
    /// Failures are forgotten so long after the last one.
    pub forgotten: Duration,
}

/// Failures in a row for each key. Holds at most `capacity` keys: when there is no room, those whose failures are long
/// past are forgotten; if none is, further keys are not counted.
pub struct Backoff<K> {
    waits: Waits,
    capacity: usize,
    failures: HashMap<K, (u32, Instant)>,
}

/// At most so many at the same time for each key, and in all.
pub struct AtOnce<K> {
    most: usize,
    in_all: usize,
    working: Arc<Mutex<HashMap<K, usize>>>,
}

/// One of them, until it is dropped.
pub struct AtWork<K: Eq + Hash> {
    key: K,
    working: Arc<Mutex<HashMap<K, usize>>>,
}

impl<K: Clone + Eq + Hash> AtOnce<K> {
    /// Nobody is at work, and so many may be for each key.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, in_all: usize::MAX, working: Arc::default() }
    }

    /// No more than so many for all keys together.
    #[must_use]
    pub fn in_all(self, in_all: usize) -> Self {
        Self { in_all, ..self }
    }

    /// One more for `key`; none if there are enough.
    #[must_use]
    pub fn begin(&self, key: K) -> Option<AtWork<K>> {
        let mut working = self.working.lock().unwrap_or_else(PoisonError::into_inner);
        let own = working.get(&key).copied().unwrap_or_default();
        if own >= self.most || self.in_all != usize::MAX && working.values().sum::<usize>() >= self.in_all {
            return None;
        }
        working.insert(key.clone(), own + 1);
        Some(AtWork { key, working: Arc::clone(&self.working) })
    }

    /// How many there are of all keys.
    #[must_use]
    pub fn count(&self) -> usize {
        self.working.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }
}

impl<K: Eq + Hash> Drop for AtWork<K> {
    fn drop(&mut self) {
        let mut working = self.working.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = working.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                working.remove(&self.key);
            }
        }
    }
}

impl<K: Eq + Hash> Backoff<K> {
    /// No failures yet.
    #[must_use]
    pub fn new(waits: Waits, capacity: usize) -> Self {
        Self { waits, capacity, failures: HashMap::new() }
    }

    /// Whether `key` may try now.
    ///
    /// # Errors
    /// How long to wait until it may.
    pub fn may(&self, key: &K, now: Instant) -> Result<(), Duration> {
        let Some((count, last)) = self.failures.get(key) else { return Ok(()) };
        let until = *last + self.waits.after(*count);
        if until > now { Err(until - now) } else { Ok(()) }
    }

    /// `key` failed.
    pub fn failed(&mut self, key: K, now: Instant) {
        let forgotten = self.waits.forgotten;
        if !self.failures.contains_key(&key) && self.failures.len() >= self.capacity {
            self.failures.retain(|_, (_, last)| now.duration_since(*last) < forgotten);
            if self.failures.len() >= self.capacity {
                return;
            }
        }
        let (count, last) = self.failures.entry(key).or_insert((0, now));
        if now.duration_since(*last) >= forgotten {
            *count = 0;
        }
        (*count, *last) = (count.saturating_add(1), now);
    }

    /// `key` succeeded.
    pub fn forget(&mut self, key: &K) {
        self.failures.remove(key);
    }
}

impl Waits {
    fn after(&self, failures: u32) -> Duration {
        let Some(doublings) = failures.checked_sub(self.free + 1) else { return Duration::ZERO };
        let factor = 2_u32.checked_pow(doublings).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.longest)
    }
}

impl<K: Eq + Hash> Buckets<K> {
    /// No keys yet.
    #[must_use]
    pub fn new(rate: Rate, capacity: usize) -> Self {
        Self { rate, capacity, buckets: HashMap::new(), shared: Bucket { full_at: None } }
    }

    /// Takes one try for `key`.
    ///
    /// # Errors
    /// How long to wait until there is one.
    pub fn take(&mut self, key: K, now: Instant) -> Result<(), Duration> {
        let rate = self.rate;
        self.bucket(key, now).take(rate, now)
    }

    /// Gives back a try that turned out harmless.
    pub fn give_back<Q>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let refill = self.rate.refill;
        if let Some(bucket) = self.buckets.get_mut(key) {
            bucket.full_at = bucket.full_at.and_then(|full_at| full_at.checked_sub(refill));
        }
    }

    fn bucket(&mut self, key: K, now: Instant) -> &mut Bucket {
        if !self.buckets.contains_key(&key) && self.buckets.len() >= self.capacity {
            self.buckets.retain(|_, bucket| bucket.full_at.is_some_and(|full_at| full_at > now));
            if self.buckets.len() >= self.capacity {
                return &mut self.shared;
            }
        }
        self.buckets.entry(key).or_insert(Bucket { full_at: None })
    }
}

impl Bucket {
    fn take(&mut self, rate: Rate, now: Instant) -> Result<(), Duration> {
        let full_at = self.full_at.filter(|full_at| *full_at > now).unwrap_or(now);
        let after = full_at + rate.refill;
        let most = rate.refill * rate.burst;
        let debt = after - now;
        if debt > most {
            return Err(debt - most);
        }
        self.full_at = Some(after);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { burst: 3, refill: Duration::from_secs(6) };

    #[test]
    fn so_many_at_once_for_each_key() {
        let at_once = AtOnce::new(2);
        let (one, two) = (at_once.begin("a"), at_once.begin("a"));
        assert!(one.is_some() && two.is_some() && at_once.begin("a").is_none());
        assert!(at_once.begin("b").is_some());
        drop(one);
        assert!(at_once.begin("a").is_some());
        drop(two);
        assert!(at_once.working.lock().unwrap().is_empty());
    }

    #[test]
    fn a_burst_then_one_per_refill() {
        let mut buckets = Buckets::new(RATE, 10);
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(buckets.take("eve", start), Ok(()));
        }
        assert_eq!(buckets.take("eve", start), Err(Duration::from_secs(6)));
        assert_eq!(buckets.take("eve", start + Duration::from_secs(5)), Err(Duration::from_secs(1)));
        assert_eq!(buckets.take("eve", start + Duration::from_secs(6)), Ok(()));
        assert!(buckets.take("eve", start + Duration::from_secs(6)).is_err());
        assert_eq!(buckets.take("bob", start), Ok(()), "another key has a bucket of its own");
    }

    #[test]
    fn a_try_given_back_can_be_used_again() {
        let mut buckets = Buckets::new(RATE, 10);
        let start = Instant::now();
        for _ in 0..20 {
            assert_eq!(buckets.take("bob", start), Ok(()));
            buckets.give_back(&"bob");
        }
    }

    #[test]
    fn too_many_keys_share_one_bucket_until_there_is_room() {
        let mut buckets = Buckets::new(RATE, 2);
        let start = Instant::now();
        for key in ["a", "b", "c", "d", "e"] {
            assert_eq!(buckets.take(key, start), Ok(()));
        }
        assert!(buckets.take("f", start).is_err(), "c, d and e have used up the shared bucket");
        assert_eq!(buckets.take("f", start + Duration::from_secs(7)), Ok(()), "a and b are full again");
        assert_eq!(buckets.buckets.len(), 1);
    }

    #[test]
    fn failures_are_forgotten_and_bounded() {
        let second = Duration::from_secs(1);
        let waits = Waits { free: 1, first: second, longest: 4 * second, forgotten: 60 * second };
        let mut backoff = Backoff::new(waits, 2);
        let start = Instant::now();
        for (failures, wait) in [(1, 0), (2, 1), (3, 2), (4, 4), (5, 4)] {
            backoff.failed("eve", start);
            let waits = backoff.may(&"eve", start).err().unwrap_or_default();
            assert_eq!(waits.as_secs(), wait, "after {failures}");
        }
        for key in ["bob", "carl"] {
            backoff.failed(key, start);
            backoff.failed(key, start);
        }
        assert!(
            backoff.may(&"bob", start).is_err() && backoff.may(&"carl", start).is_ok(),
            "no room for carl"
        );
        let later = start + waits.forgotten;
        backoff.failed("eve", later);
        assert_eq!(backoff.may(&"eve", later), Ok(()), "what is long past counts no more");
        backoff.failed("dora", later);
        assert_eq!(backoff.failures.len(), 2, "bob made room");
    }
}
