//! Which addresses are dialled.

use std::net::IpAddr;
use std::time::Duration;

use roadstead_protocol::fuzz::{fuzz, text};

use super::{DialAllow, Forbidden, ResolveError};

fn refused(allow: &str, address: &str) -> Option<Forbidden> {
    let allow: DialAllow = allow.parse().unwrap();
    allow.permits(address.parse().unwrap()).err().map(|refused| refused.kind)
}

#[test]
fn what_only_the_controller_can_reach_is_not_dialled() {
    for (address, kind) in [
        ("0.0.0.0", Forbidden::Unspecified),
        ("0.1.2.3", Forbidden::Unspecified),
        ("::", Forbidden::Unspecified),
        ("127.0.0.1", Forbidden::Loopback),
        ("127.255.0.3", Forbidden::Loopback),
        ("::1", Forbidden::Loopback),
        ("::ffff:127.0.0.1", Forbidden::Loopback),
        ("64:ff9b::7f00:1", Forbidden::Loopback),
        ("64:ff9b:1::7f00:1", Forbidden::Loopback),
        ("64:ff9b:1::a9fe:a9fe", Forbidden::Metadata),
        ("2002:7f00:1::", Forbidden::Loopback),
        ("2002:a9fe:a9fe::1", Forbidden::Metadata),
        ("::127.0.0.1", Forbidden::Loopback),
        ("169.254.0.1", Forbidden::LinkLocal),
        ("fe80::1", Forbidden::LinkLocal),
        ("169.254.169.254", Forbidden::Metadata),
        ("::ffff:169.254.169.254", Forbidden::Metadata),
        ("fd00:ec2::254", Forbidden::Metadata),
        ("100.100.100.200", Forbidden::Metadata),
        ("224.0.0.1", Forbidden::Multicast),
        ("255.255.255.255", Forbidden::Multicast),
        ("ff02::1", Forbidden::Multicast),
    ] {
        assert_eq!(refused("", address), Some(kind), "{address}");
    }
    for address in ["10.1.2.3", "192.0.2.7", "100.64.0.1", "2001:db8::7", "fd12::1"] {
        assert_eq!(refused("", address), None, "{address}");
    }
}

#[test]
fn an_address_of_this_machine_is_its_own() {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    // Connecting a UDP socket sends nothing; it only chooses the address that would be sent from.
    if socket.connect("192.0.2.1:9").is_ok() {
        let own = socket.local_addr().unwrap().ip().to_string();
        assert_eq!(refused("", &own), Some(Forbidden::Own), "{own}");
        assert_eq!(refused("0.0.0.0/0", &own), None);
    }
}

#[test]
fn networks_allow_what_lies_in_them() {
    let allow = "127.0.0.0/8, ::1,169.254.169.254/32";
    for address in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "169.254.169.254"] {
        assert_eq!(refused(allow, address), None, "{address}");
    }
    assert_eq!(refused(allow, "169.254.169.253"), Some(Forbidden::LinkLocal));
    assert_eq!(refused("0.0.0.0/0,::/0", "0.0.0.0"), Some(Forbidden::Unspecified));
    assert_eq!(refused("0.0.0.0/0", "::1"), Some(Forbidden::Loopback));
    assert_eq!(refused("127.0.0.0/31", "127.0.0.2"), Some(Forbidden::Loopback));
}

#[test]
fn other_text_is_no_network() {
    for text in ["x", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/-1", "10.0.0.0/", "10.0.0.0/8 ::1"] {
        assert!(text.parse::<DialAllow>().is_err(), "{text}");
    }
    assert_eq!(" , ".parse::<DialAllow>().unwrap(), DialAllow::default());
}

#[tokio::test]
async fn names_are_as_good_as_their_addresses() {
    let allow: DialAllow = "127.0.0.0/8,::1".parse().unwrap();
    let found = allow.resolve("localhost", 7, Duration::from_secs(5)).await.unwrap();
    assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 7));
    let refused = DialAllow::default().resolve("localhost", 7, Duration::from_secs(5)).await.unwrap_err();
    assert!(matches!(refused, ResolveError::Refused(_)));
    let text = refused.to_string();
    assert!(text.contains("ROADSTEAD_DIAL_ALLOW"), "{text}");
    let address: IpAddr = "10.0.0.1".parse().unwrap();
    assert_eq!(allow.resolve("10.0.0.1", 1, Duration::from_secs(5)).await.unwrap()[0].ip(), address);
}

#[test]
fn fuzz_networks() {
    let samples = ["127.0.0.0/8, fd00::/8", "10.1.2.3", "::ffff:10.0.0.0/104", "0.0.0.0/0"];
    let own: IpAddr = "127.0.0.1".parse().unwrap();
    fuzz(
        "ROADSTEAD_DIAL_ALLOW",
        &text(&samples, &["/0", "/33", "/129", "/-1", "::", "255.255.255.255"]),
        |text| {
            let Ok(allowed) = text.parse::<DialAllow>() else { return false };
            // Whatever is allowed, these are never dialled.
            for never in ["0.0.0.0", "::", "224.0.0.1", "255.255.255.255", "ff02::1"] {
                assert!(allowed.permits(never.parse().unwrap()).is_err(), "{text}: {never}");
            }
            allowed.permits(own).is_ok()
        },
    );
}
