//! The picture of a host: whole first, then its changes.
//!
//! After Welcome an agent sends [`SnapshotPart`]s until one has `last` set; the controller replaces what it knew of
//! the host with them in one step. After that only [`Change`]s travel; each stands for itself and may be applied
//! twice.

use serde::{Deserialize, Serialize};

use super::container::Container;
use super::ids::ContainerId;
use super::time::UnixMicros;

/// A piece of the whole picture. Split so that a message stays small.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotPart {
    /// The engine, the same in every part.
    pub engine: Engine,
    /// Some of the containers.
    pub containers: Vec<Container>,
    /// Whether the picture is whole with this part.
    pub last: bool,
}

/// One change of the picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// A container appeared or changed.
    Upsert {
        /// Its state now, whole.
        container: Box<Container>,
    },
    /// A container is gone.
    Remove {
        /// Which.
        id: ContainerId,
    },
    /// The engine came, went or was upgraded.
    Engine {
        /// Its state now.
        engine: Engine,
    },
    /// A change of a newer version.
    #[serde(other)]
    Unknown,
}

/// The Docker engine beside an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engine {
    /// Whether it answers, and since when.
    pub state: EngineState,
    /// When `state` began.
    pub since: UnixMicros,
    /// Its version, as last seen (`20.10.24+dfsg1`).
    #[serde(default)]
    pub version: Option<String>,
    /// Newest API version it speaks, as last seen (`1.41`).
    #[serde(default)]
    pub api_version: Option<String>,
    /// The host's operating system, as last seen.
    #[serde(default)]
    pub os: Option<String>,
    /// Number of processors of the host, as last seen.
    #[serde(default)]
    pub cpus: Option<u32>,
    /// Memory of the host in bytes, as last seen.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
}

/// Whether an engine answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum EngineState {
    /// It answers and its events are read.
    Reachable,
    /// It does not.
    Unreachable {
        /// What went wrong, for a person to read.
        reason: String,
    },
    /// A state of a newer version.
    #[serde(other)]
    Unknown,
}
