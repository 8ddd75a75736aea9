//! Syncs of many hosts. Each step is a command of the ledger like any other; what is kept here is which steps there
//! are, in which order, and when the next may begin. It is stored, so it goes on after every kind of restart.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use roadstead_protocol::message::command::Strategy;
use roadstead_protocol::message::time::UnixMicros;
use tokio::sync::{Mutex, Notify, broadcast};

use crate::commands::Commands;
use crate::fleet::Fleet;
use crate::model::rollout::{RolloutId, RolloutRecord, Stopped};
use crate::model::scope::Scope;
use crate::store::{Store, StoreError};

pub mod choosing;
mod running;
pub mod state;
#[cfg(test)]
mod tests;

pub use self::running::refused_by_policy;
pub use choosing::{ChooseError, Order, Selection, choose};

/// Rollouts that may be under way at once.
pub const MAX_UNFINISHED: usize = 16;

/// Most steps at once.
pub const MAX_BATCH: u32 = 100;

/// Changes that a slow reader may fall behind before it has to read the whole again.
const CHANGES: usize = 1024;

/// The rollouts; cheap to clone.
#[derive(Clone)]
pub struct Rollouts {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    fleet: Fleet,
    commands: Commands,
    changes: broadcast::Sender<RolloutChange>,
    newest: std::sync::Mutex<Newest>,
    /// Those that have not ended. Held while one of them is changed, until the change is stored.
    open: Mutex<BTreeMap<RolloutId, RolloutRecord>>,
    wake: Notify,
}

/// A rollout is new or changed, told after it is on disk. How it is now is asked for ([`Rollouts::newest`]): whole copies
/// would pile up where somebody reads slowly.
#[derive(Clone, Debug)]
pub struct RolloutChange {
    /// Which.
    pub id: RolloutId,
    /// The places of the steps that changed.
    pub places: Vec<usize>,
}

/// Rollouts as they were last told; of those that have ended, the last few.
#[derive(Default)]
struct Newest {
    records: BTreeMap<RolloutId, Arc<RolloutRecord>>,
    ended: VecDeque<RolloutId>,
}

impl Newest {
    fn keep(&mut self, record: RolloutRecord) {
        if record.ended_at.is_some() {
            self.ended.push_back(record.id);
        }
        self.records.insert(record.id, Arc::new(record));
        if self.ended.len() > MAX_UNFINISHED
            && let Some(first) = self.ended.pop_front()
        {
            self.records.remove(&first);
        }
    }
}

/// A rollout to begin.
#[derive(Clone, Debug)]
pub struct NewRollout {
    /// Which hosts.
    pub selection: Selection,
    /// Which project; none for all that each host shows.
    pub project: Option<String>,
    /// In which order.
    pub order: Order,
    /// Steps at once, 1 to [`MAX_BATCH`].
    pub batch_size: u32,
    /// Whether a step that failed keeps later ones from beginning.
    pub stop_on_failure: bool,
    /// How long the command of an absent host waits, in seconds; none skips such a host.
    pub queue_secs: Option<u32>,
    /// How to sync; none leaves it to each agent.
    pub strategy: Option<Strategy>,
    /// How long a restarted service may take, in seconds.
    pub verify_secs: u32,
}

/// Why a rollout was not begun. Nothing of it is stored.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// What was asked makes no sense.
    #[error(transparent)]
    Choose(#[from] ChooseError),
    /// A figure is out of bounds.
    #[error("batch_size is {0}; it is from 1 to {MAX_BATCH}")]
    Batch(u32),
    /// As many are under way as may be.
    #[error("{MAX_UNFINISHED} rollouts are under way; wait for one to end, or stop one")]
    TooMany,
    /// It could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a rollout was not stopped.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// There is none by that id.
    #[error("there is no such rollout")]
    NotFound,
    /// It has ended.
    #[error("the rollout has ended already")]
    Ended,
    /// The wish could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Rollouts {
    /// The rollouts over `store`. [`Self::run`] goes on with those that have not ended.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn load(store: Store, fleet: Fleet, commands: Commands) -> Result<Self, StoreError> {
        let open = store.unfinished_rollouts().await?.into_iter().map(|record| (record.id, record)).collect();
        let changes = broadcast::Sender::new(CHANGES);
        let (open, newest) = (Mutex::new(open), std::sync::Mutex::default());
        let inner = Inner { store, fleet, commands, changes, newest, open, wake: Notify::new() };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// What a rollout would do with the hosts in `scope`, without doing it.
    ///
    /// # Errors
    /// As for [`Self::start`].
    pub fn plan(&self, new: &NewRollout, by: &str, scope: &Scope) -> Result<RolloutRecord, StartError> {
        if !(1..=MAX_BATCH).contains(&new.batch_size) {
            return Err(StartError::Batch(new.batch_size));
        }
        let mut hosts = self.inner.fleet.hosts();
        hosts.retain(|host| scope.holds(&host.record));
        let steps = choose(&hosts, &new.selection, new.project.as_deref(), new.order)?;
        Ok(RolloutRecord {
            id: RolloutId::generate(),
            issued_by: by.to_owned(),
            issued_at: UnixMicros::now(),
            batch_size: new.batch_size,
            stop_on_failure: new.stop_on_failure,
            queue_secs: new.queue_secs,
            strategy: new.strategy,
            verify_secs: new.verify_secs,
            stopped: None,
            ended_at: None,
            steps,
        })
    }

    /// Begins a rollout of hosts in `scope`. Its steps are chosen now, once and for all.
    ///
    /// # Errors
    /// If it is refused; nothing of it is stored then.
    pub async fn start(
        &self,
        new: &NewRollout,
        by: &str,
        scope: &Scope,
    ) -> Result<RolloutRecord, StartError> {
        let record = self.plan(new, by, scope)?;
        let mut open = self.inner.open.lock().await;
        if open.len() >= MAX_UNFINISHED {
            return Err(StartError::TooMany);
        }
        self.inner.store.add_rollout(record.clone()).await?;
        open.insert(record.id, record.clone());
        drop(open);
        self.tell(&record, (0..record.steps.len()).collect());
        self.inner.wake.notify_one();
        Ok(record)
    }

    /// Begins no further step and withdraws those that wait for an absent agent; what an agent has begun runs to its
    /// end.
    ///
    /// # Errors
    /// If there is no such rollout or it has ended.
    pub async fn stop(&self, id: RolloutId, by: &str) -> Result<RolloutRecord, StopError> {
        let mut open = self.inner.open.lock().await;
        let Some(record) = open.get_mut(&id) else {
            drop(open);
            self.one(id).await?.ok_or(StopError::NotFound)?;
            return Err(StopError::Ended);
        };
        let mut after = record.clone();
        after.stop(Stopped::Person { name: by.to_owned() }, UnixMicros::now());
        self.save(record, after).await?;
        let stopped = record.clone();
        if stopped.ended_at.is_some() {
            open.remove(&id);
        }
        drop(open);
        self.inner.wake.notify_one();
        Ok(stopped)
    }

    /// One rollout.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn one(&self, id: RolloutId) -> Result<Option<RolloutRecord>, StoreError> {
        self.inner.store.rollout(id).await
    }

    /// The newest rollouts, newest first.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn list(&self, limit: usize) -> Result<Vec<RolloutRecord>, StoreError> {
        self.inner.store.rollouts(limit).await
    }

    /// Everything new from now on: subscribe, then read.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<RolloutChange> {
        self.inner.changes.subscribe()
    }

    /// A rollout of which a change was told, as it is now; none if it ended long ago.
    #[must_use]
    pub fn newest(&self, id: RolloutId) -> Option<Arc<RolloutRecord>> {
        self.newest_ones().records.get(&id).cloned()
    }

    fn newest_ones(&self) -> std::sync::MutexGuard<'_, Newest> {
        self.inner.newest.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Stores what differs between `record` and `after`, takes it over, and tells it.
    async fn save(&self, record: &mut RolloutRecord, after: RolloutRecord) -> Result<(), StoreError> {
        if *record == after {
            return Ok(());
        }
        let changed = |place: &usize| record.steps[*place] != after.steps[*place];
        let places: Vec<_> = (0..after.steps.len()).filter(changed).collect();
        self.inner.store.save_rollout(after.clone(), places.clone()).await?;
        self.tell(&after, places);
        *record = after;
        Ok(())
    }

    fn tell(&self, record: &RolloutRecord, places: Vec<usize>) {
        self.newest_ones().keep(record.clone());
        // Nobody listening is fine.
        let _ = self.inner.changes.send(RolloutChange { id: record.id, places });
    }
}
