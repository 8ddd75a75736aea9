//! Programs of different versions: a newer minor talks to an older one, another major is refused by name.

use roadstead_protocol::join_token::JoinToken;
use roadstead_protocol::link::identity::Identity;
use roadstead_protocol::message::event::{Event, EventBatch, EventKind};
use roadstead_protocol::message::hello::{Hello, Refusal, Reply, Welcome};
use roadstead_protocol::message::ids::EventSeq;
use roadstead_protocol::message::time::UnixMicros;
use roadstead_protocol::message::to_agent::ToAgent;
use roadstead_protocol::message::to_controller::ToController;
use roadstead_protocol::message::version::{CURRENT, ProtocolVersion};
use roadstead_tests::raw::{RawLink, hello, with_more};
use roadstead_tests::{AgentOptions, AgentProcess, Dockerd};
use serde_json::json;
use tokio::time::timeout;

use crate::own_controller::{own_controller, welcome};
use crate::site::{Dial, SOON, Site, logged};

const NEWER: ProtocolVersion = ProtocolVersion { major: CURRENT.major, minor: CURRENT.minor + 1 };
const OLDER: ProtocolVersion = ProtocolVersion { major: CURRENT.major, minor: CURRENT.minor - 1 };
const ALIEN: ProtocolVersion = ProtocolVersion { major: CURRENT.major + 1, minor: 0 };

/// A message that no version knows.
fn forecast() -> serde_json::Value {
    json!({ "type": "forecast", "wind": [1, 2, 3], "sea": { "state": "calm" } })
}

#[tokio::test]
async fn an_agent_of_a_newer_minor_works_with_its_unknown_fields_and_messages() {
    let site = Site::start().await;
    let proof = site.token(Dial::Outbound).await.parse::<JoinToken>().unwrap().proof();
    let identity = Identity::generate().unwrap();
    let mut link = RawLink::dial(site.controller.agents(), Some(&identity)).await.unwrap();
    let greeting = Hello { protocol: NEWER, ..hello("newer", Some(proof)) };
    let reply = link.greet(&with_more(greeting)).await.unwrap();
    let Reply::Welcome(welcome) = reply else { panic!("{reply:?}") };
    assert_eq!(welcome.protocol, CURRENT);
    link.send(&forecast()).await.unwrap();
    let engine = json!({ "state": { "state": "reachable", "mood": "good" }, "since": 1, "version": "99.0" });
    let container = json!({
        "id": "0123456789abcdef".repeat(4), "name": "web", "image": "app:9", "image_id": "sha256:00",
        "created_at": 1, "state": "hibernating", "health": "excellent", "moods": ["calm"]
    });
    let snapshot =
        json!({ "type": "snapshot", "engine": engine, "containers": [container], "last": true, "tide": 1 });
    link.send(&snapshot).await.unwrap();
    link.send(&forecast()).await.unwrap();
    let id = welcome.instance.as_str();
    let shown = site.healthy(id).await;
    assert_eq!((&shown["engine"]["version"], &shown["stale"]), (&json!("99.0"), &json!(false)));
    let containers = site.api.containers(id).await;
    assert_eq!(containers.len(), 1);
    assert_eq!((&containers[0]["name"], &containers[0]["state"]), (&json!("web"), &json!("unknown")));
    assert_eq!(site.instance(id).await["link"]["state"], "live");
}

#[tokio::test]
async fn an_agent_one_minor_behind_tells_its_events_once_by_their_numbers_alone() {
    let site = Site::start().await;
    let proof = site.token(Dial::Outbound).await.parse::<JoinToken>().unwrap().proof();
    let identity = Identity::generate().unwrap();
    let greeting = Hello { protocol: OLDER, ..hello("older", Some(proof)) };
    let event = |seq| Event {
        seq: EventSeq(seq),
        at: UnixMicros(0),
        what: EventKind::AgentStarted { version: "0.1.0".to_owned() },
    };
    let acknowledged = |message| match message {
        ToAgent::Acknowledge { up_to, .. } => Some(up_to),
        _ => None,
    };
    // The second session repeats what the first was not told to be stored.
    for (known, told) in [(0, 1..=3), (3, 2..=4)] {
        let mut link = RawLink::dial(site.controller.agents(), Some(&identity)).await.unwrap();
        let reply = link.greet(&greeting).await.unwrap();
        let Reply::Welcome(welcome) = reply else { panic!("{reply:?}") };
        assert_eq!((welcome.acknowledged, welcome.print), (EventSeq(known), None));
        let last = EventSeq(*told.end());
        let batch = EventBatch::plain(greeting.epoch, told.map(event).collect());
        link.send(&ToController::Events(batch)).await.unwrap();
        assert_eq!(timeout(SOON, link.until(acknowledged)).await.unwrap().unwrap(), last);
    }
    let events = site.api.get("/api/events").await.expect_status(200);
    assert_eq!(events["events"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn a_controller_one_minor_behind_is_told_events_and_its_acknowledgements_are_believed() {
    let engine = Dockerd::start().await;
    let (identity, token) = own_controller();
    let agent = AgentProcess::start(AgentOptions::inbound(&engine, &token, "127.0.0.1:0")).await;
    let mut first = EventSeq(1);
    for _ in 0..2 {
        let mut link = RawLink::dial(agent.link().unwrap(), Some(&identity)).await.unwrap();
        let greeting: Hello = link.until(Some).await.unwrap();
        let Reply::Welcome(welcome) = welcome(OLDER) else { panic!("it is let in") };
        let acknowledged = EventSeq(first.0 - 1);
        link.send(&Reply::Welcome(Welcome { acknowledged, ..welcome })).await.unwrap();
        let told = link.until(|message| match message {
            ToController::Events(batch) => Some(batch),
            _ => None,
        });
        // The first start is an event; after it, what happens now.
        let batch = if first == EventSeq(1) {
            timeout(SOON, told).await.unwrap().unwrap()
        } else {
            let (batch, _) = tokio::join!(timeout(SOON, told), engine.docker(["volume", "create", "data"]));
            batch.unwrap().unwrap()
        };
        assert_eq!((batch.epoch, batch.events[0].seq), (greeting.epoch, first));
        first = batch.events.last().unwrap().seq.next();
    }
}

#[tokio::test]
async fn an_agent_of_another_major_is_refused_by_name() {
    let site = Site::start().await;
    let proof = site.token(Dial::Outbound).await.parse::<JoinToken>().unwrap().proof();
    let identity = Identity::generate().unwrap();
    let mut link = RawLink::dial(site.controller.agents(), Some(&identity)).await.unwrap();
    let greeting = Hello { protocol: ALIEN, ..hello("alien", Some(proof)) };
    let reply = link.greet(&with_more(greeting)).await.unwrap();
    assert_eq!(reply, Reply::Refused(Refusal::Version { controller: CURRENT }));
    logged(site.controller.log(), &["refused an agent", "alien", "upgrade the older of the two programs"])
        .await;
    assert!(site.api.instances().await.is_empty());
}

#[tokio::test]
async fn a_controller_of_a_newer_minor_works_and_one_of_another_major_is_refused_by_name() {
    let engine = Dockerd::start().await;
    let (identity, token) = own_controller();
    let agent = AgentProcess::start(AgentOptions::inbound(&engine, &token, "127.0.0.1:0")).await;
    let mut link = RawLink::dial(agent.link().unwrap(), Some(&identity)).await.unwrap();
    let greeting: Hello = link.until(Some).await.unwrap();
    assert_eq!(greeting.protocol, CURRENT);
    link.send(&with_more(welcome(NEWER))).await.unwrap();
    link.send(&forecast()).await.unwrap();
    link.send(&with_more(ToAgent::Probe { nonce: 42 })).await.unwrap();
    let answered = link.until(|message| match message {
        ToController::Probed { nonce, .. } => Some(nonce),
        _ => None,
    });
    assert_eq!(timeout(SOON, answered).await.unwrap().unwrap(), 42);
    drop(link);

    let mut link = RawLink::dial(agent.link().unwrap(), Some(&identity)).await.unwrap();
    let _: Hello = link.until(Some).await.unwrap();
    link.send(&welcome(ALIEN)).await.unwrap();
    let line = logged(agent.log(), &["the controller speaks protocol 2.0, this agent 1.1"]).await;
    assert!(line.contains("upgrade the older of the two programs"), "{line}");
}
