//! Heartbeats, silence and stalls.

use std::time::Duration;

use futures_util::{FutureExt, SinkExt};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::{Both, both, pass, probe, progress, with_bare_agent};
use crate::link::memory;
use crate::link::session::{Heartbeat, LinkHealth, SessionEnd, open};
use crate::message::codec::{MAX_MESSAGE, encode};
use crate::message::to_agent::ToAgent;
use crate::message::to_controller::ToController;

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn an_idle_session_stays_live() {
    let Both { agent, controller, agent_pump, controller_pump } = both().await;
    pass(HOUR).await;
    assert!(!agent.health.has_changed().unwrap());
    assert!(!controller.health.has_changed().unwrap());
    assert!(!agent_pump.is_finished() && !controller_pump.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_silent_agent_is_late_and_then_the_session_ends() {
    let (mut session, pump, _bare) = with_bare_agent().await;
    let start = Instant::now();
    session.health.changed().await.unwrap();
    assert_eq!(*session.health.borrow_and_update(), LinkHealth::Late);
    assert_eq!(start.elapsed().as_secs(), 25);
    assert_eq!(pump.await.unwrap(), SessionEnd::Silent);
    assert_eq!(start.elapsed().as_secs(), 45);
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_answers_no_heartbeat_is_silent_too() {
    let (dialled, _bare) = memory::pair().await;
    let (_session, pump) = open::<_, ToController, ToAgent>(dialled, Heartbeat::Send, || true);
    let start = Instant::now();
    assert_eq!(pump.await, SessionEnd::Silent);
    assert_eq!(start.elapsed().as_secs(), 45);
}

#[tokio::test(start_paused = true)]
async fn a_late_peer_that_is_heard_again_is_live_again() {
    let (mut session, pump, mut bare) = with_bare_agent().await;
    session.health.changed().await.unwrap();
    assert_eq!(*session.health.borrow_and_update(), LinkHealth::Late);
    bare.socket.send(Message::Ping(Vec::new().into())).await.unwrap();
    session.health.changed().await.unwrap();
    assert_eq!(*session.health.borrow_and_update(), LinkHealth::Live);
    assert!(!pump.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_message_that_trickles_in_is_not_silence() {
    let (mut session, pump, mut bare) = with_bare_agent().await;
    let frame = encode(&progress(1, 3000), MAX_MESSAGE).unwrap();
    // The frame's header and body by hand, so that the body can come in pieces: unmasked would be a violation, and a
    // mask of zeros leaves the body as it is.
    let mut bytes = vec![0x82, 0xfe];
    bytes.extend_from_slice(&u16::try_from(frame.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&frame);
    for piece in bytes.chunks(300) {
        let stream = bare.socket.get_mut();
        tokio::io::AsyncWriteExt::write_all(stream, piece).await.unwrap();
        tokio::io::AsyncWriteExt::flush(stream).await.unwrap();
        pass(Duration::from_secs(20)).await;
    }
    assert_eq!(session.incoming.recv().await.unwrap(), progress(1, 3000));
    assert!(!session.health.has_changed().unwrap());
    assert!(!pump.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_busy_consumer_stops_neither_heartbeats_nor_what_is_sent() {
    let Both { mut agent, mut controller, agent_pump, controller_pump } = both().await;
    // More than the controller's queue holds, so that it stops reading; less than the pipe holds.
    for line in 0..60 {
        agent.outgoing.send(progress(line, 100)).await.unwrap();
    }
    for nonce in 0..20 {
        pass(Duration::from_secs(60)).await;
        controller.outgoing.send(probe(nonce)).await.unwrap();
        assert_eq!(agent.incoming.recv().await.unwrap(), probe(nonce));
    }
    assert!(!agent.health.has_changed().unwrap());
    assert!(!controller.health.has_changed().unwrap());
    for line in 0..60 {
        assert_eq!(controller.incoming.recv().await.unwrap(), progress(line, 100));
    }
    pass(HOUR).await;
    assert!(!agent_pump.is_finished() && !controller_pump.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_busy_agent_still_sends_heartbeats() {
    let Both { agent, controller, agent_pump, controller_pump } = both().await;
    for nonce in 0..60 {
        controller.outgoing.send(probe(nonce)).await.unwrap();
    }
    pass(HOUR).await;
    assert!(!controller.health.has_changed().unwrap());
    assert!(!agent.health.has_changed().unwrap());
    assert!(!agent_pump.is_finished() && !controller_pump.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_stalls_the_session_after_one_time_limit() {
    let (dialled, _bare) = memory::pair().await;
    let (session, pump) = open::<_, ToController, ToAgent>(dialled, Heartbeat::Send, || true);
    let pump = tokio::spawn(pump);
    let start = Instant::now();
    let mut line = 0;
    while session.outgoing.send(progress(line, 8000)).await.is_ok() {
        line += 1;
    }
    assert_eq!(pump.await.unwrap(), SessionEnd::Stalled);
    assert_eq!(start.elapsed().as_secs(), 20);
    assert!(session.outgoing.send(progress(line, 1)).now_or_never().unwrap().is_err());
}
