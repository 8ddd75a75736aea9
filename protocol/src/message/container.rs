//! A container as an agent sees it, and the figures sampled from it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ids::ContainerId;
use super::time::UnixMicros;

/// One container of a host: everything the picture needs, nothing that changes by itself from second to second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// The engine's full id.
    pub id: ContainerId,
    /// Name without the leading slash.
    pub name: String,
    /// Image reference as the container was created with.
    pub image: String,
    /// Digest of the image's configuration (`sha256:…`), what the engine calls the image id.
    pub image_id: String,
    /// Command line as the engine shows it.
    #[serde(default)]
    pub command: String,
    /// When it was created.
    pub created_at: UnixMicros,
    /// What the engine says it is doing.
    pub state: ContainerState,
    /// Result of its health check.
    #[serde(default)]
    pub health: ContainerHealth,
    /// When it last started, if ever.
    #[serde(default)]
    pub started_at: Option<UnixMicros>,
    /// When it last stopped, if it is not running and once ran.
    #[serde(default)]
    pub finished_at: Option<UnixMicros>,
    /// Exit code of the last run, if it is not running and once ran.
    #[serde(default)]
    pub exit_code: Option<i64>,
    /// Whether the last run ended for want of memory.
    #[serde(default)]
    pub oom_killed: bool,
    /// Published and exposed ports, sorted.
    #[serde(default)]
    pub ports: Vec<Port>,
    /// Names of the networks it is attached to, sorted.
    #[serde(default)]
    pub networks: Vec<String>,
    /// Names of volumes and host paths mounted in it, sorted.
    #[serde(default)]
    pub mounts: Vec<String>,
    /// Its labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Whether labels were left out because they were too large to send.
    #[serde(default)]
    pub labels_truncated: bool,
    /// Name of its restart policy (`no`, `always`, `unless-stopped`, `on-failure`).
    #[serde(default)]
    pub restart_policy: String,
}

impl Container {
    /// The compose project it belongs to, by the label both compose generations set.
    #[must_use]
    pub fn compose_project(&self) -> Option<&str> {
        self.labels.get("com.docker.compose.project").map(String::as_str)
    }

    /// The compose service it is an instance of.
    #[must_use]
    pub fn compose_service(&self) -> Option<&str> {
        self.labels.get("com.docker.compose.service").map(String::as_str)
    }
}

/// State of a container in the engine's own words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ContainerState {
    /// Created, never started.
    Created,
    /// Running.
    Running,
    /// Frozen.
    Paused,
    /// Between two runs, by its restart policy.
    Restarting,
    /// Being removed.
    Removing,
    /// Stopped.
    Exited,
    /// Could not be stopped or removed cleanly.
    Dead,
    /// A state of a newer engine.
    #[default]
    #[serde(other)]
    Unknown,
}

/// Result of a container's health check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ContainerHealth {
    /// It has no health check, or none that runs now.
    #[default]
    None,
    /// Within its start period.
    Starting,
    /// The last check passed.
    Healthy,
    /// The last checks failed.
    Unhealthy,
    /// A result of a newer engine.
    #[serde(other)]
    Unknown,
}

/// A port a container exposes, published on the host or not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Port {
    /// Port inside the container.
    pub private: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// Host address it is published on, if published.
    #[serde(default)]
    pub host_ip: Option<String>,
    /// Host port it is published on, if published.
    #[serde(default)]
    pub public: Option<u16>,
}

/// What one container used, at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Whose figures these are.
    pub container: ContainerId,
    /// When they were sampled, by the agent's clock.
    pub at: UnixMicros,
    /// CPU use in percent of one core, over the time since the sample before; none for a first sample.
    #[serde(default)]
    pub cpu_percent: Option<f64>,
    /// Memory in use without the page cache, bytes.
    pub memory_bytes: u64,
    /// Memory limit, bytes; none if unlimited.
    #[serde(default)]
    pub memory_limit_bytes: Option<u64>,
    /// Received since the container started, bytes.
    #[serde(default)]
    pub network_rx_bytes: u64,
    /// Sent since the container started, bytes.
    #[serde(default)]
    pub network_tx_bytes: u64,
    /// Read from block devices since the container started, bytes.
    #[serde(default)]
    pub block_read_bytes: u64,
    /// Written to block devices since the container started, bytes.
    #[serde(default)]
    pub block_write_bytes: u64,
}
