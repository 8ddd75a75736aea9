//! Everything that goes on at once: each host, the controller and the real engine have a lane of faults of their own.

use std::time::Duration;

use futures_util::future::join_all;
use roadstead_tests::{ControllerProcess, Dockerd, SyntheticEngine};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::checker::Absence;
use crate::faults::{SURELY_KEPT, SURELY_KEPT_BY_DOCKER, controller_suffers, engine_suffers, now};
use crate::fleet::Host;
use crate::real::Life;
use crate::schedule::{Fault, ProgramFault, Step, lane};
use crate::site::Site;

/// How often a few things happen on the synthetic engines.
const TURN: Duration = Duration::from_millis(100);

/// How often something happens on the real engine.
const REAL_TURN: Duration = Duration::from_secs(1);

/// Things on the real engine after which many happen at once, and how many.
const BURST_EVERY: u32 = 20;
const BURST: usize = 300;

/// Every host's faults; the first `synthetic` hosts have an engine each, the others share the real one.
pub async fn hosts(hosts: &mut [Host], synthetic: usize, steps: &[Step], begin: Instant, site: &Site) {
    let lanes = hosts.iter_mut().enumerate().map(|(number, host)| async move {
        let kept = if number < synthetic { SURELY_KEPT } else { SURELY_KEPT_BY_DOCKER };
        for step in lane(steps, |fault| matches!(fault, Fault::Host(host, _) if host == number)) {
            let Fault::Host(_, fault) = step.fault else { continue };
            sleep_until(begin + step.at).await;
            host.suffer(fault, step.lasting, site, kept).await;
        }
    });
    join_all(lanes).await;
}

/// The controller's faults.
pub async fn controller(controller: &mut ControllerProcess, steps: &[Step], begin: Instant, site: &Site) {
    for step in lane(steps, |fault| matches!(fault, Fault::Controller(_))) {
        let Fault::Controller(fault) = step.fault else { continue };
        sleep_until(begin + step.at).await;
        controller_suffers(controller, fault, step.lasting, site).await;
    }
}

/// The real engine's faults, and what happens on it between them, at least for `span`. Gives the times in which
/// nobody could know what it did.
pub async fn engine(
    engine: &mut Dockerd,
    life: &mut Life,
    steps: &[Step],
    begin: Instant,
    span: Duration,
) -> Vec<Absence> {
    let mut absences = Vec::new();
    let mut steps = lane(steps, |fault| matches!(fault, Fault::Engine(_))).into_iter().peekable();
    let mut turns = interval(REAL_TURN);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut turn = 0;
    while steps.peek().is_some() || begin.elapsed() < span {
        turns.tick().await;
        turn += 1;
        life.go_on().await;
        if turn % BURST_EVERY == 0 {
            life.burst(BURST).await;
        }
        let Some(step) = steps.next_if(|step| begin + step.at <= Instant::now()) else { continue };
        let Fault::Engine(fault) = step.fault else { continue };
        let from = now();
        engine_suffers(engine, fault, step.lasting).await;
        if fault != ProgramFault::Freeze {
            // A new engine knows nothing of what the old one told last, nor of what it did while it started.
            let margin = 2_000_000;
            absences.push(Absence { from: from - margin, to: now() + 5 * margin, kept: 0 });
        }
    }
    absences
}

/// Lets things happen on the synthetic engines, `events` in all within `span`, and on until `done`.
pub async fn produce(
    engines: &[SyntheticEngine],
    events: usize,
    span: Duration,
    begin: Instant,
    mut done: watch::Receiver<bool>,
) {
    let mut turns = interval(TURN);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut happened = 0;
    loop {
        turns.tick().await;
        let due = begin.elapsed().as_secs_f64() / span.as_secs_f64() * events as f64 / engines.len() as f64;
        let due = due as usize;
        engines.iter().for_each(|engine| engine.happen(due.saturating_sub(happened)));
        happened = happened.max(due);
        if happened * engines.len() >= events && *done.borrow_and_update() {
            return;
        }
    }
}
