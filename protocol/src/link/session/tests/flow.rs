//! Messages under way: order, pressure, what cannot be sent.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::{Both, both, line_of, probe, progress};
use crate::message::codec::MAX_MESSAGE;
use crate::message::to_agent::ToAgent;
use crate::message::to_controller::ToController;
use crate::queue::{Incoming, Outgoing};

#[tokio::test(start_paused = true)]
async fn messages_arrive_whole_and_in_order() {
    let Both { agent, mut controller, agent_pump: _agent, controller_pump: _controller } = both().await;
    let sender = tokio::spawn(async move {
        for line in 0..500 {
            agent.outgoing.send(progress(line, usize::try_from(line).unwrap() * 100)).await.unwrap();
        }
        agent
    });
    for line in 0..500 {
        let message = controller.incoming.recv().await.unwrap();
        assert_eq!(message, progress(line, usize::try_from(line).unwrap() * 100));
    }
    drop(sender.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn both_sides_flood_slow_readers_and_everything_arrives() {
    const COUNT: u64 = 400;

    async fn fill<T>(sender: Outgoing<T>, message: impl Fn(u64) -> T) -> Outgoing<T> {
        for number in 0..COUNT {
            if sender.send(message(number)).await.is_err() {
                break;
            }
        }
        sender
    }

    async fn take_slowly<T>(mut receiver: Incoming<T>, number: impl Fn(&T) -> u64) -> u64 {
        let mut pace = interval(Duration::from_millis(50));
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut taken = 0;
        while taken < COUNT {
            pace.tick().await;
            let Some(message) = receiver.recv().await else { break };
            assert_eq!(number(&message), taken);
            taken += 1;
        }
        taken
    }

    // An order large enough that the pipe, the queues and the socket's buffers are all full most of the time.
    fn order(number: u64) -> ToAgent {
        use crate::message::command::{Order, Work};
        let work = Work::Check { project: "x".repeat(20_000) };
        let id = crate::message::ids::CommandId(uuid::Uuid::from_u128(number.into()));
        ToAgent::Order(Box::new(Order { id, work, deadline_secs: 1 }))
    }
    let number_of = |message: &ToAgent| match message {
        ToAgent::Order(order) => u64::try_from(order.id.0.as_u128()).unwrap(),
        other => panic!("not an order: {other:?}"),
    };

    let Both { agent, controller, agent_pump, controller_pump } = both().await;
    let (from_agent, from_controller, at_controller, at_agent) = tokio::join!(
        fill(agent.outgoing, |line| progress(line, 20_000)),
        fill(controller.outgoing, order),
        take_slowly(controller.incoming, line_of),
        take_slowly(agent.incoming, number_of),
    );
    assert_eq!((at_controller, at_agent), (COUNT, COUNT));
    drop((from_agent, from_controller));
    agent_pump.await.unwrap();
    controller_pump.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_message_too_large_is_dropped_and_the_session_lives() {
    let Both { agent, mut controller, agent_pump: _agent, controller_pump: _controller } = both().await;
    agent.outgoing.send(progress(0, MAX_MESSAGE)).await.unwrap();
    agent.outgoing.send(progress(1, 1)).await.unwrap();
    assert_eq!(controller.incoming.recv().await.unwrap(), progress(1, 1));
}

#[tokio::test(start_paused = true)]
async fn the_largest_message_arrives() {
    let Both { agent, mut controller, agent_pump: _agent, controller_pump: _controller } = both().await;
    let overhead = crate::message::codec::encoded_size(&progress(0, 60_000)).unwrap() - 60_000;
    let largest = progress(0, MAX_MESSAGE - overhead);
    agent.outgoing.send(largest.clone()).await.unwrap();
    assert_eq!(controller.incoming.recv().await.unwrap(), largest);
}

#[tokio::test(start_paused = true)]
async fn messages_of_a_newer_version_are_passed_on_as_unknown() {
    let (mut session, _pump, mut bare) = super::with_bare_agent().await;
    let newer = serde_json::json!({"type": "of_a_newer_version", "with": ["something", 1]});
    let bytes = rmp_serde::to_vec_named(&newer).unwrap();
    futures_util::SinkExt::send(
        &mut bare.socket,
        tokio_tungstenite::tungstenite::Message::Binary(bytes.into()),
    )
    .await
    .unwrap();
    assert_eq!(session.incoming.recv().await.unwrap(), ToController::Unknown);
    session.outgoing.send(probe(1)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_idle_pump_needs_little_memory() {
    use crate::link::session::{Heartbeat, open};

    let (dialled, _accepted) = crate::link::memory::pair().await;
    let (_session, pump) = open::<_, ToController, ToAgent>(dialled, Heartbeat::Send, || true);
    let size = size_of_val(&pump);
    assert!(size <= 1024, "{size} bytes, times ten thousand");
}
