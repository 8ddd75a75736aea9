//! What goes wrong, when, for how long and where: a list that follows from a seed. Pure.

use std::fmt;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

/// What is asked of a schedule.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    /// The same seed gives the same schedule.
    pub seed: u64,
    /// How many faults.
    pub faults: usize,
    /// How many hosts have an engine of their own that is made up.
    pub hosts: usize,
    /// The time in which all of them begin.
    pub span: Duration,
    /// The longest that one lasts.
    pub longest: Duration,
}

/// A thing that can go wrong with a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HostFault {
    /// SIGKILL of the agent, and a new start at the end.
    Kill,
    /// SIGSTOP, and SIGCONT at the end.
    Freeze,
    /// The cable is pulled.
    CableOut,
    /// 30 % of the packets are lost, 100 kbit/s, 300 ms of delay.
    BadLine,
    /// Nothing arrives, everything leaves; nobody is told.
    Deaf,
    /// Everything arrives, nothing leaves; nobody is told.
    Mute,
    /// Every connection is closed; new ones pass.
    Cut,
    /// A second machine with a copy of the agent's data; only where the agent dials.
    Copy,
}

/// A thing that can go wrong with the controller or the real engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProgramFault {
    /// SIGKILL, and a new start at the end.
    Kill,
    /// SIGSTOP, and SIGCONT at the end.
    Freeze,
    /// SIGTERM, and a new start at the end.
    Stop,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Of the host with this number.
    Host(usize, HostFault),
    /// Of the controller.
    Controller(ProgramFault),
    /// Of the real engine.
    Engine(ProgramFault),
}

/// One entry of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// When it begins, from the start.
    pub at: Duration,
    /// How long it lasts.
    pub lasting: Duration,
    /// What goes wrong.
    pub fault: Fault,
}

const HOST_FAULTS: [HostFault; 8] = [
    HostFault::Kill,
    HostFault::Freeze,
    HostFault::CableOut,
    HostFault::BadLine,
    HostFault::Deaf,
    HostFault::Mute,
    HostFault::Cut,
    HostFault::Copy,
];

const PROGRAM_FAULTS: [ProgramFault; 3] = [ProgramFault::Kill, ProgramFault::Freeze, ProgramFault::Stop];

/// The shortest that a fault lasts.
const SHORTEST: Duration = Duration::from_millis(500);

/// The schedule that a wish comes to, in order of time. Every kind of fault has its turn before any has its second.
pub fn schedule(wish: Wish) -> Vec<Step> {
    let mut chance = StdRng::seed_from_u64(wish.seed);
    let mut kinds = Vec::new();
    let mut steps: Vec<Step> = (0..wish.faults)
        .map(|number| {
            if kinds.is_empty() {
                kinds = kinds_of(wish.hosts);
            }
            let fault = kinds.swap_remove(chance.random_range(0..kinds.len()));
            let fault = match fault {
                // Every second host is dialled, and a copy of it would never be found.
                Fault::Host(_, HostFault::Copy) => {
                    Fault::Host(chance.random_range(0..wish.hosts.div_ceil(2)) * 2, HostFault::Copy)
                }
                Fault::Host(_, fault) => Fault::Host(chance.random_range(0..wish.hosts), fault),
                fault => fault,
            };
            let place = (number as f64 + chance.random_range(0.0..1.0)) / wish.faults as f64;
            // Most are short, some are long enough that whoever waits gives up.
            let part: f64 = chance.random_range(0.0..1.0);
            let lasting = SHORTEST + wish.longest.saturating_sub(SHORTEST).mul_f64(part * part);
            Step { at: wish.span.mul_f64(place), lasting, fault }
        })
        .collect();
    steps.sort_by_key(|step| step.at);
    steps
}

/// Each kind once, those of hosts more often where there are many, lest the controller be away all the time; the
/// controller's killing twice, being what everybody depends on.
fn kinds_of(hosts: usize) -> Vec<Fault> {
    let of_hosts = HOST_FAULTS.repeat((hosts / 7).max(1)).into_iter().map(|fault| Fault::Host(0, fault));
    let controller = PROGRAM_FAULTS.iter().map(|fault| Fault::Controller(*fault));
    let engine = PROGRAM_FAULTS.iter().map(|fault| Fault::Engine(*fault));
    let again = [Fault::Controller(ProgramFault::Kill)];
    of_hosts.chain(controller).chain(engine).chain(again).collect()
}

/// The steps of one lane: what happens to one program or host, one after the other.
pub fn lane(steps: &[Step], of: impl Fn(Fault) -> bool) -> Vec<Step> {
    steps.iter().copied().filter(|step| of(step.fault)).collect()
}

impl fmt::Display for Step {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, lasting) = (self.at.as_secs_f64(), self.lasting.as_secs_f64());
        match self.fault {
            Fault::Host(host, fault) => write!(to, "{at:8.2} s  host {host}: {fault:?} for {lasting:.2} s"),
            Fault::Controller(fault) => write!(to, "{at:8.2} s  controller: {fault:?} for {lasting:.2} s"),
            Fault::Engine(fault) => write!(to, "{at:8.2} s  engine: {fault:?} for {lasting:.2} s"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(_, fault) => write!(to, "{fault:?}"),
            Self::Controller(fault) => write!(to, "controller {fault:?}"),
            Self::Engine(fault) => write!(to, "engine {fault:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn wish(seed: u64) -> Wish {
        Wish { seed, faults: 200, hosts: 5, span: Duration::from_secs(100), longest: Duration::from_secs(50) }
    }

    #[test]
    fn a_seed_is_a_schedule() {
        assert_eq!(schedule(wish(7)), schedule(wish(7)));
        assert_ne!(schedule(wish(7)), schedule(wish(8)));
    }

    #[test]
    fn steps_are_in_order_within_the_span_and_of_every_kind() {
        let steps = schedule(wish(1));
        assert_eq!(steps.len(), 200);
        assert!(steps.windows(2).all(|pair| pair[0].at <= pair[1].at));
        assert!(steps.iter().all(|step| step.at <= Duration::from_secs(100)));
        assert!(steps.iter().all(|step| (SHORTEST..=Duration::from_secs(50)).contains(&step.lasting)));
        let kinds: HashSet<_> = steps
            .iter()
            .map(|step| match step.fault {
                Fault::Host(_, fault) => Fault::Host(0, fault),
                fault => fault,
            })
            .collect();
        assert_eq!(kinds.len(), 14);
        let few: HashSet<_> =
            schedule(Wish { faults: 15, ..wish(3) }).iter().map(|s| s.fault.to_string()).collect();
        assert!(few.len() == 14, "{few:?}");
    }

    #[test]
    fn only_hosts_that_dial_are_copied() {
        let copied = schedule(wish(4)).into_iter().filter_map(|step| match step.fault {
            Fault::Host(host, HostFault::Copy) => Some(host),
            _ => None,
        });
        assert!(copied.into_iter().all(|host| host % 2 == 0));
    }
}
