//! Connections that wait for a place: every source has its turn, and nobody waits longer than a dialler does.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

/// How long one may wait. An agent that dialled has thirty seconds in all, and the handshake is still to come.
const PATIENCE: Duration = Duration::from_secs(20);

/// What waits, first come first served within a source.
pub(super) struct Waiting<T> {
    most: usize,
    count: usize,
    queues: HashMap<IpAddr, VecDeque<(Instant, T)>>,
    /// The sources that have something waiting, the next one first.
    turns: VecDeque<IpAddr>,
}

impl<T> Waiting<T> {
    /// For at most so many, half of them from one source.
    pub(super) fn new(most: usize) -> Self {
        Self { most, count: 0, queues: HashMap::new(), turns: VecDeque::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Lets one wait; false if there is no room, and it is dropped.
    pub(super) fn push(&mut self, source: IpAddr, one: T, now: Instant) -> bool {
        let of_source = self.queues.get(&source).map_or(0, VecDeque::len);
        if self.count >= self.most || of_source >= self.most.div_ceil(2) {
            return false;
        }
        if of_source == 0 {
            self.turns.push_back(source);
        }
        self.queues.entry(source).or_default().push_back((now + PATIENCE, one));
        self.count += 1;
        true
    }

    /// The next for whose source `take` finds a place, and that. Those that have waited too long are dropped.
    pub(super) fn next<P>(&mut self, now: Instant, take: impl Fn(IpAddr) -> Option<P>) -> Option<(P, T)> {
        for _ in 0..self.turns.len() {
            let source = self.turns.pop_front()?;
            let Some(queue) = self.queues.get_mut(&source) else { continue };
            while queue.front().is_some_and(|(until, _)| *until <= now) {
                queue.pop_front();
                self.count -= 1;
            }
            let place = if queue.is_empty() { None } else { take(source) };
            let next = place.and_then(|place| queue.pop_front().map(|(_, one)| (place, one)));
            if queue.is_empty() {
                self.queues.remove(&source);
            } else {
                self.turns.push_back(source);
            }
            if next.is_some() {
                self.count -= 1;
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
        let (mut waiting, now) = (Waiting::new(8), Instant::now());
        for (source, name) in [(1, "a"), (1, "b"), (2, "c"), (3, "d")] {
            assert!(waiting.push(address(source), name, now));
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
    fn one_source_leaves_half_of_the_room_to_others() {
        let (mut waiting, now) = (Waiting::new(4), Instant::now());
        let taken = |waiting: &mut Waiting<u8>, source| waiting.push(address(source), source, now);
        assert_eq!(
            [1, 1, 1, 2, 2, 3].map(|source| taken(&mut waiting, source)),
            [true, true, false, true, true, false]
        );
    }

    #[test]
    fn who_has_waited_too_long_is_dropped() {
        let (mut waiting, now) = (Waiting::new(4), Instant::now());
        waiting.push(address(1), "early", now);
        waiting.push(address(1), "late", now + PATIENCE);
        let next = waiting.next(now + PATIENCE, |_| Some(()));
        assert_eq!(next.map(|(_, name)| name), Some("late"));
        assert!(waiting.is_empty());
    }
}
