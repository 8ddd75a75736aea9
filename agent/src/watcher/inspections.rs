//! Which containers to look at again, and when. Pure.
//!
//! However many events a container makes, it is looked at once at a time and then left alone for a moment, and the
//! others come first: a container in a crash loop costs little and delays nobody.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use roadstead_protocol::message::ids::ContainerId;
use tokio::time::Instant;

/// How long a container is left alone after a look.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug, Default)]
pub(super) struct Inspections {
    states: HashMap<ContainerId, State>,
    /// Containers to look at now, each once, first come first served.
    due: VecDeque<ContainerId>,
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
        match self.states.get_mut(id) {
            None => {
                self.states.insert(id.clone(), State::Due);
                self.due.push_back(id.clone());
            }
            Some(State::Due) => {}
            Some(State::Looking { again } | State::Resting { again, .. }) => *again = true,
        }
    }

    /// What the looks under way will find may be out of date: they are repeated.
    pub fn want_again(&mut self) {
        for state in self.states.values_mut() {
            if let State::Looking { again } = state {
                *again = true;
            }
        }
    }

    /// The next one to look at, which counts as being looked at from now on.
    pub fn next(&mut self) -> Option<ContainerId> {
        let id = self.due.pop_front()?;
        self.states.insert(id.clone(), State::Looking { again: false });
        Some(id)
    }

    /// A look has ended.
    pub fn done(&mut self, id: &ContainerId, now: Instant) {
        if let Some(state) = self.states.get_mut(id) {
            let again = *state == State::Looking { again: true };
            *state = State::Resting { until: now + PAUSE, again };
        }
    }

    /// Lets those go on whose rest is over, and tells when the next one's will be.
    pub fn wake(&mut self, now: Instant) -> Option<Instant> {
        let mut next = None;
        let due = &mut self.due;
        self.states.retain(|id, state| match *state {
            State::Resting { until, again } if until <= now => {
                if again {
                    *state = State::Due;
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
        !matches!(self.states.get(id), None | Some(State::Resting { again: false, .. }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(digit: char) -> ContainerId {
        ContainerId::try_from(digit.to_string().repeat(64)).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_one_delays_no_other() {
        let mut inspections = Inspections::default();
        for _ in 0..1_000 {
            inspections.want(&id('a'));
        }
        inspections.want(&id('b'));
        assert_eq!(
            [inspections.next(), inspections.next(), inspections.next()],
            [Some(id('a')), Some(id('b')), None]
        );
        inspections.want(&id('a'));
        assert!(inspections.is_pending(&id('a')));
        inspections.done(&id('a'), Instant::now());
        inspections.done(&id('b'), Instant::now());
        assert_eq!(inspections.next(), None, "it rests");
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
