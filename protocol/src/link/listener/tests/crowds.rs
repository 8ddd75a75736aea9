//! More clients than there are places: who waits, who goes, and who is kept out by nobody.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use super::super::{ListenLimits, Listener};
use super::{Listening, client_hello_of_tls_1_2, ended, identity, listen};
use crate::link::dialer::dial;
use crate::link::identity::Identity;
use crate::link::session::{self, Heartbeat};
use crate::link::tls::{self, Trust};
use crate::message::to_agent::ToAgent;
use crate::message::to_controller::ToController;

#[tokio::test]
async fn silent_and_babbling_clients_stall_nobody_and_lose_their_place() {
    let (ours, theirs) = (identity(), identity());
    let limits = ListenLimits { deadline: Duration::from_secs(2), ..ListenLimits::default() };
    let mut listening = listen(&theirs, Trust::AnyProven, limits).await;
    let mut silent = listening.connect().await;
    let mut half = listening.connect().await;
    half.write_all(&client_hello_of_tls_1_2()[..20]).await.unwrap();
    let mut babbling = listening.connect().await;
    babbling.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();

    dial(&listening.address, &ours, Trust::Only(theirs.key())).await.unwrap();
    listening.links.recv().await.unwrap();

    assert!(ended(&mut silent).await.is_empty());
    assert!(ended(&mut half).await.is_empty());
    ended(&mut babbling).await;
    assert_eq!(listening.dropped().await, 0);
}

/// What begins a handshake that its client then leaves at that.
fn hello_of(identity: &Identity) -> Vec<u8> {
    let config = Arc::new(tls::client_config(identity, Trust::AnyProven));
    let mut client =
        rustls::ClientConnection::new(config, tls::server_name(Trust::AnyProven).unwrap()).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    hello
}

impl Listening {
    /// Somebody who takes a place, and keeps it as long as it may.
    async fn hold(&self) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(&hello_of(&identity())).await.unwrap();
        stream
    }
}

#[tokio::test]
async fn who_has_not_said_hello_takes_no_place() {
    let (ours, theirs) = (identity(), identity());
    for handshakes in [1, 2] {
        let deadline = Duration::from_secs(3600);
        let limits = ListenLimits { handshakes, handshakes_per_source: 1, waiting: 16, deadline };
        let mut listening = listen(&theirs, Trust::AnyProven, limits).await;
        let mut strangers = Vec::new();
        for _ in 0..7 {
            let mut stranger = listening.connect().await;
            stranger.write_all(&hello_of(&theirs)[..200]).await.unwrap();
            strangers.push(stranger);
        }
        dial(&listening.address, &ours, Trust::Only(theirs.key())).await.unwrap();
        listening.links.recv().await.unwrap();
    }
}

#[tokio::test]
async fn where_there_is_no_room_the_one_who_has_been_silent_for_longest_goes() {
    let (ours, theirs) = (identity(), identity());
    let limits = ListenLimits { waiting: 1, deadline: Duration::from_secs(3600), ..ListenLimits::default() };
    let mut listening = listen(&theirs, Trust::AnyProven, limits).await;
    let mut silent = listening.connect().await;
    dial(&listening.address, &ours, Trust::Only(theirs.key())).await.unwrap();
    listening.links.recv().await.unwrap();
    assert!(ended(&mut silent).await.is_empty());
    assert_eq!(listening.dropped().await, 1);
}

#[tokio::test]
async fn who_goes_in_the_middle_of_a_hello_holds_nobody_up() {
    let (ours, theirs) = (identity(), identity());
    let mut listening = listen(&theirs, Trust::AnyProven, ListenLimits::default()).await;
    for _ in 0..20 {
        let mut stranger = listening.connect().await;
        stranger.write_all(&hello_of(&theirs)[..200]).await.unwrap();
        drop(stranger);
        dial(&listening.address, &ours, Trust::Only(theirs.key())).await.unwrap();
        listening.links.recv().await.unwrap();
    }
}

#[tokio::test]
async fn two_sources_that_stall_after_their_hello_do_not_keep_a_third_out() {
    let theirs = identity();
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let limits =
        ListenLimits { handshakes: 4, handshakes_per_source: 2, waiting: 8, ..ListenLimits::default() };
    let mut listener = Listener::new(socket, theirs.clone(), Trust::AnyProven, limits);
    let address = listener.local_addr().unwrap();
    let accepting = tokio::spawn(async move { listener.accept().await.map(drop) });
    let mut strangers = Vec::new();
    for source in [2_u8, 3].repeat(8) {
        let client = TcpSocket::new_v4().unwrap();
        client.bind(([127, 0, 0, source], 0).into()).unwrap();
        let mut stream = client.connect(address).await.unwrap();
        // It may have been sent away already.
        let _ = stream.write_all(&hello_of(&theirs)).await;
        strangers.push(stream);
    }
    let address = format!("wss://{address}").parse().unwrap();
    dial(&address, &identity(), Trust::Only(theirs.key())).await.unwrap();
    accepting.await.unwrap().unwrap();
}

#[tokio::test]
async fn too_many_handshakes_drop_the_newest_until_there_is_room() {
    let (ours, theirs) = (identity(), identity());
    for limits in [
        ListenLimits { handshakes: 4, handshakes_per_source: 2, waiting: 1, ..ListenLimits::default() },
        ListenLimits { handshakes: 2, waiting: 1, ..ListenLimits::default() },
    ] {
        let mut listening = listen(&theirs, Trust::AnyProven, limits).await;
        let _two = (listening.hold().await, listening.hold().await);
        let waits = listening.hold().await;
        let mut one_too_many = listening.hold().await;
        // The one that waits may not have come to say hello, and be sent away as silent; then this one waits.
        let mut dropped = 0;
        tokio::select! {
            _ = ended(&mut one_too_many) => dropped += 1,
            _ = waits.readable() => dropped += 1,
        }
        drop((_two, waits, one_too_many));
        while dial(&listening.address, &ours, Trust::Only(theirs.key())).await.is_err() {
            dropped += 1;
        }
        listening.links.recv().await.unwrap();
        assert!(listening.dropped().await >= dropped);
    }
}

#[tokio::test]
async fn one_too_many_waits_until_there_is_room() {
    let (ours, theirs) = (identity(), identity());
    for limits in [
        ListenLimits { handshakes: 4, handshakes_per_source: 2, waiting: 4, ..ListenLimits::default() },
        ListenLimits { handshakes: 2, waiting: 4, ..ListenLimits::default() },
    ] {
        let mut listening = listen(&theirs, Trust::AnyProven, limits).await;
        let (mut first, mut second) = (listening.hold().await, listening.hold().await);
        // Both have their places: each is answered.
        for one in [&mut first, &mut second] {
            one.read_u8().await.unwrap();
        }
        let address = listening.address.clone();
        let third = dial(&address, &ours, Trust::Only(theirs.key()));
        tokio::pin!(third);
        assert!(timeout(Duration::from_millis(200), &mut third).await.is_err());
        drop(first);
        third.await.unwrap();
        listening.links.recv().await.unwrap();
        assert_eq!(listening.dropped().await, 0);
    }
}

#[tokio::test]
async fn a_link_keeps_its_place_until_it_is_a_session() {
    let (ours, theirs) = (identity(), identity());
    let limits =
        ListenLimits { handshakes: 4, handshakes_per_source: 2, waiting: 1, ..ListenLimits::default() };
    let mut listening = listen(&theirs, Trust::AnyProven, limits).await;
    let dial = || dial(&listening.address, &ours, Trust::Only(theirs.key()));
    // They have proven some key, and never say Hello.
    let _strangers = (dial().await.unwrap(), dial().await.unwrap());
    let third = dial();
    tokio::pin!(third);
    assert!(timeout(Duration::from_millis(200), &mut third).await.is_err(), "there is no place for a third");
    assert!(dial().await.is_err(), "and no room for a fourth");
    let (first, _second) = (listening.links.recv().await.unwrap(), listening.links.recv().await.unwrap());
    assert!(dial().await.is_err(), "being accepted frees no place");
    let (_session, _pump) = session::open::<_, ToAgent, ToController>(first, Heartbeat::Expect, || true);
    third.await.unwrap();
}
