//! Replacing keys, the agents' and the controller's, over the sessions there are: when asked, and when they are old.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use roadstead_protocol::message::ids::InstanceId;
use roadstead_protocol::message::time::UnixMicros;
use roadstead_protocol::message::to_agent::ToAgent;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::enrolment::Enrolment;
use crate::fleet::Fleet;
use crate::identities::{Identities, IdentitiesError, Ring};
use crate::registry::Registry;

#[cfg(test)]
mod tests;

/// How often it is looked whether a key is old, or an earlier one can be let go.
const EVERY: Duration = Duration::from_secs(600);

/// Agents that are asked for a new key at a time: their links end and begin again with it.
const AT_A_TIME: usize = 16;

/// Replaces keys; a clone is another handle.
#[derive(Clone)]
pub struct Rotation {
    identities: Identities,
    enrolment: Enrolment,
    fleet: Fleet,
    registry: Registry,
    /// A key that is older than so many days is replaced; 0 for never.
    days: Arc<AtomicU32>,
}

/// The agent is not there to be asked for a new key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the agent is not connected, or takes nothing for now; ask again when it is")]
pub struct AgentAway;

impl Rotation {
    /// Keys older than `days` are replaced; 0 for never.
    #[must_use]
    pub fn new(
        identities: Identities,
        enrolment: Enrolment,
        fleet: Fleet,
        registry: Registry,
        days: u32,
    ) -> Self {
        Self { identities, enrolment, fleet, registry, days: Arc::new(AtomicU32::new(days)) }
    }

    /// Keys older than `days` are replaced from now on.
    pub fn set_days(&self, days: u32) {
        self.days.store(days, Ordering::Relaxed);
    }

    /// Who the controller is.
    #[must_use]
    pub fn ring(&self) -> Ring {
        self.identities.ring()
    }

    /// Asks an agent to make itself a new key. It comes back with that by itself.
    ///
    /// # Errors
    /// If it is not there to be asked.
    pub fn replace_agents_key(&self, instance: &InstanceId) -> Result<(), AgentAway> {
        let agent = self.registry.agent(instance).ok_or(AgentAway)?;
        agent.send(ToAgent::RotateKey).map_err(|_| AgentAway)
    }

    /// Makes the controller a new key. New tokens name it from now on; agents are told by their sessions.
    ///
    /// # Errors
    /// If the last replacement is not over, or it cannot be stored.
    pub async fn replace_own_key(&self) -> Result<Ring, IdentitiesError> {
        let ring = self.identities.replace().await?;
        self.enrolment.set_controller_key(ring.newest.key());
        tracing::info!(key = %ring.newest.key(), "the controller has a new key; its agents are being told");
        Ok(ring)
    }

    /// Replaces what is old, until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = ticks.tick() => self.look(UnixMicros::now()).await,
            }
        }
    }

    /// Looks once.
    pub async fn look(&self, now: UnixMicros) {
        match self.identities.let_go(now).await {
            Ok(true) => {
                tracing::info!("every agent knows the controller's new key; the earlier one counts no longer")
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "cannot look whether an earlier key is still needed"),
        }
        let days = self.days.load(Ordering::Relaxed);
        if days == 0 {
            return;
        }
        let age = Duration::from_secs(u64::from(days) * 24 * 3600);
        let ring = self.ring();
        if ring.earlier.is_none()
            && now.since(ring.since) >= age
            && let Err(error) = self.replace_own_key().await
        {
            tracing::warn!(%error, "cannot replace the controller's key; trying again");
        }
        for id in self.old_keys(now, age) {
            // Whoever is away is asked another time.
            let _ = self.replace_agents_key(&id);
        }
    }

    /// Connected agents whose keys are that old, the oldest first.
    fn old_keys(&self, now: UnixMicros, age: Duration) -> Vec<InstanceId> {
        let hosts = self.fleet.hosts();
        let since =
            |record: &crate::model::InstanceRecord| record.terms.key_since.unwrap_or(record.created_at);
        let mut old: Vec<_> = hosts
            .iter()
            .map(|host| &host.record)
            .filter(|record| record.terms.next_key.is_none() && now.since(since(record)) >= age)
            .filter(|record| self.registry.agent(&record.id).is_some())
            .map(|record| (since(record), record.id.clone()))
            .collect();
        old.sort_unstable();
        old.into_iter().take(AT_A_TIME).map(|(_, id)| id).collect()
    }
}
