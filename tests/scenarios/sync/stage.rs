//! A host with a compose project, a registry its images come from, and an executor on it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::path::PathBuf;
use std::sync::Arc;

use roadstead_agent::commands::CommandOptions;
use roadstead_agent::engine::docker::DockerEngine;
use roadstead_agent::executor::Executor;
use roadstead_agent::executor::ledger::Ledger;
use roadstead_agent::outbox::Outbox;
use roadstead_agent::policy::PolicyCell;
use roadstead_protocol::message::command::{Order, Outcome, ServiceOutcome, Strategy, SyncWork, Work};
use roadstead_protocol::message::event::EventKind;
use roadstead_protocol::message::ids::{BootId, CommandId, EventSeq};
use roadstead_protocol::message::progress::ProgressLine;
use roadstead_tests::images::push_image;
use roadstead_tests::{Dockerd, DockerdOptions, ImageOptions, Registry, tool};
use serde_json::Value;

/// What the project's file says; `REGISTRY` stands for the registry's address.
const COMPOSE_FILE: &str = r#"
version: "3.4"
services:
  web:
    image: REGISTRY/app:1
    restart: unless-stopped
    environment: { COLOUR: blue }
    labels: { team: red }
    volumes: ["data:/data", "./conf:/conf:ro", "/scratch"]
    networks: { default: { aliases: [www] }, back: {} }
    ports: ["127.0.0.1::80"]
    depends_on: [db]
  db:
    image: REGISTRY/db:1
networks: { back: {} }
volumes: { data: {} }
"#;

/// The project `shop` with the services `web` (image `app:1`) and `db` (image `db:1`), up.
pub struct Stage {
    pub maker: Dockerd,
    pub host: Dockerd,
    pub registry: Registry,
    pub executor: Executor<DockerEngine>,
    pub policy: Arc<PolicyCell>,
    outbox: Outbox,
}

impl Stage {
    pub async fn start() -> Self {
        Self::start_with(DockerdOptions::default(), CommandOptions::default()).await
    }

    pub async fn start_with(options: DockerdOptions, mut commands: CommandOptions) -> Self {
        let (maker, host, registry) =
            tokio::join!(Dockerd::start(), Dockerd::start_with(options), Registry::start());
        push_image(&maker, &registry, "app:1", &ImageOptions::default()).await;
        push_image(&maker, &registry, "db:1", &ImageOptions::default()).await;
        let folder = host.folder().join("shop");
        std::fs::create_dir_all(folder.join("conf")).unwrap();
        let text = COMPOSE_FILE.replace("REGISTRY", &registry.address());
        std::fs::write(folder.join("docker-compose.yml"), text).unwrap();
        commands.docker_env.push(("DOCKER_HOST".to_owned(), host.host()));
        let outbox = Outbox::open(&host.folder().join("outbox"), 1 << 20).unwrap();
        let engine = Arc::new(DockerEngine::connect(Some(&host.host()), None).unwrap());
        let policy = Arc::new(PolicyCell::new("all".parse().unwrap()));
        let ledger = Ledger::open(&host.folder().join("commands"), BootId::generate()).unwrap();
        let executor = Executor::new(engine, Arc::clone(&policy), outbox.clone(), commands, ledger);
        let stage = Self { maker, host, registry, executor, policy, outbox };
        stage.up().await;
        stage
    }

    pub fn folder(&self) -> PathBuf {
        self.host.folder().join("shop")
    }

    async fn up(&self) {
        let mut command = self.host.command("docker-compose").unwrap();
        command.current_dir(self.folder()).args(["-p", "shop", "up", "-d"]);
        tool::succeed(&mut command).await.unwrap();
    }

    /// Puts another image into the registry under that name and returns its repository digest.
    pub async fn publish(&self, name: &str, options: &ImageOptions) -> String {
        push_image(&self.maker, &self.registry, name, options).await
    }

    /// Removes an image from the registry.
    pub async fn forget(&self, repository: &str, digest: &str) {
        let url = format!("http://{}/v2/{repository}/manifests/{digest}", self.registry.address());
        let answer = reqwest::Client::new().delete(url).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    }

    pub fn begin(&self, work: Work) -> CommandId {
        let id = CommandId::generate();
        let _ = self.executor.order(Order { id, work, deadline_secs: 300 });
        id
    }

    pub async fn run(&self, work: Work) -> (Outcome, Vec<ProgressLine>) {
        let id = self.begin(work);
        let outcome = self.outcome(id).await;
        (outcome, self.lines(id))
    }

    pub async fn outcome(&self, id: CommandId) -> Outcome {
        let mut after = EventSeq(0);
        loop {
            for event in self.outbox.next_batch(after, 1 << 20).await {
                after = event.seq;
                match event.what {
                    EventKind::CommandEnded { command, outcome } if command == id => return outcome,
                    _ => {}
                }
            }
        }
    }

    /// Everything an ended command said.
    pub fn lines(&self, id: CommandId) -> Vec<ProgressLine> {
        self.executor.begin_session();
        let _ = self.executor.enquire(id, 0);
        let mut all = Vec::new();
        while let Some(lines) = futures_util::FutureExt::now_or_never(self.executor.next_lines()) {
            all.extend(lines);
        }
        all
    }

    pub async fn inspect(&self, container: &str) -> Value {
        let text = self.host.docker(["inspect", container]).await;
        serde_json::from_str::<Value>(&text).unwrap()[0].take()
    }

    /// What must not change when a container is replaced by one of another image.
    pub async fn configuration(&self, container: &str) -> Vec<(&'static str, Value)> {
        let mut found = self.inspect(container).await;
        let (hex, labels) = (found["Id"].as_str().unwrap()[..12].to_owned(), &mut found["Config"]["Labels"]);
        if let Some(labels) = labels.as_object_mut() {
            // What compose itself writes there depends on the image.
            labels.retain(|name, _| !name.contains("config-hash") && !name.contains("container-number"));
        }
        // A hint of compose 1 to a swarm long gone.
        let environment = found["Config"]["Env"].as_array_mut().unwrap();
        environment.retain(|entry| !entry.as_str().is_some_and(|text| text.starts_with("affinity:")));
        // Where RW and Propagation are the same, Mode only tells by which words of the API a mount came.
        let mounts = found["Mounts"].as_array_mut().unwrap();
        mounts.iter_mut().for_each(|mount| mount["Mode"] = Value::Null);
        let mut mounts: Vec<_> = mounts.iter().map(Value::to_string).collect();
        mounts.sort();
        let networks = found["NetworkSettings"]["Networks"].as_object().unwrap().iter();
        let networks = networks.map(|(name, network)| {
            let mut aliases: Vec<_> = network["Aliases"].as_array().cloned().unwrap_or_default();
            aliases.retain(|alias| alias.as_str() != Some(&hex));
            aliases.sort_by_key(Value::to_string);
            (name.clone(), Value::Array(aliases))
        });
        vec![
            ("environment", found["Config"]["Env"].clone()),
            ("labels", found["Config"]["Labels"].clone()),
            ("mounts", mounts.into()),
            ("networks", Value::Object(networks.collect())),
            ("ports", found["HostConfig"]["PortBindings"].clone()),
            ("restart policy", found["HostConfig"]["RestartPolicy"].clone()),
        ]
    }

    /// Name, id and state of every container: what a failed sync must leave as it was.
    pub async fn everything(&self) -> Vec<String> {
        let list =
            self.host.docker(["ps", "-a", "--no-trunc", "--format", "{{.Names}} {{.ID}} {{.State}}"]).await;
        let mut list: Vec<_> = list.lines().map(str::to_owned).collect();
        list.sort();
        list
    }

    /// Runs a command in a container.
    pub async fn exec(&self, container: &str, script: &str) -> String {
        self.host.docker(["exec", container, "sh", "-c", script]).await
    }
}

pub fn sync(strategy: Strategy) -> Work {
    sync_within(strategy, 60)
}

pub fn sync_within(strategy: Strategy, verify_secs: u32) -> Work {
    let (project, services) = ("shop".to_owned(), Vec::new());
    Work::Sync(SyncWork { project, services, strategy: Some(strategy), verify_secs })
}

pub fn service<'a>(outcome: &'a Outcome, name: &str) -> &'a ServiceOutcome {
    let services = match outcome {
        Outcome::Succeeded { services, .. }
        | Outcome::Failed { services, .. }
        | Outcome::Cancelled { services, .. } => services,
        other => panic!("an outcome without services: {other:?}"),
    };
    services.iter().find(|service| service.service == name).unwrap_or_else(|| panic!("{outcome:?}"))
}

pub fn summary(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Succeeded { summary, .. } => summary,
        other => panic!("should have succeeded: {other:?}"),
    }
}

pub fn failure(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Failed { reason, .. } => reason,
        other => panic!("should have failed: {other:?}"),
    }
}
