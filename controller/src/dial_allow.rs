//! Which addresses the controller dials: an agent's address is given by a person, so it must not become a way to
//! reach what only the controller can reach.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::str::FromStr;
use std::time::Duration;

use crate::networks::{InvalidNetwork, Networks};

#[cfg(test)]
mod tests;

/// Where clouds hand out credentials to whoever asks; the last is link-local anyway.
const METADATA: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254)),
];

/// Networks that agents' addresses may lie in although the controller would refuse them. Written as
/// `127.0.0.0/8, fd00::/8`; empty by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DialAllow {
    networks: Networks,
}

/// Why an address is not dialled. The person who registered it must act, or the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{address} is {kind}. The controller does not dial such addresses{}",
    if kind.can_be_allowed() { "; if this one is meant, add its network to ROADSTEAD_DIAL_ALLOW" } else { "" }
)]
pub struct DialRefused {
    /// The address.
    pub address: IpAddr,
    /// What is wrong with it.
    pub kind: Forbidden,
}

/// Kinds of addresses that are not dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forbidden {
    /// 0.0.0.0/8 or ::
    Unspecified,
    /// To many at once.
    Multicast,
    /// This machine, by loopback.
    Loopback,
    /// This link only.
    LinkLocal,
    /// A cloud's metadata service.
    Metadata,
    /// This machine, by an address of its own.
    Own,
}

impl Forbidden {
    /// Whether `ROADSTEAD_DIAL_ALLOW` can allow it.
    #[must_use]
    pub const fn can_be_allowed(self) -> bool {
        !matches!(self, Self::Unspecified | Self::Multicast)
    }
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unspecified => "not the address of a host",
            Self::Multicast => "a multicast or broadcast address",
            Self::Loopback => "a loopback address",
            Self::LinkLocal => "a link-local address",
            Self::Metadata => "the address of a cloud's metadata service",
            Self::Own => "an address of the controller itself",
        })
    }
}

/// Why a host name leads to no address that may be dialled.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// It has no address, or the resolver does not answer.
    #[error("{host} cannot be resolved: {problem}. Check the name and the controller's DNS")]
    Unresolved {
        /// The name.
        host: String,
        /// What the resolver said.
        problem: String,
    },
    /// None of its addresses may be dialled.
    #[error(transparent)]
    Refused(#[from] DialRefused),
}

impl DialAllow {
    /// Whether `address` may be dialled. Ask this of the very address that is dialled then: a name can lead
    /// elsewhere a moment later.
    ///
    /// # Errors
    /// If it may not, and why.
    pub fn permits(&self, address: IpAddr) -> Result<(), DialRefused> {
        let reached = embedded(address);
        let Some(kind) = forbidden(reached) else { return Ok(()) };
        if kind.can_be_allowed() && self.networks.hold(reached) {
            return Ok(());
        }
        Err(DialRefused { address, kind })
    }

    /// The addresses of `host` that may be dialled, at least one, in the resolver's order. `host` is a name or an
    /// address without brackets. The resolver may take `within`.
    ///
    /// # Errors
    /// If it has none.
    pub async fn resolve(
        &self,
        host: &str,
        port: u16,
        within: Duration,
    ) -> Result<Vec<SocketAddr>, ResolveError> {
        let unresolved = |problem: String| ResolveError::Unresolved { host: host.to_owned(), problem };
        let found: Vec<SocketAddr> = tokio::time::timeout(within, tokio::net::lookup_host((host, port)))
            .await
            .map_err(|_| unresolved(format!("no answer within {within:?}")))?
            .map_err(|error| unresolved(error.to_string()))?
            .collect();
        let mut permitted = Vec::new();
        let mut refused = None;
        for address in found {
            match self.permits(address.ip()) {
                Ok(()) => permitted.push(address),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        match refused {
            _ if !permitted.is_empty() => Ok(permitted),
            Some(refused) => Err(refused.into()),
            None => Err(unresolved("it has no address".to_owned())),
        }
    }
}

impl FromStr for DialAllow {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        Ok(Self { networks: text.parse()? })
    }
}

/// The address that is reached: of an IPv6 address that stands for an IPv4 one (mapped, compatible, NAT64, 6to4) the
/// IPv4 one.
fn embedded(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let v4 = |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match v6.segments() {
        // RFC 6052, and RFC 8215 with the longest of its prefixes.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 1, _, _, _, high, low] => v4(high, low),
        // RFC 3056.
        [0x2002, high, low, ..] => v4(high, low),
        // RFC 4291, section 2.5.5.1; `::` and `::1` are none.
        [0, 0, 0, 0, 0, 0, high, low] if high > 0 => v4(high, low),
        _ => v6.to_canonical(),
    }
}

fn forbidden(address: IpAddr) -> Option<Forbidden> {
    let unspecified = match address {
        IpAddr::V4(v4) => v4.octets()[0] == 0,
        IpAddr::V6(v6) => v6.is_unspecified(),
    };
    let multicast = match address {
        IpAddr::V4(v4) => v4.is_multicast() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_multicast(),
    };
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    match address {
        _ if unspecified => Some(Forbidden::Unspecified),
        _ if multicast => Some(Forbidden::Multicast),
        _ if address.is_loopback() => Some(Forbidden::Loopback),
        _ if METADATA.contains(&address) => Some(Forbidden::Metadata),
        _ if link_local => Some(Forbidden::LinkLocal),
        _ if is_own(address) => Some(Forbidden::Own),
        _ => None,
    }
}

/// Whether `address` is one of this machine: only those can be bound. Where the system lets anything be bound
/// (`ip_nonlocal_bind`), a documentation address can be too, and nothing can be told.
fn is_own(address: IpAddr) -> bool {
    let nobodys = match address {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
    };
    let can_bind = |address| UdpSocket::bind(SocketAddr::new(address, 0)).is_ok();
    can_bind(address) && !can_bind(nobodys)
}
