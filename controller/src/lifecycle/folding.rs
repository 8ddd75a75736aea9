//! Events into histories: those that are told one after another, and from the log those that were missed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use roadstead_protocol::message::ids::{ContainerId, InstanceId};

use super::fact::{self, Subject};
use super::{Lifecycles, PAGE};
use crate::fleet::Host;
use crate::model::EventRecord;
use crate::store::StoreError;

/// What some events have changed.
type Changed = BTreeMap<InstanceId, BTreeSet<ContainerId>>;

impl Lifecycles {
    /// Folds in the events that were stored since the last time.
    ///
    /// # Errors
    /// If the log cannot be read; what was folded in stays.
    pub async fn catch_up(&self) -> Result<(), StoreError> {
        let _one_at_a_time = self.inner.folding.lock().await;
        loop {
            let folded = self.lock().folded;
            let (events, last) = self.inner.store.container_events_after(folded, PAGE).await?;
            if last == folded {
                return Ok(());
            }
            self.fold(&events, last);
        }
    }

    /// Folds in events as they were told; whether they go on where the last ones ended. Else nothing is folded in, and
    /// the log has to be read.
    pub(super) async fn follow(&self, told: &[EventRecord]) -> bool {
        let _one_at_a_time = self.inner.folding.lock().await;
        let folded = self.lock().folded;
        let known = told.partition_point(|event| event.id <= folded);
        let (Some(first), Some(last)) = (told.get(known), told.last()) else { return true };
        if first.id != folded + 1 {
            return false;
        }
        self.fold(&told[known..], last.id);
        true
    }

    /// Folds in events of which `last` is the last one's place.
    fn fold(&self, events: &[EventRecord], last: i64) {
        // Only those that are spoken of: there may be ten thousand hosts and one event.
        let mut registered: HashMap<&InstanceId, Option<Arc<Host>>> = HashMap::new();
        for event in events {
            registered.entry(&event.instance).or_insert_with_key(|instance| self.inner.fleet.host(instance));
        }
        let mut changed = Changed::new();
        {
            let mut book = self.lock();
            for event in events {
                if !matches!(registered.get(&event.instance), Some(Some(_))) {
                    continue;
                }
                let Some((Subject::Container(id), fact)) = fact::of_event(event) else { continue };
                if book.add(&event.instance, Subject::Container(id.clone()), fact) {
                    match changed.get_mut(&event.instance) {
                        Some(containers) => drop(containers.insert(id)),
                        None => drop(changed.insert(event.instance.clone(), BTreeSet::from([id]))),
                    }
                }
            }
            for (instance, host) in registered {
                if let Some(host) = host {
                    book.limit(instance, &host);
                }
            }
            book.folded = last;
        }
        self.tell(changed);
    }
}
