//! What keeps lifecycles current: events are folded in as they are stored, what time alone changes is told, and all is
//! saved now and then.

use std::time::Duration;

use roadstead_protocol::message::ids::InstanceId;
use roadstead_protocol::message::time::UnixMicros;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::Lifecycles;
use super::fact::Subject;
use crate::model::StoredEvents;
use crate::store::StoreError;

/// After events were folded in, further ones are gathered for so long; the first after a quiet time goes at once.
const GATHER: Duration = Duration::from_millis(50);

/// How often what time alone has changed is looked for.
const TICK: Duration = Duration::from_secs(1);

/// How often histories are saved: what a killed controller reads from the log again.
const SAVE_EVERY: Duration = Duration::from_secs(15);

/// Histories that are saved in one write: events must not wait for thousands.
const SAVED_AT_ONCE: usize = 128;

/// Between two such writes it waits so many times as long as the last one took.
const SAVED_PART: u32 = 20;

enum Step {
    Heard(StoredEvents),
    Missed,
    Fold,
    Tick,
    Save,
}

/// What is left to be saved, and up to which event it goes then.
struct Saving {
    unsaved: Vec<(InstanceId, Subject)>,
    folded: i64,
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
        let (mut saving, mut save_at) = (None, Instant::now() + SAVE_EVERY);
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
                () = tokio::time::sleep_until(save_at) => Step::Save,
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
                Step::Save => {
                    let began = Instant::now();
                    saving = self.save_some(saving).await;
                    let pause = if saving.is_some() { began.elapsed() * SAVED_PART } else { SAVE_EVERY };
                    save_at = Instant::now() + pause;
                }
            }
        }
        self.read_log().await;
        while let Some(rest) = saving {
            saving = self.save_some(Some(rest)).await;
        }
        if let Err(error) = self.save(UnixMicros::now()).await {
            warn_of(&error);
        }
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

    /// Saves a part of what changed, going on with what is left of an earlier one; what is left then.
    async fn save_some(&self, saving: Option<Saving>) -> Option<Saving> {
        let saving = saving.or_else(|| self.begin_saving(UnixMicros::now()))?;
        self.save_part(saving).await.unwrap_or_else(|error| {
            warn_of(&error);
            None
        })
    }

    /// Forgets what is long gone, and saves what changed.
    pub(super) async fn save(&self, now: UnixMicros) -> Result<(), StoreError> {
        let mut saving = self.begin_saving(now);
        while let Some(rest) = saving {
            saving = self.save_part(rest).await?;
        }
        Ok(())
    }

    fn begin_saving(&self, now: UnixMicros) -> Option<Saving> {
        let hosts = self.inner.fleet.hosts();
        let hosts = hosts.into_iter().map(|host| (host.record.id.clone(), host)).collect();
        let mut book = self.lock();
        book.tidy(&hosts, now);
        if book.is_saved() {
            return None;
        }
        let (unsaved, folded) = book.take_unsaved();
        Some(Saving { unsaved, folded })
    }

    async fn save_part(&self, saving: Saving) -> Result<Option<Saving>, StoreError> {
        let Saving { unsaved: mut now, folded } = saving;
        let later = now.split_off(now.len().min(SAVED_AT_ONCE));
        let rows = self.lock().rows(&now);
        // The place in the log comes last. What is saved before may be newer: facts that are read again change nothing.
        let last = later.is_empty().then_some(folded);
        if let Err(error) = self.inner.store.save_lifecycles(rows, last).await {
            let mut book = self.lock();
            book.keep_unsaved(now);
            book.keep_unsaved(later);
            return Err(error);
        }
        if last.is_some() {
            self.lock().saved = folded;
            return Ok(None);
        }
        Ok(Some(Saving { unsaved: later, folded }))
    }
}

fn warn_of(error: &StoreError) {
    tracing::warn!(%error, "cannot save lifecycles; look at the controller's disk");
}
