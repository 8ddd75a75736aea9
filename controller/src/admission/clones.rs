//! Two machines with one identity: their boots replace each other again and again, which one machine's never do.
//!
//! A restart brings a boot that was never seen, and the old one never returns. When a boot *returns* after another
//! took its place, twice within five minutes, there are two machines. From then on whichever is connected keeps the
//! instance, and the other is refused until the connected one is gone.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use roadstead_protocol::message::ids::{BootId, InstanceId};
use tokio::time::Instant;

/// Returns that make two machines of one.
const RETURNS: usize = 2;

/// The time within which they count: two machines that both wait as long as the back-off lets them, 60 s, before they
/// take each other's place again have returned twice by then.
const WINDOW: Duration = Duration::from_secs(300);

/// How long two machines are remembered after the last was refused.
const MEMORY: Duration = Duration::from_secs(600);

/// Boots remembered of one instance.
const BOOTS: usize = 8;

/// What is remembered of every instance's boots.
#[derive(Default)]
pub(super) struct Clones {
    histories: Mutex<Histories>,
}

#[derive(Default)]
struct Histories {
    of: HashMap<InstanceId, History>,
    /// How many there may be before those that are too old to matter make room.
    sweep_at: usize,
}

/// Histories that are never worth a sweep.
const FEW: usize = 64;

impl Clones {
    /// Whether this boot may take the instance now, while `connected` is the boot that has it.
    pub(super) fn admits(&self, instance: &InstanceId, boot: BootId, connected: Option<BootId>) -> bool {
        let now = Instant::now();
        let mut histories = self.histories.lock().unwrap_or_else(PoisonError::into_inner);
        let admitted = histories.of.entry(instance.clone()).or_default().admits(boot, connected, now);
        // Instances come and go. Not with each of them, which would look at ten thousand ten thousand times.
        if histories.of.len() > histories.sweep_at {
            histories.of.retain(|_, history| history.matters(now));
            histories.sweep_at = (histories.of.len() * 2).max(FEW);
        }
        admitted
    }
}

/// The boots of one instance.
#[derive(Default)]
struct History {
    /// Admitted boots, the newest last; never the same twice in a row.
    admitted: VecDeque<(BootId, Instant)>,
    refused_at: Option<Instant>,
}

impl History {
    fn admits(&mut self, boot: BootId, connected: Option<BootId>, now: Instant) -> bool {
        let known_clones = self.refused_at.is_some_and(|at| now - at < MEMORY);
        if !known_clones {
            self.refused_at = None;
            self.admitted.retain(|(_, at)| now - *at < WINDOW);
        }
        let other_is_connected = connected.is_some_and(|connected| connected != boot);
        let was_here = self.admitted.iter().any(|(earlier, _)| *earlier == boot);
        let too_often = known_clones || self.returns() + 1 >= RETURNS;
        if other_is_connected && was_here && too_often {
            self.refused_at = Some(now);
            return false;
        }
        match self.admitted.back_mut() {
            Some((last, at)) if *last == boot => *at = now,
            _ => self.admitted.push_back((boot, now)),
        }
        if self.admitted.len() > BOOTS {
            self.admitted.pop_front();
        }
        true
    }

    /// How often a boot came back after another had taken its place.
    fn returns(&self) -> usize {
        let boots = self.admitted.iter().map(|(boot, _)| boot);
        boots
            .enumerate()
            .filter(|(place, boot)| self.admitted.range(..place).any(|(b, _)| b == *boot))
            .count()
    }

    fn matters(&self, now: Instant) -> bool {
        self.refused_at.is_some_and(|at| now - at < MEMORY)
            || self.admitted.back().is_some_and(|(_, at)| now - *at < WINDOW)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use roadstead_protocol::message::ids::BootId;
    use tokio::time::Instant;
    use uuid::Uuid;

    use super::{History, MEMORY, WINDOW};

    fn boot(number: u128) -> BootId {
        BootId(Uuid::from_u128(number))
    }

    /// Plays boots that connect `every` so often, each taking over from the last admitted one.
    fn play(boots: &[u128], every: Duration) -> Vec<bool> {
        let (mut history, mut now, mut connected) = (History::default(), Instant::now(), None);
        let mut results = Vec::new();
        for number in boots {
            let admitted = history.admits(boot(*number), connected, now);
            if admitted {
                connected = Some(boot(*number));
            }
            results.push(admitted);
            now += every;
        }
        results
    }

    #[test]
    fn one_machine_is_never_taken_for_two() {
        let second = Duration::from_secs(1);
        let restarts: Vec<u128> = (0..100).collect();
        for boots in [&restarts[..], &[1; 50], &[1, 1, 2, 2, 3, 3], &[1, 2, 1], &[1, 2, 2, 1, 1]] {
            assert!(play(boots, second).into_iter().all(|admitted| admitted), "{boots:?}");
        }
    }

    #[test]
    fn two_machines_are_told_apart_and_the_connected_one_stays() {
        let second = Duration::from_secs(1);
        assert_eq!(play(&[1, 2, 1, 2, 2, 1, 2], second), [true, true, true, false, false, true, false]);
        // Three machines; restarts in between do not hide it.
        assert_eq!(play(&[1, 2, 3, 1, 2], second), [true, true, true, true, false]);
        assert_eq!(play(&[1, 2, 1, 3, 2], second), [true, true, true, true, false]);
    }

    #[test]
    fn two_machines_at_the_end_of_their_back_off_are_told_apart_too() {
        let longest = Duration::from_secs(60);
        assert_eq!(play(&[1, 2, 1, 2, 1], longest), [true, true, true, false, true]);
    }

    #[test]
    fn slow_alternation_is_not_counted() {
        let slow = WINDOW;
        assert!(play(&[1, 2, 1, 2, 1, 2], slow).into_iter().all(|admitted| admitted));
    }

    #[test]
    fn the_refused_one_may_come_when_the_other_is_gone_or_time_has_passed() {
        let (mut history, now) = (History::default(), Instant::now());
        for (number, connected) in [(1, None), (2, Some(1)), (1, Some(2))] {
            assert!(history.admits(boot(number), connected.map(boot), now));
        }
        assert!(!history.admits(boot(2), Some(boot(1)), now));
        assert!(history.admits(boot(2), None, now));
        assert!(!history.admits(boot(1), Some(boot(2)), now));
        assert!(history.matters(now));
        assert!(history.admits(boot(1), Some(boot(2)), now + MEMORY));
        assert!(!history.matters(now + MEMORY + WINDOW));
    }
}
