//! The engine's events that were recorded lately, so that those it replays are not recorded twice.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashSet, VecDeque};
use std::hash::{Hash, Hasher};

use roadstead_protocol::message::event::EventKind;
use roadstead_protocol::message::time::UnixMicros;

/// How many are remembered: several times what any engine replays.
const ROOM: usize = 1024;

type Print = (UnixMicros, u64);

#[derive(Debug, Default)]
pub(super) struct Seen {
    prints: HashSet<Print>,
    order: VecDeque<Print>,
    newest: Option<UnixMicros>,
}

impl Seen {
    /// Whether this event is new; from now on it is not.
    pub fn is_new(&mut self, at: UnixMicros, what: &EventKind) -> bool {
        let print = (at, hash(what));
        if !self.prints.insert(print) {
            return false;
        }
        self.newest = self.newest.max(Some(at));
        self.order.push_back(print);
        if self.order.len() > ROOM
            && let Some(oldest) = self.order.pop_front()
        {
            self.prints.remove(&oldest);
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
        for at in 0..5_000 {
            seen.is_new(UnixMicros(at), &event("pull"));
        }
        assert_eq!((seen.prints.len(), seen.order.len()), (ROOM, ROOM));
        assert!(!seen.is_new(UnixMicros(4_999), &event("pull")));
    }
}
