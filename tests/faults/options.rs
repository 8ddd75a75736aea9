//! How much the suite does: small enough for every change, unless the environment asks for more.

use std::time::Duration;

/// How much.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// `ROADSTEAD_FAULTS_SEED`: what the schedule follows from; chosen anew for each run if it is not set.
    pub seed: u64,
    /// `ROADSTEAD_FAULTS`: how many faults.
    pub faults: usize,
    /// `ROADSTEAD_FAULTS_EVENTS`: events of all synthetic engines together.
    pub events: usize,
    /// `ROADSTEAD_FAULTS_AGENTS`: agents of synthetic engines.
    pub agents: usize,
    /// `ROADSTEAD_FAULTS_SECONDS`: the time in which the faults begin and the events happen.
    pub span: Duration,
    /// `ROADSTEAD_FAULTS_LONGEST`: the longest that a fault lasts, in seconds.
    pub longest: Duration,
    /// `ROADSTEAD_FAULTS_COMMANDS`: commands asked for meanwhile.
    pub commands: usize,
    /// `ROADSTEAD_FAULTS_ROUNDS`: rounds of the picture beside `docker ps`.
    pub rounds: usize,
}

impl Options {
    pub fn read() -> Self {
        let default_seed = u64::from(std::process::id());
        Self {
            seed: number("ROADSTEAD_FAULTS_SEED", default_seed),
            faults: number("ROADSTEAD_FAULTS", 20),
            events: number("ROADSTEAD_FAULTS_EVENTS", 20_000),
            agents: number("ROADSTEAD_FAULTS_AGENTS", 5),
            span: Duration::from_secs(number("ROADSTEAD_FAULTS_SECONDS", 60)),
            longest: Duration::from_secs(number("ROADSTEAD_FAULTS_LONGEST", 6)),
            commands: number("ROADSTEAD_FAULTS_COMMANDS", 20),
            rounds: number("ROADSTEAD_FAULTS_ROUNDS", 4),
        }
    }
}

fn number<N: std::str::FromStr>(name: &str, default: N) -> N {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")),
        Err(_) => default,
    }
}
