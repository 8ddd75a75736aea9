//! A sync of many hosts, batch after batch.

use std::fmt;
use std::str::FromStr;

use roadstead_protocol::message::command::Strategy;
use roadstead_protocol::message::ids::{CommandId, InstanceId, InvalidId};
use roadstead_protocol::message::time::UnixMicros;
use uuid::Uuid;

/// One rollout. Time-ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RolloutId(pub Uuid);

impl RolloutId {
    /// A fresh one.
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }
}

impl fmt::Display for RolloutId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for RolloutId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Uuid::parse_str(text).map(Self).map_err(|_| InvalidId("rollout id"))
    }
}

/// A sync of many hosts: its steps in their order, and the rules by which they begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutRecord {
    /// Its id.
    pub id: RolloutId,
    /// Who asked.
    pub issued_by: String,
    /// When.
    pub issued_at: UnixMicros,
    /// Steps that run at once; a batch begins when the one before has ended. At least 1.
    pub batch_size: u32,
    /// Whether a step that failed keeps later ones from beginning.
    pub stop_on_failure: bool,
    /// How long the command of an absent host waits for its agent, in seconds; none skips such a host.
    pub queue_secs: Option<u32>,
    /// How to sync; none leaves it to each agent.
    pub strategy: Option<Strategy>,
    /// How long a restarted service may take to run and be healthy, in seconds.
    pub verify_secs: u32,
    /// Why no further step begins.
    pub stopped: Option<Stopped>,
    /// When its last step ended.
    pub ended_at: Option<UnixMicros>,
    /// The steps, in order.
    pub steps: Vec<RolloutStep>,
}

/// Why no further step of a rollout begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// This step failed.
    Failure {
        /// Name of its host.
        host: String,
    },
    /// This person wants it.
    Person {
        /// Who.
        name: String,
    },
}

/// The sync of one project on one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutStep {
    /// Which host.
    pub instance: InstanceId,
    /// The host's name when the rollout was made.
    pub name: String,
    /// Which project; empty where the host shows none.
    pub project: String,
    /// Where it stands.
    pub state: StepState,
    /// Its command, once it has begun.
    pub command: Option<CommandId>,
    /// What came of it, or why it was not done.
    pub reason: Option<String>,
}

/// Where a step stands. The last six are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StepState {
    /// Its turn has not come.
    Waiting,
    /// It has a command's id, and the ledger is about to take that command on.
    Begun,
    /// Its command waits for an absent agent.
    Queued,
    /// Its command is with the agent.
    Running,
    /// Done.
    Succeeded,
    /// Not done, or not wholly.
    Failed,
    /// Its command was cancelled.
    Cancelled,
    /// What became of its command cannot be known.
    Lost,
    /// The ledger did not take its command on.
    Refused,
    /// Left out: the host was away, or does not allow it, or the rollout was stopped before.
    Skipped,
}

impl StepState {
    /// Every state, in order.
    pub const ALL: [Self; 10] = [
        Self::Waiting,
        Self::Begun,
        Self::Queued,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::Lost,
        Self::Refused,
        Self::Skipped,
    ];

    /// Whether it can never change again.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Waiting | Self::Begun | Self::Queued | Self::Running)
    }

    /// Whether it is an end that was not wanted. To be left out is none.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::Cancelled | Self::Lost | Self::Refused)
    }

    /// The word used in storage, API and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Begun => "begun",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
            Self::Refused => "refused",
            Self::Skipped => "skipped",
        }
    }
}
