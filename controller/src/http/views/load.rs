//! What a host's containers use together, and the compose projects they belong to.

use std::collections::BTreeSet;

use roadstead_protocol::message::time::UnixMicros;
use serde::Serialize;

use super::container::{current_figures, hundredths, mebibytes};
use crate::fleet::Host;
use crate::http::time::{Time, age_seconds};

/// Most projects that are named of one host: it is told anew with each change.
const MAX_PROJECTS: usize = 100;

/// What the running containers of a host use together.
#[derive(Clone, Copy, Debug, Serialize, utoipa::ToSchema)]
pub struct LoadView {
    /// CPU use in percent of one core; none while each has but one sample.
    pub cpu_percent: Option<f64>,
    /// Memory in use, in MiB.
    pub memory_mb: f64,
    /// When the oldest figures that count were sampled, by the agent's clock.
    pub at: Time,
    /// How long ago, in seconds.
    pub age_seconds: f64,
}

impl LoadView {
    /// The sum at `now`; none if nothing was sampled.
    #[must_use]
    pub fn new(host: &Host, now: UnixMicros) -> Option<Self> {
        let mut oldest: Option<UnixMicros> = None;
        let (mut cpu, mut memory) = (None, 0);
        for figures in host.containers.values().filter_map(|one| current_figures(host, one)) {
            oldest = Some(oldest.map_or(figures.at, |at| at.min(figures.at)));
            memory += figures.memory_bytes;
            if let Some(percent) = figures.cpu_percent {
                cpu = Some(cpu.unwrap_or(0.0) + percent);
            }
        }
        oldest.map(|at| Self {
            cpu_percent: cpu.map(hundredths),
            memory_mb: mebibytes(memory),
            at: Time(at),
            age_seconds: age_seconds(at, now),
        })
    }
}

/// The compose projects of a host's containers, by name.
pub(super) fn projects(host: &Host) -> Vec<String> {
    let named: BTreeSet<&str> = host.containers.values().filter_map(|one| one.compose_project()).collect();
    named.into_iter().take(MAX_PROJECTS).map(str::to_owned).collect()
}
