//! Connections that wait for a place: every source has its turn, and nobody waits longer than a dialler does. Who has said
//! what begins a handshake goes before who trickles it, and where there is no more room, it is those who make it.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

/// How long one may wait. An agent that dialled has thirty seconds in all, and the handshake is still to come.
const PATIENCE: Duration = Duration::from_secs(20);

/// So many are looked at to find one that makes room for another.
const LOOKS: usize = 8;

/// What waits, first come first served within a source.
pub(super) struct Waiting<T> {
    most: usize,
    ready: fn(&T) -> bool,
    count: usize,
    queues: HashMap<IpAddr, VecDeque<(Instant, T)>>,
    /// The sources that have something waiting, the next one first.
    turns: VecDeque<IpAddr>,
}

impl<T> Waiting<T> {
    /// For at most so many, half of them from one source. `ready` tells who would not keep a place waiting.
    pub(super) fn new(most: usize, ready: fn(&T) -> bool) -> Self {
        Self { most, ready, count: 0, queues: HashMap::new(), turns: VecDeque::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Lets one wait, if need be in the place of one that is not ready; false if there is no room, and it is dropped.
    pub(super) fn push(&mut self, source: IpAddr, one: T, now: Instant) -> bool {
        let of_source = |waiting: &Self| waiting.queues.get(&source).map_or(0, VecDeque::len);
        if of_source(self) >= self.most.div_ceil(2) || self.count >= self.most && !self.make_room() {
            return false;
        }
        let of_source = of_source(self);
        if of_source == 0 {
            self.turns.push_back(source);
        }
        self.queues.entry(source).or_default().push_back((now + PATIENCE, one));
        self.count += 1;
        true
    }

    /// Drops one that has waited long and is not ready; false if none is found soon.
    fn make_room(&mut self) -> bool {
        for _ in 0..self.turns.len().min(LOOKS) {
            let Some(source) = self.turns.pop_front() else { break };
            let Some(queue) = self.queues.get_mut(&source) else { continue };
            let idle = queue.pop_front_if(|(_, one)| !(self.ready)(one)).is_some();
            if queue.is_empty() {
                self.queues.remove(&source);
            } else {
                self.turns.push_back(source);
            }
            if idle {
                self.count -= 1;
                return true;
            }
        }
        false
    }

    /// The next for whose source `take` finds a place, and that: one that is ready, else whoever's turn it is. Those that
    /// have waited too long are dropped.
    pub(super) fn next<P>(&mut self, now: Instant, take: impl Fn(IpAddr) -> Option<P>) -> Option<(P, T)> {
        self.next_ready(now, &take).or_else(|| self.next_in_turn(now, take))
    }

    fn next_ready<P>(&mut self, now: Instant, take: &impl Fn(IpAddr) -> Option<P>) -> Option<(P, T)> {
        // Of each source the first and the last: a crowd behind one address is not looked through.
        let found = self.turns.iter().enumerate().find_map(|(turn, source)| {
            let queue = self.queues.get(source)?;
            let ready =
                |at: &usize| queue.get(*at).is_some_and(|(until, one)| *until > now && (self.ready)(one));
            let at = [0, queue.len().saturating_sub(1)].into_iter().find(ready)?;
            Some((turn, *source, at, take(*source)?))
        });
        let (turn, source, at, place) = found?;
        self.turns.remove(turn);
        let queue = self.queues.get_mut(&source)?;
        let (_, one) = queue.remove(at)?;
        self.count -= 1;
        if queue.is_empty() {
            self.queues.remove(&source);
        } else {
            self.turns.push_back(source);
        }
        Some((place, one))
    }

    fn next_in_turn<P>(&mut self, now: Instant, take: impl Fn(IpAddr) -> Option<P>) -> Option<(P, T)> {
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
        let (mut waiting, now) = (Waiting::new(8, |_| false), Instant::now());
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
        let (mut waiting, now) = (Waiting::new(4, |_| true), Instant::now());
        let taken = |waiting: &mut Waiting<u8>, source| waiting.push(address(source), source, now);
        assert_eq!(
            [1, 1, 1, 2, 2, 3].map(|source| taken(&mut waiting, source)),
            [true, true, false, true, true, false]
        );
    }

    #[test]
    fn who_has_waited_too_long_is_dropped() {
        let (mut waiting, now) = (Waiting::new(4, |_| false), Instant::now());
        waiting.push(address(1), "early", now);
        waiting.push(address(1), "late", now + PATIENCE);
        let next = waiting.next(now + PATIENCE, |_| Some(()));
        assert_eq!(next.map(|(_, name)| name), Some("late"));
        assert!(waiting.is_empty());
    }
    #[test]
    fn who_has_said_hello_goes_first_and_who_has_not_makes_room() {
        let (mut waiting, now) = (Waiting::new(6, |name: &&str| name.starts_with("hello")), Instant::now());
        for (source, name) in [(1, "slow"), (1, "slower"), (2, "slow 2"), (3, "hello"), (3, "slow 3")] {
            assert!(waiting.push(address(source), name, now));
        }
        assert!(waiting.push(address(4), "hello 4", now));
        assert!(waiting.push(address(5), "hello 5", now), "one that is slow makes room");
        let mut next = |full: u8| {
            waiting.next(now, |source| (source != address(full)).then_some(())).map(|(_, name)| name)
        };
        assert_eq!([next(0), next(5)], [Some("hello"), Some("hello 4")]);
        let rest: Vec<_> = std::iter::from_fn(|| next(0)).collect();
        assert_eq!(rest[0], "hello 5");
        assert_eq!(rest.len(), 4, "{rest:?}");
        assert!(waiting.is_empty() && waiting.queues.is_empty() && waiting.turns.is_empty());
        let all_said: Vec<_> = (1..=7).map(|source| waiting.push(address(source), "hello", now)).collect();
        assert_eq!(all_said, [true, true, true, true, true, true, false]);
    }
}
