//! What to measure, and for how long.

use std::time::Duration;

use anyhow::bail;

/// One of the benchmarks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// From the engine's event to the live view.
    Latency,
    /// Memory, CPU time and bytes of idle agents.
    Footprint,
    /// The list of a host's containers.
    List,
    /// Memory of an agent after many events.
    Growth,
    /// Many simulated agents on one controller.
    Fleet,
    /// How fast events become durable, and what they take.
    Intake,
    /// Pages of very many containers, what live views are told, and the start of a controller.
    Api,
}

/// What was asked for.
#[derive(Debug, Clone)]
pub struct Options {
    parts: Vec<Part>,
    /// Containers on each engine; the last is the one that is listed.
    pub containers: Vec<usize>,
    /// From an agent's start until it is watched.
    pub settle: Duration,
    /// How long an idle engine or agent is watched.
    pub idle: Duration,
    /// Events that an agent tells, to see whether it grows.
    pub events: usize,
    /// How long events are taken in.
    pub intake: Duration,
    /// How long the API is asked, and followed.
    pub api: Duration,
    /// Starts of a container, and as many stops.
    pub starts: usize,
    /// Simulated agents on one controller, one number after the other.
    pub agents: Vec<usize>,
    /// How long those are watched.
    pub crowd_idle: Duration,
    /// Whether this is a trial whose figures are not for publication.
    pub quick: bool,
}

impl Options {
    /// `quick` for a trial of minutes, `hour` for agents that have run that long; the names of parts for those alone.
    ///
    /// # Errors
    /// For other words.
    pub fn from_arguments(arguments: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let mut options = Self {
            parts: Vec::new(),
            containers: vec![0, 50, 200],
            settle: Duration::from_secs(45),
            idle: Duration::from_secs(600),
            events: 200_000,
            intake: Duration::from_secs(60),
            api: Duration::from_secs(20),
            starts: 500,
            agents: vec![1000, 5000, 10_000],
            crowd_idle: Duration::from_secs(40),
            quick: false,
        };
        for argument in arguments {
            match argument.as_str() {
                "quick" => {
                    options.containers = vec![0, 10, 40];
                    options.idle = Duration::from_secs(30);
                    options.events = 20_000;
                    options.intake = Duration::from_secs(6);
                    options.api = Duration::from_secs(6);
                    options.starts = 40;
                    options.agents = vec![1000];
                    options.crowd_idle = Duration::from_secs(20);
                    options.quick = true;
                }
                "hour" => options.settle = Duration::from_secs(50 * 60),
                "latency" => options.parts.push(Part::Latency),
                "footprint" => options.parts.push(Part::Footprint),
                "list" => options.parts.push(Part::List),
                "growth" => options.parts.push(Part::Growth),
                "fleet" => options.parts.push(Part::Fleet),
                "intake" => options.parts.push(Part::Intake),
                "api" => options.parts.push(Part::Api),
                // Cargo's own.
                "--bench" => {}
                other => bail!(
                    "{other:?}: say `quick`, `hour`, or any of `latency`, `footprint`, `list`, `growth`, `intake`, `fleet`, `api`"
                ),
            }
        }
        if !options.needs_engines() {
            options.containers.clear();
        }
        Ok(options)
    }

    /// Whether a part is wanted that is measured on engines.
    pub fn needs_engines(&self) -> bool {
        [Part::Latency, Part::Footprint, Part::List].into_iter().any(|part| self.wants(part))
    }

    /// Whether a part is to be measured: all are, unless some were named.
    pub fn wants(&self, part: Part) -> bool {
        self.parts.is_empty() || self.parts.contains(&part)
    }
}
