//! The ledger over a real store, with agents that are channels.

use roadstead_protocol::message::command::{ContainerAction, Outcome, Standing, SyncWork, Work};
use roadstead_protocol::message::ids::{BootId, InstanceId, SessionId};
use roadstead_protocol::message::progress::{LogStream, Progress, ProgressLine};
use roadstead_protocol::queue::{Incoming, queue};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::model::CommandState;
use crate::registry::Registration;

mod issuing;
mod restarts;
mod serving;
mod upkeep;

/// A ledger that can be closed and opened again.
struct Ledger {
    directory: TempDir,
    registry: Registry,
    commands: Commands,
}

impl Ledger {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let registry = Registry::default();
        let store = Store::open(directory.path()).unwrap();
        let commands = Commands::load(store, registry.clone()).await.unwrap();
        Self { directory, registry, commands }
    }

    /// As after a crash of the controller: no session, nothing in memory.
    async fn reopen(self) -> Self {
        let Self { directory, commands, .. } = self;
        drop(commands);
        let registry = Registry::default();
        let store = Store::open(directory.path()).unwrap();
        let commands = Commands::load(store, registry.clone()).await.unwrap();
        Self { directory, registry, commands }
    }

    /// A session of an agent, whose queue holds `room` messages.
    async fn connect(&self, boot: BootId, room: usize) -> Agent {
        self.connect_remembering(boot, None, room).await
    }

    /// A session of an agent whose memory may go back further than its process.
    async fn connect_remembering(&self, boot: BootId, memory: Option<BootId>, room: usize) -> Agent {
        let (messages, received) = queue(room);
        let handle = AgentHandle::new(
            SessionId::generate(),
            boot,
            messages,
            CancellationToken::new(),
            CancellationToken::new(),
        )
        .remembering(memory.unwrap_or(boot));
        let (registration, _) = self.registry.enter(host(), handle.clone());
        self.commands.agent_connected(&host(), &handle).await;
        Agent { handle, received, _registration: registration }
    }

    async fn sync(&self, project: &str) -> Result<CommandRecord, IssueError> {
        self.commands.issue(&host(), sync(project), "admin", IssueOptions::default()).await
    }

    async fn queue(&self, project: &str, wait: Duration) -> Result<CommandRecord, IssueError> {
        let options = IssueOptions { queue_for: Some(wait), ..IssueOptions::default() };
        self.commands.issue(&host(), sync(project), "admin", options).await
    }

    async fn state(&self, id: CommandId) -> CommandState {
        self.commands.one(id).await.unwrap().unwrap().state
    }

    async fn stored_lines(&self, id: CommandId) -> Vec<u64> {
        let lines = self.commands.log(id, 0, MAX_LOG_PAGE).await.unwrap();
        lines.into_iter().map(|line| line.line).collect()
    }

    async fn progress(&self, id: CommandId, lines: std::ops::Range<u64>) {
        self.commands.progress(&host(), progress(id, lines)).await;
    }

    async fn ended(&self, id: CommandId, outcome: Outcome) {
        self.commands.ended(&host(), id, UnixMicros::now(), outcome).await.unwrap();
    }
}

struct Agent {
    handle: AgentHandle,
    received: Incoming<ToAgent>,
    _registration: Registration,
}

impl Agent {
    fn hears(&mut self) -> Vec<ToAgent> {
        std::iter::from_fn(|| self.received.try_recv()).collect()
    }

    async fn answers(&self, ledger: &Ledger, id: CommandId, standing: Standing) {
        ledger.commands.standing(&host(), &self.handle, id, standing).await;
    }
}

fn host() -> InstanceId {
    "host".parse().unwrap()
}

fn sync(project: &str) -> Work {
    Work::Sync(SyncWork {
        project: project.to_owned(),
        services: Vec::new(),
        strategy: None,
        verify_secs: 60,
    })
}

fn progress(command: CommandId, lines: std::ops::Range<u64>) -> Vec<ProgressLine> {
    let entry =
        |line| Progress::Log { stream: LogStream::Agent, service: None, text: format!("line {line}") };
    lines.map(|line| ProgressLine { command, line, at: UnixMicros(5), entry: entry(line) }).collect()
}

fn succeeded() -> Outcome {
    Outcome::Succeeded { summary: "done".to_owned(), services: Vec::new() }
}

const RUNNING: Standing = Standing::Running { since: UnixMicros(5) };

fn is_order(message: &ToAgent, id: CommandId) -> bool {
    matches!(message, ToAgent::Order(order) if order.id == id)
}
