//! Old entries of the audit log make room, and where the log stands is told to this program's own log now and then:
//! a copy of that shows later whether the end of the audit log was cut off.

use std::time::Duration;

use roadstead_protocol::message::time::UnixMicros;
use tokio_util::sync::CancellationToken;

use super::Anchor;
use crate::store::{Store, StoreError};

/// How often old entries are looked for, and the end of the log is told if it grew.
const EVERY: Duration = Duration::from_secs(3600);

/// Of more entries than this the oldest go, however young they are: about 60 MB.
const MOST: i64 = 200_000;

/// Removes entries older than `age` (none: only of too many) every hour until `shutdown`.
pub async fn run(store: Store, age: Option<Duration>, shutdown: CancellationToken) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let work = async {
        let mut told = None;
        loop {
            ticks.tick().await;
            match keep(&store, age, UnixMicros::now()).await {
                Ok(head) if told == Some(head) => {}
                Ok(head) => {
                    tracing::info!(%head, "the audit log stands here; `audit verify --noted` takes this");
                    told = Some(head);
                }
                Err(error) => tracing::warn!(%error, "cannot keep the audit log short; check the disk"),
            }
        }
    };
    shutdown.run_until_cancelled(work).await;
}

/// Removes what is older than `age` at `now`, or too much, and returns where the log stands then.
///
/// # Errors
/// If the store fails.
pub async fn keep(store: &Store, age: Option<Duration>, now: UnixMicros) -> Result<Anchor, StoreError> {
    let before = age.map_or(UnixMicros(i64::MIN), |age| now.minus(age));
    store.prune_audit(before, MOST, now).await?;
    store.audit_head().await
}
