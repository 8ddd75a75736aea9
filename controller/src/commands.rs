//! The command ledger: work asked of agents, from the request to its outcome, across every reconnect and restart.

use std::sync::Arc;
use std::time::Duration;

use roadstead_protocol::message::command::{Outcome, Standing, Work};
use roadstead_protocol::message::ids::{CommandId, InstanceId};
use roadstead_protocol::message::policy::Policy;
use roadstead_protocol::message::progress::ProgressLine;
use roadstead_protocol::message::time::UnixMicros;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

pub use crate::store::commands::CommandFilter;
pub use error::{CancelError, IssueError};

use crate::model::{CommandRecord, LogLine};
use crate::registry::{AgentHandle, Registry};
use crate::store::{Store, StoreError};

mod error;

/// The ledger; cheap to clone.
#[derive(Clone)]
pub struct Commands {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    registry: Registry,
    changes: broadcast::Sender<CommandChange>,
}

/// Something new in the ledger, told after it is on disk.
#[derive(Clone, Debug)]
pub enum CommandChange {
    /// A command is new or changed.
    State(Arc<CommandRecord>),
    /// A command's log grew.
    Lines {
        /// Whose log.
        command: CommandId,
        /// Where it runs.
        instance: InstanceId,
        /// The new lines, in order.
        lines: Arc<Vec<LogLine>>,
    },
}

/// What a request for a command says beside the work.
#[derive(Clone, Copy, Debug, Default)]
pub struct IssueOptions<'a> {
    /// How long it waits for an absent agent, at most seven days; none refuses it when the agent is away.
    pub queue_for: Option<Duration>,
    /// How long it may run, at most 24 hours; none for what is usual for the work.
    pub deadline: Option<Duration>,
    /// The agent's policy as last heard; what it does not allow is refused here already.
    pub policy: Option<&'a Policy>,
}

impl Commands {
    /// The ledger over `store`, with every unfinished command in it.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn load(store: Store, registry: Registry) -> Result<Self, StoreError> {
        todo!()
    }

    /// Takes on a command and sends it if the agent is connected.
    ///
    /// # Errors
    /// If it is refused; nothing of it is stored then.
    pub async fn issue(
        &self,
        instance: &InstanceId,
        work: Work,
        by: &str,
        options: IssueOptions<'_>,
    ) -> Result<CommandRecord, IssueError> {
        todo!()
    }

    /// Notes the wish to cancel: a command not yet sent ends at once, others when their agent stops them.
    ///
    /// # Errors
    /// If there is no such command or it has ended.
    pub async fn cancel(&self, id: CommandId, by: &str) -> Result<CommandRecord, CancelError> {
        todo!()
    }

    /// One command.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn one(&self, id: CommandId) -> Result<Option<CommandRecord>, StoreError> {
        todo!()
    }

    /// Commands, newest first, from the one before `before` on; at most 200.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn list(
        &self,
        filter: CommandFilter,
        before: Option<CommandId>,
        limit: usize,
    ) -> Result<Vec<CommandRecord>, StoreError> {
        todo!()
    }

    /// Lines of a command's log from `from_line` on; at most 1,000.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn log(&self, id: CommandId, from_line: u64, limit: usize) -> Result<Vec<LogLine>, StoreError> {
        todo!()
    }

    /// Everything new from now on. A reader that falls 1,024 changes behind is told so and must read again.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<CommandChange> {
        self.inner.changes.subscribe()
    }

    /// An agent's session is up and in the registry: sends what waits for it, enquires about what is out.
    pub async fn agent_connected(&self, instance: &InstanceId, agent: &AgentHandle) {
        todo!()
    }

    /// Everything that was in the agent's outbox at Hello (up to `Hello.last_event`) has been handed over: a command
    /// that the agent does not know and whose outcome was not among it is lost.
    pub async fn outbox_drained(&self, instance: &InstanceId, agent: &AgentHandle) {
        todo!()
    }

    /// The agent's answer to an order or an enquiry.
    pub async fn standing(
        &self,
        instance: &InstanceId,
        agent: &AgentHandle,
        id: CommandId,
        standing: Standing,
    ) {
        todo!()
    }

    /// Lines of running commands' logs.
    pub async fn progress(&self, instance: &InstanceId, lines: Vec<ProgressLine>) {
        todo!()
    }

    /// A command ended at `at` by the agent's clock, as told through its outbox. Handing it in twice is fine.
    ///
    /// # Errors
    /// If it could not be stored: do not acknowledge the event then.
    pub async fn ended(
        &self,
        instance: &InstanceId,
        id: CommandId,
        at: UnixMicros,
        outcome: Outcome,
    ) -> Result<(), StoreError> {
        todo!()
    }

    /// The instance was removed: none of its commands will come to an end by itself.
    pub async fn instance_removed(&self, instance: &InstanceId) {
        todo!()
    }

    /// Does what time alone brings about: queued commands expire, silent ones are asked about, old ones forgotten.
    pub async fn tick(&self, now: UnixMicros) {
        todo!()
    }

    /// Ticks every five seconds until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        todo!()
    }
}
