//! Strangers in the log: so many lines a minute, and then a count of what was left out.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Lines about strangers in one [`PERIOD`].
const LINES: u32 = 20;

/// How long a period lasts.
const PERIOD: Duration = Duration::from_secs(60);

/// Decides which strangers are worth a line.
#[derive(Default)]
pub struct Strangers {
    period: Mutex<Option<Period>>,
}

struct Period {
    began: Instant,
    lines: u32,
    left_out: u64,
}

/// What to do about a stranger.
#[derive(Debug, PartialEq, Eq)]
pub enum Worth {
    /// A line, and one about as many that had none before, if there were any.
    Line {
        /// How many had none.
        left_out: u64,
    },
    /// Nothing but being counted.
    Counted,
}

impl Strangers {
    /// What the stranger who comes now is worth.
    pub fn weigh(&self) -> Worth {
        let now = Instant::now();
        let mut period = self.period.lock().unwrap_or_else(PoisonError::into_inner);
        let current = period.get_or_insert(Period { began: now, lines: 0, left_out: 0 });
        let mut left_out = 0;
        if now.saturating_duration_since(current.began) >= PERIOD {
            left_out = std::mem::take(&mut current.left_out);
            (current.began, current.lines) = (now, 0);
        }
        if current.lines >= LINES {
            current.left_out += 1;
            return Worth::Counted;
        }
        current.lines += 1;
        Worth::Line { left_out }
    }

    /// Runs `line` if the stranger who comes now is worth one.
    pub fn note(&self, line: impl FnOnce()) {
        if let Worth::Line { left_out } = self.weigh() {
            if left_out > 0 {
                tracing::info!(left_out, "more agents were refused or went away than were written down");
            }
            line();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_counted_and_told_in_the_next_period() {
        let strangers = Strangers::default();
        for _ in 0..LINES {
            assert_eq!(strangers.weigh(), Worth::Line { left_out: 0 });
        }
        for _ in 0..5000 {
            assert_eq!(strangers.weigh(), Worth::Counted);
        }
        tokio::time::advance(PERIOD).await;
        assert_eq!(strangers.weigh(), Worth::Line { left_out: 5000 });
        assert_eq!(strangers.weigh(), Worth::Line { left_out: 0 });
    }
}
