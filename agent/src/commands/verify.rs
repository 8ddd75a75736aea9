//! Whether a container that was just started really is up.

use std::time::Duration;

use roadstead_protocol::message::container::{Container, ContainerHealth, ContainerState};
use roadstead_protocol::message::policy::Verb;
use roadstead_protocol::message::progress::{LogStream, Step, StepState};
use roadstead_protocol::message::time::UnixMicros;
use tokio::time::Instant;

use super::Context;
use crate::engine::Engine;

/// How often the container is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// Lines of a failing container's log that a report carries.
pub(super) const LOG_TAIL: usize = 20;

/// What became of a container that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It runs, healthy if it has a health check; or it was to run once and ended with 0.
    Up,
    /// It does not.
    Down {
        /// Why.
        reason: String,
        /// The last lines it logged.
        log_tail: Vec<String>,
    },
    /// The command was told to stop before it was clear.
    Halted,
}

/// What to expect of a container.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expectation {
    /// How long it may take.
    pub window: Duration,
    /// Without a health check it must run that long without a break.
    pub settle: Duration,
    /// What it is to do.
    pub course: Course,
}

/// What a container is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    /// It runs on.
    Runs,
    /// It runs on, or ends with code 0.
    MayEnd,
    /// It does its work and ends, as it did before: while it runs, it may fail yet.
    Ends,
}

impl Course {
    /// Of the successor of a container that did its work and ended, or did not.
    pub(super) const fn after(ran_once: bool) -> Self {
        if ran_once { Self::Ends } else { Self::Runs }
    }
}

/// Watches a started container until it is clear whether it is up.
pub(super) async fn verify<E: Engine>(
    context: &Context<E>,
    service: &str,
    container: &str,
    expectation: Expectation,
) -> Verdict {
    context.journal.step(Step::Verify, Some(service), StepState::Started, "");
    let verdict = watch(context, container, expectation).await;
    match verdict {
        Ok(detail) => {
            context.journal.step(Step::Verify, Some(service), StepState::Done, &detail);
            Verdict::Up
        }
        Err(Some(reason)) => {
            let log_tail = match context.policy.check(Verb::Logs) {
                Ok(()) => context.engine.log_tail(container, LOG_TAIL).await.unwrap_or_default(),
                Err(refusal) => vec![refusal.to_string()],
            };
            for line in &log_tail {
                context.journal.log(LogStream::Container, Some(service), line);
            }
            context.journal.step(Step::Verify, Some(service), StepState::Failed, &reason);
            Verdict::Down { reason, log_tail }
        }
        Err(None) => {
            context.journal.step(Step::Verify, Some(service), StepState::Failed, "cancelled");
            Verdict::Halted
        }
    }
}

/// `Err(None)` means halted.
async fn watch<E: Engine>(
    context: &Context<E>,
    container: &str,
    expectation: Expectation,
) -> Result<String, Option<String>> {
    let start = Instant::now();
    let mut judge = Judge::new(start, expectation);
    loop {
        let last = match context.engine.container(container).await {
            Ok(Some(seen)) => match judge.look(&seen, Instant::now()) {
                Finding::Up(detail) => return Ok(detail),
                Finding::Down(reason) => return Err(Some(reason)),
                Finding::NotYet(state) => state,
            },
            Ok(None) => return Err(Some("the container is gone".to_owned())),
            // An engine that restarts may come back within the window.
            Err(error) => error.to_string(),
        };
        if start.elapsed() >= expectation.window {
            let window = expectation.window.as_secs();
            return Err(Some(format!("not up within {window} s: {last}")));
        }
        let halted = tokio::select! {
            () = context.halt.cancelled() => true,
            () = tokio::time::sleep(LOOK) => false,
        };
        if halted {
            return Err(None);
        }
    }
}

enum Finding {
    Up(String),
    Down(String),
    NotYet(String),
}

struct Judge {
    expectation: Expectation,
    /// The run that was seen first, and since when.
    run: Option<(UnixMicros, Instant)>,
    start: Instant,
}

impl Judge {
    const fn new(start: Instant, expectation: Expectation) -> Self {
        Self { expectation, run: None, start }
    }

    fn look(&mut self, container: &Container, now: Instant) -> Finding {
        match container.state {
            ContainerState::Running => self.running(container, now),
            ContainerState::Restarting => Finding::Down(format!(
                "{}; its restart policy starts it again and again",
                how_it_ended(container)
            )),
            ContainerState::Exited
                if self.expectation.course != Course::Runs && container.exit_code == Some(0) =>
            {
                Finding::Up("it ran once and ended with code 0".to_owned())
            }
            ContainerState::Exited | ContainerState::Dead => Finding::Down(how_it_ended(container)),
            ContainerState::Removing => Finding::Down("it is being removed".to_owned()),
            ContainerState::Paused => Finding::Down("it is paused".to_owned()),
            ContainerState::Created | ContainerState::Unknown => {
                Finding::NotYet("it has not started".to_owned())
            }
        }
    }

    fn running(&mut self, container: &Container, now: Instant) -> Finding {
        let started = container.started_at.unwrap_or_default();
        let (run, since) = *self.run.get_or_insert((started, now));
        if run != started {
            return Finding::Down("it ended and was started again by its restart policy".to_owned());
        }
        match container.health {
            ContainerHealth::Healthy => Finding::Up("running and healthy".to_owned()),
            ContainerHealth::Unhealthy => Finding::Down("its health check fails".to_owned()),
            ContainerHealth::Starting => Finding::NotYet("its health check has not passed yet".to_owned()),
            ContainerHealth::None | ContainerHealth::Unknown => {
                // A window shorter than the settling time ends it.
                let settle = self.expectation.settle.min(self.expectation.window);
                let settled = now >= since + settle && self.expectation.course != Course::Ends;
                if settled || now >= self.start + self.expectation.window {
                    Finding::Up("running".to_owned())
                } else {
                    Finding::NotYet("it runs, but not for long enough yet".to_owned())
                }
            }
        }
    }
}

/// How a container's last run ended, in words.
pub(super) fn how_it_ended(container: &Container) -> String {
    let code = container.exit_code.map_or_else(String::new, |code| format!(" with code {code}"));
    let memory = if container.oom_killed { ", killed for want of memory" } else { "" };
    format!("it ended{code}{memory}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fake::FakeEngine;

    const EXPECTATION: Expectation =
        Expectation { window: Duration::from_secs(60), settle: Duration::from_secs(3), course: Course::Runs };

    fn find(expectation: Expectation, after: Duration, change: impl FnOnce(&mut Container)) -> Finding {
        let start = Instant::now();
        let mut container = FakeEngine::new().sample("web", "app:1");
        let mut judge = Judge::new(start, expectation);
        judge.look(&container, start);
        change(&mut container);
        judge.look(&container, start + after)
    }

    fn down(finding: &Finding, word: &str) {
        let Finding::Down(reason) = finding else { panic!("should be down: {word}") };
        assert!(reason.contains(word), "{reason}");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_health_check_it_must_run_on_for_a_while() {
        let second = Duration::from_secs(1);
        assert!(matches!(find(EXPECTATION, second, |_| ()), Finding::NotYet(_)));
        assert!(matches!(find(EXPECTATION, second * 3, |_| ()), Finding::Up(_)));
        let short = Expectation { window: second, ..EXPECTATION };
        assert!(matches!(find(short, second, |_| ()), Finding::Up(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn each_way_of_not_being_up_has_its_reason() {
        let soon = Duration::from_secs(1);
        let exited = |container: &mut Container| {
            container.state = ContainerState::Exited;
            container.exit_code = Some(3);
        };
        down(&find(EXPECTATION, soon, exited), "code 3");
        let memory = |container: &mut Container| {
            exited(container);
            container.oom_killed = true;
        };
        down(&find(EXPECTATION, soon, memory), "memory");
        let restarted = |container: &mut Container| container.started_at = Some(UnixMicros(1));
        down(&find(EXPECTATION, soon, restarted), "started again");
        let looping = |container: &mut Container| container.state = ContainerState::Restarting;
        down(&find(EXPECTATION, soon, looping), "again and again");
        let unhealthy = |container: &mut Container| container.health = ContainerHealth::Unhealthy;
        down(&find(EXPECTATION, soon, unhealthy), "health check");
    }

    #[tokio::test(start_paused = true)]
    async fn a_health_check_decides_where_there_is_one() {
        let long = Duration::from_secs(30);
        let starting = |container: &mut Container| container.health = ContainerHealth::Starting;
        assert!(matches!(find(EXPECTATION, long, starting), Finding::NotYet(_)));
        let healthy = |container: &mut Container| container.health = ContainerHealth::Healthy;
        assert!(matches!(find(EXPECTATION, Duration::ZERO, healthy), Finding::Up(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_runs_once_may_end_but_only_with_0() {
        let once = Expectation { course: Course::MayEnd, ..EXPECTATION };
        let ended = |code| {
            move |container: &mut Container| {
                container.state = ContainerState::Exited;
                container.exit_code = Some(code);
            }
        };
        assert!(matches!(find(once, Duration::ZERO, ended(0)), Finding::Up(_)));
        down(&find(once, Duration::ZERO, ended(1)), "code 1");
        down(&find(EXPECTATION, Duration::ZERO, ended(0)), "code 0");
    }
}
