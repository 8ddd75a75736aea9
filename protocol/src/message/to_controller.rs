//! What an agent says to its controller within a session.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Directed;
use super::command::Standing;
use super::container::Figures;
use super::event::EventBatch;
use super::ids::{CommandId, PeerKey};
use super::inspection::Inspection;
use super::policy::Policy;
use super::progress::ProgressLine;
use super::snapshot::{Change, Engine, SnapshotPart};
use super::tagged::{self, Tagged};
use super::to_agent::ToAgent;

/// A message from agent to controller.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", tag = "type", rename_all = "snake_case")]
pub enum ToController {
    /// A piece of the whole picture.
    Snapshot(SnapshotPart),
    /// A change of the picture.
    Change {
        /// What changed.
        change: Change,
    },
    /// Figures of some containers.
    Figures {
        /// The samples.
        samples: Vec<Figures>,
    },
    /// Events from the outbox.
    Events(EventBatch),
    /// Lines of a running command's log.
    Progress {
        /// The lines, of any commands, each command's in order.
        lines: Vec<ProgressLine>,
    },
    /// Answer to an order or an enquiry.
    Standing {
        /// Which command.
        command: CommandId,
        /// Where it stands.
        standing: Standing,
    },
    /// Answer to a probe.
    Probed {
        /// From the probe.
        nonce: u64,
        /// The engine as it answered just now.
        engine: Engine,
        /// How long the engine took, in microseconds.
        engine_micros: u64,
    },
    /// The owner changed the policy.
    Policy {
        /// What is allowed now.
        policy: Policy,
    },
    /// The key that the agent made for itself and will show once it is filed.
    NextKey {
        /// Its fingerprint.
        key: PeerKey,
    },
    /// The keys by which the agent knows its controller are written down.
    ControllerKnown {
        /// The keys, newest first.
        keys: Vec<PeerKey>,
    },
    /// Answer to an inspection.
    Inspected {
        /// From the question.
        nonce: u64,
        /// What was found.
        found: Inspection,
    },
    /// A message of a newer version: skipped.
    #[serde(other)]
    Unknown,
}

impl Directed for ToController {
    type Opposite = ToAgent;

    fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }
}

impl Serialize for ToController {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for ToController {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        tagged::read(deserializer)
    }
}

impl<'de> Tagged<'de> for ToController {
    const TAG: &'static str = "type";
    const COMMON: &'static str = "events";

    fn common<D: Deserializer<'de>>(fields: D) -> Result<Self, D::Error> {
        EventBatch::deserialize(fields).map(Self::Events)
    }

    fn any<D: Deserializer<'de>>(whole: D) -> Result<Self, D::Error> {
        Self::deserialize(whole)
    }
}
