//! The wall clock may be set while commands wait: what is left of their time stays what it was.

use std::sync::PoisonError;
use std::time::Duration;

use roadstead_protocol::message::time::UnixMicros;
use tokio::time::Instant;

use super::Commands;

/// Differences below this are drift, or a busy machine.
const NOTICEABLE: Duration = Duration::from_secs(60);

/// The wall clock and the steady one at the same moment.
#[derive(Debug)]
pub(super) struct Clock {
    wall: UnixMicros,
    steady: Instant,
}

/// By how many microseconds the wall clock was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step(i64);

impl Clock {
    pub fn new(wall: UnixMicros) -> Self {
        Self { wall, steady: Instant::now() }
    }

    /// By how much the wall clock was set since the last time, if it was.
    pub fn step(&mut self, wall: UnixMicros) -> Option<Step> {
        let steady = Instant::now();
        let passed = steady.duration_since(self.steady);
        let step = wall.0 - self.wall.plus(passed).0;
        *self = Self { wall, steady };
        let noticeable = u128::from(step.unsigned_abs()) >= NOTICEABLE.as_micros();
        noticeable.then_some(Step(step))
    }
}

impl Step {
    /// What the set clock shows for a time by the former one.
    pub fn after(self, time: UnixMicros) -> UnixMicros {
        UnixMicros(time.0.saturating_add(self.0))
    }

    /// Both of them.
    pub fn and(self, more: Self) -> Self {
        Self(self.0.saturating_add(more.0))
    }

    /// None was set.
    pub const NONE: Self = Self(0);
}

impl Commands {
    /// Looks whether the wall clock was set, and moves every limit by as much.
    pub(super) async fn mind_the_clock(&self, wall: UnixMicros) {
        let step = self.inner.clock.lock().unwrap_or_else(PoisonError::into_inner).step(wall);
        if let Some(step) = step {
            tracing::warn!(
                seconds = step.0 / 1_000_000,
                "the clock was set; what commands wait for is moved by as much"
            );
            self.clock_was_set(step).await;
        }
    }

    pub(super) async fn clock_was_set(&self, step: Step) {
        let entries = {
            let mut open = self.open();
            open.clock_was_set(step);
            open.all()
        };
        for entry in entries {
            entry.live.lock().await.tracked.clock_was_set(step);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    #[tokio::test(start_paused = true)]
    async fn time_that_passes_is_no_step_and_a_step_is_one_whichever_way() {
        let start = UnixMicros::from_secs(1_000_000);
        let mut clock = Clock::new(start);
        tokio::time::advance(DAY).await;
        let now = start.plus(DAY);
        assert_eq!(clock.step(now), None);
        assert_eq!(clock.step(now.plus(Duration::from_secs(30))), None, "drift");
        let later = now.plus(Duration::from_secs(30));
        let forth = clock.step(later.plus(DAY)).unwrap();
        assert_eq!(forth.after(later), later.plus(DAY));
        let back = clock.step(later).unwrap();
        assert_eq!(back.after(later), later.minus(DAY));
        assert_eq!(forth.and(back), Step::NONE);
    }
}
