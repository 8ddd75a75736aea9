//! Which commands there are, what they change, and what became of the ones before. Pure but for notifications.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use roadstead_protocol::message::command::Standing;
use roadstead_protocol::message::ids::CommandId;
use roadstead_protocol::message::progress::ProgressLine;
use roadstead_protocol::message::time::UnixMicros;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::ledger::{Found, KEPT, REMEMBERED};
use crate::commands::Target;
use crate::commands::journal::Journal;

/// Commands, refused ones included, whose outcome is not on disk yet. Beyond it orders are not taken.
const MAX_PENDING: usize = 256;

/// How long after a session began a controller may take to ask for lines of commands that it knows to be unfinished.
const ASKED_WITHIN: Duration = Duration::from_secs(5);

/// Why a command was told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Somebody asked.
    Asked,
    /// It took too long.
    Deadline,
    /// The agent stops.
    Closing,
}

/// What a command's task needs of the table.
#[derive(Clone)]
pub(super) struct Entry {
    pub since: UnixMicros,
    /// An earlier process of this agent began it.
    pub resumed: bool,
    pub halt: CancellationToken,
    pub journal: Arc<Journal>,
    /// Set when it is on disk, or known not to begin.
    pub recorded: CancellationToken,
}

/// What became of an order.
pub(super) enum Admission {
    /// It was ordered before, or is not taken.
    Known(Standing),
    /// It is known from now on, and has a place if it needs one.
    Taken(Entry),
    /// It is known from now on, but there is no place for it.
    TooMany(Entry),
}

/// How much of what a command said the session that is up has been handed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    All,
    NotYet,
    /// Nobody has asked for it; from `until` on nobody will.
    Unasked {
        until: Instant,
    },
}

struct Pending {
    entry: Entry,
    /// Whether it takes a place; not any more while its outcome is being written.
    active: bool,
    target: Option<Target>,
    why: Option<Why>,
}

pub(super) struct Table {
    at_once: usize,
    written: Arc<Notify>,
    pending: BTreeMap<CommandId, Pending>,
    ended: VecDeque<CommandId>,
    journals: VecDeque<(CommandId, Arc<Journal>)>,
    closing: bool,
    /// Lines were taken that are not handed to the session yet.
    in_flight: bool,
    /// When a session began: by then and a little later the controller has asked for what it lacks.
    session_began: Instant,
    /// What an earlier process left and is not taken up yet.
    pub found: Vec<(Found, Entry)>,
}

impl Table {
    pub fn new(at_once: u32, written: Arc<Notify>) -> Self {
        Self {
            at_once: usize::try_from(at_once).unwrap_or(usize::MAX),
            written,
            pending: BTreeMap::new(),
            ended: VecDeque::new(),
            journals: VecDeque::new(),
            closing: false,
            in_flight: false,
            session_began: Instant::now(),
            found: Vec::new(),
        }
    }

    /// Takes over what an earlier process knew.
    pub fn restore(&mut self, ended: VecDeque<CommandId>, found: Vec<Found>) {
        let since_last = |found: &Found| ended.iter().rev().position(|id| *id == found.id);
        let mut done: Vec<_> = found.iter().filter(|found| found.ended).collect();
        done.sort_by_key(|found| std::cmp::Reverse(since_last(found)));
        for found in done {
            let journal = Journal::going_on(found.id, Arc::clone(&self.written), found.lines.clone());
            journal.close();
            self.journals.push_back((found.id, Arc::new(journal)));
        }
        self.ended = ended;
        for mut found in found.into_iter().filter(|found| !found.ended) {
            let lines = std::mem::take(&mut found.lines);
            let journal = Journal::going_on(found.id, Arc::clone(&self.written), lines);
            let since = found.order.as_ref().map_or_else(UnixMicros::now, |(at, _)| *at);
            let entry = Entry {
                since,
                resumed: true,
                halt: CancellationToken::new(),
                journal: Arc::new(journal),
                recorded: CancellationToken::new(),
            };
            let pending = Pending { entry: entry.clone(), active: true, target: None, why: None };
            self.pending.insert(found.id, pending);
            self.found.push((found, entry));
        }
    }

    /// What tells that a command is on disk, if it has not ended.
    pub fn recorded(&self, id: CommandId) -> Option<CancellationToken> {
        self.pending.get(&id).map(|pending| pending.entry.recorded.clone())
    }

    pub fn admit(&mut self, id: CommandId, needs_place: bool) -> Admission {
        if let Some(pending) = self.pending.get(&id) {
            if !pending.entry.journal.is_read() {
                pending.entry.journal.seek(0);
            }
            return Admission::Known(Standing::Running { since: pending.entry.since });
        }
        if self.ended.contains(&id) {
            return Admission::Known(Standing::Ended);
        }
        if self.closing || self.pending.len() >= MAX_PENDING {
            return Admission::Known(Standing::NeverSeen);
        }
        let places =
            self.at_once.saturating_sub(self.pending.values().filter(|pending| pending.active).count());
        let journal = Journal::kept_on_disk(id, Arc::clone(&self.written));
        journal.seek(0);
        let entry = Entry {
            since: UnixMicros::now(),
            resumed: false,
            halt: CancellationToken::new(),
            journal: Arc::new(journal),
            recorded: CancellationToken::new(),
        };
        self.pending.insert(
            id,
            Pending { entry: entry.clone(), active: needs_place && places > 0, target: None, why: None },
        );
        if !needs_place || places > 0 { Admission::Taken(entry) } else { Admission::TooMany(entry) }
    }

    /// Claims `target` for a command.
    ///
    /// # Errors
    /// The command that changes it now.
    pub fn claim(&mut self, id: CommandId, target: Target) -> Result<(), CommandId> {
        let holds = |pending: &Pending| {
            pending.active && pending.target.as_ref().is_some_and(|held| held.conflicts(&target))
        };
        let holder = self.pending.iter().find(|(other, pending)| **other != id && holds(pending));
        if let Some((holder, _)) = holder {
            return Err(*holder);
        }
        if let Some(pending) = self.pending.get_mut(&id) {
            pending.target = Some(target);
        }
        Ok(())
    }

    /// Gives up the place and the claim of a command that is over.
    pub fn release(&mut self, id: CommandId) {
        if let Some(pending) = self.pending.get_mut(&id) {
            pending.active = false;
            pending.target = None;
        }
    }

    /// The outcome of a command is on disk. Returns the ended command whose lines are no longer kept.
    pub fn end(&mut self, id: CommandId) -> Option<CommandId> {
        let pending = self.pending.remove(&id)?;
        self.ended.push_back(id);
        if self.ended.len() > REMEMBERED {
            self.ended.pop_front();
        }
        self.journals.push_back((id, pending.entry.journal));
        let surplus = self.journals.len() > KEPT;
        surplus.then(|| self.journals.pop_front()).flatten().map(|(oldest, _)| oldest)
    }

    /// Tells a command to stop; the first reason stays.
    pub fn halt(&mut self, id: CommandId, why: Why) {
        if let Some(pending) = self.pending.get_mut(&id) {
            pending.why.get_or_insert(why);
            pending.entry.halt.cancel();
        }
    }

    pub fn why(&self, id: CommandId) -> Option<Why> {
        self.pending.get(&id).and_then(|pending| pending.why)
    }

    /// Tells every command to stop and takes no new one.
    pub fn close(&mut self) {
        self.closing = true;
        let ids: Vec<_> = self.pending.keys().copied().collect();
        for id in ids {
            self.halt(id, Why::Closing);
        }
    }

    pub fn enquire(&mut self, id: CommandId, next_line: u64) -> Standing {
        if let Some(pending) = self.pending.get(&id) {
            pending.entry.journal.seek(next_line);
            return Standing::Running { since: pending.entry.since };
        }
        if let Some(journal) = self.journal(id) {
            journal.seek(next_line);
        }
        if self.ended.contains(&id) { Standing::Ended } else { Standing::NeverSeen }
    }

    pub fn begin_session(&mut self) {
        self.all_journals().for_each(Journal::hush);
        self.in_flight = false;
        self.session_began = Instant::now();
    }

    /// The lines that were taken last are handed to the session.
    pub fn handed_over(&mut self) {
        self.in_flight = false;
    }

    /// Whether the end of a command may be told: everything it said went before.
    pub fn said(&self, id: CommandId) -> Said {
        let Some(journal) = self.journal(id) else { return Said::All };
        match journal.has_more() {
            Some(more) if more || self.in_flight => Said::NotYet,
            Some(_) => Said::All,
            None => Said::Unasked { until: self.session_began + ASKED_WITHIN },
        }
    }

    /// Lines of every command in turn, together at most `room` bytes, but at least one if there is one.
    pub fn take_lines(&mut self, room: usize) -> Vec<ProgressLine> {
        let mut lines = Vec::new();
        let mut left = room;
        for journal in self.all_journals() {
            left = left.saturating_sub(journal.take(left, lines.is_empty(), &mut lines));
        }
        self.in_flight |= !lines.is_empty();
        lines
    }

    fn journal(&self, id: CommandId) -> Option<&Journal> {
        let ended = || self.journals.iter().find(|(ended, _)| *ended == id).map(|(_, journal)| journal);
        let journal = self.pending.get(&id).map(|pending| &pending.entry.journal).or_else(ended);
        journal.map(Arc::as_ref)
    }

    fn all_journals(&self) -> impl Iterator<Item = &Journal> {
        let ended = self.journals.iter().map(|(_, journal)| journal.as_ref());
        ended.chain(self.pending.values().map(|pending| pending.entry.journal.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(at_once: u32) -> Table {
        Table::new(at_once, Arc::default())
    }

    #[test]
    fn an_ended_command_is_remembered_and_memory_is_bounded() {
        let mut table = table(1);
        let first = CommandId::generate();
        assert!(matches!(table.admit(first, true), Admission::Taken(_)));
        table.release(first);
        table.end(first);
        assert!(matches!(table.admit(first, true), Admission::Known(Standing::Ended)));
        for _ in 0..REMEMBERED {
            let id = CommandId::generate();
            table.admit(id, true);
            table.end(id);
        }
        assert_eq!(table.enquire(first, 0), Standing::NeverSeen);
        assert_eq!((table.ended.len(), table.journals.len()), (REMEMBERED, KEPT));
    }

    #[test]
    fn a_command_that_only_writes_its_outcome_holds_nothing() {
        let mut table = table(1);
        let (one, two) = (CommandId::generate(), CommandId::generate());
        table.admit(one, true);
        table.claim(one, Target::project("shop")).unwrap();
        table.release(one);
        assert!(matches!(table.admit(two, true), Admission::Taken(_)));
        assert_eq!(table.claim(two, Target::project("shop")), Ok(()));
        assert!(matches!(table.enquire(one, 0), Standing::Running { .. }));
    }

    #[test]
    fn orders_beyond_all_bounds_are_not_taken() {
        let mut table = table(1);
        for _ in 0..MAX_PENDING {
            table.admit(CommandId::generate(), true);
        }
        assert!(matches!(table.admit(CommandId::generate(), true), Admission::Known(Standing::NeverSeen)));
    }

    #[test]
    fn the_first_reason_to_stop_stays() {
        let mut table = table(1);
        let id = CommandId::generate();
        let Admission::Taken(entry) = table.admit(id, true) else { panic!("there is a place") };
        table.halt(id, Why::Asked);
        table.halt(id, Why::Deadline);
        assert_eq!(table.why(id), Some(Why::Asked));
        assert!(entry.halt.is_cancelled());
    }
}
