//! Who is behind a proxy that the operator trusts. What a request says of itself is believed of no one else.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName};

use super::access::Peer;
use crate::networks::Networks;

/// The peer that a trusted proxy speaks for; anybody else is who they are.
pub(super) fn behind(peer: Peer, headers: &HeaderMap, trusted: &Networks) -> Peer {
    if !trusted.hold(peer.ip().to_canonical()) {
        return peer;
    }
    let mut address = peer.address;
    // From the nearest on: each proxy adds at the end whom it was asked by, and what stands before a proxy that is
    // not trusted is whatever somebody wrote.
    for hop in last_first(headers, "x-forwarded-for") {
        let Some(ip) = parse(hop) else { break };
        address = SocketAddr::new(ip, 0);
        if !trusted.hold(ip) {
            break;
        }
    }
    let tls =
        last_first(headers, "x-forwarded-proto").next().map(|scheme| scheme.eq_ignore_ascii_case("https"));
    Peer { address, tls: tls.unwrap_or(peer.tls) }
}

/// The items of a header that lists them, the last first.
///
/// Each for itself: what a stranger wrote, in whatever bytes, must not hide what a proxy put beside it.
fn last_first<'a>(headers: &'a HeaderMap, name: &'static str) -> impl Iterator<Item = &'a str> {
    let values: Vec<_> = headers.get_all(HeaderName::from_static(name)).into_iter().collect();
    let items = values.into_iter().rev().flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
    items.map(|item| str::from_utf8(item).unwrap_or_default().trim())
}

/// An address, with or without a port.
fn parse(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']').parse();
    bare.or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip())).ok().map(|ip| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn ask(from: &str, headers: &[(&'static str, &'static str)]) -> (String, bool) {
        let peer = Peer { address: SocketAddr::new(from.parse().unwrap(), 4711), tls: false };
        let value = |value: &str| HeaderValue::from_bytes(value.as_bytes()).unwrap();
        let pairs = headers.iter().map(|(name, text)| (HeaderName::from_static(name), value(text)));
        let headers: HeaderMap = pairs.collect();
        let peer = behind(peer, &headers, &"10.0.0.0/8, ::1".parse().unwrap());
        (peer.ip().to_string(), peer.tls)
    }

    #[test]
    fn a_trusted_proxy_is_believed_and_nobody_else() {
        let forwarded = [("x-forwarded-for", "192.0.2.1"), ("x-forwarded-proto", "https")];
        assert_eq!(ask("10.1.2.3", &forwarded), ("192.0.2.1".to_owned(), true));
        assert_eq!(ask("::ffff:10.1.2.3", &forwarded), ("192.0.2.1".to_owned(), true));
        assert_eq!(ask("198.51.100.1", &forwarded), ("198.51.100.1".to_owned(), false));
        assert_eq!(ask("10.1.2.3", &[]), ("10.1.2.3".to_owned(), false));
    }

    #[test]
    fn what_a_stranger_wrote_before_the_proxy_counts_for_nothing() {
        for (list, address) in [
            ("10.9.9.9, 192.0.2.1", "192.0.2.1"),
            ("203.0.113.5, 192.0.2.1, 10.0.0.2", "192.0.2.1"),
            ("192.0.2.1:5000", "192.0.2.1"),
            ("[2001:db8::7]:5000", "2001:db8::7"),
            ("2001:db8::7", "2001:db8::7"),
            ("unknown, 10.0.0.2", "10.0.0.2"),
            ("unknown", "10.1.2.3"),
            ("\u{e9}, 192.0.2.1", "192.0.2.1"),
            ("203.0.113.5, \u{e9}, 10.0.0.2", "10.0.0.2"),
            ("", "10.1.2.3"),
        ] {
            assert_eq!(ask("10.1.2.3", &[("x-forwarded-for", list)]).0, address, "{list}");
        }
        assert!(!ask("10.1.2.3", &[("x-forwarded-proto", "https, http")]).1);
    }
}
