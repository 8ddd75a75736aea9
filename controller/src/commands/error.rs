//! Why the ledger did not take a command, or a wish to cancel one. Each says who must act.

use roadstead_protocol::message::ids::CommandId;
use roadstead_protocol::message::policy::Verb;

use crate::model::CommandState;
use crate::store::StoreError;

/// Why a command was not issued. Nothing of it is stored.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The agent is not connected and the request does not want to wait for it.
    #[error(
        "the agent is not connected; try again when it is, or ask for the command to wait with `queue_for`"
    )]
    AgentAway,
    /// The agent's owner does not allow it.
    #[error("the agent's policy does not allow `{verb}`; its owner can allow it with ROADSTEAD_ALLOW")]
    Policy {
        /// The verb it needs.
        verb: Verb,
    },
    /// More than may be asked of the instance here.
    #[error(
        "`{verb}` may not be asked of this instance (allowed: {ceiling}): the join token or the configuration that it \
         came with says so, whatever its owner allows; to change that, let it join again with another token"
    )]
    Ceiling {
        /// The verb it needs.
        verb: Verb,
        /// What may be asked.
        ceiling: String,
    },
    /// An unfinished command changes the same project or container.
    #[error("command {running} changes the same project or container; wait for it to end, or cancel it")]
    Busy {
        /// The command in the way.
        running: CommandId,
    },
    /// The instance has as many unfinished commands as it may.
    #[error("the instance has {limit} unfinished commands; wait for some to end, or cancel them")]
    TooMany {
        /// How many it may have.
        limit: usize,
    },
    /// The request makes no sense; the sentence says why.
    #[error("{0}")]
    Invalid(String),
    /// It could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a command was not cancelled.
#[derive(Debug, thiserror::Error)]
pub enum CancelError {
    /// There is no such command.
    #[error("there is no such command")]
    NotFound,
    /// It has ended.
    #[error("the command has ended already: {}", state.as_str())]
    AlreadyFinal {
        /// How.
        state: CommandState,
    },
    /// The wish could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}
