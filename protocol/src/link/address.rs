//! Addresses at which a program takes links: `wss://host:port` of its own port for them, or
//! `wss://host[:port]/agent` of a web server in front of a controller.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// Longest host name there can be (RFC 1035, section 2.3.4).
const MAX_HOST: usize = 253;

/// Where to dial: a host name or IP address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AgentAddress {
    host: String,
    port: u16,
}

/// Where a controller is reached through a web server that ends TLS in front of it: `wss://host[:port]/agent`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WebAddress {
    host: String,
    port: u16,
}

/// Where an agent reaches its controller.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ControllerAddress {
    /// At the controller's own port for agents, both sides known by their keys.
    Direct(AgentAddress),
    /// Through a web server, which is known by its certificate, and the agent by a secret.
    Web(WebAddress),
}

impl WebAddress {
    /// The host name in lower case, or the IP address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; never 0.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `host:port`, as the `Host` header has it.
    #[must_use]
    pub fn authority(&self) -> String {
        match (self.host.contains(':'), self.port) {
            (true, HTTPS) => format!("[{}]", self.host),
            (true, port) => format!("[{}]:{port}", self.host),
            (false, HTTPS) => self.host.clone(),
            (false, port) => format!("{}:{port}", self.host),
        }
    }
}

impl fmt::Display for WebAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wss://{}{WEB_PATH}", self.authority())
    }
}

impl fmt::Display for ControllerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct(address) => address.fmt(f),
            Self::Web(address) => address.fmt(f),
        }
    }
}

impl FromStr for ControllerAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let trimmed = text.trim();
        let Some(rest) = trimmed.strip_suffix(WEB_PATH) else { return trimmed.parse().map(Self::Direct) };
        let authority = rest.split_once("://").map_or(rest, |(_, authority)| authority);
        let bare = authority.strip_prefix('[').map_or(!authority.contains(':'), |rest| rest.ends_with(']'));
        let with_port = if bare { format!("{rest}:{HTTPS}") } else { rest.to_owned() };
        let AgentAddress { host, port } = with_port.parse()?;
        Ok(Self::Web(WebAddress { host, port }))
    }
}

/// The path at which links are made, on a web server as on a port of their own.
pub(super) const WEB_PATH: &str = "/agent";

/// What `wss://` without a port stands for.
const HTTPS: u16 = 443;

/// Text that is no address. The one who wrote it has to act.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an address like wss://host.example:8443: {reason}")]
pub struct InvalidAddress {
    /// The text, shortened.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl AgentAddress {
    /// The host name in lower case, or the IP address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; never 0.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for AgentAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "wss://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "wss://{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for AgentAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        parse(text.trim()).map_err(|reason| InvalidAddress { text: text.chars().take(100).collect(), reason })
    }
}

fn parse(text: &str) -> Result<AgentAddress, &'static str> {
    let (scheme, rest) = text.split_once("://").ok_or("it has to begin with wss://")?;
    if !scheme.eq_ignore_ascii_case("wss") {
        return Err("it has to begin with wss://");
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains('@') {
        return Err("user and password do not belong in it");
    }
    if rest.contains(['/', '?', '#', '\\']) {
        return Err("nothing may follow the port");
    }
    let (host, port) = rest.rsplit_once(':').ok_or("the port is missing")?;
    Ok(AgentAddress { host: parse_host(host)?, port: parse_port(port)? })
}

fn parse_host(text: &str) -> Result<String, &'static str> {
    if let Some(bracketed) = text.strip_prefix('[') {
        let inner = bracketed.strip_suffix(']').ok_or("the port is missing")?;
        return inner
            .parse::<Ipv6Addr>()
            .map(|address| address.to_string())
            .map_err(|_| "what stands in brackets is not an IPv6 address");
    }
    if text.contains(':') {
        return Err("an IPv6 address has to stand in brackets, and the port is mandatory");
    }
    if text.is_empty() {
        return Err("the host is missing");
    }
    if text.parse::<IpAddr>().is_ok() {
        return Ok(text.to_owned());
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    // `0x7f.1`, `127.1` and `2130706433` are addresses to some resolvers: a last label of digits is no host name.
    let last = name.rsplit('.').next().unwrap_or(name);
    let numeric = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x");
    if name.len() > MAX_HOST || numeric || !name.split('.').all(is_label) {
        return Err("the host is neither a name nor an IP address");
    }
    Ok(name.to_ascii_lowercase())
}

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

fn parse_port(text: &str) -> Result<u16, &'static str> {
    let digits = (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let port = if digits { text.parse().unwrap_or(0) } else { 0 };
    if port == 0 { Err("the port has to be a number from 1 to 65535") } else { Ok(port) }
}

#[cfg(test)]
mod tests {
    use super::{AgentAddress, ControllerAddress};

    #[test]
    fn tells_a_web_servers_address_by_its_path() {
        for (text, authority, shown) in [
            ("wss://Road.example/agent", "road.example", "wss://road.example/agent"),
            ("wss://road.example:443/agent", "road.example", "wss://road.example/agent"),
            ("wss://road.example:8443/agent", "road.example:8443", "wss://road.example:8443/agent"),
            ("wss://[2001:db8::1]/agent", "[2001:db8::1]", "wss://[2001:db8::1]/agent"),
            ("wss://[2001:db8::1]:1/agent", "[2001:db8::1]:1", "wss://[2001:db8::1]:1/agent"),
        ] {
            let ControllerAddress::Web(address) = text.parse().unwrap() else { panic!("{text}") };
            assert_eq!((address.authority().as_str(), address.to_string().as_str()), (authority, shown));
            assert_eq!(shown.parse(), Ok(ControllerAddress::Web(address)));
        }
        assert!(matches!("wss://road.example:1".parse(), Ok(ControllerAddress::Direct(_))));
        for text in [
            "ws://road.example/agent",
            "ws://127.0.0.1:8080/agent",
            "https://road.example/agent",
            "wss://user@road.example/agent",
            "wss://road.example//agent",
            "wss://road.example/other/agent",
            "wss:///agent",
            "wss://road.example:0/agent",
            "wss://road.example/agent?x",
            "wss://road.example",
            "/agent",
        ] {
            assert!(text.parse::<ControllerAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn reads_and_shows_what_it_read() {
        for (text, host, port, shown) in [
            ("wss://host.example:8443", "host.example", 8443, "wss://host.example:8443"),
            (" WSS://Host.Example.:1/ ", "host.example", 1, "wss://host.example:1"),
            ("wss://10.0.0.7:65535", "10.0.0.7", 65535, "wss://10.0.0.7:65535"),
            ("wss://[2001:DB8::1]:443", "2001:db8::1", 443, "wss://[2001:db8::1]:443"),
            ("wss://nas_2:443", "nas_2", 443, "wss://nas_2:443"),
        ] {
            let address: AgentAddress = text.parse().unwrap();
            assert_eq!((address.host(), address.port()), (host, port), "{text}");
            assert_eq!(address.to_string(), shown);
            assert_eq!(shown.parse::<AgentAddress>().unwrap(), address);
        }
    }

    #[test]
    fn refuses_everything_else_with_a_reason() {
        for text in [
            "",
            "host:1",
            "ws://host:1",
            "https://host:1",
            "wss://host",
            "wss://host:",
            "wss://host:0",
            "wss://host:65536",
            "wss://host:+1",
            "wss://:1",
            "wss://user@host:1",
            "wss://user:secret@host:1",
            "wss://host:1/agent",
            "wss://host:1//",
            "wss://host:1?x",
            "wss://host:1#x",
            "wss://a b:1",
            "wss://-a:1",
            "wss://a..b:1",
            "wss://2001:db8::1:443",
            "wss://[2001:db8::1]",
            "wss://[2001:db8::1:443",
            "wss://[host]:1",
            "wss://[fe80::1%25eth0]:1",
            "wss://2130706433:1",
            "wss://127.1:1",
            "wss://0x7f000001:1",
            "wss://127.0.0.0x1:1",
            "wss://host\u{e9}:1",
            "wss://host\r\nX: y:1",
        ] {
            let refusal = text.parse::<AgentAddress>().unwrap_err();
            assert!(!refusal.reason.is_empty());
        }
        let long = format!("wss://{}:1", "a.".repeat(200));
        assert!(long.parse::<AgentAddress>().unwrap_err().text.len() <= 100);
    }
}
