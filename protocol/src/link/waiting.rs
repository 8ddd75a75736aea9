//! Connections that wait for a place: every source has its turn, and nobody waits longer than a dialler does.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

/// How long one may wait. An agent that dialled has thirty seconds in all, and the handshake is still to come.
const PATIENCE: Duration = Duration::from_secs(20);

/// So many sources are looked at to find one that makes room.
const LOOKS: usize = 16;

/// What waits, first come first served within a source. Whoever lets it wait bounds its number.
pub(super) struct Waiting<T> {
    queues: HashMap<IpAddr, VecDeque<(Instant, T)>>,
    /// The sources that have something waiting, the next one first.
    turns: VecDeque<IpAddr>,
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self { queues: HashMap::new(), turns: VecDeque::new() }
    }
}

impl<T> Waiting<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    pub(super) fn push(&mut self, source: IpAddr, one: T, now: Instant) {
        let queue = self.queues.entry(source).or_default();
        if queue.is_empty() {
            self.turns.push_back(source);
        }
        queue.push_back((now + PATIENCE, one));
    }

    /// Whether something of this source waits.
    pub(super) fn has(&self, source: IpAddr) -> bool {
        self.queues.contains_key(&source)
    }

    /// Drops the last one of a source that has more waiting than `fewer`; false if there is none among the next few.
    pub(super) fn make_room(&mut self, fewer: usize) -> bool {
        let length = |source: &IpAddr| self.queues.get(source).map_or(0, VecDeque::len);
        let longest = self.turns.iter().take(LOOKS).max_by_key(|source| length(source)).copied();
        let Some(longest) = longest.filter(|source| length(source) > fewer.max(1)) else { return false };
        self.queues.get_mut(&longest).and_then(VecDeque::pop_back).is_some()
    }

    /// The next for whose source `take` finds a place, and that. Those that have waited too long are dropped.
    pub(super) fn next<P>(&mut self, now: Instant, take: impl Fn(IpAddr) -> Option<P>) -> Option<(P, T)> {
        for _ in 0..self.turns.len() {
            let source = self.turns.pop_front()?;
            let Some(queue) = self.queues.get_mut(&source) else { continue };
            while queue.pop_front_if(|(until, _)| *until <= now).is_some() {}
            let place = if queue.is_empty() { None } else { take(source) };
            let next = place.and_then(|place| queue.pop_front().map(|(_, one)| (place, one)));
            if queue.is_empty() {
                self.queues.remove(&source);
            } else {
                self.turns.push_back(source);
            }
            if next.is_some() {
                return next;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{PATIENCE, Waiting};
    use std::net::IpAddr;
    use tokio::time::Instant;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn sources_take_turns_and_one_without_a_place_is_passed_over() {
        let (mut waiting, now) = (Waiting::default(), Instant::now());
        for (source, name) in [(1, "a"), (1, "b"), (2, "c"), (3, "d")] {
            waiting.push(address(source), name, now);
        }
        let mut next = |full: u8| {
            waiting.next(now, |source| (source != address(full)).then_some(())).map(|(_, name)| name)
        };
        assert_eq!([next(0), next(0), next(1)], [Some("a"), Some("c"), Some("d")]);
        assert_eq!(next(1), None, "only its own source has something waiting");
        assert_eq!([next(0), next(0)], [Some("b"), None]);
        assert!(waiting.is_empty() && waiting.queues.is_empty() && waiting.turns.is_empty());
    }

    #[test]
    fn a_source_with_more_makes_room_for_one_with_less() {
        let (mut waiting, now) = (Waiting::default(), Instant::now());
        for (source, name) in [(1, "a"), (2, "b"), (2, "c"), (2, "d"), (3, "e"), (3, "f")] {
            waiting.push(address(source), name, now);
        }
        assert!(!waiting.make_room(3), "nobody has more");
        assert!(waiting.make_room(2) && waiting.make_room(1) && waiting.make_room(0));
        assert!(!waiting.make_room(0), "the only one of its source stays");
        let left: Vec<_> =
            std::iter::from_fn(|| waiting.next(now, |_| Some(())).map(|(_, name)| name)).collect();
        assert_eq!(left, ["a", "b", "e"]);
    }

    #[test]
    fn who_has_waited_too_long_is_dropped() {
        let (mut waiting, now) = (Waiting::default(), Instant::now());
        waiting.push(address(1), "early", now);
        waiting.push(address(1), "late", now + PATIENCE);
        let next = waiting.next(now + PATIENCE, |_| Some(()));
        assert_eq!(next.map(|(_, name)| name), Some("late"));
        assert!(waiting.is_empty());
    }
}
