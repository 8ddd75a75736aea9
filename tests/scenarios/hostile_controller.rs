//! A controller that was stolen: an agent does what its owner allows, and nothing else.

use std::time::Duration;

use roadstead_protocol::message::command::{
    ContainerAction, InstallWork, Order, OrderRefusal, Outcome, Standing, Strategy, SyncWork, Work,
};
use roadstead_protocol::message::event::EventKind;
use roadstead_protocol::message::hello::Hello;
use roadstead_protocol::message::ids::{CommandId, ContainerId, Epoch, EventSeq};
use roadstead_protocol::message::inspection::Inspection;
use roadstead_protocol::message::to_agent::ToAgent;
use roadstead_protocol::message::to_controller::ToController;
use roadstead_protocol::message::version::CURRENT;
use roadstead_tests::raw::RawLink;
use roadstead_tests::{AgentOptions, AgentProcess, Dockerd, ImageOptions, busybox_image, eventually};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::own_controller::{own_controller, welcome};

const SOON: Duration = Duration::from_secs(30);

/// An agent on an engine with one container, and the controller's side of a session with it.
struct Captive {
    engine: Dockerd,
    agent: AgentProcess,
    link: RawLink,
    identity: roadstead_protocol::link::identity::Identity,
    before: String,
}

impl Captive {
    async fn take(settings: &[(&str, &str)]) -> Self {
        let engine = Dockerd::start().await;
        busybox_image(&engine, "app:1", &ImageOptions::default()).await;
        engine.docker(["run", "--detach", "--name", "web", "--env", "DB_PASSWORD=never-told", "app:1"]).await;
        let (identity, token) = own_controller();
        let options = settings
            .iter()
            .fold(AgentOptions::inbound(&engine, &token, "127.0.0.1:0"), |options, (name, value)| {
                options.set(name, value)
            });
        let agent = AgentProcess::start(options).await;
        let mut link = RawLink::dial(agent.link().unwrap(), Some(&identity)).await.unwrap();
        let _: Hello = link.until(Some).await.unwrap();
        link.send(&welcome(CURRENT)).await.unwrap();
        let before = everything(&engine).await;
        Self { engine, agent, link, identity, before }
    }

    async fn outcome(&mut self, work: Work) -> Outcome {
        let id = CommandId::generate();
        self.link.send(&ToAgent::Order(Box::new(Order { id, work, deadline_secs: 60 }))).await.unwrap();
        let ended = move |message| match message {
            ToController::Events(batch) => batch.events.into_iter().find_map(|event| match event.what {
                EventKind::CommandEnded { command, outcome } if command == id => Some(outcome),
                _ => None,
            }),
            _ => None,
        };
        timeout(SOON, self.link.until(ended)).await.unwrap().unwrap()
    }

    async fn untouched(&self) {
        assert_eq!(everything(&self.engine).await, self.before);
    }
}

async fn everything(engine: &Dockerd) -> String {
    let containers =
        engine.docker(["ps", "--all", "--no-trunc", "--format", "{{.ID}} {{.Names}} {{.State}}"]).await;
    let images = engine.docker(["images", "--all", "--no-trunc", "--quiet"]).await;
    // The engine lists images of one second in any order.
    let mut images: Vec<_> = images.lines().collect();
    images.sort_unstable();
    format!("{containers}\n{}", images.join("\n"))
}

fn install(with: Value) -> Work {
    let mut work = json!({ "name": "evil", "image": "app:1", "network": "none" });
    work.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
    Work::Install(serde_json::from_value::<InstallWork>(work).unwrap())
}

fn sync(project: &str, services: &[&str], strategy: Option<Strategy>) -> Work {
    let services = services.iter().map(|service| (*service).to_owned()).collect();
    Work::Sync(SyncWork { project: project.to_owned(), services, strategy, verify_secs: 1 })
}

fn act(container: &str, action: ContainerAction) -> Work {
    Work::Container { container: container.to_owned(), action }
}

#[tokio::test]
async fn every_verb_outside_the_policy_is_refused_by_name_and_touches_nothing() {
    let mut captive = Captive::take(&[("ROADSTEAD_ALLOW", "view")]).await;
    use ContainerAction::{Kill, Pause, Remove, Restart, Start, Stop, Unpause};
    let actions = [Start, Stop, Restart, Kill, Pause, Unpause, Remove].map(|action| act("web", action));
    let others = [
        sync("shop", &[], None),
        sync("shop", &["web"], Some(Strategy::Script)),
        install(json!({})),
        Work::Reinstall { container: "web".to_owned() },
    ];
    for work in actions.into_iter().chain(others) {
        let verb = work.verb();
        match captive.outcome(work.clone()).await {
            Outcome::Refused { refusal: OrderRefusal::Policy { verb: told, .. } } => assert_eq!(told, verb),
            other => panic!("{work:?}: {other:?}"),
        }
    }
    captive.untouched().await;
    // What may be looked at is shown without what is secret.
    let id = captive.engine.docker(["inspect", "--format", "{{.Id}}", "web"]).await;
    let container = ContainerId::try_from(id.trim().to_owned()).unwrap();
    captive.link.send(&ToAgent::Inspect { nonce: 7, container }).await.unwrap();
    let inspected = |message| match message {
        ToController::Inspected { nonce: 7, found } => Some(found),
        _ => None,
    };
    let found = timeout(SOON, captive.link.until(inspected)).await.unwrap().unwrap();
    let Inspection::Found(details) = found else { panic!("{found:?}") };
    let password = details.env.iter().find(|setting| setting.name == "DB_PASSWORD").unwrap();
    assert_eq!(password.value, None);
    assert!(
        details.env.iter().any(|setting| setting.name == "PATH" && setting.value.is_some()),
        "{details:?}"
    );
}

#[tokio::test]
async fn path_tricks_and_forbidden_shapes_lead_nowhere() {
    let mut captive = Captive::take(&[
        ("ROADSTEAD_ALLOW", "all"),
        ("ROADSTEAD_ALLOW_HOST_PATHS", "/srv/shared"),
        ("ROADSTEAD_ALLOW_PRIVILEGED", "false"),
        ("ROADSTEAD_ALLOW_PROJECTS", "shop"),
        ("ROADSTEAD_ALLOW_REGISTRIES", "docker.io/library"),
        ("ROADSTEAD_SYNC_SCRIPT", "/bin/false"),
    ])
    .await;
    for work in [
        sync("../../etc", &[], Some(Strategy::Script)),
        sync("/etc", &[], Some(Strategy::Script)),
        sync("shop", &["../../bin/sh"], Some(Strategy::Script)),
        sync("shop", &["--privileged"], Some(Strategy::Compose)),
        sync("other", &[], Some(Strategy::Script)),
        act("../images/json", ContainerAction::Remove),
        act("web/../../images", ContainerAction::Stop),
        act("web?force=1", ContainerAction::Remove),
        Work::Reinstall { container: "web\0".to_owned() },
        Work::Check { project: "..".to_owned() },
        install(json!({ "name": "../evil" })),
        install(json!({ "image": "../../evil" })),
        install(json!({ "image": "evil.example/app:1" })),
        install(json!({ "mounts": ["/:/host"] })),
        install(json!({ "mounts": ["/srv/shared/../../etc:/host"] })),
        install(json!({ "mounts": ["/srv/shared2:/host"] })),
        install(json!({ "mounts": ["/var/run/docker.sock:/s"] })),
        install(json!({ "network": "host" })),
        install(json!({ "network": "container:web" })),
        install(json!({ "labels": { "com.docker.compose.project.config_files": "/tmp/evil.yml" } })),
    ] {
        let outcome = captive.outcome(work.clone()).await;
        assert!(matches!(outcome, Outcome::Refused { .. }), "{work:?}: {outcome:?}");
    }
    captive.untouched().await;
}

#[tokio::test]
async fn frames_out_of_order_change_nothing() {
    let mut captive = Captive::take(&[("ROADSTEAD_ALLOW", "all")]).await;
    let never = CommandId::generate();
    let ahead = EventSeq(1 << 40);
    for message in [
        ToAgent::Cancel { command: never },
        ToAgent::Acknowledge { epoch: Epoch::generate(), up_to: ahead },
        ToAgent::Watch { seconds: u32::MAX },
        ToAgent::Enquire { command: never, next_line: u64::MAX },
    ] {
        captive.link.send(&message).await.unwrap();
    }
    let standing = move |message| match message {
        ToController::Standing { command, standing } if command == never => Some(standing),
        _ => None,
    };
    assert_eq!(timeout(SOON, captive.link.until(standing)).await.unwrap().unwrap(), Standing::NeverSeen);
    // A second welcome is no message: it ends the session, and the next one begins as if nothing had been said.
    captive.link.send(&welcome(CURRENT)).await.unwrap();
    let goodbye = timeout(SOON, captive.link.goodbye()).await.unwrap();
    assert!(goodbye.contains("not a valid message"), "{goodbye}");
    let mut link = eventually("the agent to listen again", SOON, async || {
        RawLink::dial(captive.agent.link().unwrap(), Some(&captive.identity)).await.ok()
    })
    .await;
    let _: Hello = link.until(Some).await.unwrap();
    link.send(&welcome(CURRENT)).await.unwrap();
    let first = |message| match message {
        ToController::Events(batch) => batch.events.first().map(|event| event.seq),
        _ => None,
    };
    assert_eq!(
        timeout(SOON, link.until(first)).await.unwrap().unwrap(),
        EventSeq(1),
        "no event was forgotten"
    );
    captive.untouched().await;
}
