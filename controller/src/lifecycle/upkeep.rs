//! What keeps lifecycles current: events are folded in as they are stored, what time alone changes is told, and all is
//! saved now and then.

use std::time::Duration;

use roadstead_protocol::message::time::UnixMicros;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::Lifecycles;
use crate::model::StoredEvents;
use crate::store::StoreError;

/// After events were folded in, further ones are gathered for so long; the first after a quiet time goes at once.
const GATHER: Duration = Duration::from_millis(50);

/// How often what time alone has changed is looked for.
const TICK: Duration = Duration::from_secs(1);

/// How often histories are saved: what a killed controller reads from the log again at most.
const SAVE_EVERY: Duration = Duration::from_secs(15);

enum Step {
    Heard,
    Fold,
    Tick,
    Save,
}

impl Lifecycles {
    /// Follows the event log until `shutdown`. `stored` only wakes it: what there is, is read from the log.
    pub async fn run(self, mut stored: broadcast::Receiver<StoredEvents>, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut saves = tokio::time::interval_at(Instant::now() + SAVE_EVERY, SAVE_EVERY);
        saves.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // What was stored before the subscription is folded in right away.
        let (mut waiting, mut fold_at) = (true, Instant::now());
        loop {
            let step = tokio::select! {
                () = shutdown.cancelled() => break,
                heard = stored.recv(), if !waiting => match heard {
                    Ok(_) | Err(RecvError::Lagged(_)) => Step::Heard,
                    Err(RecvError::Closed) => break,
                },
                () = tokio::time::sleep_until(fold_at), if waiting => Step::Fold,
                _ = ticks.tick() => Step::Tick,
                _ = saves.tick() => Step::Save,
            };
            match step {
                Step::Heard => waiting = true,
                Step::Fold => {
                    // What is stored from here on wakes it again, whether or not the log already shows it.
                    stored = stored.resubscribe();
                    waiting = !self.fold().await;
                    fold_at = Instant::now() + if waiting { TICK } else { GATHER };
                }
                Step::Tick => {
                    let due = self.lock().take_due(UnixMicros::now());
                    self.tell(due);
                }
                Step::Save => self.save_or_warn().await,
            }
        }
        self.fold().await;
        self.save_or_warn().await;
    }

    async fn fold(&self) -> bool {
        let folded = self.catch_up().await;
        if let Err(error) = &folded {
            tracing::warn!(%error, "cannot read new events for lifecycles; trying again");
        }
        folded.is_ok()
    }

    async fn save_or_warn(&self) {
        if let Err(error) = self.save(UnixMicros::now()).await {
            tracing::warn!(%error, "cannot save lifecycles; look at the controller's disk");
        }
    }

    /// Forgets what is long gone, and saves what changed.
    pub(super) async fn save(&self, now: UnixMicros) -> Result<(), StoreError> {
        let hosts = self.inner.fleet.hosts();
        let hosts = hosts.into_iter().map(|host| (host.record.id.clone(), host)).collect();
        let (rows, folded) = {
            let mut book = self.lock();
            book.tidy(&hosts, now);
            if book.is_saved() {
                return Ok(());
            }
            book.take_unsaved()
        };
        let saved = self.inner.store.save_lifecycles(rows.clone(), folded).await;
        match &saved {
            Ok(()) => self.lock().saved = folded,
            Err(_) => self.lock().keep_unsaved(&rows),
        }
        saved
    }
}
