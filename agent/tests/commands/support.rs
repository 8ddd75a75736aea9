//! A bench: the fake engine, an executor, and an outbox to read outcomes from.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use roadstead_agent::commands::CommandOptions;
use roadstead_agent::engine::fake::{FakeEngine, RegistryImage};
use roadstead_agent::executor::Executor;
use roadstead_agent::executor::ledger::Ledger;
use roadstead_agent::outbox::Outbox;
use roadstead_agent::policy::{PolicyCell, Rules};
use roadstead_protocol::message::command::{
    Order, OrderRefusal, Outcome, ServiceOutcome, ServiceResult, Strategy, SyncWork, Work,
};
use roadstead_protocol::message::container::ContainerState;
use roadstead_protocol::message::event::EventKind;
use roadstead_protocol::message::ids::{BootId, CommandId, EventSeq};
use roadstead_protocol::message::policy::{Limits, Policy, Verb};
use roadstead_protocol::message::progress::ProgressLine;

pub struct Bench {
    pub engine: FakeEngine,
    pub executor: Executor<FakeEngine>,
    pub outbox: Outbox,
    pub policy: Arc<PolicyCell>,
    _directory: Option<tempfile::TempDir>,
}

impl Bench {
    pub fn new() -> Self {
        Self::with(
            "all",
            CommandOptions { search_path: Some("/nowhere".into()), ..CommandOptions::default() },
        )
    }

    pub fn with(policy: &str, options: CommandOptions) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let bench = Self::at(directory.path(), FakeEngine::new(), policy, options);
        Self { _directory: Some(directory), ..bench }
    }

    /// Everything is allowed within these limits.
    pub fn limited(limits: Limits) -> Self {
        let bench = Self::new();
        bench.limit(limits);
        bench
    }

    /// From now on everything is allowed within these limits.
    pub fn limit(&self, limits: Limits) {
        let policy = Policy { limits, ..Policy::of(Verb::ALL) };
        self.policy.replace(Rules::from(policy));
    }

    /// With the data folder and the engine of another bench.
    pub fn at(data: &Path, engine: FakeEngine, policy: &str, options: CommandOptions) -> Self {
        let outbox = Outbox::open(&data.join("outbox"), 1 << 20).unwrap();
        let ledger = Ledger::open(&data.join("commands"), BootId::generate()).unwrap();
        let policy = Arc::new(PolicyCell::new(policy.parse().unwrap()));
        let executor =
            Executor::new(Arc::new(engine.clone()), Arc::clone(&policy), outbox.clone(), options, ledger);
        Self { engine, executor, outbox, policy, _directory: None }
    }

    /// Two services: `web` with an image that the registry has a newer one of, and `db` with a current one.
    pub fn shop(&self) {
        self.engine.set_image("db:1", "sha256:db-old");
        self.engine.set_image("app:1", "sha256:app-old");
        self.engine.publish("db:1", RegistryImage::simple("sha256:db-old"));
        self.engine.publish("app:1", RegistryImage::simple("sha256:app-new"));
        self.engine.add(self.engine.compose_sample("shop", "db", "db:1"));
        let mut web = self.engine.compose_sample("shop", "web", "app:1");
        web.restart_policy = "unless-stopped".to_owned();
        web.mounts = vec!["shop_data".to_owned()];
        web.networks = vec!["shop_default".to_owned()];
        self.engine.add(web);
    }

    pub fn begin(&self, work: Work) -> CommandId {
        self.begin_within(work, 600)
    }

    pub fn begin_within(&self, work: Work, deadline_secs: u32) -> CommandId {
        let id = CommandId::generate();
        let _ = self.executor.order(Order { id, work, deadline_secs });
        id
    }

    pub async fn run(&self, work: Work) -> Outcome {
        let id = self.begin(work);
        self.outcome(id).await
    }

    /// How a command ended, from the outbox.
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

    /// Everything a command has said until now.
    pub async fn lines(&self, id: CommandId) -> Vec<ProgressLine> {
        self.executor.begin_session();
        let _ = self.executor.enquire(id, 0);
        let mut all = Vec::new();
        // Paused time passes only when nothing else can happen any more.
        while let Ok(lines) = tokio::time::timeout(Duration::from_millis(1), self.executor.next_lines()).await
        {
            all.extend(lines);
        }
        all
    }

    /// That `name` runs that image, and that no leftover of a replacement is there.
    pub fn assert_runs(&self, name: &str, image_id: &str) {
        let found = self.engine.one(name).unwrap_or_else(|| panic!("{name} is gone: {:?}", self.names()));
        assert_eq!((found.state, found.image_id.as_str()), (ContainerState::Running, image_id), "{name}");
        assert!(!self.names().iter().any(|name| name.contains("_roadstead_")), "{:?}", self.names());
    }

    pub fn names(&self) -> Vec<String> {
        self.engine.list().into_iter().map(|container| container.name).collect()
    }

    /// The calls that changed a container.
    pub fn changes(&self) -> Vec<String> {
        self.engine.calls().into_iter().filter(|call| !call.starts_with("pull ")).collect()
    }
}

pub fn sync(project: &str) -> Work {
    sync_by(project, Some(Strategy::Engine))
}

pub fn sync_by(project: &str, strategy: Option<Strategy>) -> Work {
    Work::Sync(SyncWork { project: project.to_owned(), services: Vec::new(), strategy, verify_secs: 60 })
}

pub fn services(outcome: &Outcome) -> &[ServiceOutcome] {
    match outcome {
        Outcome::Succeeded { services, .. }
        | Outcome::Failed { services, .. }
        | Outcome::Cancelled { services, .. } => services,
        other => panic!("an outcome without services: {other:?}"),
    }
}

pub fn service<'a>(outcome: &'a Outcome, name: &str) -> &'a ServiceOutcome {
    let found = services(outcome).iter().find(|service| service.service == name);
    found.unwrap_or_else(|| panic!("no service {name} in {outcome:?}"))
}

pub fn results(outcome: &Outcome) -> Vec<(&str, ServiceResult)> {
    services(outcome).iter().map(|service| (service.service.as_str(), service.result)).collect()
}

/// The line of the policy that refused a command.
pub fn rule(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Refused { refusal: OrderRefusal::Policy { rule: Some(rule), .. } } => rule,
        other => panic!("should be refused by a rule: {other:?}"),
    }
}

pub fn invalid_reason(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Refused { refusal: OrderRefusal::Invalid { reason } } => reason,
        other => panic!("should be refused as invalid: {other:?}"),
    }
}

pub fn failure(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Failed { reason, .. } => reason,
        other => panic!("should have failed: {other:?}"),
    }
}

pub fn summary(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Succeeded { summary, .. } | Outcome::Cancelled { summary, .. } => summary,
        other => panic!("should have a summary: {other:?}"),
    }
}
