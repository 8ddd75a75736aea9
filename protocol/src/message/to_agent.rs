//! What a controller says to an agent within a session.

use serde::{Deserialize, Serialize};

use super::Directed;
use super::command::Order;
use super::ids::{CommandId, ContainerId, Epoch, EventSeq, PeerKey};
use super::to_controller::ToController;

/// A message from controller to agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToAgent {
    /// Do this.
    Order(Box<Order>),
    /// Stop this command at its next safe point.
    Cancel {
        /// Which.
        command: CommandId,
    },
    /// What became of this command? The agent answers with its standing, then progress from `next_line`.
    Enquire {
        /// Which.
        command: CommandId,
        /// First progress line the controller does not have.
        next_line: u64,
    },
    /// Every event of the epoch up to this one is stored for good.
    Acknowledge {
        /// The outbox.
        epoch: Epoch,
        /// The last stored event.
        up_to: EventSeq,
    },
    /// Sample container figures for the next `seconds`, because somebody looks. 0 stops it.
    Watch {
        /// For how long.
        seconds: u32,
    },
    /// Answer with [`Probed`](super::to_controller::ToController::Probed) after asking the engine.
    Probe {
        /// Comes back in the answer.
        nonce: u64,
    },
    /// Make a new key, and say it with [`NextKey`](super::to_controller::ToController::NextKey).
    RotateKey,
    /// This key of the agent's is filed beside its present one: from the next link on it may be shown.
    KeyFiled {
        /// The key that was said.
        key: PeerKey,
    },
    /// The keys by which the controller may be known from now on, newest first; any other counts no longer. The agent
    /// answers with [`ControllerKnown`](super::to_controller::ToController::ControllerKnown) once it has written
    /// them down.
    ControllerKeys {
        /// One, or two while the agents learn the newer one.
        keys: Vec<PeerKey>,
    },
    /// Answer with [`Inspected`](super::to_controller::ToController::Inspected): everything of one container.
    Inspect {
        /// Comes back in the answer.
        nonce: u64,
        /// Id of the container.
        container: ContainerId,
    },
    /// A message of a newer version: skipped.
    #[serde(other)]
    Unknown,
}

impl Directed for ToAgent {
    type Opposite = ToController;

    fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }
}
