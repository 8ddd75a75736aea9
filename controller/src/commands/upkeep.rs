//! What time alone brings about: queued commands expire, silent agents are asked again, old commands are forgotten.

use std::time::Duration;

use roadstead_protocol::message::time::UnixMicros;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::Commands;
use super::open::Entry;
use super::state::{Presence, due};
use crate::store::StoreError;

const TICK_EVERY: Duration = Duration::from_secs(5);

const FORGET_EVERY: Duration = Duration::from_secs(60 * 60);

/// How long ended commands are kept.
const KEEP_FOR: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// How many commands of one instance are kept.
const KEEP_COUNT: usize = 1000;

/// Commands forgotten in one transaction: each can have thousands of lines, and other writers wait meanwhile.
const FORGET_AT_ONCE: usize = 8;

impl Commands {
    /// Ticks every five seconds and forgets every hour, until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(TICK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut forget_at = Instant::now();
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            let now = UnixMicros::now();
            self.mind_the_clock(now).await;
            self.tick(now).await;
            if Instant::now() >= forget_at {
                forget_at = Instant::now() + FORGET_EVERY;
                let forgotten = shutdown.run_until_cancelled(self.forget(now, KEEP_FOR, KEEP_COUNT)).await;
                if let Some(Err(error)) = forgotten {
                    tracing::warn!(%error, "old commands could not be removed; trying again in an hour");
                }
            }
        }
    }

    /// Does what is due at `now`.
    pub async fn tick(&self, now: UnixMicros) {
        let entries = {
            let mut open = self.open();
            open.sweep(now);
            open.all()
        };
        for entry in entries {
            self.tick_one(&entry, now).await;
        }
    }

    async fn tick_one(&self, entry: &Entry, now: UnixMicros) {
        let mut live = entry.live.lock().await;
        let agent = self.inner.registry.agent(&entry.instance);
        let presence = match &agent {
            Some(agent) => {
                self.open().back(&entry.instance);
                Presence::Connected { boot: agent.memory }
            }
            None => Presence::Away { since: self.open().away(&entry.instance, now) },
        };
        if live.unsaved
            && let Err(error) = self.save(&mut live).await
        {
            let command = live.tracked.record.id;
            tracing::warn!(%command, %error, "a command could not be stored; trying again");
            return;
        }
        if let Some(input) = due(&live.tracked, presence, now) {
            self.apply_or_warn(&mut live, input, agent.as_ref(), now).await;
        }
    }

    /// Forgets ended commands that are older than `keep_for` or behind the newest `keep_count` of their instance.
    pub(super) async fn forget(
        &self,
        now: UnixMicros,
        keep_for: Duration,
        keep_count: usize,
    ) -> Result<(), StoreError> {
        let age = i64::try_from(keep_for.as_micros()).unwrap_or(i64::MAX);
        let issued_before = UnixMicros(now.0.saturating_sub(age));
        loop {
            let ids = self.inner.store.outdated_commands(issued_before, keep_count, FORGET_AT_ONCE).await?;
            if ids.is_empty() {
                return Ok(());
            }
            self.inner.store.remove_commands(ids).await?;
        }
    }
}
