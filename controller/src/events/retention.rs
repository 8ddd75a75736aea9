//! Old events make room: by age and by number, in small transactions so that nobody waits for it. Where there are too many,
//! those go first whose instance has the most: a host that tells too much does not push out what others told.

use std::time::Duration;

use roadstead_protocol::message::time::UnixMicros;
use tokio_util::sync::CancellationToken;

use crate::store::{Store, StoreError};

/// How often old events are looked for.
const EVERY: Duration = Duration::from_secs(600);

/// Most events deleted in one transaction.
const CHUNK: usize = 1000;

/// How long the log reaches back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Events older than this go.
    pub age: Duration,
    /// Of more events than this the oldest go, of the instances that have more than their share.
    pub rows: u64,
}

impl Default for Retention {
    /// Ninety days and two million events, some 200 MB.
    fn default() -> Self {
        Self { age: Duration::from_secs(90 * 24 * 3600), rows: 2_000_000 }
    }
}

/// Deletes old events every ten minutes until `shutdown`.
pub async fn run(store: Store, retention: Retention, shutdown: CancellationToken) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let work = async {
        loop {
            ticks.tick().await;
            match prune(&store, retention, UnixMicros::now()).await {
                Ok(0) => {}
                Ok(events) => tracing::info!(events, "deleted old events"),
                Err(error) => tracing::warn!(%error, "cannot delete old events; check the disk"),
            }
        }
    };
    shutdown.run_until_cancelled(work).await;
}

/// Deletes what is too old or too much at `now`, and returns how many events went.
///
/// # Errors
/// If the store fails.
pub async fn prune(store: &Store, retention: Retention, now: UnixMicros) -> Result<usize, StoreError> {
    let before = now.minus(retention.age);
    let mut deleted = 0;
    loop {
        let chunk = store.prune_events(before, CHUNK).await?;
        deleted += chunk;
        if chunk < CHUNK {
            break;
        }
    }
    let crowding = store.crowding_events(retention.rows).await?;
    for mut excess in crowding.iter().copied() {
        while excess.events > 0 {
            let chunk = store.prune_crowding(excess, CHUNK).await?;
            if chunk == 0 {
                break;
            }
            deleted += chunk;
            excess.events = excess.events.saturating_sub(u64::try_from(chunk).unwrap_or(u64::MAX));
        }
    }
    if !crowding.is_empty() {
        store.sweep_subjects(CHUNK).await?;
    }
    Ok(deleted)
}
