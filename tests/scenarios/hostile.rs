//! Peers that mean no good: each ends its own session, by name, and harms nobody else.

use std::net::SocketAddr;
use std::time::Duration;

use roadstead_protocol::join_token::JoinToken;
use roadstead_protocol::link::identity::Identity;
use roadstead_protocol::message::codec::{self, MAX_MESSAGE};
use roadstead_protocol::message::hello::{Hello, JoinProof, Refusal, Reply};
use roadstead_protocol::message::to_agent::ToAgent;
use roadstead_protocol::message::to_controller::ToController;
use roadstead_protocol::message::version::CURRENT;
use roadstead_tests::api::text;
use roadstead_tests::raw::{BINARY, RawLink, TEXT, frame_header, hello};
use roadstead_tests::{AgentOptions, AgentProcess, Dockerd, ImageOptions, busybox_image, eventually, tool};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};

use crate::own_controller::{own_controller, welcome};
use crate::site::{BOTH, Dial, Member, SOON, Site, logged, logged_now};
use crate::truth;

/// A site with an honest agent, whose session has to survive whatever the test does.
struct Quarter {
    site: Site,
    engine: Dockerd,
    honest: Member,
    before: Value,
}

impl Quarter {
    async fn start(dial: Dial) -> Self {
        let (site, engine) = tokio::join!(Site::start(), Dockerd::start());
        busybox_image(&engine, "app:1", &ImageOptions::default()).await;
        let honest = site.join(dial, &engine, "honest").await;
        let before = site.instance(&honest.id).await;
        Self { site, engine, honest, before }
    }

    /// A token that lets many strangers in.
    async fn proof(&self) -> JoinProof {
        let made = self.site.api.post("/api/join-tokens", &json!({ "uses": 100 })).await.expect_status(201);
        text(&made, "token").parse::<JoinToken>().unwrap().proof()
    }

    /// The honest agent's session is the one it was, and works.
    async fn unharmed(&self) {
        let after = self.site.instance(&self.honest.id).await;
        assert_eq!(after["link"]["since"], self.before["link"]["since"], "{}", after["link"]);
        assert_eq!(after["health"], "healthy");
        self.engine.docker(["run", "--detach", "app:1"]).await;
        truth::equal(&self.site.api, &self.honest.id, &self.engine, SOON).await;
        let path = format!("/api/instances/{}/health", self.honest.id);
        assert_eq!(self.site.api.get(&path).await.expect_status(200)["health"], "healthy");
    }
}

/// A frame as it goes over the wire.
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    [frame_header(opcode, payload.len() as u64), payload.to_vec()].concat()
}

fn encoded(message: &impl serde::Serialize) -> Vec<u8> {
    codec::encode(message, usize::MAX).unwrap()
}

/// A list within a list, and so on, in MessagePack.
fn nest(depth: usize) -> Vec<u8> {
    [vec![0x91; depth], vec![0xc0]].concat()
}

/// `{"type": name, "change": …}` around bytes that are MessagePack already.
fn message_around(name: &str, inner: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x82];
    bytes.extend(encoded(&"type"));
    bytes.extend(encoded(&name));
    bytes.extend(encoded(&"change"));
    bytes.extend(inner);
    bytes
}

/// What is no message to whoever expects `message`, and what the end of the session has to say. `misshapen` has the
/// name of a message and another shape, `opposite` is a message of the other direction.
fn attacks(message: &[u8], misshapen: &[u8], opposite: &[u8]) -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let mut unmasked = frame(BINARY, message);
    unmasked[1] &= 0x7f;
    vec![
        ("malformed", frame(BINARY, &[0xc1]), "not a valid message"),
        ("garbage", frame(BINARY, &[0xff; 1000]), "not a valid message"),
        ("empty", frame(BINARY, &[]), "not a valid message"),
        ("misshapen", frame(BINARY, misshapen), "not a valid message"),
        ("truncated", frame(BINARY, &message[..message.len() / 2]), "not a valid message"),
        ("trailing", frame(BINARY, &[message, &[0xc0]].concat()), "more bytes after the message"),
        ("oversized", frame(BINARY, &vec![0xc0; MAX_MESSAGE + 1]), "too long"),
        ("promised", frame_header(BINARY, 1 << 40), "too long"),
        ("nested", frame(BINARY, &nest(60_000)), "not a valid message"),
        ("nested within", frame(BINARY, &message_around("change", &nest(60_000))), "not a valid message"),
        ("nested unknown", frame(BINARY, &message_around("forecast", &nest(60_000))), "not a valid message"),
        ("wrong direction", frame(BINARY, opposite), "wrong direction"),
        ("text", frame(TEXT, b"hello"), "text frame"),
        ("reserved", frame(7, b"hello"), "no valid WebSocket frame"),
        ("unmasked", unmasked, "no valid WebSocket frame"),
    ]
}

#[tokio::test]
async fn a_member_that_sends_what_is_no_message_loses_its_session_by_name_and_harms_nobody() {
    let quarter = Quarter::start(Dial::Outbound).await;
    let (proof, address) = (quarter.proof().await, quarter.site.controller.agents());
    let message = encoded(&ToController::Figures { samples: Vec::new() });
    let misshapen = encoded(&json!({ "type": "policy", "policy": { "allow": "everything" } }));
    let opposite = encoded(&ToAgent::Watch { seconds: 1 });
    for (name, bytes, reason) in attacks(&message, &misshapen, &opposite) {
        let identity = Identity::generate().unwrap();
        let mut link = RawLink::dial(address, Some(&identity)).await.unwrap();
        let Reply::Welcome(welcome) = link.greet(&hello(name, Some(proof.clone()))).await.unwrap() else {
            panic!("{name} is not let in");
        };
        let id = welcome.instance.to_string();
        link.send_bytes(&bytes).await.unwrap();
        let goodbye = timeout(SOON, link.goodbye()).await.unwrap();
        assert!(goodbye.contains(reason), "{name} was told {goodbye:?}");
        drop(link);
        let line = logged(quarter.site.controller.log(), &["an agent is gone", &id]).await;
        assert!(line.contains("could not be understood") && line.contains(reason), "{name}: {line}");
        let shown = quarter.site.link_is("lost", SOON, &id).await;
        assert!(shown["link"]["reason"].as_str().unwrap().contains(reason), "{name}: {}", shown["link"]);
    }
    quarter.unharmed().await;
}

#[tokio::test]
async fn a_controller_that_sends_what_is_no_message_loses_its_session_by_name_and_the_agent_goes_on() {
    let engine = Dockerd::start().await;
    let (identity, token) = own_controller();
    let agent = AgentProcess::start(AgentOptions::inbound(&engine, &token, "127.0.0.1:0")).await;
    let message = encoded(&ToAgent::Watch { seconds: 1 });
    let misshapen = encoded(&json!({ "type": "probe", "nonce": "none" }));
    let opposite = encoded(&ToController::Figures { samples: Vec::new() });
    for (name, bytes, reason) in attacks(&message, &misshapen, &opposite) {
        let mut link = RawLink::dial(agent.link().unwrap(), Some(&identity)).await.unwrap();
        let _: Hello = link.until(Some).await.unwrap();
        link.send(&welcome(CURRENT)).await.unwrap();
        link.send(&ToAgent::Probe { nonce: 1 }).await.unwrap();
        let probed = |message| matches!(message, ToController::Probed { .. }).then_some(());
        timeout(SOON, link.until(probed)).await.unwrap().unwrap_or_else(|error| panic!("{name}: {error}"));
        let before = std::fs::read_to_string(agent.log()).unwrap().matches("disconnected").count();
        link.send_bytes(&bytes).await.unwrap();
        let goodbye = timeout(SOON, link.goodbye()).await.unwrap();
        assert!(goodbye.contains(reason), "{name} was told {goodbye:?}");
        drop(link);
        eventually(&format!("the end of {name} to be logged"), SOON, async || {
            let log = std::fs::read_to_string(agent.log()).unwrap();
            log.lines().filter(|line| line.contains("disconnected")).nth(before).map(|line| {
                assert!(line.contains(reason), "{name}: {line}");
            })
        })
        .await;
    }
}

#[tokio::test]
async fn a_member_that_goes_in_the_middle_of_a_frame_is_named_too() {
    let quarter = Quarter::start(Dial::Outbound).await;
    let identity = Identity::generate().unwrap();
    let mut link = RawLink::dial(quarter.site.controller.agents(), Some(&identity)).await.unwrap();
    let reply = link.greet(&hello("cut", Some(quarter.proof().await))).await.unwrap();
    let Reply::Welcome(welcome) = reply else { panic!("{reply:?}") };
    link.send_bytes(&frame_header(BINARY, 100)).await.unwrap();
    link.send_bytes(&[0xc0; 10]).await.unwrap();
    drop(link);
    let lost = quarter.site.link_is("lost", SOON, welcome.instance.as_str()).await;
    assert!(lost["link"]["reason"].as_str().unwrap().contains("connection failed"), "{}", lost["link"]);
    quarter.unharmed().await;
}

#[tokio::test]
async fn a_stranger_that_cannot_greet_is_let_go_with_a_reason_and_leaves_no_trace_in_the_list() {
    let quarter = Quarter::start(Dial::Outbound).await;
    let (address, log) = (quarter.site.controller.agents(), quarter.site.controller.log());
    let greeting = encoded(&hello("stranger", None));
    let attacks = [
        ("malformed", frame(BINARY, &[0xc1]), "could not be understood"),
        ("truncated", frame(BINARY, &greeting[..greeting.len() / 2]), "could not be understood"),
        ("oversized", frame(BINARY, &vec![0xc0; 17 * 1024]), "16384"),
        ("nested", frame(BINARY, &nest(10_000)), "could not be understood"),
        (
            "wrong direction",
            frame(BINARY, &encoded(&ToAgent::Watch { seconds: 1 })),
            "could not be understood",
        ),
        (
            "a message before hello",
            frame(BINARY, &encoded(&ToController::Figures { samples: vec![] })),
            "missing field",
        ),
        ("text", frame(TEXT, b"hello"), "text frame"),
    ];
    for (name, bytes, reason) in attacks {
        let before = std::fs::read_to_string(log).unwrap().matches(reason).count();
        let identity = Identity::generate().unwrap();
        let mut link = RawLink::dial(address, Some(&identity)).await.unwrap();
        link.send_bytes(&bytes).await.unwrap();
        timeout(SOON, link.goodbye()).await.unwrap_or_else(|_| panic!("{name} was not let go"));
        eventually(&format!("{reason:?} in the log once more ({name})"), SOON, async || {
            (std::fs::read_to_string(log).unwrap().matches(reason).count() > before).then_some(())
        })
        .await;
    }
    assert!(logged_now(log, &["a link ended before its hello"]).is_some());
    // Who greets well and has no token is told what is missing.
    let identity = Identity::generate().unwrap();
    let mut link = RawLink::dial(address, Some(&identity)).await.unwrap();
    let reply = link.greet(&hello("stranger", None)).await.unwrap();
    assert_eq!(reply, Reply::Refused(Refusal::NotRegistered));
    assert_eq!(quarter.site.api.instances().await.len(), 1);
    quarter.unharmed().await;
}

#[tokio::test]
async fn who_shows_no_certificate_or_a_wrong_one_does_not_get_in() {
    for dial in BOTH {
        let quarter = Quarter::start(dial).await;
        let address = quarter.honest.agent.link().unwrap_or(quarter.site.controller.agents());
        let error = RawLink::dial(address, None).await.err().expect("nobody gets in without a certificate");
        assert!(error.to_string().contains("CertificateRequired"), "{dial:?}: {error}");
        if dial == Dial::Inbound {
            let stranger = Identity::generate().unwrap();
            RawLink::dial(address, Some(&stranger))
                .await
                .err()
                .expect("the agent trusts its controller alone");
        }
        quarter.unharmed().await;
    }
}

#[tokio::test]
async fn the_silent_block_nobody() {
    let quarter = Quarter::start(Dial::Outbound).await;
    let address = quarter.site.controller.agents();
    // From another address than the agents', and more than there may be of one.
    let mut silent = Vec::new();
    for _ in 0..60 {
        silent.push(connect_from(SocketAddr::from(([127, 0, 0, 9], 0)), address).await);
    }
    // Some say hello to TLS and the WebSocket, and nothing more.
    let mut greeted = Vec::new();
    for _ in 0..10 {
        let identity = Identity::generate().unwrap();
        greeted.push(RawLink::dial(address, Some(&identity)).await.unwrap());
    }
    let engine = Dockerd::start().await;
    let began = Instant::now();
    let late = quarter.site.join(Dial::Outbound, &engine, "newcomer").await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    // Those who stay silent are let go within their ten seconds.
    let mut first = greeted.remove(0);
    timeout(Duration::from_secs(15), first.goodbye()).await.expect("the silent are let go");
    assert_eq!(quarter.site.instance(&late.id).await["health"], "healthy");
    quarter.unharmed().await;
    drop((silent, greeted));
}

async fn connect_from(source: SocketAddr, address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(source).unwrap();
    socket.connect(address).await.unwrap()
}

#[tokio::test]
async fn one_key_on_two_machines_is_called_a_cloned_identity() {
    let (site, engine) = tokio::join!(Site::start(), Dockerd::start());
    let mut member = site.join(Dial::Outbound, &engine, "original").await;
    // A copy of the data folder, as of a virtual machine.
    let copy = tempfile::tempdir().unwrap();
    let (original, target) = (member.agent.data(), copy.path());
    tool::run("cp", ["-a".as_ref(), original.as_os_str(), target.as_os_str()]).await.unwrap();
    let data = target.join("data");
    let options = member.agent.options.clone().set("ROADSTEAD_DATA_DIR", data.display());
    let clone = AgentProcess::start(options).await;
    let shown = site
        .instance_when("the clone to be named", Duration::from_secs(60), &member.id, |it| {
            it["link"]["reason"]
                .as_str()
                .is_some_and(|reason| reason.contains("another machine uses this agent's identity"))
        })
        .await;
    assert_eq!(shown["health"], "unhealthy", "{shown}");
    drop(clone);
    member.agent.kill().await;
}
