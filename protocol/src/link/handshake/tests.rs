//! The greeting between an agent and a controller, over links in memory and paused time.

use futures_util::SinkExt;
use tokio_tungstenite::tungstenite::Message;
use uuid::Uuid;

use super::{GreetError, HelloError, answer, greet, receive_hello};
use crate::link::memory;
use crate::message::codec::MAX_HANDSHAKE;
use crate::message::hello::{Hello, Refusal, Reply, Welcome};
use crate::message::ids::{BootId, Epoch, EventSeq, InstanceId, SessionId};
use crate::message::policy::Policy;
use crate::message::version::{self, ProtocolVersion};

fn hello() -> Hello {
    Hello {
        protocol: version::CURRENT,
        agent_version: "0.1.0".to_owned(),
        boot: BootId(Uuid::from_u128(1)),
        join: None,
        name: "nas".to_owned(),
        environment: None,
        tags: Vec::new(),
        policy: Policy::default(),
        abilities: Vec::new(),
        epoch: Epoch(Uuid::from_u128(2)),
        last_event: EventSeq(0),
        remembers_since: None,
    }
}

fn welcome() -> Welcome {
    Welcome {
        protocol: version::CURRENT,
        controller_version: "0.1.0".to_owned(),
        session: SessionId(Uuid::from_u128(3)),
        instance: InstanceId::try_from("nas".to_owned()).unwrap(),
        name: "nas".to_owned(),
        acknowledged: EventSeq(0),
        print: None,
    }
}

#[tokio::test(start_paused = true)]
async fn works_whoever_dialled() {
    for agent_dials in [true, false] {
        let (dialled, accepted) = memory::pair().await;
        let (mut agent, mut controller) = if agent_dials { (dialled, accepted) } else { (accepted, dialled) };
        let (hello, reply) = (hello(), Reply::Welcome(welcome()));
        let (welcomed, heard) = tokio::join!(greet(&mut agent, &hello), async {
            let heard = receive_hello(&mut controller).await.unwrap();
            answer(&mut controller, &reply).await.unwrap();
            heard
        });
        assert_eq!(welcomed.unwrap(), welcome());
        assert_eq!(heard, hello);
    }
}

/// What the agent makes of a reply.
async fn greeted(reply: Reply) -> Result<Welcome, GreetError> {
    let (mut agent, mut controller) = memory::pair().await;
    let hello = hello();
    let (welcomed, ()) = tokio::join!(greet(&mut agent, &hello), async {
        receive_hello(&mut controller).await.unwrap();
        answer(&mut controller, &reply).await.unwrap();
        drop(controller);
    });
    welcomed
}

#[tokio::test(start_paused = true)]
async fn a_refusal_arrives_with_its_reason() {
    for refusal in [Refusal::TokenExpired, Refusal::Busy { retry_after_ms: 7 }] {
        let error = greeted(Reply::Refused(refusal.clone())).await.unwrap_err();
        assert_eq!(error.to_string(), refusal.to_string());
    }
    let error = greeted(Reply::Unknown).await.unwrap_err();
    assert!(matches!(error, GreetError::Refused(Refusal::Unknown)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_welcome_of_another_major_version_is_not_taken() {
    let newer = ProtocolVersion { major: version::CURRENT.major + 1, minor: 0 };
    let error = greeted(Reply::Welcome(Welcome { protocol: newer, ..welcome() })).await.unwrap_err();
    assert!(matches!(error, GreetError::Version(seen) if seen == newer), "{error}");
    let newer = ProtocolVersion { minor: version::CURRENT.minor + 9, ..version::CURRENT };
    greeted(Reply::Welcome(Welcome { protocol: newer, ..welcome() })).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn nobody_is_waited_for_longer_than_ten_seconds() {
    let (mut agent, mut controller) = memory::pair().await;
    let start = tokio::time::Instant::now();
    let error = receive_hello(&mut controller).await.unwrap_err();
    assert!(matches!(error, HelloError::Deadline), "{error}");
    assert_eq!(start.elapsed().as_secs(), 10);
    let error = greet(&mut agent, &hello()).await.unwrap_err();
    assert!(matches!(error, GreetError::Link(HelloError::Deadline)), "{error}");
    assert_eq!(start.elapsed().as_secs(), 20);
}

#[tokio::test(start_paused = true)]
async fn heartbeats_do_not_prolong_the_wait() {
    let (mut agent, mut controller) = memory::pair().await;
    let start = tokio::time::Instant::now();
    let chatter = async {
        let mut every = tokio::time::interval(std::time::Duration::from_secs(1));
        loop {
            every.tick().await;
            agent.socket.send(Message::Ping(Vec::new().into())).await.unwrap();
        }
    };
    tokio::select! {
        heard = receive_hello(&mut controller) => {
            assert!(matches!(heard.unwrap_err(), HelloError::Deadline));
        }
        () = chatter => {}
    }
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn anything_but_hello_is_malformed_and_can_be_answered() {
    for frame in [
        Message::Binary(Vec::new().into()),
        Message::Binary(vec![0xc0; MAX_HANDSHAKE + 1].into()),
        Message::Binary(vec![0x91; 1000].into()),
        Message::Binary(b"\x81\xa4type\xa5probe".to_vec().into()),
        Message::Text("hello".into()),
    ] {
        let (mut agent, mut controller) = memory::pair().await;
        agent.socket.send(frame).await.unwrap();
        let error = receive_hello(&mut controller).await.unwrap_err();
        let HelloError::Malformed(reason) = error else { panic!("{error}") };
        let refusal = Reply::Refused(Refusal::Malformed { reason });
        let (answered, read) =
            tokio::join!(answer(&mut controller, &refusal), super::receive::<_, Reply>(&mut agent));
        answered.unwrap();
        assert_eq!(read.unwrap(), refusal);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_leaves_is_noticed_at_once() {
    let (mut agent, controller) = memory::pair().await;
    drop(controller);
    let start = tokio::time::Instant::now();
    let error = greet(&mut agent, &hello()).await.unwrap_err();
    assert!(matches!(error, GreetError::Link(_)), "{error}");
    assert_eq!(start.elapsed().as_secs(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_hello_too_large_is_not_sent() {
    let (mut agent, _controller) = memory::pair().await;
    let large = Hello { tags: vec!["x".repeat(MAX_HANDSHAKE)], ..hello() };
    let error = greet(&mut agent, &large).await.unwrap_err();
    assert!(matches!(error, GreetError::Link(HelloError::Encode(_))), "{error}");
}
