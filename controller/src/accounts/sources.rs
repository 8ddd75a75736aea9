//! Where strangers come from: what they do is counted for their network, for the site that it is part of, and for all of
//! them together.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::LOGIN_RATE;
use super::limits::{Buckets, Rate};

/// Networks, and sites, that are counted apart.
const KEYS: usize = 10_000;

/// What of strangers goes into the audit log: a day of the worst flood is a twentieth of what is kept.
const STRANGERS_RATE: Rate = Rate { burst: 100, refill: Duration::from_secs(10) };

/// How often strangers may do something.
pub struct Sources {
    networks: Buckets<IpAddr>,
    sites: Buckets<IpAddr>,
    all: Option<Buckets<()>>,
}

impl Sources {
    /// So often from one network, and from one site.
    #[must_use]
    pub fn new(network: Rate, site: Rate) -> Self {
        Self { networks: Buckets::new(network, KEYS), sites: Buckets::new(site, KEYS), all: None }
    }

    /// What is worth a line of the audit log: [`LOGIN_RATE`] of each, and a rate of its own of all.
    #[must_use]
    pub fn audited() -> Self {
        Self { all: Some(Buckets::new(STRANGERS_RATE, 1)), ..Self::new(LOGIN_RATE, LOGIN_RATE) }
    }

    /// Takes one try for `address`.
    ///
    /// # Errors
    /// How long to wait until there is one.
    pub fn take(&mut self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        let network = network_of(address);
        // The site first: else the networks of one of them would use up the keys of all.
        if let Some(site) = site_of(network) {
            self.sites.take(site, now)?;
        }
        self.networks.take(network, now)?;
        self.all.as_mut().map_or(Ok(()), |all| all.take((), now))
    }

    /// Gives back a try for `address` that turned out harmless.
    pub(super) fn give_back(&mut self, address: IpAddr) {
        let network = network_of(address);
        self.networks.give_back(&network);
        if let Some(site) = site_of(network) {
            self.sites.give_back(&site);
        }
    }
}

/// The address that attempts are counted by: an IPv6 customer has a whole /64.
#[must_use]
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & (u128::MAX << 64)).into()),
        address => address,
    }
}

/// The /48 of an IPv6 network: what a provider hands to one customer at most.
#[must_use]
pub fn site_of(network: IpAddr) -> Option<IpAddr> {
    match network {
        IpAddr::V6(network) => Some(IpAddr::V6((network.to_bits() & (u128::MAX << 80)).into())),
        IpAddr::V4(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_site_has_no_more_than_a_network_and_all_together_have_a_bound() {
        let minute = Duration::from_secs(60);
        let (one, all) = (Rate { burst: 5, refill: minute }, Rate { burst: 20, refill: minute });
        let mut sources = Sources { all: Some(Buckets::new(all, 1)), ..Sources::new(one, one) };
        let now = Instant::now();
        let network = |number: u16| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, number, 0, 0, 0, 1));
        assert_eq!((0..1000).filter(|number| sources.take(network(*number), now).is_ok()).count(), 5);
        let address = |number: u32| IpAddr::V4(Ipv4Addr::from(0xc633_6400 + number / 10));
        assert_eq!((0..1000).filter(|number| sources.take(address(*number), now).is_ok()).count(), 15);
        assert!(sources.take(IpAddr::V4(Ipv4Addr::LOCALHOST), now + minute).is_ok());
    }
}
