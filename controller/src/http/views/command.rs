//! A command and the lines of its log as the API shows them.

use roadstead_protocol::masking;
use roadstead_protocol::message::command::{Outcome, Work};
use roadstead_protocol::message::progress::Progress;
use roadstead_protocol::message::time::UnixMicros;
use serde::{Deserialize, Serialize};

use crate::http::time::{Time, age_seconds};
use crate::model::{CommandRecord, CommandState, LogLine};

/// One command of the ledger.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct CommandView {
    /// Its identity.
    pub id: String,
    /// Where it runs.
    pub instance: String,
    /// What was asked.
    pub work: Work,
    /// Where it stands.
    pub state: CommandStateView,
    /// Whether that can never change again.
    pub ended: bool,
    /// Who asked.
    pub issued_by: String,
    /// When.
    pub issued_at: Time,
    /// How long ago, in seconds.
    pub age_seconds: f64,
    /// Until when it waits for an absent agent; none if it does not.
    pub queue_until: Option<Time>,
    /// The agent gives up after so many seconds.
    pub deadline_secs: u32,
    /// When it was sent to the agent.
    pub sent_at: Option<Time>,
    /// When it began to run.
    pub started_at: Option<Time>,
    /// When it ended.
    pub ended_at: Option<Time>,
    /// Whether somebody asked to cancel it.
    pub cancel_requested: bool,
    /// How it ended, by the agent's account.
    pub outcome: Option<Outcome>,
    /// Why it ended, where the outcome does not say.
    pub reason: Option<String>,
}

/// Where a command stands; `succeeded`, `failed`, `cancelled` and `lost` are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "as in the ledger's own type")]
pub enum CommandStateView {
    Issued,
    Sent,
    Running,
    Succeeded,
    Failed,
    Cancelled,
    Lost,
}

/// One line of a command's log.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct LogLineView {
    /// Number of the line, from 0, without holes.
    pub line: u64,
    /// When, by the agent's clock.
    pub at: Time,
    /// What it says.
    pub entry: Progress,
}

impl CommandView {
    /// The view of `record` at `now`.
    #[must_use]
    pub fn new(record: &CommandRecord, now: UnixMicros) -> Self {
        Self {
            id: record.id.to_string(),
            instance: record.instance.to_string(),
            work: shown(&record.work),
            state: record.state.into(),
            ended: record.state.is_final(),
            issued_by: record.issued_by.clone(),
            issued_at: Time(record.issued_at),
            age_seconds: age_seconds(record.issued_at, now),
            queue_until: record.queue_until.map(Time),
            deadline_secs: record.deadline_secs,
            sent_at: record.sent_at.map(Time),
            started_at: record.started_at.map(Time),
            ended_at: record.ended_at.map(Time),
            cancel_requested: record.cancel_requested,
            outcome: record.outcome.clone(),
            reason: record.reason.clone(),
        }
    }
}

/// Work as it may be shown to whoever may look.
fn shown(work: &Work) -> Work {
    let mut work = work.clone();
    if let Work::Install(install) = &mut work {
        masking::mask_install(install);
    }
    work
}

impl LogLineView {
    /// The view of `line`.
    #[must_use]
    pub fn new(line: &LogLine) -> Self {
        Self { line: line.line, at: Time(line.at), entry: line.entry.clone() }
    }
}

impl From<CommandState> for CommandStateView {
    fn from(state: CommandState) -> Self {
        match state {
            CommandState::Issued => Self::Issued,
            CommandState::Sent => Self::Sent,
            CommandState::Running => Self::Running,
            CommandState::Succeeded => Self::Succeeded,
            CommandState::Failed => Self::Failed,
            CommandState::Cancelled => Self::Cancelled,
            CommandState::Lost => Self::Lost,
        }
    }
}

impl From<CommandStateView> for CommandState {
    fn from(state: CommandStateView) -> Self {
        match state {
            CommandStateView::Issued => Self::Issued,
            CommandStateView::Sent => Self::Sent,
            CommandStateView::Running => Self::Running,
            CommandStateView::Succeeded => Self::Succeeded,
            CommandStateView::Failed => Self::Failed,
            CommandStateView::Cancelled => Self::Cancelled,
            CommandStateView::Lost => Self::Lost,
        }
    }
}
