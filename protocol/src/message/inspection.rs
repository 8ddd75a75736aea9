//! Everything about one container, asked for when somebody looks: what the picture is too small for. Bounded by the
//! agent so that it fits into one message; what looks secret is masked there unless its owner allows `view-env`.

use serde::{Deserialize, Serialize};

use super::ids::ContainerId;
use super::time::UnixMicros;

/// The answer to an inspection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "inspection", rename_all = "snake_case")]
pub enum Inspection {
    /// The container.
    Found(Box<ContainerDetails>),
    /// There is no such container.
    Missing,
    /// The engine could not be asked.
    Failed {
        /// Why, for a person to read.
        reason: String,
    },
    /// An answer of a newer version.
    #[serde(other)]
    Unknown,
}

/// A container in detail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerDetails {
    /// The engine's full id.
    pub id: ContainerId,
    /// Environment, in the engine's order.
    #[serde(default)]
    pub env: Vec<Setting>,
    /// Labels, by name.
    #[serde(default)]
    pub labels: Vec<Setting>,
    /// Program that is run, as an argument vector.
    #[serde(default)]
    pub entrypoint: Vec<String>,
    /// Its arguments.
    #[serde(default)]
    pub command: Vec<String>,
    /// Folder it runs in; empty for the image's root.
    #[serde(default)]
    pub working_dir: String,
    /// User it runs as; empty for root.
    #[serde(default)]
    pub user: String,
    /// Host name within the container.
    #[serde(default)]
    pub hostname: String,
    /// What is mounted.
    #[serde(default)]
    pub mounts: Vec<MountDetails>,
    /// Networks, by name.
    #[serde(default)]
    pub networks: Vec<NetworkDetails>,
    /// Restart policy (`no`, `always`, `unless-stopped`, `on-failure`).
    #[serde(default)]
    pub restart_policy: String,
    /// How often `on-failure` tries; 0 for ever.
    #[serde(default)]
    pub restart_retries: u32,
    /// Memory limit in bytes; none if unlimited.
    #[serde(default)]
    pub memory_limit_bytes: Option<u64>,
    /// Processors it may use, in thousandths of one; none if unlimited.
    #[serde(default)]
    pub cpu_limit_thousandths: Option<u64>,
    /// Processes it may have; none if unlimited.
    #[serde(default)]
    pub process_limit: Option<u64>,
    /// What it has of its host beyond what a plain container has, in words; none for a plain container.
    #[serde(default)]
    pub privileges: Vec<String>,
    /// What its health check runs; empty without one.
    #[serde(default)]
    pub health_check: Vec<String>,
    /// The last results of its health check, oldest first.
    #[serde(default)]
    pub health_log: Vec<HealthEntry>,
    /// Digest of its image's configuration (`sha256:…`).
    #[serde(default)]
    pub image_id: String,
    /// `name@sha256:…` for each repository its image was pulled from.
    #[serde(default)]
    pub image_digests: Vec<String>,
    /// Whether something was left out or cut because it was too large to send.
    #[serde(default)]
    pub truncated: bool,
}

impl ContainerDetails {
    /// A container of which nothing but its id is known.
    #[must_use]
    pub const fn of(id: ContainerId) -> Self {
        Self {
            id,
            env: Vec::new(),
            labels: Vec::new(),
            entrypoint: Vec::new(),
            command: Vec::new(),
            working_dir: String::new(),
            user: String::new(),
            hostname: String::new(),
            mounts: Vec::new(),
            networks: Vec::new(),
            restart_policy: String::new(),
            restart_retries: 0,
            memory_limit_bytes: None,
            cpu_limit_thousandths: None,
            process_limit: None,
            privileges: Vec::new(),
            health_check: Vec::new(),
            health_log: Vec::new(),
            image_id: String::new(),
            image_digests: Vec::new(),
            truncated: false,
        }
    }
}

/// A variable or a label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// Its value; none where it looks secret and the agent's owner does not allow `view-env`.
    #[serde(default)]
    pub value: Option<String>,
}

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MountDetails {
    /// `bind`, `volume`, `tmpfs`, …
    pub kind: String,
    /// Path on the host, or name of the volume.
    pub source: String,
    /// Path in the container.
    pub target: String,
    /// Whether the container may only read.
    #[serde(default)]
    pub read_only: bool,
}

/// A container's place in one network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NetworkDetails {
    /// The network.
    pub name: String,
    /// Addresses of the container there.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// Where it sends what leaves the network; empty if nowhere.
    #[serde(default)]
    pub gateway: String,
    /// Hardware address.
    #[serde(default)]
    pub mac: String,
    /// Further names it has there.
    #[serde(default)]
    pub aliases: Vec<String>,
}

/// One result of a health check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthEntry {
    /// When it ended, by the host's clock.
    pub at: UnixMicros,
    /// Its exit code; 0 is healthy.
    pub exit_code: i64,
    /// The end of what it said.
    #[serde(default)]
    pub output: String,
}
