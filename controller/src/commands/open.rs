//! The commands that something can still happen to, in memory: those that have not ended, and for ten minutes those
//! that have, since the last lines of their logs may come after their outcome.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use roadstead_protocol::message::ids::{CommandId, InstanceId, SessionId};
use roadstead_protocol::message::time::UnixMicros;

use super::clock::Step;
use super::error::IssueError;
use super::log::LogMark;
use super::state::{Answers, Tracked};
use super::work::changes;
use crate::model::CommandRecord;
use crate::store::{Store, StoreError};

/// Unfinished commands that one instance may have.
pub(super) const MAX_UNFINISHED: usize = 64;

/// How long an ended command's log may still grow.
pub(super) const LINGER: Duration = Duration::from_secs(10 * 60);

/// Ended commands kept in memory; beyond that the first to end go early.
const MAX_LINGERING: usize = 512;

/// What is open, and what is known of the agents concerned.
#[derive(Default)]
pub(super) struct OpenCommands {
    entries: BTreeMap<CommandId, Entry>,
    /// The same by instance: ten thousand agents that come back each ask for theirs.
    by_instance: HashMap<InstanceId, BTreeSet<CommandId>>,
    away_since: HashMap<InstanceId, UnixMicros>,
    drained: HashMap<InstanceId, SessionId>,
}

/// One open command. Whoever changes it holds its lock until the change is stored.
#[derive(Clone)]
pub(super) struct Entry {
    pub instance: InstanceId,
    pub live: Arc<tokio::sync::Mutex<Live>>,
    changes: Option<String>,
    finished_at: Option<UnixMicros>,
}

/// A command and its log's mark.
pub(super) struct Live {
    pub tracked: Tracked,
    pub log: LogMark,
    /// What the present session was asked.
    pub answers: Answers,
    /// The record has changed since it was last stored.
    pub unsaved: bool,
    /// The store has some state of it.
    pub stored: bool,
    /// When the instance that it was asked of was registered; none until a session of it told.
    pub registered: Option<UnixMicros>,
}

impl Live {
    pub fn new(record: CommandRecord, log: LogMark, now: UnixMicros) -> Self {
        let (tracked, answers) = (Tracked::new(record, now), Answers::default());
        Self { tracked, log, answers, unsaved: false, stored: true, registered: None }
    }

    /// Whether it was asked of an instance that was removed, and one that was `registered` since only has its id.
    /// Known registrations are compared for identity: a clock that was set may have put them in any order.
    pub fn is_of_another(&self, registered: UnixMicros, now: UnixMicros) -> bool {
        match self.registered {
            Some(known) => known != registered,
            None => self.tracked.record.issued_at < registered && registered <= now,
        }
    }
}

impl OpenCommands {
    pub async fn load(store: &Store, now: UnixMicros) -> Result<Self, StoreError> {
        let linger = i64::try_from(LINGER.as_micros()).unwrap_or(i64::MAX);
        let since = UnixMicros(now.0.saturating_sub(linger));
        let mut open = Self::default();
        for (record, size) in store.recent_commands(since).await? {
            let last = size.last.as_ref().map(|(line, bytes)| (line, *bytes));
            let log = LogMark::of_stored(size.bytes_before_last, last);
            let id = record.id;
            let entry = Entry {
                instance: record.instance.clone(),
                changes: changes(&record.work),
                finished_at: record.state.is_final().then_some(now),
                live: Arc::new(tokio::sync::Mutex::new(Live::new(record, log, now))),
            };
            open.insert(id, entry);
        }
        Ok(open)
    }

    /// Enters a new command, unless the instance is busy with another one.
    pub fn enter(
        &mut self,
        record: &CommandRecord,
        live: &Arc<tokio::sync::Mutex<Live>>,
    ) -> Result<(), IssueError> {
        let changes = changes(&record.work);
        let unfinished =
            || self.entries_of(&record.instance).filter(|(_, entry)| entry.finished_at.is_none());
        if let Some((running, _)) =
            unfinished().find(|(_, entry)| changes.is_some() && entry.changes == changes)
        {
            return Err(IssueError::Busy { running: *running });
        }
        if unfinished().count() >= MAX_UNFINISHED {
            return Err(IssueError::TooMany { limit: MAX_UNFINISHED });
        }
        let entry =
            Entry { instance: record.instance.clone(), live: Arc::clone(live), changes, finished_at: None };
        self.insert(record.id, entry);
        Ok(())
    }

    fn insert(&mut self, id: CommandId, entry: Entry) {
        self.by_instance.entry(entry.instance.clone()).or_default().insert(id);
        self.entries.insert(id, entry);
    }

    fn entries_of(&self, instance: &InstanceId) -> impl Iterator<Item = (&CommandId, &Entry)> {
        let ids = self.by_instance.get(instance).into_iter().flatten();
        ids.filter_map(|id| self.entries.get_key_value(id))
    }

    pub fn withdraw(&mut self, id: CommandId) {
        let Some(entry) = self.entries.remove(&id) else { return };
        if let Some(ids) = self.by_instance.get_mut(&entry.instance) {
            ids.remove(&id);
        }
    }

    pub fn finish(&mut self, id: CommandId, now: UnixMicros) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.finished_at.get_or_insert(now);
        }
    }

    pub fn entry(&self, id: CommandId) -> Option<Entry> {
        self.entries.get(&id).cloned()
    }

    /// Every entry, in order of issue.
    pub fn all(&self) -> Vec<Entry> {
        self.entries.values().cloned().collect()
    }

    /// The entries of one instance, in order of issue.
    pub fn of(&self, instance: &InstanceId) -> Vec<Entry> {
        self.entries_of(instance).map(|(_, entry)| entry.clone()).collect()
    }

    /// Forgets commands that ended long enough ago.
    pub fn sweep(&mut self, now: UnixMicros) {
        self.entries.retain(|_, entry| entry.finished_at.is_none_or(|at| now.since(at) < LINGER));
        let mut lingering: Vec<_> =
            self.entries.iter().filter_map(|(id, entry)| entry.finished_at.map(|at| (at, *id))).collect();
        lingering.sort_unstable();
        let surplus = lingering.len().saturating_sub(MAX_LINGERING);
        for (_, id) in lingering.into_iter().take(surplus) {
            self.entries.remove(&id);
        }
        let Self { entries, by_instance, .. } = self;
        by_instance.retain(|_, ids| {
            ids.retain(|id| entries.contains_key(id));
            !ids.is_empty()
        });
        self.away_since.retain(|instance, _| self.by_instance.contains_key(instance));
        self.drained.retain(|instance, _| self.by_instance.contains_key(instance));
    }

    /// Notes that an agent is seen to be away, and returns since when.
    pub fn away(&mut self, instance: &InstanceId, now: UnixMicros) -> UnixMicros {
        *self.away_since.entry(instance.clone()).or_insert(now)
    }

    /// Moves what is known by the former clock.
    pub fn clock_was_set(&mut self, step: Step) {
        let finished = self.entries.values_mut().filter_map(|entry| entry.finished_at.as_mut());
        for time in self.away_since.values_mut().chain(finished) {
            *time = step.after(*time);
        }
    }

    pub fn back(&mut self, instance: &InstanceId) {
        self.away_since.remove(instance);
    }

    pub fn drain(&mut self, instance: &InstanceId, session: SessionId) {
        self.drained.insert(instance.clone(), session);
    }

    pub fn is_drained(&self, instance: &InstanceId, session: SessionId) -> bool {
        self.drained.get(instance) == Some(&session)
    }
}
