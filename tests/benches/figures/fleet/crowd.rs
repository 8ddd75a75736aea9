//! A controller and the simulated fleet behind it.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use roadstead_tests::processes::PASSWORD;
use roadstead_tests::simulator::{Invitation, Script};
use roadstead_tests::{Api, ControllerOptions, ControllerProcess, Simulator};
use tokio::time::{Instant, sleep_until, timeout};

use crate::processes::{Memory, memory};

/// How long a fleet may take to be there, and to be back.
pub const ALL_LIVE: Duration = Duration::from_secs(120);

/// How often the controller is asked whether something is so yet.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// Agents of one address of this machine.
const OF_ONE_ADDRESS: usize = 500;

/// A controller and its fleet.
pub struct Crowd {
    pub controller: ControllerProcess,
    pub fleet: Simulator,
    pub api: Api,
    pub agents: usize,
    /// The controller before the fleet came.
    pub before: Memory,
    /// Seconds from the first dialling until all had joined.
    pub joined_in: f64,
}

impl Crowd {
    /// Starts an empty controller and so many agents, all of which are new to it, at once.
    ///
    /// # Errors
    /// When not all become live.
    pub async fn start(agents: usize, containers: usize, keys: &Path) -> anyhow::Result<Self> {
        Self::busy(agents, containers, keys, 0.0).await
    }

    /// The same, with so many starts and stops of containers a second on all hosts together.
    ///
    /// # Errors
    /// When not all become live.
    pub async fn busy(agents: usize, containers: usize, keys: &Path, events: f64) -> anyhow::Result<Self> {
        let controller = ControllerProcess::start(ControllerOptions::default()).await;
        let api = controller.api().await;
        let invitation = Invitation::with_password(&controller.url(), PASSWORD, agents, None).await?;
        let sources = format!("127.0.1.1+{}", agents.div_ceil(OF_ONE_ADDRESS)).parse()?;
        let script = Script {
            agents,
            containers,
            events,
            sources: vec![sources],
            command_takes: 0.0,
            command_lines: 1,
            ..Script::default()
        };
        let before = memory(controller.id())?;
        let began = Instant::now();
        let fleet = Simulator::start(script, invitation, keys).await?;
        fleet.all_live(ALL_LIVE).await?;
        let joined_in = began.elapsed().as_secs_f64();
        let crowd = Self { controller, fleet, api, agents, before, joined_in };
        crowd.healthy().await?;
        Ok(crowd)
    }

    /// Waits until the controller has the whole picture of every host, and calls it healthy.
    ///
    /// # Errors
    /// When that takes too long.
    pub async fn healthy(&self) -> anyhow::Result<()> {
        let series = "roadstead_instances{link=\"live\",health=\"healthy\"}";
        self.metric_is(series, self.agents).await
    }

    /// Waits until a metric has this value.
    ///
    /// # Errors
    /// When that takes too long.
    pub async fn metric_is(&self, series: &str, wanted: usize) -> anyhow::Result<()> {
        let mut last = None;
        let reached = timeout(ALL_LIVE, async {
            while last != Some(wanted) {
                last = self.metric(series).await?;
                pause(ASK_EVERY).await;
            }
            anyhow::Ok(())
        });
        reached.await.with_context(|| format!("{series} is {last:?}, not {wanted}"))?
    }

    /// The value of a metric.
    ///
    /// # Errors
    /// When it cannot be asked for.
    pub async fn metric(&self, series: &str) -> anyhow::Result<Option<usize>> {
        let text = self.api.request(reqwest::Method::GET, "/metrics").send().await?.text().await?;
        Ok(text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok()))
    }

    /// Resident memory of the controller for each agent, in KiB.
    ///
    /// # Errors
    /// When the controller is gone.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52 KiB")]
    pub fn memory_of_one(&self) -> anyhow::Result<f64> {
        let now = memory(self.controller.id())?;
        Ok((now.resident - self.before.resident) as f64 / self.agents as f64)
    }
}

/// Lets time pass.
pub async fn pause(time: Duration) {
    sleep_until(Instant::now() + time).await;
}
