//! How long to wait before dialling again: exponential with full jitter, so that a fleet does not come back as one.

use std::time::Duration;

use rand::Rng;

/// The first wait is drawn from at most this.
const FIRST: Duration = Duration::from_secs(1);

/// No wait of our own is longer than this.
const LONGEST: Duration = Duration::from_secs(60);

/// No wait is shorter: drawing zero again and again must not become a busy loop.
const SHORTEST: Duration = Duration::from_millis(50);

/// A session that lasted this long shows that the peer is well: the next wait is short again.
const HEALTHY: Duration = Duration::from_secs(60);

/// The longest request to wait that is honoured.
const LONGEST_ASKED: Duration = Duration::from_secs(300);

/// The waits between attempts.
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// With no attempt made yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How long to wait after an attempt that failed, or a session that ended.
    pub fn next_wait(&mut self) -> Duration {
        self.next_wait_with(&mut rand::rng())
    }

    /// How long to wait when the peer asked to be left alone for `asked`
    /// ([`Refusal::Busy`](crate::message::hello::Refusal::Busy)): at least that, at most 5 minutes, and some jitter.
    pub fn next_wait_asked(&mut self, asked: Duration) -> Duration {
        let asked = asked.min(LONGEST_ASKED);
        asked + rand::rng().random_range(Duration::ZERO..=(asked / 2).clamp(SHORTEST, LONGEST))
    }

    /// Notes that a session lasted for `lasted`.
    pub fn session_lasted(&mut self, lasted: Duration) {
        if lasted >= HEALTHY {
            self.failures = 0;
        }
    }

    fn next_wait_with(&mut self, random: &mut impl Rng) -> Duration {
        let ceiling = FIRST.saturating_mul(1 << self.failures.min(6)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        random.random_range(SHORTEST..=ceiling)
    }
}

#[cfg(test)]
mod tests {
    use super::{Backoff, LONGEST, LONGEST_ASKED, SHORTEST};
    use proptest::prelude::{any, prop_assert, proptest};
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use std::time::Duration;

    proptest! {
        #[test]
        fn waits_stay_within_the_ceiling_of_their_attempt(seed in any::<u64>(), attempts in 1_u32..80) {
            let mut random = StdRng::seed_from_u64(seed);
            let mut backoff = Backoff::new();
            for attempt in 0..attempts {
                let wait = backoff.next_wait_with(&mut random);
                let ceiling = Duration::from_secs(2_u64.saturating_pow(attempt)).min(LONGEST);
                prop_assert!((SHORTEST..=ceiling).contains(&wait), "attempt {attempt}: {wait:?}");
            }
        }

        #[test]
        fn a_request_to_wait_is_honoured_within_reason(millis in any::<u32>()) {
            let asked = Duration::from_millis(millis.into());
            let wait = Backoff::new().next_wait_asked(asked);
            prop_assert!(wait >= asked.min(LONGEST_ASKED));
            prop_assert!(wait <= LONGEST_ASKED + LONGEST);
        }
    }

    #[test]
    fn a_healthy_session_starts_over_and_a_short_one_does_not() {
        let mut random = StdRng::seed_from_u64(1);
        let mut backoff = Backoff::new();
        for _ in 0..50 {
            backoff.next_wait_with(&mut random);
        }
        backoff.session_lasted(Duration::from_secs(59));
        let longest = (0..200).map(|_| backoff.next_wait_with(&mut random)).max().unwrap();
        assert!(longest > Duration::from_secs(30), "{longest:?}");
        backoff.session_lasted(Duration::from_secs(60));
        assert!(backoff.next_wait_with(&mut random) <= Duration::from_secs(1));
    }
}
