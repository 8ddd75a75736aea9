//! A fleet in one process: many agents with keys of their own, real links and the real protocol, beside hosts that are
//! made up. For tests, benchmarks, and whoever wants to see what a controller bears (`roadstead-simulator`).
//!
//! Everything above the link is the protocol's own: handshake, snapshot and changes, figures, events with their
//! acknowledgements, orders with progress and outcome, heartbeats, back-off. What is left out is what needs a disk or
//! an engine: a simulated agent keeps its outbox and its commands in memory and forgets them with the process.

mod agent;
mod dialling;
mod host;
mod invitation;
mod keys;
mod outbox;
mod pulse;
mod script;
mod serving;
mod tally;
mod work;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use roadstead_protocol::link::identity::Identity;
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, timeout};
use tokio_util::sync::CancellationToken;

use agent::{Agent, Place};
pub use invitation::Invitation;
pub use script::{Script, Sources};
use tally::Tally;
pub use tally::{Settled, Summary};

/// What all agents of a simulator share.
struct Common {
    script: Script,
    tally: Tally,
    /// How many storms there were, and how many events each agent has in the last of them.
    storms: watch::Receiver<(u64, usize)>,
}

/// A running fleet; ends when dropped.
pub struct Simulator {
    common: Arc<Common>,
    storms: Arc<watch::Sender<(u64, usize)>>,
    agents: JoinSet<()>,
    stop: CancellationToken,
    started: Instant,
}

impl Simulator {
    /// Starts every agent of `script`. Those that dial take their keys from the folder `keys`, which is made and filled
    /// if need be: started again with the same folder they are the same agents, and need no token any more. Those that
    /// are dialled are new ones each time, since their addresses are.
    ///
    /// # Errors
    /// When the keys cannot be kept there, the invitation is not good for so many, or the controller does not register
    /// those that it is to dial.
    pub async fn start(script: Script, invitation: Invitation, keys: &Path) -> anyhow::Result<Self> {
        script.check()?;
        let (storms, receiver) = watch::channel((0, 0));
        let common = Arc::new(Common { tally: Tally::default(), storms: receiver, script });
        let script = &common.script;
        let outbound = script.agents - script.inbound;
        let identities = {
            let (keys, count) = (keys.to_owned(), outbound);
            tokio::task::spawn_blocking(move || keys::load_or_create(&keys, count)).await??
        };
        let mut waiting = Vec::new();
        for (number, identity) in identities.into_iter().enumerate() {
            let way = invitation.outbound(number, outbound, script.source(number))?;
            waiting.push(Agent::new(&common, number, identity, Place::Dials(way)));
        }
        for number in outbound..script.agents {
            let listener = TcpListener::bind((script.listen, 0)).await.context("cannot listen (--listen)")?;
            let url = format!("wss://{}", listener.local_addr()?);
            let token = invitation.inbound(&format!("{}-dialled", host::name(number)), &url).await?;
            let place = Place::Dialled(listener, Box::new(token));
            waiting.push(Agent::new(&common, number, Identity::generate()?, place));
        }
        let stop = CancellationToken::new();
        let mut agents = JoinSet::new();
        let started = Instant::now();
        for agent in waiting {
            agents.spawn(agent.run(stop.clone()));
        }
        let storms = Arc::new(storms);
        if common.script.storm_every > 0.0 {
            agents.spawn(keep_storming(Arc::clone(&common), Arc::clone(&storms), stop.clone()));
        }
        Ok(Self { common, storms, agents, stop, started })
    }

    /// How many agents have a session now.
    #[must_use]
    pub fn live(&self) -> usize {
        self.common.tally.live()
    }

    /// Waits until every agent has a session, and gives how long that took from now.
    ///
    /// # Errors
    /// When `deadline` is over before.
    pub async fn all_live(&self, deadline: Duration) -> anyhow::Result<Duration> {
        self.live_are(self.common.script.agents, deadline).await
    }

    /// Waits until no agent has a session, and gives how long that took from now.
    ///
    /// # Errors
    /// When `deadline` is over before.
    pub async fn none_live(&self, deadline: Duration) -> anyhow::Result<Duration> {
        self.live_are(0, deadline).await
    }

    async fn live_are(&self, wanted: usize, deadline: Duration) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let mut live = self.common.tally.watch_live();
        let reached = timeout(deadline, live.wait_for(|live| *live == wanted)).await;
        reached.map(drop).with_context(|| {
            format!("{} agents are live after {deadline:?}, not {wanted}: {:?}", self.live(), self.summary())
        })?;
        Ok(began.elapsed())
    }

    /// Gives each agent so many events at once; one without a session has them when it is back.
    pub fn storm(&self, events: usize) {
        begin_storm(&self.storms, events);
    }

    /// What has happened so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.common.tally.summary(self.common.script.agents, self.started.elapsed())
    }

    /// Every event from now on whose agent learns that it is stored.
    #[must_use]
    pub fn settled(&self) -> broadcast::Receiver<Settled> {
        self.common.tally.follow_settled()
    }

    /// Forgets worst and usual latencies until now: what follows is measured by itself.
    pub fn forget_latencies(&self) {
        self.common.tally.forget_latencies();
    }

    /// Ends every agent; each says goodbye.
    pub async fn stop(mut self) -> Summary {
        let summary = self.summary();
        self.stop.cancel();
        while self.agents.join_next().await.is_some() {}
        summary
    }
}

fn begin_storm(storms: &watch::Sender<(u64, usize)>, events: usize) {
    storms.send_modify(|(number, size)| (*number, *size) = (*number + 1, events));
}

async fn keep_storming(
    common: Arc<Common>,
    storms: Arc<watch::Sender<(u64, usize)>>,
    stop: CancellationToken,
) {
    let script = &common.script;
    let mut ticks = interval(Duration::from_secs_f64(script.storm_every));
    ticks.tick().await;
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        begin_storm(&storms, script.storm_size);
    }
}
