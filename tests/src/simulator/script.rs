//! What simulated agents do, and how often.

use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use anyhow::ensure;
use clap::{Args, Parser};

/// What simulated agents do, and how often. Rates are those of the whole fleet.
#[derive(Debug, Clone, Args)]
pub struct Script {
    /// How many agents.
    #[arg(long, default_value_t = 100)]
    pub agents: usize,
    /// How many of them wait to be dialled by the controller. Needs --api; the controller has to allow the address of
    /// --listen in ROADSTEAD_DIAL_ALLOW.
    #[arg(long, default_value_t = 0)]
    pub inbound: usize,
    /// Where those listen, each on a free port.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub listen: IpAddr,
    /// Addresses of this machine to dial from, in turns: ADDRESS or ADDRESS+COUNT for COUNT of them from there
    /// (127.0.1.1+20). One address has 28,000 ports at most. Left out, the system chooses.
    #[arg(long = "source", value_name = "ADDRESS[+COUNT]")]
    pub sources: Vec<Sources>,
    /// Containers of each host.
    #[arg(long, default_value_t = 10)]
    pub containers: usize,
    /// Seconds over which first links are spread; 0 is a stampede.
    #[arg(long, default_value_t = 0.0, value_name = "SECONDS")]
    pub ramp: f64,
    /// Starts and stops of containers per second: each an event and a change of the picture.
    #[arg(long, default_value_t = 0.0, value_name = "PER SECOND")]
    pub events: f64,
    /// Containers per second that are replaced by new ones: four events and two changes each.
    #[arg(long, default_value_t = 0.0, value_name = "PER SECOND")]
    pub churn: f64,
    /// Seconds between storms, in which every agent has many events at once; 0 for none.
    #[arg(long, default_value_t = 0.0, value_name = "SECONDS")]
    pub storm_every: f64,
    /// Events of each agent in a storm.
    #[arg(long, default_value_t = 100)]
    pub storm_size: usize,
    /// Seconds between figures of all containers, told by each agent; 0 tells them only while somebody looks.
    #[arg(long, default_value_t = 0.0, value_name = "SECONDS")]
    pub figures_every: f64,
    /// Seconds that a command takes.
    #[arg(long, default_value_t = 2.0, value_name = "SECONDS")]
    pub command_takes: f64,
    /// Lines of progress that a command tells.
    #[arg(long, default_value_t = 10)]
    pub command_lines: usize,
    /// Per cent of agents whose link is cut again and again, without a goodbye.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100), value_name = "PER CENT")]
    pub flapping: u8,
    /// Seconds that such a link lasts, on average.
    #[arg(long, default_value_t = 30.0, value_name = "SECONDS")]
    pub flap_after: f64,
    /// Per cent of agents that take what the controller says only now and then.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100), value_name = "PER CENT")]
    pub slow: u8,
    /// Seconds that those take for each message.
    #[arg(long, default_value_t = 5.0, value_name = "SECONDS")]
    pub slow_by: f64,
}

/// Addresses of this machine: one, or several that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sources {
    first: IpAddr,
    count: u16,
}

impl Default for Script {
    /// What the program does without arguments.
    fn default() -> Self {
        #[derive(Parser)]
        struct Program {
            #[command(flatten)]
            script: Script,
        }
        Program::parse_from([""]).script
    }
}

impl Script {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        ensure!(self.inbound <= self.agents, "--inbound is a part of --agents: it cannot be more");
        let seconds = [
            ("ramp", self.ramp),
            ("events", self.events),
            ("churn", self.churn),
            ("storm-every", self.storm_every),
            ("figures-every", self.figures_every),
            ("command-takes", self.command_takes),
            ("flap-after", self.flap_after),
            ("slow-by", self.slow_by),
        ];
        for (name, value) in seconds {
            ensure!((0.0..=1e9).contains(&value), "--{name} has to be from 0 to 1,000,000,000, not {value}");
        }
        Ok(())
    }

    /// Where agent `number` dials from.
    pub(super) fn source(&self, number: usize) -> Option<IpAddr> {
        let all: usize = self.sources.iter().map(|some| usize::from(some.count)).sum();
        let mut place = number.checked_rem(all)?;
        self.sources.iter().find_map(|some| match place.checked_sub(usize::from(some.count)) {
            Some(rest) => {
                place = rest;
                None
            }
            None => some.at(place),
        })
    }

    /// Whether agent `number` belongs to so many per cent of them.
    pub(super) fn among(number: usize, per_cent: u8) -> bool {
        // 37 has no factor in common with 100: each hundred agents gets all remainders, well mixed.
        number * 37 % 100 < usize::from(per_cent)
    }

    /// Seconds between two of one agent, where the fleet has so many per second.
    #[expect(clippy::cast_precision_loss, reason = "agents are few")]
    pub(super) fn share(&self, per_second: f64) -> f64 {
        if per_second > 0.0 { self.agents as f64 / per_second } else { 0.0 }
    }
}

impl Sources {
    fn at(self, place: usize) -> Option<IpAddr> {
        let place = u32::try_from(place).ok()?;
        Some(match self.first {
            IpAddr::V4(first) => Ipv4Addr::from_bits(first.to_bits().checked_add(place)?).into(),
            IpAddr::V6(first) => {
                std::net::Ipv6Addr::from_bits(first.to_bits().checked_add(place.into())?).into()
            }
        })
    }
}

impl FromStr for Sources {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (first, count) = text.split_once('+').unwrap_or((text, "1"));
        let sources = Self { first: first.parse()?, count: count.parse()? };
        ensure!(sources.count > 0, "at least one address");
        ensure!(sources.at(usize::from(sources.count)).is_some(), "there are not so many addresses");
        Ok(sources)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_take_turns_at_the_addresses() {
        let sources = ["127.0.0.7", "127.0.1.254+3"].map(|text| text.parse().unwrap()).to_vec();
        let script = Script { sources, ..Script::default() };
        let texts: Vec<_> = (0..5).map(|number| script.source(number).unwrap().to_string()).collect();
        assert_eq!(texts, ["127.0.0.7", "127.0.1.254", "127.0.1.255", "127.0.2.0", "127.0.0.7"]);
        assert_eq!(Script::default().source(3), None);
        for bad in ["", "x", "127.0.0.1+0", "127.0.0.1+70000", "255.255.255.255+2"] {
            assert!(bad.parse::<Sources>().is_err(), "{bad}");
        }
    }

    #[test]
    fn shares_are_as_large_as_asked_for() {
        for per_cent in [0, 1, 50, 100] {
            let chosen = (0..1000).filter(|number| Script::among(*number, per_cent)).count();
            assert_eq!(chosen, usize::from(per_cent) * 10);
        }
        let script = Script { agents: 100, ..Script::default() };
        assert!((script.share(50.0) - 2.0).abs() < 1e-9 && script.share(0.0) == 0.0);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        Script::default().check().unwrap();
        assert!(Script { agents: 1, inbound: 2, ..Script::default() }.check().is_err());
        assert!(Script { ramp: f64::NAN, ..Script::default() }.check().is_err());
    }
}
