//! The engine's events that were recorded lately, so that those it replays are not recorded twice.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::time::Duration;

use roadstead_protocol::message::event::EventKind;
use roadstead_protocol::message::time::UnixMicros;

/// How many are remembered, however old: several times what a `dockerd` replays.
const ROOM: usize = 1024;

/// How many are remembered of an engine that tells very many in so short a time that it is asked for all of them again.
const MOST: usize = 16 * 1024;

/// How far before the last recorded event the engine is asked to begin.
const OVERLAP: Duration = Duration::from_secs(2);

type Print = (UnixMicros, u64);

#[derive(Debug, Default)]
pub(super) struct Seen {
    prints: HashSet<Print>,
    order: VecDeque<Print>,
    newest: Option<UnixMicros>,
}

impl Seen {
    /// Whether this event is among those that are remembered.
    pub fn knows(&self, at: UnixMicros, what: &EventKind) -> bool {
        self.prints.contains(&(at, hash(what)))
    }

    /// Whether this event is new; from now on it is not.
    pub fn is_new(&mut self, at: UnixMicros, what: &EventKind) -> bool {
        let print = (at, hash(what));
        if !self.prints.insert(print) {
            return false;
        }
        self.newest = self.newest.max(Some(at));
        self.order.push_back(print);
        let from = self.newest.map(back);
        while let Some(oldest) = self.order.front()
            && self.order.len() > ROOM
            && (self.order.len() > MOST || Some(oldest.0) < from)
        {
            self.prints.remove(oldest);
            self.order.pop_front();
        }
        true
    }

    /// Takes a time into account of which the event itself is no longer known.
    pub fn reached(&mut self, at: UnixMicros) {
        self.newest = self.newest.max(Some(at));
    }

    /// The newest time of any event.
    pub fn newest(&self) -> Option<UnixMicros> {
        self.newest
    }
}

/// From when on an engine is asked for what followed an event: its events are not strictly in the order of their times.
pub(super) fn back(time: UnixMicros) -> UnixMicros {
    time.minus(OVERLAP)
}

fn hash(what: &EventKind) -> u64 {
    let mut hasher = DefaultHasher::new();
    match what {
        EventKind::Container { id, action, .. } => (id, action).hash(&mut hasher),
        EventKind::Engine { object, id, action } => (object, id, action).hash(&mut hasher),
        // Nothing else comes from an engine.
        _ => {}
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(action: &str) -> EventKind {
        EventKind::Engine { object: "image".to_owned(), id: "base".to_owned(), action: action.to_owned() }
    }

    #[test]
    fn repeats_are_known_and_others_are_not() {
        let mut seen = Seen::default();
        assert!(seen.is_new(UnixMicros(5), &event("pull")));
        assert!(seen.is_new(UnixMicros(5), &event("tag")));
        assert!(seen.is_new(UnixMicros(4), &event("pull")));
        assert!(!seen.is_new(UnixMicros(5), &event("pull")));
        assert_eq!(seen.newest(), Some(UnixMicros(5)));
    }

    #[test]
    fn memory_is_bounded() {
        let mut seen = Seen::default();
        for second in 0..5_000 {
            seen.is_new(UnixMicros::from_secs(second), &event("pull"));
        }
        assert_eq!((seen.prints.len(), seen.order.len()), (ROOM, ROOM));
        assert!(!seen.is_new(UnixMicros::from_secs(4_999), &event("pull")));
        for micros in 0..100_000 {
            seen.is_new(UnixMicros(UnixMicros::from_secs(6_000).0 + micros), &event("pull"));
        }
        assert_eq!((seen.prints.len(), seen.order.len()), (MOST, MOST));
    }

    #[test]
    fn whatever_an_engine_is_asked_for_again_is_known() {
        let mut seen = Seen::default();
        let begin = UnixMicros::from_secs(1_000);
        for thousandth in 0..8_000 {
            seen.is_new(UnixMicros(begin.0 + thousandth * 1_000), &event("pull"));
        }
        let asked = back(seen.newest().unwrap());
        assert_eq!(asked, UnixMicros(begin.0 + 5_999_000));
        assert!((6_000..8_000).all(|at| !seen.is_new(UnixMicros(begin.0 + at * 1_000), &event("pull"))));
    }
}
