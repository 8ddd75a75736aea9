//! How long to wait before dialling again: longer and longer, with full jitter, so that a fleet does not come back as
//! one; and never longer than was waited already, so that a short absence of the peer does not become a long one.

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
    /// The sum of the waits since the peer was last well, as far as it matters.
    waited: Duration,
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
            self.waited = Duration::ZERO;
        }
    }

    fn next_wait_with(&mut self, random: &mut impl Rng) -> Duration {
        let wait = random.random_range(SHORTEST..=self.waited.clamp(FIRST, LONGEST));
        self.waited = (self.waited + wait).min(LONGEST);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::{Backoff, FIRST, LONGEST, LONGEST_ASKED, SHORTEST};
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
    fn whoever_was_away_shortly_is_found_again_shortly() {
        for away in [Duration::from_millis(500), Duration::from_secs(5), Duration::from_secs(40)] {
            for seed in 0..500 {
                let mut random = StdRng::seed_from_u64(seed);
                let (mut backoff, mut now) = (Backoff::new(), Duration::ZERO);
                while now < away {
                    now += backoff.next_wait_with(&mut random);
                }
                assert!(now - away <= away.max(FIRST), "seed {seed}: back {:?} after {away:?}", now - away);
            }
        }
    }

    #[test]
    fn a_peer_that_stays_away_is_asked_less_and_less() {
        let mut random = StdRng::seed_from_u64(1);
        let mut backoff = Backoff::new();
        let in_an_hour: Vec<_> =
            std::iter::repeat_with(|| backoff.next_wait_with(&mut random)).take(130).collect();
        assert!(in_an_hour.iter().sum::<Duration>() > Duration::from_secs(3000));
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
