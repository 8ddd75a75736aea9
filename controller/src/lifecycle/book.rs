//! The histories of all subjects, what of them is to be saved, and how many there may be.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use roadstead_protocol::message::codec;
use roadstead_protocol::message::ids::{ContainerId, InstanceId};
use roadstead_protocol::message::time::UnixMicros;

use super::fact::{Fact, Subject};
use super::history::History;
use super::is_meant;
use crate::fleet::{self, Host};
use crate::store::lifecycles::HistoryRow;
use crate::store::{Store, StoreError};

/// How long something that is not in its host's picture is remembered after it was last heard of, so that a late
/// report about it does not seem new.
const KEEP: Duration = Duration::from_secs(24 * 3600);

/// Most subjects of one instance that are not in its picture; the ones heard of longest ago go first.
const MAX_ABSENT: usize = 1000;

/// Subjects of one instance beyond those in its picture that make room at once, instead of the next time it is due.
const TOO_MANY: usize = 2 * MAX_ABSENT;

/// Largest history, in bytes. Thirty-two facts take a few kilobytes.
const MAX_HISTORY: usize = 64 * 1024;

/// The histories of all subjects.
#[derive(Debug, Default)]
pub(super) struct Book {
    histories: HashMap<InstanceId, BTreeMap<Subject, Remembered>>,
    unsaved: HashSet<(InstanceId, Subject)>,
    /// The id of the last event that is folded in.
    pub(super) folded: i64,
    /// Up to where that is saved.
    pub(super) saved: i64,
    /// When time alone changes what was shown of a container.
    pub(super) due: BTreeSet<(UnixMicros, InstanceId, ContainerId)>,
}

/// A history.
#[derive(Debug, Default)]
struct Remembered {
    history: History,
    /// Whether it is among those that are to be saved; most of what comes is about the same few.
    unsaved: bool,
}

impl Book {
    /// The book as saved. What cannot be read is left out, with a warning.
    pub(super) async fn load(store: &Store) -> Result<Self, StoreError> {
        let (book, folded) = store.lifecycles(Self::default(), Self::read).await?;
        Ok(Self { folded, saved: folded, ..book })
    }

    /// Enters a history as saved. One with names of fields is saved anew: most never change, and it takes twice as long
    /// to be read at every start.
    fn read(&mut self, instance: &InstanceId, subject: &str, history: &[u8]) {
        let decoded = (serde_json::from_str::<Subject>(subject), codec::decode(history, MAX_HISTORY));
        let (Ok(subject), Ok(decoded)) = decoded else {
            tracing::warn!(%instance, subject, "a saved lifecycle cannot be read");
            return;
        };
        let unsaved = has_names(history);
        if unsaved {
            self.unsaved.insert((instance.clone(), subject.clone()));
        }
        let subjects = match self.histories.get_mut(instance) {
            Some(subjects) => subjects,
            None => self.histories.entry(instance.clone()).or_default(),
        };
        subjects.insert(subject, Remembered { history: decoded, unsaved });
    }

    /// Takes a fact in; whether it changed anything.
    pub(super) fn add(&mut self, instance: &InstanceId, subject: Subject, fact: Fact) -> bool {
        let subjects = match self.histories.get_mut(instance) {
            Some(subjects) => subjects,
            None => self.histories.entry(instance.clone()).or_default(),
        };
        let kept = match subjects.get_mut(&subject) {
            Some(kept) => kept,
            None => subjects.entry(subject.clone()).or_default(),
        };
        let changed = kept.history.add(fact);
        if changed && !std::mem::replace(&mut kept.unsaved, true) {
            self.unsaved.insert((instance.clone(), subject));
        }
        changed
    }

    pub(super) fn history(&self, instance: &InstanceId, subject: &Subject) -> Option<&History> {
        self.histories.get(instance)?.get(subject).map(|kept| &kept.history)
    }

    /// Everything told of a container: by the engine, and by commands that named it.
    pub(super) fn told(&self, instance: &InstanceId, container: &fleet::Kept) -> History {
        let of = |subject| self.history(instance, &subject);
        let mut told = of(Subject::Container(container.id.clone())).cloned().unwrap_or_default();
        for named in [container.id.as_str(), &container.name] {
            if let Some(commands) = of(Subject::Named(named.to_owned())) {
                told = told.with(commands.facts());
            }
        }
        told
    }

    /// Makes room if an instance has far too many subjects.
    pub(super) fn limit(&mut self, instance: &InstanceId, host: &Host) {
        let subjects = self.histories.get(instance).map_or(0, BTreeMap::len);
        if subjects > host.containers.len() * 2 + TOO_MANY {
            self.forget(instance, host, UnixMicros::default());
        }
    }

    /// Forgets what is neither in a picture nor was heard of lately, and instances that are gone.
    pub(super) fn tidy(&mut self, hosts: &HashMap<InstanceId, std::sync::Arc<Host>>, now: UnixMicros) {
        self.histories.retain(|instance, _| hosts.contains_key(instance));
        self.unsaved.retain(|(instance, _)| hosts.contains_key(instance));
        for (instance, host) in hosts {
            self.forget(instance, host, now.minus(KEEP));
        }
    }

    fn forget(&mut self, instance: &InstanceId, host: &Host, before: UnixMicros) {
        let Some(subjects) = self.histories.get_mut(instance) else { return };
        let mut absent: Vec<_> = subjects
            .iter()
            .filter(|(subject, _)| !is_shown(subject, host))
            .map(|(subject, kept)| (kept.history.last_heard().unwrap_or_default(), subject.clone()))
            .collect();
        absent.sort_unstable();
        let beyond = absent.len().saturating_sub(MAX_ABSENT);
        for (place, (heard, subject)) in absent.into_iter().enumerate() {
            if place < beyond || heard < before {
                subjects.remove(&subject);
                self.unsaved.insert((instance.clone(), subject));
            }
        }
    }

    /// How many subjects there are.
    #[cfg(test)]
    pub(super) fn subjects(&self) -> usize {
        self.histories.values().map(BTreeMap::len).sum()
    }

    /// Whether there is nothing to save.
    pub(super) fn is_saved(&self) -> bool {
        self.unsaved.is_empty() && self.saved == self.folded
    }

    /// What is to be saved, and up to which event it goes.
    pub(super) fn take_unsaved(&mut self) -> (Vec<(InstanceId, Subject)>, i64) {
        (std::mem::take(&mut self.unsaved).into_iter().collect(), self.folded)
    }

    /// These as they are saved; they count as saved from here on.
    pub(super) fn rows(&mut self, unsaved: &[(InstanceId, Subject)]) -> Vec<HistoryRow> {
        let row = |(instance, subject): &(InstanceId, Subject)| {
            let kept = self.histories.get_mut(instance).and_then(|subjects| subjects.get_mut(subject));
            // Both are made of plain fields, which always can be written.
            let bytes = kept.and_then(|kept| {
                kept.unsaved = false;
                rmp_serde::to_vec(&kept.history).ok().filter(|bytes| bytes.len() <= MAX_HISTORY)
            });
            (instance.clone(), serde_json::to_string(subject).unwrap_or_default(), bytes)
        };
        unsaved.iter().map(row).collect()
    }

    /// These could not be saved: they are to be saved still.
    pub(super) fn keep_unsaved(&mut self, unsaved: Vec<(InstanceId, Subject)>) {
        for (instance, subject) in &unsaved {
            let kept = self.histories.get_mut(instance).and_then(|subjects| subjects.get_mut(subject));
            if let Some(kept) = kept {
                kept.unsaved = true;
            }
        }
        self.unsaved.extend(unsaved);
    }

    /// The containers that time alone has changed by `now`.
    pub(super) fn take_due(&mut self, now: UnixMicros) -> BTreeMap<InstanceId, BTreeSet<ContainerId>> {
        let mut changed: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        while let Some((due, instance, container)) = self.due.pop_first() {
            if due > now {
                self.due.insert((due, instance, container));
                break;
            }
            changed.entry(instance).or_default().insert(container);
        }
        changed
    }
}

fn is_shown(subject: &Subject, host: &Host) -> bool {
    match subject {
        Subject::Container(id) => host.containers.contains_key(id),
        Subject::Named(named) => host.containers.values().any(|container| is_meant(named, container)),
        Subject::Project(project) => {
            host.containers.values().any(|container| container.compose_project() == Some(project.as_str()))
        }
    }
}

/// Whether what is saved is a map of its few fields: programs wrote that until December 2026.
fn has_names(history: &[u8]) -> bool {
    history.first().is_some_and(|marker| marker & 0xf0 == 0x80)
}
