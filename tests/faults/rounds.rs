//! Round after round the picture equals `docker ps --all` within 5 s, whatever happened while the agent was away.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use roadstead_tests::scratch::Scratch;
use roadstead_tests::{Dockerd, eventually};
use tokio::time::Instant;

use crate::fleet::{Host, Yard, script};
use crate::options::Options;
use crate::real::{self, Life};
use crate::report::say;
use crate::site::{self, Site};
use crate::truth;

/// How long after the last event and the agent's return the picture may differ.
const QUIET: Duration = Duration::from_secs(5);

/// How long the agent may take to return.
const BACK: Duration = Duration::from_secs(90);

/// More events than the engine keeps.
const MANY: usize = 300;

/// What the agent does while things happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Away {
    No,
    Killed,
    Frozen,
}

#[tokio::test]
async fn after_quiet_the_picture_equals_docker_ps_in_every_round() {
    let options = Options::read();
    say(format!("seed {}, {} rounds", options.seed, options.rounds));
    let ((controller, site), engine) = tokio::join!(site::start(), real::engine());
    let folder = Scratch::new().unwrap();
    let yard = Yard { site: &site, agents: controller.agents(), script: script(folder.path()) };
    let mut host = yard.host("host", engine.host(), true).await;
    let mut life = Life::new(&engine);
    let mut chance = StdRng::seed_from_u64(options.seed);
    let mut latest = Duration::ZERO;
    let (mut away_rounds, mut burst_rounds) = (0, 0);
    for round in 0..options.rounds {
        // Each kind has its turn, so that few rounds have seen them all.
        let away = [Away::Killed, Away::No, Away::Frozen][round % 3];
        let many = round % 2 == 0;
        let took = one_round(&mut host, &site, &engine, &mut life, &mut chance, away, many).await;
        (away_rounds, burst_rounds) = (
            away_rounds + usize::from(away != Away::No),
            burst_rounds + usize::from(away != Away::No && many),
        );
        latest = latest.max(took);
    }
    say(format!(
        "{} of {} rounds: the picture was true, at the latest {:.2} s after the end of what happened; the agent was away \
         in {away_rounds}, and more than 256 events happened meanwhile in {burst_rounds}",
        options.rounds,
        options.rounds,
        latest.as_secs_f64()
    ));
}

/// How long it took until the picture was true; includes asking for the truth.
async fn one_round(
    host: &mut Host,
    site: &Site,
    engine: &Dockerd,
    life: &mut Life,
    chance: &mut StdRng,
    away: Away,
    many: bool,
) -> Duration {
    match away {
        Away::No => {}
        Away::Killed => host.agent.kill().await,
        Away::Frozen => host.agent.freeze().await,
    }
    for _ in 0..chance.random_range(1..4) {
        life.go_on().await;
    }
    if many {
        life.burst(MANY).await;
    }
    for _ in 0..chance.random_range(0..2) {
        life.go_on().await;
    }
    match away {
        Away::No => {}
        Away::Killed => host.agent.start_again().await,
        Away::Frozen => host.agent.resume().await,
    }
    eventually("the agent to be back", BACK, async || site.is_back(&host.id).await.then_some(())).await;
    let quiet = Instant::now();
    truth::equal(site.api(), &host.id, engine, QUIET).await;
    quiet.elapsed()
}
