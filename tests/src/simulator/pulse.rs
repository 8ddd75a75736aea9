//! Things that happen again and again, at random times.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Something that happens so often on average, as independent things do.
#[derive(Debug)]
pub(super) struct Pulse {
    mean: f64,
    next: Option<Instant>,
}

impl Pulse {
    /// With `mean` seconds between two beats on average; 0 for never.
    pub(super) fn new(mean: f64) -> Self {
        let mut pulse = Self { mean, next: None };
        pulse.draw();
        pulse
    }

    /// Waits for the next beat. Cancel safe.
    pub(super) async fn beat(&mut self) {
        let Some(next) = self.next else { return std::future::pending().await };
        sleep_until(next).await;
        self.draw();
    }

    fn draw(&mut self) {
        if self.mean > 0.0 {
            // In (0, 1], so that the logarithm is finite.
            let chance = 1.0 - rand::random::<f64>();
            self.next = Some(Instant::now() + Duration::from_secs_f64(self.mean * -chance.ln()));
        }
    }
}

/// A random part of `whole`.
pub(super) fn part_of(whole: Duration) -> Duration {
    whole.mul_f64(rand::random::<f64>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn beats_come_as_often_as_said_on_average() {
        let (began, mut pulse) = (Instant::now(), Pulse::new(2.0));
        for _ in 0..2000 {
            pulse.beat().await;
        }
        let mean = began.elapsed().as_secs_f64() / 2000.0;
        assert!((1.7..2.3).contains(&mean), "{mean}");
    }

    #[tokio::test(start_paused = true)]
    async fn never_is_never() {
        let never = tokio::time::timeout(Duration::from_secs(1_000_000), Pulse::new(0.0).beat()).await;
        assert!(never.is_err());
    }
}
