//! Where a request comes from, as far as the web servers in front are believed.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName};

use super::access::Peer;
use crate::dial_allow::TrustedProxies;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The peer of a request that came on a connection from `peer`. Each web server adds to the list whom it was asked by;
/// it is read from its end, for as long as who added to it is believed. Whatever others wrote there counts for nothing.
pub(super) fn peer_of(peer: Peer, headers: &HeaderMap, trusted: &TrustedProxies) -> Peer {
    let private = peer.tls || peer.ip().to_canonical().is_loopback();
    if !trusted.contains(peer.ip()) {
        return Peer { private, ..peer };
    }
    let mut address = peer.ip();
    let values: Vec<&str> =
        headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok()).collect();
    for said in values.iter().rev().flat_map(|value| value.rsplit(',')) {
        let Some(before) = parse(said) else { break };
        address = before;
        if !trusted.contains(before) {
            break;
        }
    }
    let proto = headers.get_all(FORWARDED_PROTO).iter().next_back().and_then(|value| value.to_str().ok());
    let tls = peer.tls || proto.is_some_and(|proto| last(proto).eq_ignore_ascii_case("https"));
    Peer { address: SocketAddr::new(address, 0), tls, private: private || tls }
}

fn last(list: &str) -> &str {
    list.rsplit(',').next().unwrap_or_default().trim()
}

/// An address as web servers write them: bare, in brackets, or with a port.
fn parse(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.split(']').next()).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, headers: &[(&HeaderName, &str)]) -> (String, bool, bool) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let peer = Peer { address: peer.parse().unwrap(), tls: false, private: false };
        let peer = peer_of(peer, &map, &"10.0.0.0/8".parse().unwrap());
        (peer.ip().to_string(), peer.tls, peer.private)
    }

    #[test]
    fn nobody_but_a_trusted_proxy_says_where_a_request_comes_from() {
        let lies = [(&FORWARDED_FOR, "192.0.2.9"), (&FORWARDED_PROTO, "https")];
        assert_eq!(seen("198.51.100.7:1", &lies), ("198.51.100.7".into(), false, false));
        assert_eq!(seen("127.0.0.1:1", &lies), ("127.0.0.1".into(), false, true));
        assert_eq!(seen("10.0.0.1:1", &lies), ("192.0.2.9".into(), true, true));
        assert_eq!(seen("10.0.0.1:1", &[]), ("10.0.0.1".into(), false, false));
    }

    #[test]
    fn what_a_client_wrote_before_the_proxy_counts_for_nothing() {
        for list in ["127.0.0.1, 192.0.2.9", "10.9.9.9, x, 192.0.2.9", "192.0.2.9, 10.0.0.2"] {
            assert_eq!(seen("10.0.0.1:1", &[(&FORWARDED_FOR, list)]).0, "192.0.2.9", "{list}");
        }
        // In a header of its own, before or after by name, it is still the same list in the same order.
        let two = [(&FORWARDED_FOR, "127.0.0.1"), (&FORWARDED_FOR, "192.0.2.9:4711")];
        assert_eq!(seen("10.0.0.1:1", &two).0, "192.0.2.9");
        assert_eq!(seen("10.0.0.1:1", &[(&FORWARDED_FOR, "[2001:db8::1]:7")]).0, "2001:db8::1");
        let garbage = [(&FORWARDED_FOR, "192.0.2.9, garbage"), (&FORWARDED_PROTO, "https, http")];
        assert_eq!(seen("10.0.0.1:1", &garbage), ("10.0.0.1".into(), false, false));
    }
}
