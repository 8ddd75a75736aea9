//! Every way a session ends, seen from both sides.

use std::time::Duration;

use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::{Both, both, probe, progress, with_bare_agent};
use crate::link::session::SessionEnd;
use crate::message::codec::{MAX_MESSAGE, encode};

#[tokio::test(start_paused = true)]
async fn closing_sends_what_is_queued_and_says_goodbye() {
    let Both { agent, mut controller, agent_pump, controller_pump } = both().await;
    for line in 0..20 {
        agent.outgoing.try_send(progress(line, 2000)).unwrap();
    }
    let start = Instant::now();
    agent.closer.cancel();
    for line in 0..20 {
        assert_eq!(controller.incoming.recv().await.unwrap(), progress(line, 2000));
    }
    assert_eq!(agent_pump.await.unwrap(), SessionEnd::ClosedByUs);
    assert_eq!(controller_pump.await.unwrap(), SessionEnd::ClosedByPeer);
    assert_eq!(start.elapsed(), Duration::ZERO, "nobody had to wait for a time limit");
    assert!(controller.incoming.recv().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn the_side_that_accepted_closes_just_as_well() {
    let Both { mut agent, controller, agent_pump, controller_pump } = both().await;
    controller.outgoing.try_send(probe(1)).unwrap();
    let start = Instant::now();
    controller.closer.cancel();
    assert_eq!(agent.incoming.recv().await.unwrap(), probe(1));
    assert_eq!(controller_pump.await.unwrap(), SessionEnd::ClosedByUs);
    assert_eq!(agent_pump.await.unwrap(), SessionEnd::ClosedByPeer);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn dropping_either_queue_closes() {
    let Both { agent, agent_pump, controller_pump, controller: _controller } = both().await;
    drop(agent.outgoing);
    assert_eq!(agent_pump.await.unwrap(), SessionEnd::ClosedByUs);
    assert_eq!(controller_pump.await.unwrap(), SessionEnd::ClosedByPeer);

    let Both { agent: _agent, agent_pump, controller_pump, controller } = both().await;
    drop(controller.incoming);
    assert_eq!(controller_pump.await.unwrap(), SessionEnd::ClosedByUs);
    assert_eq!(agent_pump.await.unwrap(), SessionEnd::ClosedByPeer);
}

#[tokio::test(start_paused = true)]
async fn both_sides_may_close_at_once() {
    let Both { agent, controller, agent_pump, controller_pump } = both().await;
    agent.closer.cancel();
    controller.closer.cancel();
    let start = Instant::now();
    for pump in [agent_pump, controller_pump] {
        let end = pump.await.unwrap();
        assert!(matches!(end, SessionEnd::ClosedByUs | SessionEnd::ClosedByPeer), "{end:?}");
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_say_goodbye_is_not_waited_for() {
    let (session, pump, _bare) = with_bare_agent().await;
    for nonce in 0..50 {
        session.outgoing.try_send(probe(nonce)).unwrap();
    }
    let start = Instant::now();
    session.closer.cancel();
    assert_eq!(pump.await.unwrap(), SessionEnd::ClosedByUs);
    assert_eq!(start.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_superseded_session_says_so_on_both_sides() {
    let Both { agent: _agent, controller, agent_pump, controller_pump } = both().await;
    controller.superseder.cancel();
    assert_eq!(controller_pump.await.unwrap(), SessionEnd::Superseded);
    assert_eq!(agent_pump.await.unwrap(), SessionEnd::Superseded);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_vanishes_is_a_failed_connection() {
    let (_session, pump, bare) = with_bare_agent().await;
    drop(bare);
    assert!(matches!(pump.await.unwrap(), SessionEnd::Transport(_)));
}

#[tokio::test(start_paused = true)]
async fn a_pump_that_is_dropped_cuts_the_connection() {
    let Both { agent: _agent, controller: _controller, agent_pump, controller_pump } = both().await;
    controller_pump.abort();
    assert!(matches!(agent_pump.await.unwrap(), SessionEnd::Transport(_)));
}

/// What the session does with a frame that is no message: the reason it ends with.
async fn rejected(frame: Message) -> (SessionEnd, CloseCode, String) {
    let (mut session, pump, mut bare) = with_bare_agent().await;
    bare.socket.send(frame).await.unwrap();
    let Some(Ok(Message::Close(Some(goodbye)))) = bare.socket.next().await else {
        panic!("no goodbye");
    };
    let start = Instant::now();
    while let Some(Ok(_)) = bare.socket.next().await {}
    drop(bare);
    let end = pump.await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(session.incoming.recv().now_or_never().is_some_and(|message| message.is_none()));
    (end, goodbye.code, goodbye.reason.to_string())
}

#[tokio::test(start_paused = true)]
async fn a_bad_frame_ends_the_session_by_name_and_tells_the_peer() {
    let good = encode(&progress(1, 100), MAX_MESSAGE).unwrap();
    let truncated = good[..good.len() - 1].to_vec();
    let mut trailing = good.clone();
    trailing.push(0xc0);
    let mut nested = vec![0x82, 0xa4];
    nested.extend_from_slice(b"type");
    nested.extend_from_slice(&[0xa6]);
    nested.extend_from_slice(b"figure");
    nested.extend_from_slice(&[0xa1, b'x']);
    nested.extend(std::iter::repeat_n(0x91, 60_000));
    let to_agent = encode(&probe(1), MAX_MESSAGE).unwrap();

    for (frame, code, named) in [
        (Message::Binary(truncated.into()), CloseCode::Policy, "not a valid message"),
        (Message::Binary(trailing.into()), CloseCode::Policy, "more bytes after the message"),
        (Message::Binary(nested.into()), CloseCode::Policy, "depth limit exceeded"),
        (Message::Binary(to_agent.into()), CloseCode::Policy, "wrong direction"),
        (Message::Binary(Vec::new().into()), CloseCode::Policy, "not a valid message"),
        (Message::Binary(vec![0xc1; 200].into()), CloseCode::Policy, "not a valid message"),
        (Message::Binary(b"\x81\xa4type\xa6events".to_vec().into()), CloseCode::Policy, "missing field"),
        (Message::Binary(vec![0; MAX_MESSAGE + 1].into()), CloseCode::Size, "too long"),
        (Message::Text("{}".into()), CloseCode::Unsupported, "text frame"),
    ] {
        let (end, told_code, told) = rejected(frame).await;
        let SessionEnd::Decode(reason) = &end else { panic!("{named}: {end:?}") };
        assert!(reason.contains(named), "{named}: {reason}");
        assert_eq!(told_code, code, "{named}");
        assert!(reason.starts_with(&told), "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_no_frame_end_the_session_by_name() {
    for bytes in [
        &[0xff; 20][..],
        b"\x82\x01\x00",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0",
    ] {
        let (_session, pump, mut bare) = with_bare_agent().await;
        bare.socket.get_mut().write_all(bytes).await.unwrap();
        bare.socket.get_mut().flush().await.unwrap();
        let mut told = Vec::new();
        bare.socket.get_mut().read_buf(&mut told).await.unwrap();
        bare.socket.get_mut().shutdown().await.unwrap();
        drop(bare);
        assert!(matches!(pump.await.unwrap(), SessionEnd::Decode(_)), "{bytes:?}");
        assert_eq!(told[0], 0x88, "a close frame");
    }
}

#[tokio::test(start_paused = true)]
async fn a_complaint_of_the_peer_is_named() {
    let Both { agent, controller: _controller, agent_pump, controller_pump } = both().await;
    drop(agent);
    assert_eq!(agent_pump.await.unwrap(), SessionEnd::ClosedByUs);
    assert_eq!(controller_pump.await.unwrap(), SessionEnd::ClosedByPeer);

    let (_session, pump, mut bare) = with_bare_agent().await;
    let complaint = super::super::farewell::goodbye(CloseCode::Policy, &"ä".repeat(200));
    bare.socket.close(Some(complaint)).await.unwrap();
    while let Some(Ok(_)) = bare.socket.next().await {}
    let SessionEnd::Decode(reason) = pump.await.unwrap() else { panic!("not named") };
    assert!(reason.contains("the other side says: ääää"), "{reason}");
}
