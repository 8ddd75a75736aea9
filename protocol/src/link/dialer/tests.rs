//! Dialling what does not answer as it should. What does is tested with the listener.

use std::net::SocketAddr;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::{Clock, DialError, Phase, dial, dial_socket, in_turns, upgrade};
use crate::link::address::AgentAddress;
use crate::link::identity::Identity;
use crate::link::tls::Trust;

fn address(text: &str) -> AgentAddress {
    text.parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_says_nothing_is_given_up_after_ten_seconds_or_thirty_if_it_may_be_busy() {
    let address = address("wss://silent.test:1");
    let identity = Identity::generate().unwrap();
    for (clock, limit) in [(Clock::start as fn(String) -> Clock, 10), (Clock::patient, 30)] {
        let (near, _far) = tokio::io::duplex(4096);
        let (start, clock) = (tokio::time::Instant::now(), clock(address.to_string()));
        let error =
            upgrade(near, String::new(), &clock, &address, &identity, Trust::AnyProven).await.unwrap_err();
        assert!(matches!(&error, DialError::Deadline { phase: Phase::Tls, .. }), "{error}");
        assert_eq!(start.elapsed().as_secs(), limit);
        let text = error.to_string();
        assert!(
            text.contains("wss://silent.test:1 within") && text.contains(&format!("{limit} s")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_peer_without_tls_is_named() {
    let (near, mut far) = tokio::io::duplex(4096);
    far.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    let address = address("wss://plain.test:1");
    let identity = Identity::generate().unwrap();
    let clock = Clock::start(address.to_string());
    let error =
        upgrade(near, String::new(), &clock, &address, &identity, Trust::AnyProven).await.unwrap_err();
    assert!(matches!(error, DialError::Tls { .. }), "{error}");
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_named() {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let free = socket.local_addr().unwrap();
    drop(socket);
    let address = address(&format!("wss://{free}"));
    let identity = Identity::generate().unwrap();
    for error in [
        dial(&address, &identity, Trust::AnyProven).await.unwrap_err(),
        dial_socket(free, &address, &identity, Trust::AnyProven).await.unwrap_err(),
    ] {
        assert!(matches!(error, DialError::Connect { .. }), "{error}");
        assert!(error.to_string().contains(&free.to_string()), "{error}");
    }
}

#[test]
fn families_take_turns_and_their_own_order_stays() {
    let sockets = |list: &[&str]| -> Vec<SocketAddr> {
        list.iter().map(|address| SocketAddr::new(address.parse().unwrap(), 1)).collect()
    };
    for (found, turns) in [
        (
            &["::1", "::2", "::3", "192.0.2.1", "192.0.2.2"][..],
            &["::1", "192.0.2.1", "::2", "192.0.2.2", "::3"][..],
        ),
        (&["192.0.2.1", "::1", "::2"], &["192.0.2.1", "::1", "::2"]),
        (&["::1", "::2"], &["::1", "::2"]),
        (&[], &[]),
    ] {
        assert_eq!(in_turns(sockets(found)), sockets(turns));
    }
}
