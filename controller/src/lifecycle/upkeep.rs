//! What keeps lifecycles current: events are folded in as they are stored, what time alone changes is told, and all is
//! saved now and then.

use std::time::Duration;

use roadstead_protocol::message::time::UnixMicros;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
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
    Heard(StoredEvents),
    Missed,
    Fold,
    Tick,
    Save,
}

/// What waits to be folded in.
struct Waiting {
    /// Whether some of it is in the log alone.
    missed: bool,
    told: Option<StoredEvents>,
}

impl Waiting {
    const fn is_some(&self) -> bool {
        self.missed || self.told.is_some()
    }
}

impl Lifecycles {
    /// Follows the event log until `shutdown`.
    pub async fn run(self, mut stored: Receiver<StoredEvents>, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut saves = tokio::time::interval_at(Instant::now() + SAVE_EVERY, SAVE_EVERY);
        saves.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // What was stored before the subscription is read from the log right away.
        let (mut waiting, mut fold_at) = (Waiting { missed: true, told: None }, Instant::now());
        loop {
            let step = tokio::select! {
                () = shutdown.cancelled() => break,
                heard = stored.recv(), if !waiting.is_some() => match heard {
                    Ok(told) => Step::Heard(told),
                    Err(RecvError::Lagged(_)) => Step::Missed,
                    Err(RecvError::Closed) => break,
                },
                () = tokio::time::sleep_until(fold_at), if waiting.is_some() => Step::Fold,
                _ = ticks.tick() => Step::Tick,
                _ = saves.tick() => Step::Save,
            };
            match step {
                Step::Heard(told) => waiting.told = Some(told),
                Step::Missed => waiting.missed = true,
                Step::Fold => {
                    let missed = !self.take_in(waiting, &mut stored).await;
                    waiting = Waiting { missed, told: None };
                    fold_at = Instant::now() + if waiting.missed { TICK } else { GATHER };
                }
                Step::Tick => {
                    let due = self.lock().take_due(UnixMicros::now());
                    self.tell(due);
                }
                Step::Save => self.save_or_warn().await,
            }
        }
        self.read_log().await;
        self.save_or_warn().await;
    }

    /// Folds in what was told until now, or reads the log where that is not all; whether it could.
    async fn take_in(&self, waiting: Waiting, stored: &mut Receiver<StoredEvents>) -> bool {
        let mut missed = waiting.missed;
        let mut told = waiting.told;
        // As many as were waiting; others come meanwhile.
        for _ in 0..=stored.len() {
            if let Some(told) = told.take() {
                missed |= !self.follow(&told).await;
            }
            match stored.try_recv() {
                Ok(next) => told = Some(next),
                Err(TryRecvError::Lagged(_)) => missed = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        if let Some(told) = told {
            missed |= !self.follow(&told).await;
        }
        !missed || self.read_log().await
    }

    async fn read_log(&self) -> bool {
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
