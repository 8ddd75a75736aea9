//! Probes: each answer to its question, and nothing left behind.

use std::time::Duration;

use roadstead_protocol::message::ids::BootId;
use roadstead_protocol::message::inspection::Inspection;
use roadstead_protocol::message::to_agent::ToAgent;
use roadstead_protocol::queue::Incoming;

use super::{MAX_WAITING, ProbeError, Probes};
use crate::fixtures::{agent, container_id, engine};
use crate::registry::SendError;

const DEADLINE: Duration = Duration::from_secs(5);

async fn asked(sent: &mut Incoming<ToAgent>) -> u64 {
    let Some(ToAgent::Probe { nonce }) = sent.recv().await else { panic!("a probe is sent") };
    nonce
}

#[tokio::test(start_paused = true)]
async fn the_answer_comes_back_without_the_engines_time() {
    let probes = Probes::default();
    let (handle, mut sent, _end) = agent(BootId::generate());
    let answer = async {
        let nonce = asked(&mut sent).await;
        probes.answered(nonce.wrapping_add(1), engine(), 1);
        tokio::time::advance(Duration::from_millis(30)).await;
        probes.answered(nonce, engine(), 10_000);
        probes.answered(nonce, engine(), 20_000);
    };
    let (result, ()) = tokio::join!(probes.probe(&handle, DEADLINE), answer);
    let result = result.unwrap();
    assert_eq!(result.engine, engine());
    assert_eq!(result.engine_micros, 10_000);
    assert_eq!(result.round_trip, Duration::from_millis(20));
    assert!(probes.lock().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_does_not_answer_is_not_waited_for() {
    let probes = Probes::default();
    let (handle, _sent, _end) = agent(BootId::generate());
    assert_eq!(probes.probe(&handle, DEADLINE).await, Err(ProbeError::TimedOut(DEADLINE)));
    assert!(probes.lock().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_session_ends_the_wait() {
    let probes = Probes::default();
    let (handle, mut sent, _end) = agent(BootId::generate());
    let end = async {
        asked(&mut sent).await;
        drop(sent);
    };
    let (result, ()) = tokio::join!(probes.probe(&handle, DEADLINE), end);
    assert_eq!(result, Err(ProbeError::Gone));
    assert_eq!(probes.probe(&handle, DEADLINE).await, Err(ProbeError::Send(SendError::Gone)));
    assert!(probes.lock().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_container_is_described_by_whoever_was_asked_and_nothing_else_is_an_answer() {
    let probes = Probes::default();
    let (handle, mut sent, _end) = agent(BootId::generate());
    let id = container_id(1);
    let inspected = async |sent: &mut Incoming<ToAgent>| {
        let Some(ToAgent::Inspect { nonce, container }) = sent.recv().await else { panic!("it is asked") };
        assert_eq!(container, container_id(1));
        nonce
    };
    let answer = async {
        let nonce = inspected(&mut sent).await;
        probes.inspected(nonce.wrapping_add(1), Inspection::Missing);
        probes.inspected(nonce, Inspection::Missing);
        let nonce = inspected(&mut sent).await;
        probes.answered(nonce, engine(), 1);
    };
    let ask = async {
        let first = probes.inspect(&handle, id.clone(), DEADLINE).await;
        (first, probes.inspect(&handle, id.clone(), DEADLINE).await)
    };
    let ((first, second), ()) = tokio::join!(ask, answer);
    assert_eq!(first, Ok(Inspection::Missing));
    assert_eq!(second, Err(ProbeError::Nonsense));
    assert_eq!(probes.inspect(&handle, id, DEADLINE).await, Err(ProbeError::TimedOut(DEADLINE)));
    assert!(probes.lock().is_empty());
}

#[tokio::test]
async fn only_so_many_wait() {
    let probes = Probes::default();
    let (handle, _sent, _end) = agent(BootId::generate());
    let places: Vec<_> =
        (0..MAX_WAITING).map(|_| probes.enter(tokio::sync::oneshot::channel().0).unwrap()).collect();
    assert_eq!(probes.probe(&handle, DEADLINE).await, Err(ProbeError::TooMany));
    drop(places);
    assert!(probes.lock().is_empty());
}
