//! Waiting for conditions: the only way a test waits.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

/// How often a condition is tried.
const POLL: Duration = Duration::from_millis(20);

/// Tries `attempt` until it gives a value, and returns that.
///
/// `what` completes the sentence "waited … for …".
///
/// # Panics
/// When `deadline` has passed: a test that waits in vain has failed.
#[track_caller]
pub fn eventually<T, F>(what: &str, deadline: Duration, mut attempt: F) -> impl Future<Output = T>
where
    F: AsyncFnMut() -> Option<T>,
{
    let caller = std::panic::Location::caller();
    async move {
        match try_eventually(deadline, async || attempt().await.ok_or(())).await {
            Ok(value) => value,
            Err(_) => panic!("waited {deadline:?} in vain for {what} (at {caller})"),
        }
    }
}

/// Like [`eventually`], for harness code that has more to say about a failure: gives the error of the
/// last attempt, or none if the first attempt never ended.
///
/// # Errors
/// The last attempt's error, once `deadline` has passed.
pub async fn try_eventually<T, E, F>(deadline: Duration, mut attempt: F) -> Result<T, Option<E>>
where
    F: AsyncFnMut() -> Result<T, E>,
{
    let end = Instant::now() + deadline;
    let mut ticks = interval(POLL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = None;
    loop {
        ticks.tick().await;
        match tokio::time::timeout_at(end, attempt()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => last = Some(error),
            Err(_) => return Err(last),
        }
        if Instant::now() >= end {
            return Err(last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn gives_the_value_once_it_is_there() {
        let mut tries = 0;
        let value = eventually("the third try", Duration::from_secs(1), async || {
            tries += 1;
            (tries == 3).then_some(tries)
        })
        .await;
        assert_eq!(value, 3);
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "waited 1s in vain for rain")]
    async fn names_what_never_came() {
        eventually("rain", Duration::from_secs(1), async || None::<()>).await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_hangs_is_given_up() {
        let result: Result<(), Option<()>> =
            try_eventually(Duration::from_secs(1), async || std::future::pending().await).await;
        assert_eq!(result, Err(None));
    }
}
