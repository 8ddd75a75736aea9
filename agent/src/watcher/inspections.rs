//! Which containers to look at again, and when. Pure.
//!
//! However many events a container makes, it is looked at once at a time; after a few looks in a row it is left alone
//! for a moment each time, and the others come first: a container in a crash loop costs little and delays nobody.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use roadstead_protocol::message::ids::ContainerId;
use tokio::time::Instant;

/// How long a container is left alone after a look, unless it has looks at once left.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a container is left alone after the first look that failed; after each further one twice as long, up to
/// [`LONGEST`].
const RETRY: Duration = Duration::from_secs(1);

/// See [`RETRY`].
const LONGEST: Duration = Duration::from_secs(300);

/// Looks at one container with no pause between: a restart is four events, some milliseconds apart.
const AT_ONCE: u32 = 4;

#[derive(Debug, Default)]
pub(super) struct Inspections {
    states: HashMap<ContainerId, Watched>,
    /// Containers to look at now, each once, first come first served.
    due: VecDeque<ContainerId>,
}

#[derive(Clone, Copy, Debug)]
struct Watched {
    state: State,
    /// Looks in a row, with no quiet pause between.
    looks: u32,
    /// Looks in a row that failed.
    failures: u32,
}

impl Watched {
    const DUE: Self = Self { state: State::Due, looks: 0, failures: 0 };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In `due`.
    Due,
    /// Being looked at; `again` if something happened meanwhile.
    Looking { again: bool },
    /// Looked at a moment ago; `again` if something happened since.
    Resting { until: Instant, again: bool },
}

impl Inspections {
    /// Something happened to a container.
    pub fn want(&mut self, id: &ContainerId) {
        let Some(watched) = self.states.get_mut(id) else {
            self.states.insert(id.clone(), Watched::DUE);
            self.due.push_back(id.clone());
            return;
        };
        match &mut watched.state {
            State::Due => {}
            State::Resting { .. } if watched.looks < AT_ONCE => {
                watched.state = State::Due;
                self.due.push_back(id.clone());
            }
            State::Looking { again } | State::Resting { again, .. } => *again = true,
        }
    }

    /// What the looks under way will find may be out of date: they are repeated.
    pub fn want_again(&mut self) {
        for watched in self.states.values_mut() {
            if let State::Looking { again } = &mut watched.state {
                *again = true;
            }
        }
    }

    /// The next one to look at, which counts as being looked at from now on.
    pub fn next(&mut self) -> Option<ContainerId> {
        let id = self.due.pop_front()?;
        if let Some(watched) = self.states.get_mut(&id) {
            watched.state = State::Looking { again: false };
            watched.looks = watched.looks.saturating_add(1);
        }
        Some(id)
    }

    /// A look has ended.
    pub fn done(&mut self, id: &ContainerId, now: Instant) {
        let Some(watched) = self.states.get_mut(id) else { return };
        let again = watched.state == State::Looking { again: true };
        watched.failures = 0;
        if again && watched.looks < AT_ONCE {
            watched.state = State::Due;
            self.due.push_back(id.clone());
        } else {
            watched.state = State::Resting { until: now + PAUSE, again };
        }
    }

    /// A look has failed: what is known of the container is old until one succeeds.
    pub fn failed(&mut self, id: &ContainerId, now: Instant) {
        let watched = self.states.entry(id.clone()).or_insert(Watched::DUE);
        let pause = RETRY.saturating_mul(1 << watched.failures.min(16)).min(LONGEST);
        watched.failures = watched.failures.saturating_add(1);
        watched.looks = AT_ONCE;
        watched.state = State::Resting { until: now + pause, again: true };
        self.due.retain(|due| due != id);
    }

    /// What is to happen to a container may have ended what made looks at it fail: the next one need not wait.
    pub fn afresh(&mut self, id: &ContainerId) {
        if matches!(self.states.get(id), Some(Watched { state: State::Resting { .. }, failures: 1.., .. })) {
            self.states.remove(id);
        }
    }

    /// Lets those go on whose rest is over, and tells when the next one's will be.
    pub fn wake(&mut self, now: Instant) -> Option<Instant> {
        let mut next = None;
        let due = &mut self.due;
        self.states.retain(|id, watched| match watched.state {
            State::Resting { until, again } if until <= now => {
                if again {
                    watched.state = State::Due;
                    due.push_back(id.clone());
                }
                again
            }
            State::Resting { until, .. } => {
                next = Some(next.map_or(until, |next: Instant| next.min(until)));
                true
            }
            State::Due | State::Looking { .. } => true,
        });
        next
    }

    /// Whether a look at this container is due or under way, so that what is known of it may be old.
    pub fn is_pending(&self, id: &ContainerId) -> bool {
        self.states
            .get(id)
            .is_some_and(|watched| !matches!(watched.state, State::Resting { again: false, .. }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(digit: char) -> ContainerId {
        ContainerId::try_from(digit.to_string().repeat(64)).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn what_follows_a_look_is_seen_at_once_a_few_times() {
        let mut inspections = Inspections::default();
        for _ in 0..AT_ONCE {
            inspections.want(&id('a'));
            assert_eq!(inspections.next(), Some(id('a')));
            inspections.done(&id('a'), Instant::now());
        }
        inspections.want(&id('a'));
        assert_eq!(inspections.next(), None, "it rests");
        for _ in 0..3 {
            tokio::time::advance(PAUSE).await;
            inspections.wake(Instant::now());
            assert_eq!(inspections.next(), Some(id('a')));
            inspections.want(&id('a'));
            inspections.done(&id('a'), Instant::now());
            assert_eq!(inspections.next(), None, "one that is never quiet rests after every look");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_fails_is_repeated_less_and_less_often_and_never_forgotten() {
        let mut inspections = Inspections::default();
        inspections.failed(&id('a'), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..12 {
            assert!(inspections.is_pending(&id('a')));
            inspections.want(&id('a'));
            assert_eq!(inspections.next(), None, "it rests, whatever happens to it");
            let next = inspections.wake(Instant::now()).unwrap();
            pauses.push((next - Instant::now()).as_secs());
            tokio::time::advance(next - Instant::now()).await;
            inspections.wake(Instant::now());
            assert_eq!(inspections.next(), Some(id('a')));
            inspections.failed(&id('a'), Instant::now());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        inspections.afresh(&id('a'));
        inspections.want(&id('a'));
        assert_eq!(inspections.next(), Some(id('a')));
        inspections.done(&id('a'), Instant::now());
        assert!(!inspections.is_pending(&id('a')));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_one_delays_no_other() {
        let mut inspections = Inspections::default();
        let flood = |inspections: &mut Inspections| (0..1_000).for_each(|_| inspections.want(&id('a')));
        flood(&mut inspections);
        inspections.want(&id('b'));
        assert_eq!(
            [inspections.next(), inspections.next(), inspections.next()],
            [Some(id('a')), Some(id('b')), None]
        );
        flood(&mut inspections);
        assert!(inspections.is_pending(&id('a')));
        inspections.done(&id('b'), Instant::now());
        let mut looks = 1;
        loop {
            inspections.done(&id('a'), Instant::now());
            if inspections.next().is_none() {
                break;
            }
            flood(&mut inspections);
            looks += 1;
        }
        assert_eq!(looks, AT_ONCE);
        assert!(inspections.is_pending(&id('a')) && !inspections.is_pending(&id('b')));
        assert_eq!(inspections.wake(Instant::now()), Some(Instant::now() + PAUSE));
        tokio::time::advance(PAUSE).await;
        assert_eq!(inspections.wake(Instant::now()), None);
        assert_eq!([inspections.next(), inspections.next()], [Some(id('a')), None]);
        inspections.done(&id('a'), Instant::now());
        tokio::time::advance(PAUSE).await;
        inspections.wake(Instant::now());
        assert!(inspections.states.is_empty(), "nothing is kept of those that are quiet");
    }
}
