//! A machine with a network of its own: a network namespace, cabled to this one through a bridge.
//!
//! The bridge stands for the switch that both are plugged into. Pulling the cable leaves it up, so this
//! side notices nothing but silence, as it would in a rack.

use std::net::Ipv4Addr;
use std::path::Path;

use tokio::process::Command;

use crate::addresses::AddressBlock;
use crate::tool;

/// The table that holds the rule which loses packets.
const TABLE: &str = "roadstead_loss";

/// The table that counts what passes.
const COUNTERS: &str = "roadstead_bytes";

/// A direction through the cable, as seen from inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Into the namespace.
    In,
    /// Out of it.
    Out,
}

/// The network namespace; it and its cable go on drop.
#[derive(Debug)]
pub struct Netns {
    block: AddressBlock,
}

impl Netns {
    /// Makes one, with the cable plugged in and a default route to this machine.
    ///
    /// # Panics
    /// When that fails; the message says what is missing.
    pub async fn start() -> Self {
        let start = async {
            tool::require_root()?;
            let namespace = Self { block: AddressBlock::take()? };
            namespace.build().await?;
            anyhow::Ok(namespace)
        };
        match start.await {
            Ok(namespace) => namespace,
            Err(error) => panic!("no network namespace: {error:#}"),
        }
    }

    /// This machine's address as seen from inside.
    #[must_use]
    pub fn outside(&self) -> Ipv4Addr {
        self.block.address(1)
    }

    /// The address of the inside.
    #[must_use]
    pub fn inside(&self) -> Ipv4Addr {
        self.block.address(2)
    }

    /// The name that `ip netns` knows it by.
    #[must_use]
    pub fn name(&self) -> String {
        self.block.name("net")
    }

    /// A command that runs `program` inside. It sees the same files, so engines' sockets work.
    ///
    /// # Errors
    /// When `nsenter` is missing.
    pub fn command(&self, program: impl AsRef<Path>) -> anyhow::Result<Command> {
        Self::command_in(&self.name(), program)
    }

    /// A command that runs `program` in the namespace of this name.
    pub(crate) fn command_in(name: &str, program: impl AsRef<Path>) -> anyhow::Result<Command> {
        // `ip netns exec` would mount a new `/sys` over that of the machine, without its control groups.
        let mut command = tool::command("nsenter")?;
        command.arg(format!("--net=/run/netns/{name}")).arg("--").arg(program.as_ref());
        Ok(command)
    }

    /// Pulls the cable: the inside loses its carrier, both sides' packets go nowhere.
    ///
    /// # Panics
    /// When `ip` fails.
    pub async fn link_down(&self) {
        self.must("ip", &["link", "set", &self.cable(), "down"]).await;
    }

    /// Plugs the cable in again.
    ///
    /// # Panics
    /// When `ip` fails.
    pub async fn link_up(&self) {
        self.must("ip", &["link", "set", &self.cable(), "up"]).await;
    }

    /// Loses so many per cent of the packets in each direction from now on: 0 heals, 100 is a black hole
    /// with its carrier up.
    ///
    /// # Panics
    /// When `nft` fails.
    pub async fn lose(&self, per_cent: u8) {
        let rule = format!("numgen random mod 100 <= {} drop", per_cent.saturating_sub(1));
        let hooks = if per_cent == 0 { &[][..] } else { &[Way::In, Way::Out] };
        self.filter(hooks, &rule).await;
    }

    /// Loses everything that goes this way from now on, while what goes the other way arrives: a partition that
    /// nobody is told of. [`lose`](Self::lose) of 0 heals it.
    ///
    /// # Panics
    /// When `nft` fails.
    pub async fn lose_all(&self, way: Way) {
        self.filter(&[way], "drop").await;
    }

    /// Replaces the rules that lose packets.
    async fn filter(&self, ways: &[Way], rule: &str) {
        let hooks = ways.iter().map(|way| {
            let (hook, interface) = match way {
                Way::In => ("input", "iifname"),
                Way::Out => ("output", "oifname"),
            };
            format!("chain {hook} {{ type filter hook {hook} priority 0\n{interface} != lo {rule}\n}}\n")
        });
        let hooks: String = hooks.collect();
        let remove = format!("table inet {TABLE}\ndelete table inet {TABLE}\n");
        let rules =
            if ways.is_empty() { remove } else { format!("{remove}table inet {TABLE} {{\n{hooks}}}") };
        self.must("ip", &["netns", "exec", &self.name(), "nft", &rules]).await;
    }

    /// Lets at most so many kbit/s out of the namespace from now on.
    ///
    /// # Panics
    /// When `tc` fails.
    pub async fn limit_rate(&self, kilobits: u32) {
        let rate = format!("{kilobits}kbit");
        let name = self.name();
        let shape = ["tbf", "rate", &rate, "burst", "16kb", "latency", "400ms"];
        let inside = ["netns", "exec", &name, "tc", "qdisc", "replace", "dev", "eth0", "root"];
        self.must("ip", &[inside.as_slice(), &shape].concat()).await;
    }

    /// Ends a [`limit_rate`](Self::limit_rate).
    ///
    /// # Panics
    /// When `tc` fails.
    pub async fn unlimit_rate(&self) {
        let name = self.name();
        self.must("ip", &["netns", "exec", &name, "tc", "qdisc", "delete", "dev", "eth0", "root"]).await;
    }

    /// Counts TCP's bytes through the cable from now on, as [`counted`](Self::counted) tells them.
    ///
    /// # Panics
    /// When `nft` fails.
    pub async fn count(&self) {
        let hooks = [("input", "iifname"), ("output", "oifname")].map(|(hook, interface)| {
            let rule = format!("{interface} != lo meta l4proto tcp counter");
            format!("chain {hook} {{ type filter hook {hook} priority 0\n{rule}\n}}\n")
        });
        let rules = format!(
            "table inet {COUNTERS}\ndelete table inet {COUNTERS}\ntable inet {COUNTERS} {{\n{}}}",
            hooks.concat()
        );
        self.must("ip", &["netns", "exec", &self.name(), "nft", &rules]).await;
    }

    /// Bytes in whole IP packets, both directions together, since [`count`](Self::count).
    ///
    /// # Panics
    /// When nothing is counted.
    pub async fn counted(&self) -> u64 {
        let name = self.name();
        let list = ["netns", "exec", &name, "nft", "list", "table", "inet", COUNTERS];
        match tool::run("ip", list).await {
            Ok(text) => counters(&text),
            Err(error) => panic!("{error:#}"),
        }
    }

    fn bridge(&self) -> String {
        self.block.name("switch")
    }

    fn cable(&self) -> String {
        self.block.name("cable")
    }

    async fn build(&self) -> anyhow::Result<()> {
        tool::find("nft")?;
        let (name, bridge, cable) = (self.name(), self.bridge(), self.cable());
        let (outside, inside) = (format!("{}/24", self.outside()), format!("{}/24", self.inside()));
        let gateway = self.outside().to_string();
        let steps: [&[&str]; 10] = [
            &["link", "add", "name", &bridge, "type", "bridge"],
            &["address", "add", &outside, "dev", &bridge],
            &["link", "set", &bridge, "up"],
            &["netns", "add", &name],
            &["link", "add", &cable, "type", "veth", "peer", "name", "eth0", "netns", &name],
            &["link", "set", &cable, "master", &bridge, "up"],
            &["-netns", &name, "link", "set", "lo", "up"],
            &["-netns", &name, "address", "add", &inside, "dev", "eth0"],
            &["-netns", &name, "link", "set", "eth0", "up"],
            &["-netns", &name, "route", "add", "default", "via", &gateway],
        ];
        for step in steps {
            tool::run("ip", step).await?;
        }
        Ok(())
    }

    async fn must(&self, program: &str, arguments: &[&str]) {
        if let Err(error) = tool::run(program, arguments).await {
            panic!("{error:#}");
        }
    }
}

/// The sum of the bytes in what `nft list table` says.
fn counters(list: &str) -> u64 {
    let words: Vec<&str> = list.split_whitespace().collect();
    words.windows(2).filter(|pair| pair[0] == "bytes").filter_map(|pair| pair[1].parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::counters;

    #[test]
    fn bytes_of_all_counters_are_added_up() {
        let list = "chain input {\n iifname != \"lo\" counter packets 3 bytes 208\n}\n\
                    chain output {\n counter packets 1 bytes 52\n}";
        assert_eq!(counters(list), 260);
        assert_eq!(counters(""), 0);
    }
}
