//! Events: facts with a time and a sequence number, delivered exactly once.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::command::Outcome;
use super::ids::{CommandId, ContainerId, Epoch, EventSeq, Print};
use super::policy::Verb;
use super::time::UnixMicros;

/// Some events of one outbox, in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventBatch {
    /// The outbox they come from.
    pub epoch: Epoch,
    /// Their sequence numbers ascend; a number that is missing was never used.
    pub events: Vec<Event>,
    /// The print of the last of them. None from agents that know of none (before 1.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub print: Option<Print>,
    /// Where this epoch left another, as long as that matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fork: Option<Fork>,
}

impl EventBatch {
    /// Events of an outbox that keeps no prints.
    #[must_use]
    pub const fn plain(epoch: Epoch, events: Vec<Event>) -> Self {
        Self { epoch, events, print: None, fork: None }
    }
}

/// An epoch that began because the one before it was used by two outboxes: a copied data folder, or one set back to an
/// older copy. Its numbers go on where the agent was sure to be understood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fork {
    /// The last event that is known to be stored under an earlier epoch: this one begins with the next number.
    pub after: EventSeq,
    /// The last event that may have been told under an earlier epoch with the same number already.
    pub up_to: EventSeq,
}

/// One event as it lies in the outbox and in the controller's log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its place in the outbox.
    pub seq: EventSeq,
    /// When it happened, by the engine's clock where the engine said so, else by the agent's.
    pub at: UnixMicros,
    /// What happened.
    pub what: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EventKind {
    /// The engine said something about a container.
    Container {
        /// Which container.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        id: ContainerId,
        /// Its name then.
        name: String,
        /// Its image reference then.
        #[serde(default)]
        image: String,
        /// The engine's word: `create`, `start`, `die`, `destroy`, `health_status: healthy`, …
        action: String,
        /// What the engine added that matters (`exitCode`, `signal`, compose project and service).
        #[serde(default)]
        attributes: BTreeMap<String, String>,
        /// Found by comparing lists, not told by the engine: `at` is when it was noticed.
        #[serde(default)]
        inferred: bool,
    },
    /// The engine said something about an image, network, volume or itself.
    Engine {
        /// `image`, `network`, `volume`, `daemon`, …
        object: String,
        /// Name or id of the object.
        id: String,
        /// The engine's word.
        action: String,
    },
    /// The engine stopped answering.
    EngineLost {
        /// Why, for a person to read.
        reason: String,
    },
    /// The engine answers (again).
    EngineFound {
        /// Its version.
        version: String,
    },
    /// The agent started.
    AgentStarted {
        /// Its version.
        version: String,
    },
    /// A command came to its end.
    CommandEnded {
        /// Which.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        command: CommandId,
        /// How.
        outcome: Outcome,
    },
    /// The agent's policy refused a command.
    Refused {
        /// Which.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        command: CommandId,
        /// The verb it would have needed.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        verb: Verb,
        /// What was asked, in words.
        what: String,
        /// The limit that refused it and where that is written; none where the verb itself is not allowed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rule: Option<String>,
    },
    /// Events were dropped because the outbox was full or damaged.
    Gap {
        /// First sequence number that is missing.
        #[cfg_attr(feature = "openapi", schema(value_type = u64))]
        from: EventSeq,
        /// Last sequence number that is missing.
        #[cfg_attr(feature = "openapi", schema(value_type = u64))]
        to: EventSeq,
        /// How many events are missing.
        count: u64,
        /// Why.
        reason: String,
    },
    /// An event of a newer version.
    #[serde(other)]
    Unknown,
}
