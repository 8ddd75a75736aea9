//! The picture of all hosts: what each agent said last, with its age. Nothing of it goes because an agent is away.
//!
//! Readers get cheap copies; a reader that wants to follow calls [`Fleet::subscribe`], which hands out the view and
//! the changes after it under one lock, so that nothing falls between. Only the session that holds a host's
//! [`Feed`] changes its picture, so that a superseded session's last words never mix into its successor's.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use roadstead_protocol::message::container::Figures;
use roadstead_protocol::message::ids::{ContainerId, InstanceId, SessionId};
use tokio::sync::broadcast;

use crate::model::{Direction, InstanceRecord};
use crate::store::{Store, StoreError};

mod feed;
mod health;
mod host;
mod kept;
mod packed;
pub mod persist;
mod pool;
pub mod search;
mod slot;
#[cfg(test)]
mod tests;

pub use feed::{Feed, NoLongerFed, PictureTooLarge, Pulse};
pub(crate) use health::bare;
pub use health::{Health, health};
pub use host::{Host, LinkState, LinkStatus};
pub use kept::{Containers, Kept};
pub(crate) use pool::Pool;
use slot::Slot;

/// Changes kept for a slow subscriber; one that falls further behind is told so and takes the whole view again.
const WAITING_CHANGES: usize = 1024;

/// How long after a refused clone its warning stays on the instance.
const CLONE_WARNING: Duration = Duration::from_secs(600);

/// One change of the fleet, for subscribers.
#[derive(Clone, Debug)]
pub enum FleetChange {
    /// A host appeared, or its record, link or engine changed; its containers did not.
    Host(Arc<Host>),
    /// Containers of a host changed.
    Containers {
        /// Which host.
        instance: InstanceId,
        /// New or changed.
        upsert: Vec<Arc<Kept>>,
        /// Gone.
        remove: Vec<ContainerId>,
    },
    /// A host is to be taken whole again.
    Replaced(Arc<Host>),
    /// New figures.
    Figures {
        /// Which host.
        instance: InstanceId,
        /// The samples.
        samples: Arc<Vec<Figures>>,
    },
    /// A host was removed.
    Removed(InstanceId),
}

/// The picture of all hosts; cheap to clone.
#[derive(Clone)]
pub struct Fleet {
    inner: Arc<Inner>,
}

struct Inner {
    hosts: Mutex<BTreeMap<InstanceId, Slot>>,
    pool: Pool,
    changes: broadcast::Sender<FleetChange>,
    /// Held while records are read from the store and taken over, so that an older one never comes after a newer.
    records: tokio::sync::Mutex<()>,
    /// Those that whoever holds `records` next reads.
    outdated: Mutex<BTreeSet<InstanceId>>,
}

impl Default for Fleet {
    fn default() -> Self {
        Self::new()
    }
}

impl Fleet {
    /// An empty fleet.
    #[must_use]
    pub fn new() -> Self {
        let (changes, _) = broadcast::channel(WAITING_CHANGES);
        Self {
            inner: Arc::new(Inner {
                hosts: Mutex::default(),
                pool: Pool::default(),
                changes,
                records: tokio::sync::Mutex::default(),
                outdated: Mutex::default(),
            }),
        }
    }

    /// One host.
    #[must_use]
    pub fn host(&self, instance: &InstanceId) -> Option<Arc<Host>> {
        self.lock().get(instance).map(Slot::view)
    }

    /// Every host, by id.
    #[must_use]
    pub fn hosts(&self) -> Vec<Arc<Host>> {
        self.lock().values().map(Slot::view).collect()
    }

    /// Up to `most` hosts by id, from a place on: for readers that go through very many without holding all.
    fn hosts_from(&self, from: Bound<&InstanceId>, most: usize) -> Vec<Arc<Host>> {
        self.lock().range((from, Bound::Unbounded)).take(most).map(|(_, slot)| slot.view()).collect()
    }

    /// Every host, and each change after that view.
    #[must_use]
    pub fn subscribe(&self) -> (Vec<Arc<Host>>, broadcast::Receiver<FleetChange>) {
        let hosts = self.lock();
        (hosts.values().map(Slot::view).collect(), self.inner.changes.subscribe())
    }

    fn upsert_record(&self, record: InstanceRecord) {
        let mut hosts = self.lock();
        let change = match hosts.get_mut(&record.id) {
            Some(slot) => slot.set_record(record),
            None => {
                let slot = Slot::new(record);
                let change = FleetChange::Host(slot.view());
                hosts.insert(slot.id(), slot);
                Some(change)
            }
        };
        self.tell(change);
    }

    /// Takes over what is registered of an instance now, also of a new one; of no effect if it was removed. To be
    /// called after each change of a record: whichever call comes last reads what all of them have stored. Those that
    /// wait meanwhile are read together by one of them.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn refresh_record(&self, store: &Store, instance: &InstanceId) -> Result<(), StoreError> {
        self.outdated().insert(instance.clone());
        let _in_order = self.inner.records.lock().await;
        let mut reading = Reading { fleet: self, ids: std::mem::take(&mut *self.outdated()) };
        if reading.ids.is_empty() {
            return Ok(());
        }
        let records = store.instances_of(reading.ids.iter().cloned().collect()).await?;
        reading.ids.clear();
        records.into_iter().for_each(|record| self.upsert_record(record));
        Ok(())
    }

    /// Forgets an instance, which has been removed from the store: nothing that was read of it there before comes
    /// after this. Its [`Feed`], if there is one, has no effect from here on.
    pub async fn remove(&self, instance: &InstanceId) {
        let _in_order = self.inner.records.lock().await;
        let mut hosts = self.lock();
        if hosts.remove(instance).is_some() {
            self.tell(Some(FleetChange::Removed(instance.clone())));
        }
    }

    /// A session of `instance` has begun: it alone feeds the picture from here on. None if there is no such instance
    /// (any more), upon which the session ends.
    #[must_use]
    pub fn link_live(
        &self,
        instance: &InstanceId,
        session: SessionId,
        direction: Direction,
        remote: &str,
    ) -> Option<Feed> {
        let mut hosts = self.lock();
        let change = hosts.get_mut(instance)?.link_live(session, direction, remote);
        self.tell(change);
        Some(Feed::new(self.pulse(instance, session)))
    }

    /// What tells that the agent of a session was heard of, once that feeds the picture.
    #[must_use]
    pub fn pulse(&self, instance: &InstanceId, session: SessionId) -> Pulse {
        Pulse::new(self.clone(), instance.clone(), session)
    }

    /// Dialling an agent failed; of no effect while it is connected.
    pub fn dial_failed(&self, instance: &InstanceId, reason: &str) {
        self.update(instance, |slot| slot.dial_failed(reason));
    }

    /// A second machine with the instance's identity was refused; its warning stays for ten minutes.
    pub fn clone_refused(&self, instance: &InstanceId, reason: &str) {
        self.update(instance, |slot| slot.clone_refused(reason));
    }

    /// A probe took `round_trip`, engine left out.
    pub fn probed(&self, instance: &InstanceId, round_trip: Duration) {
        self.update(instance, |slot| {
            slot.set_round_trip(round_trip);
            None
        });
    }

    /// What changes by time alone: warnings of clones end.
    pub fn tick(&self) {
        let mut hosts = self.lock();
        for slot in hosts.values_mut() {
            let change = slot.end_clone_warning(CLONE_WARNING);
            self.tell(change);
        }
    }

    /// Ends the wait for agents that have not come back after the controller's restart.
    pub fn end_wait(&self) {
        let mut hosts = self.lock();
        for slot in hosts.values_mut() {
            let change = slot.end_wait();
            self.tell(change);
        }
    }

    /// The hosts whose picture changed since the last call.
    fn take_unsaved(&self) -> Vec<Arc<Host>> {
        self.lock().values_mut().filter_map(Slot::take_unsaved).collect()
    }

    /// The pictures of these could not be saved: they count as changed.
    fn keep_unsaved(&self, unsaved: &[Arc<Host>]) {
        let mut hosts = self.lock();
        for host in unsaved {
            if let Some(slot) = hosts.get_mut(&host.record.id) {
                slot.keep_unsaved();
            }
        }
    }

    /// Changes one host and tells subscribers, under one lock so that they hear changes in order.
    fn update(&self, instance: &InstanceId, change: impl FnOnce(&mut Slot) -> Option<FleetChange>) {
        let mut hosts = self.lock();
        if let Some(slot) = hosts.get_mut(instance) {
            let change = change(slot);
            self.tell(change);
        }
    }

    fn tell(&self, change: Option<FleetChange>) {
        if let Some(change) = change {
            // Nobody listening is fine.
            let _ = self.inner.changes.send(change);
        }
    }

    fn outdated(&self) -> MutexGuard<'_, BTreeSet<InstanceId>> {
        self.inner.outdated.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<InstanceId, Slot>> {
        self.inner.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Records that are being read. If that fails, or is given up, they are still to be read: by those who wait.
struct Reading<'a> {
    fleet: &'a Fleet,
    ids: BTreeSet<InstanceId>,
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.fleet.outdated().append(&mut self.ids);
    }
}
