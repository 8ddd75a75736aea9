//! An agent that joined with a key of its own and means no good: it harms its own picture and nothing else.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use roadstead_protocol::join_token::JoinToken;
use roadstead_protocol::link::identity::Identity;
use roadstead_protocol::message::codec;
use roadstead_protocol::message::command::{Outcome, Standing};
use roadstead_protocol::message::container::{Container, ContainerHealth, ContainerState};
use roadstead_protocol::message::event::{Event, EventBatch, EventKind};
use roadstead_protocol::message::hello::{Hello, Reply};
use roadstead_protocol::message::ids::{CommandId, ContainerId, Epoch, EventSeq, Print};
use roadstead_protocol::message::policy::{Limits, Policy, Verb};
use roadstead_protocol::message::progress::{LogStream, Progress, ProgressLine};
use roadstead_protocol::message::snapshot::{Change, Engine, EngineState, SnapshotPart};
use roadstead_protocol::message::time::UnixMicros;
use roadstead_protocol::message::to_agent::ToAgent;
use roadstead_protocol::message::to_controller::ToController;
use roadstead_tests::api::text;
use roadstead_tests::raw::{BINARY, RawLink, frame_header, hello};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::site::{SOON, Site, logged};

/// What a terminal would act on.
const ESCAPES: &str = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\r\n2026-01-01 ERROR forged\u{202e}";

/// An agent that the test plays, with a session.
struct Player {
    link: RawLink,
    id: String,
    epoch: Epoch,
}

impl Player {
    async fn join(site: &Site, change: impl FnOnce(Hello) -> Hello) -> Self {
        let made = site.api.post("/api/join-tokens", &json!({})).await.expect_status(201);
        let proof = text(&made, "token").parse::<JoinToken>().unwrap().proof();
        let hello = change(hello("player", Some(proof)));
        let identity = Identity::generate().unwrap();
        let mut link = RawLink::dial(site.controller.agents(), Some(&identity)).await.unwrap();
        let Reply::Welcome(welcome) = link.greet(&hello).await.unwrap() else { panic!("it is not let in") };
        Self { link, id: welcome.instance.to_string(), epoch: hello.epoch }
    }

    async fn send(&mut self, message: ToController) {
        self.link.send(&message).await.unwrap();
    }

    async fn events(&mut self, events: Vec<(u64, EventKind)>) {
        let event = |(seq, what)| Event { seq: EventSeq(seq), at: UnixMicros::now(), what };
        let events = events.into_iter().map(event).collect();
        self.send(ToController::Events(EventBatch::plain(self.epoch, events))).await;
    }

    async fn acknowledged(&mut self) -> EventSeq {
        let wanted = |message| match message {
            ToAgent::Acknowledge { up_to, .. } => Some(up_to),
            _ => None,
        };
        timeout(SOON, self.link.until(wanted)).await.unwrap().unwrap()
    }

    async fn goodbye(&mut self) -> String {
        timeout(SOON, self.link.goodbye()).await.unwrap()
    }
}

fn started(version: &str) -> EventKind {
    EventKind::AgentStarted { version: version.to_owned() }
}

fn container(number: u32, name: &str) -> Container {
    Container {
        id: ContainerId::try_from(format!("{number:064x}")).unwrap(),
        name: name.to_owned(),
        image: name.to_owned(),
        image_id: "sha256:0".to_owned(),
        command: name.to_owned(),
        created_at: UnixMicros::now(),
        state: ContainerState::Running,
        health: ContainerHealth::None,
        started_at: None,
        finished_at: None,
        exit_code: None,
        oom_killed: false,
        ports: Vec::new(),
        networks: vec![name.to_owned()],
        mounts: vec![name.to_owned()],
        labels: BTreeMap::from([(name.to_owned(), name.to_owned())]),
        labels_truncated: false,
        restart_policy: name.to_owned(),
    }
}

fn engine(version: &str) -> Engine {
    Engine {
        state: EngineState::Reachable,
        since: UnixMicros::now(),
        version: Some(version.to_owned()),
        api_version: None,
        os: Some(version.to_owned()),
        cpus: Some(1),
        memory_bytes: None,
    }
}

fn whole(containers: Vec<Container>) -> ToController {
    ToController::Snapshot(SnapshotPart { engine: engine("20.10"), containers, last: true })
}

async fn events_of(site: &Site, instance: &str) -> Vec<Value> {
    let page = site.api.get(&format!("/api/events?instance={instance}")).await.expect_status(200);
    page["events"].as_array().unwrap().clone()
}

#[tokio::test]
async fn events_of_another_outbox_or_out_of_order_end_the_session_and_are_not_stored() {
    let site = Site::start().await;
    let mut other = Player::join(&site, |hello| hello).await;
    other.epoch = Epoch::generate();
    other.events(vec![(1, started("forged"))]).await;
    other.goodbye().await;
    logged(site.controller.log(), &["ending a session", "another outbox than it announced"]).await;

    let mut back = Player::join(&site, |hello| hello).await;
    back.events(vec![(2, started("forged")), (1, started("forged"))]).await;
    back.goodbye().await;
    logged(site.controller.log(), &["ending a session", "do not ascend"]).await;

    // What is beyond every number that can be stored.
    let mut beyond = Player::join(&site, |hello| hello).await;
    beyond.events(vec![(u64::MAX, started("forged"))]).await;
    beyond.goodbye().await;
    for id in [&other.id, &back.id, &beyond.id] {
        assert_eq!(events_of(&site, id).await, Vec::<Value>::new());
    }
    // One that jumps forward has only itself to blame, and one that goes back says nothing new.
    let mut jumping = Player::join(&site, |hello| hello).await;
    jumping.events(vec![(1 << 40, started("far"))]).await;
    assert_eq!(jumping.acknowledged().await, EventSeq(1 << 40));
    jumping.events(vec![(1, started("before"))]).await;
    assert_eq!(jumping.acknowledged().await, EventSeq(1 << 40));
    // What it skipped is told as a gap.
    let kinds: Vec<_> =
        events_of(&site, &jumping.id).await.iter().map(|event| event["kind"].clone()).collect();
    assert_eq!(kinds, ["agent_started", "gap"]);
}

#[tokio::test]
async fn what_follows_events_that_could_not_be_kept_is_not_kept_either() {
    let site = Site::start().await;
    // Whoever serves chooses at random what to look at first.
    for round in 0..8 {
        let mut player =
            Player::join(&site, |hello| Hello { name: format!("player-{round}"), ..hello }).await;
        let batch = |events: Range<u64>, print| {
            let event = |seq| Event { seq: EventSeq(seq), at: UnixMicros(0), what: started("played") };
            let events = events.map(event).collect();
            let print = Some(Print(print));
            ToController::Events(EventBatch { print, ..EventBatch::plain(player.epoch, events) })
        };
        let [known, forked, after] = [batch(1..4, 5), batch(3..5, 6), batch(5..7, 7)];
        player.send(known.clone()).await;
        assert_eq!(player.acknowledged().await, EventSeq(3));
        player.send(known).await;
        assert_eq!(player.acknowledged().await, EventSeq(3), "a repetition is acknowledged again");
        let both = [forked, after].map(|message| {
            let message = codec::encode(&message, codec::MAX_MESSAGE).unwrap();
            [frame_header(BINARY, message.len() as u64), message].concat()
        });
        player.link.send_bytes(&both.concat()).await.unwrap();
        player.goodbye().await;
        logged(site.controller.log(), &["ending a session", &player.id, "other events were stored"]).await;
        logged(site.controller.log(), &["an agent is gone", &player.id]).await;
        assert_eq!(events_of(&site, &player.id).await.len(), 3, "round {round}");
    }
}

#[tokio::test]
async fn nobody_answers_for_another_instances_command() {
    let site = Site::start().await;
    let (mut victim, mut hostile) = (
        Player::join(&site, |hello| hello).await,
        Player::join(&site, |hello| Hello { name: "other".to_owned(), ..hello }).await,
    );
    victim.send(whole(vec![container(1, "web")])).await;
    hostile.send(whole(vec![container(1, "web")])).await;
    site.healthy(&victim.id).await;
    let path = format!("/api/instances/{}/containers/web/stop", victim.id);
    let command = text(&site.api.post(&path, &json!({})).await.expect_status(202), "command_id");
    let ordered = |message| match message {
        ToAgent::Order(order) => Some(order.id),
        _ => None,
    };
    let id: CommandId = timeout(SOON, victim.link.until(ordered)).await.unwrap().unwrap();
    assert_eq!(id.to_string(), command);

    let line = |number| ProgressLine {
        command: id,
        line: number,
        at: UnixMicros::now(),
        entry: Progress::Log { stream: LogStream::Stdout, service: None, text: "forged".to_owned() },
    };
    hostile.send(ToController::Progress { lines: (0..50).map(line).collect() }).await;
    hostile.send(ToController::Standing { command: id, standing: Standing::NeverSeen }).await;
    let forged = Outcome::Succeeded { summary: "forged".to_owned(), services: Vec::new() };
    let never = CommandId::generate();
    hostile
        .events(vec![
            (1, EventKind::CommandEnded { command: id, outcome: forged.clone() }),
            (2, EventKind::CommandEnded { command: never, outcome: forged }),
        ])
        .await;
    hostile.acknowledged().await;
    let now = site.api.get(&format!("/api/commands/{command}")).await.expect_status(200);
    assert_eq!((&now["state"], &now["outcome"]), (&json!("sent"), &Value::Null), "{now}");
    assert_eq!(site.api.get(&format!("/api/commands/{never}")).await.status.as_u16(), 404);
    assert_eq!(events_of(&site, &victim.id).await, Vec::<Value>::new());

    // The one who was asked still answers.
    let outcome = Outcome::Succeeded { summary: "web is stopped".to_owned(), services: Vec::new() };
    victim.events(vec![(1, EventKind::CommandEnded { command: id, outcome })]).await;
    let ended = site.api.wait_command(&command, SOON).await;
    assert_eq!(ended["outcome"]["summary"], "web is stopped");
}

#[tokio::test]
async fn endless_progress_fills_the_log_of_its_own_command_and_no_more() {
    let site = Site::start().await;
    let mut player = Player::join(&site, |hello| hello).await;
    player.send(whole(vec![container(1, "web")])).await;
    site.healthy(&player.id).await;
    let path = format!("/api/instances/{}/containers/web/stop", player.id);
    let command = text(&site.api.post(&path, &json!({})).await.expect_status(202), "command_id");
    let ordered = |message| match message {
        ToAgent::Order(order) => Some(order.id),
        _ => None,
    };
    let id: CommandId = timeout(SOON, player.link.until(ordered)).await.unwrap().unwrap();
    let line = |number| {
        let text = format!("line {number}");
        let entry = Progress::Log { stream: LogStream::Stdout, service: None, text };
        ProgressLine { command: id, line: number, at: UnixMicros::now(), entry }
    };
    let (portion, sent) = (250, 30_000);
    for first in (0..sent).step_by(portion) {
        player
            .send(ToController::Progress { lines: (first..first + portion as u64).map(line).collect() })
            .await;
    }
    let outcome = Outcome::Succeeded { summary: "web is stopped".to_owned(), services: Vec::new() };
    player.events(vec![(1, EventKind::CommandEnded { command: id, outcome })]).await;
    site.api.wait_command(&command, SOON).await;
    let (mut kept, mut next) = (Vec::new(), 0);
    loop {
        let page = site.api.get(&format!("/api/commands/{command}/log?from={next}")).await.expect_status(200);
        let lines = page["lines"].as_array().unwrap();
        let Some(last) = lines.last() else { break };
        next = last["line"].as_u64().unwrap() + 1;
        kept.extend(lines.clone());
    }
    assert_eq!(kept.len(), 20_001);
    let left = sent - 20_000;
    assert_eq!(kept.last().unwrap()["entry"], json!({ "progress": "dropped", "count": left }));
    assert_eq!(site.instance(&player.id).await["health"], "healthy");
}

#[tokio::test]
async fn endless_names_end_where_the_limits_are() {
    let site = Site::start().await;
    let mut giant = Player::join(&site, |hello| hello).await;
    giant.send(whole(Vec::new())).await;
    site.healthy(&giant.id).await;
    // It stands in eight places of a container, which must still fit a message.
    let long = "x".repeat(6_000);
    let mut sent = 0;
    let fill = async {
        while sent < 5_000 {
            let change = Change::Upsert { container: Box::new(container(sent, &long)) };
            if giant.link.send(&ToController::Change { change }).await.is_err() {
                return;
            }
            sent += 1;
        }
    };
    timeout(Duration::from_secs(120), fill).await.unwrap();
    let line = logged(site.controller.log(), &["ending a session", "bytes"]).await;
    assert!(line.contains("the agent's containers take more than 33554432 bytes"), "{line}");
    assert!(site.api.containers(&giant.id).await.len() < 1_000);
    assert_eq!(site.api.get("/health").await.status.as_u16(), 200);
}

#[tokio::test]
async fn nothing_an_agent_says_acts_on_the_operators_terminal() {
    let site = Site::start().await;
    let limits = Limits {
        projects: Some(vec![ESCAPES.to_owned()]),
        registries: Some(vec![ESCAPES.repeat(100)]),
        host_paths: Some(Vec::new()),
        no_privileged: true,
    };
    let mut player = Player::join(&site, |hello| Hello {
        agent_version: ESCAPES.to_owned(),
        abilities: vec![ESCAPES.to_owned()],
        policy: Policy { limits, ..Policy::of([Verb::View]) },
        ..hello
    })
    .await;
    let text = || ESCAPES.to_owned();
    player
        .send(ToController::Snapshot(SnapshotPart {
            engine: engine(ESCAPES),
            containers: vec![container(1, ESCAPES)],
            last: true,
        }))
        .await;
    let state = EngineState::Unreachable { reason: text() };
    player
        .send(ToController::Change { change: Change::Engine { engine: Engine { state, ..engine(ESCAPES) } } })
        .await;
    let outcome = Outcome::Failed { reason: text(), services: Vec::new() };
    player
        .events(vec![
            (1, EventKind::EngineLost { reason: text() }),
            (
                2,
                EventKind::Refused {
                    command: CommandId::generate(),
                    verb: Verb::Exec,
                    what: text(),
                    rule: Some(text()),
                },
            ),
            (3, EventKind::CommandEnded { command: CommandId::generate(), outcome }),
            (4, EventKind::Engine { object: text(), id: text(), action: text() }),
        ])
        .await;
    player.acknowledged().await;
    // Those that are not let in are logged by the name they give, and so is what nobody can read.
    for name in [ESCAPES, "stranger"] {
        let identity = Identity::generate().unwrap();
        let mut link = RawLink::dial(site.controller.agents(), Some(&identity)).await.unwrap();
        let _ =
            link.greet(&Hello { name: name.to_owned(), agent_version: text(), ..hello(name, None) }).await;
    }
    player.link.send(&json!({ "type": "policy", "policy": ESCAPES })).await.unwrap();
    player.goodbye().await;
    logged(site.controller.log(), &["an agent is gone", &player.id]).await;

    let log = std::fs::read_to_string(site.controller.log()).unwrap();
    let acting = log.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
    assert_eq!(acting, None, "{log:?}");
    assert!(!log.lines().any(|line| line.starts_with("2026-01-01 ERROR forged")), "{log}");
    assert!(log.contains("\\u{1b}") || log.contains("\\x1b"), "it is there, written out");
}
