//! Where every container and compose project is in its life: `installing`, `ready`, `failed` and why, `stopped` or
//! `removed`; since when, and what it was before.
//!
//! The newest facts about each container ([`history`]) are kept in their own order: event time, then the place in the
//! outbox. A pure [`machine`] folds them by the table in [`transitions`], so that a late, repeated or reordered report
//! changes nothing that a later fact has decided. Facts are taken from events as they are told after they were stored,
//! or from the event log where some were missed; saved together with the last event's place in the log, from where the
//! rest is read after a restart.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use roadstead_protocol::message::ids::{ContainerId, InstanceId};
use roadstead_protocol::message::time::UnixMicros;
use tokio::sync::broadcast;

use crate::fleet::{Fleet, Host, Kept};
use crate::model::CommandRecord;
use crate::store::commands::CommandFilter;
use crate::store::{Store, StoreError};

mod book;
pub mod fact;
mod folding;
pub mod history;
pub mod machine;
pub mod past;
mod picture;
pub mod project;
#[cfg(test)]
mod tests;
pub mod transitions;
mod upkeep;

use book::Book;
use fact::Subject;
use machine::Machine;
pub use machine::{Lifecycle, Reason, Span, Status};
use project::Member;

/// Changes kept for a slow subscriber; one that falls further behind is told so and takes everything again.
const WAITING_CHANGES: usize = 1024;

/// Events read from the log at once.
const PAGE: usize = 1000;

/// Commands that are looked at when some may have been missed: the newest.
const RECENT_COMMANDS: usize = 1000;

/// The lifecycle of some containers changed.
#[derive(Clone, Debug)]
pub struct LifecycleChange {
    /// On which host.
    pub instance: InstanceId,
    /// Of which containers.
    pub containers: Vec<ContainerId>,
}

/// The lifecycles of all containers and projects; cheap to clone.
#[derive(Clone)]
pub struct Lifecycles {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    fleet: Fleet,
    changes: broadcast::Sender<LifecycleChange>,
    book: Mutex<Book>,
    /// Held while the log is read from the mark on.
    folding: tokio::sync::Mutex<()>,
}

impl Lifecycles {
    /// The lifecycles as saved, and what has happened since. Call it when the fleet is loaded.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn load(store: Store, fleet: Fleet) -> Result<Self, StoreError> {
        let lifecycles = Self::read(store, fleet).await?;
        lifecycles.recall().await?;
        Ok(lifecycles)
    }

    /// Those that were saved. The fleet may be empty still; what came since is not in them until [`Self::recall`].
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn read(store: Store, fleet: Fleet) -> Result<Self, StoreError> {
        let book = Book::load(&store).await?;
        let changes = broadcast::Sender::new(WAITING_CHANGES);
        let inner =
            Inner { store, fleet, changes, book: Mutex::new(book), folding: tokio::sync::Mutex::default() };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Takes in what came since they were saved.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn recall(&self) -> Result<(), StoreError> {
        self.recall_commands().await?;
        self.catch_up().await
    }

    /// Every change from now on. Subscribe, then read.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<LifecycleChange> {
        self.inner.changes.subscribe()
    }

    /// How one of `host`'s containers is at `now`. If time alone will change that, subscribers are told then.
    #[must_use]
    pub fn container(&self, host: &Host, container: &Kept, now: UnixMicros) -> Lifecycle {
        let mut book = self.lock();
        let told = book.told(&host.record.id, container);
        let (lifecycle, due) = picture::lifecycle(&told, container, now);
        if let Some(due) = due.filter(|due| *due > now) {
            book.due.insert((due, host.record.id.clone(), container.id.clone()));
        }
        lifecycle
    }

    /// The life of a container of `host` as far as its newest facts go, oldest first, and whether there is more that
    /// was left out; none if nothing is known of it.
    #[must_use]
    pub fn spans(&self, host: &Host, id: &ContainerId, now: UnixMicros) -> Option<(Vec<Span>, bool)> {
        let book = self.lock();
        if let Some(container) = host.containers.get(id) {
            let told = book.told(&host.record.id, container);
            return Some((picture::spans(&told, container, now), told.shortened()));
        }
        let history = book.history(&host.record.id, &Subject::Container(id.clone()))?;
        Some((Machine::after(history).spans(now), history.shortened()))
    }

    /// How each compose project of `host` is at `now`.
    #[must_use]
    pub fn projects(&self, host: &Host, now: UnixMicros) -> BTreeMap<String, Lifecycle> {
        let mut members: BTreeMap<&str, Vec<Member>> = BTreeMap::new();
        let book = self.lock();
        for container in host.containers.values() {
            let Some(project) = container.compose_project() else { continue };
            let told = book.told(&host.record.id, container);
            let (lifecycle, _) = picture::lifecycle(&told, container, now);
            let member = Member { name: container.name.to_string(), lifecycle, begun_at: told.last_begun() };
            members.entry(project).or_default().push(member);
        }
        let lifecycle = |(project, members): (&str, Vec<Member>)| {
            let subject = Subject::Project(project.to_owned());
            let commands = book.history(&host.record.id, &subject).cloned().unwrap_or_default();
            (project.to_owned(), project::lifecycle(&members, &commands))
        };
        members.into_iter().map(lifecycle).collect()
    }

    /// A command in the ledger is new or changed.
    pub fn command(&self, record: &CommandRecord) {
        let Some(host) = self.inner.fleet.host(&record.instance) else { return };
        let Some((subject, facts)) = fact::of_command(record) else { return };
        let mut changed = false;
        {
            let mut book = self.lock();
            for fact in facts {
                changed |= book.add(&record.instance, subject.clone(), fact);
            }
        }
        if let (true, Subject::Named(named)) = (changed, &subject) {
            let meant = |container: &&Arc<Kept>| is_meant(named, container);
            let containers: Vec<_> =
                host.containers.values().filter(meant).map(|one| one.id.clone()).collect();
            self.tell(BTreeMap::from([(record.instance.clone(), containers)]));
        }
    }

    /// Looks at the newest commands of the ledger again, in case some were missed.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn recall_commands(&self) -> Result<(), StoreError> {
        let newest = self.inner.store.commands(CommandFilter::default(), None, RECENT_COMMANDS).await?;
        for record in &newest {
            self.command(record);
        }
        Ok(())
    }

    fn tell<I: IntoIterator<Item = ContainerId>>(&self, changed: BTreeMap<InstanceId, I>) {
        for (instance, containers) in changed {
            let change = LifecycleChange { instance, containers: containers.into_iter().collect() };
            // Nobody listening is fine.
            let _ = self.inner.changes.send(change);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.inner.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a command that named a container so means this one.
fn is_meant(named: &str, container: &Kept) -> bool {
    container.id.as_str() == named || *container.name == *named
}
