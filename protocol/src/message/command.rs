//! Commands: work asked of an agent, and how it ended.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ids::CommandId;
use super::policy::Verb;
use super::time::UnixMicros;

/// A command on its way to an agent. Delivering it twice does not run it twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Its identity.
    pub id: CommandId,
    /// What is asked.
    pub work: Work,
    /// The agent gives up after this many seconds.
    pub deadline_secs: u32,
}

/// What a command asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "work", rename_all = "snake_case")]
pub enum Work {
    /// Pull a compose project's images, restart what changed, verify it.
    Sync(SyncWork),
    /// Pull an image, create a container, start it, wait until it is ready.
    Install(InstallWork),
    /// Pull a container's image and recreate the container with the same configuration, changed image or not.
    Reinstall {
        /// Id or name of the container.
        container: String,
    },
    /// Act on one container.
    Container {
        /// Id or name of the container.
        container: String,
        /// What to do.
        action: ContainerAction,
    },
    /// Find out, without changing anything, whether a project's images are current.
    Check {
        /// The compose project.
        project: String,
    },
    /// A command of a newer version: refused by name.
    #[serde(other)]
    Unknown,
}

impl Work {
    /// The verb the agent's policy must allow for it.
    #[must_use]
    pub const fn verb(&self) -> Verb {
        match self {
            Self::Sync(_) => Verb::Sync,
            Self::Install(_) | Self::Reinstall { .. } => Verb::Deploy,
            Self::Container { action: ContainerAction::Remove, .. } => Verb::Remove,
            Self::Container { .. } => Verb::Lifecycle,
            Self::Check { .. } => Verb::View,
            Self::Unknown => Verb::Unknown,
        }
    }
}

/// A sync of one compose project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SyncWork {
    /// The compose project.
    pub project: String,
    /// Services to sync; empty means all.
    #[serde(default)]
    pub services: Vec<String>,
    /// How; none lets the agent choose the best there is.
    #[serde(default)]
    pub strategy: Option<Strategy>,
    /// How long a restarted service may take to be running, and healthy if it has a health check, in seconds.
    #[serde(default = "default_verify_secs")]
    pub verify_secs: u32,
}

const fn default_verify_secs() -> u32 {
    60
}

/// How a sync is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// An executable that the agent's owner configured.
    Script,
    /// `docker compose` or `docker-compose`, with the project's own files.
    Compose,
    /// The engine alone: pull each image, recreate containers whose image changed, roll back on failure.
    Engine,
    /// A strategy of a newer version.
    #[serde(other)]
    Unknown,
}

/// A container to install.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InstallWork {
    /// Name of the container.
    pub name: String,
    /// Image reference.
    pub image: String,
    /// Command, as argument vector; empty means the image's own.
    #[serde(default)]
    pub command: Vec<String>,
    /// Environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Published ports, as `[host-ip:]host-port:container-port[/protocol]`.
    #[serde(default)]
    pub ports: Vec<String>,
    /// Mounts, as `volume-or-host-path:container-path[:ro]`.
    #[serde(default)]
    pub mounts: Vec<String>,
    /// Network to attach to; none means the engine's default.
    #[serde(default)]
    pub network: Option<String>,
    /// Restart policy: `no`, `always`, `unless-stopped`, `on-failure`.
    #[serde(default)]
    pub restart_policy: Option<String>,
    /// How long it may take to be running, and healthy if it has a health check, in seconds.
    #[serde(default = "default_verify_secs")]
    pub verify_secs: u32,
}

/// An action on one container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ContainerAction {
    /// Start it.
    Start,
    /// Stop it.
    Stop,
    /// Stop and start it.
    Restart,
    /// Kill it at once.
    Kill,
    /// Freeze it.
    Pause,
    /// Let it run on.
    Unpause,
    /// Remove it; it must not be running.
    Remove,
    /// An action of a newer version: refused by name.
    #[serde(other)]
    Unknown,
}

/// How a command ended at the agent. `lost` is not here: only the controller can conclude it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It did what was asked.
    Succeeded {
        /// What came of it, in one sentence.
        summary: String,
        /// What came of each service, where there are services.
        #[serde(default)]
        services: Vec<ServiceOutcome>,
    },
    /// It did not, or not wholly.
    Failed {
        /// Why, naming the service where one failed.
        reason: String,
        /// What came of each service, where there are services.
        #[serde(default)]
        services: Vec<ServiceOutcome>,
    },
    /// It was stopped on request, at a safe point.
    Cancelled {
        /// What had been done by then.
        summary: String,
        /// What came of each service until then.
        #[serde(default)]
        services: Vec<ServiceOutcome>,
    },
    /// The agent did not begin it.
    Refused {
        /// Why.
        refusal: OrderRefusal,
    },
    /// An outcome of a newer version.
    #[serde(other)]
    Unknown,
}

/// Why an agent did not begin a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum OrderRefusal {
    /// The agent's policy does not allow the verb.
    Policy {
        /// The verb it needs.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        verb: Verb,
        /// What exactly refused it: a limit of the policy, a container's protection, and where that is written;
        /// none where the verb itself is not allowed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rule: Option<String>,
    },
    /// Another command changes the same project or container now.
    Busy {
        /// The command that runs.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        running: CommandId,
    },
    /// The agent runs as many commands as it may.
    TooMany {
        /// How many that is.
        limit: u32,
    },
    /// There is no such project or container, or the request makes no sense there.
    Invalid {
        /// Why, and what to do.
        reason: String,
    },
    /// This agent does not know the command: it is older than the controller.
    Unsupported,
    /// A refusal of a newer version.
    #[serde(other)]
    Unknown,
}

/// What came of one service of a project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServiceOutcome {
    /// The service, or the container's name where there is no project.
    pub service: String,
    /// Image reference.
    pub image: String,
    /// What its containers ran before (`sha256:…` of the image), none if nothing ran.
    #[serde(default)]
    pub before: Option<String>,
    /// What they run now.
    #[serde(default)]
    pub after: Option<String>,
    /// What came of it.
    pub result: ServiceResult,
    /// Why, where it failed or could not be checked.
    #[serde(default)]
    pub reason: Option<String>,
    /// Last log lines of a failing container.
    #[serde(default)]
    pub log_tail: Vec<String>,
}

/// What came of one service: different facts, never confused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ServiceResult {
    /// A new image runs, and was verified.
    Updated,
    /// The image was current; nothing was touched.
    AlreadyCurrent,
    /// Same image, but the container was recreated or restarted, and was verified.
    Restarted,
    /// A newer image exists; nothing was changed (`check`).
    Outdated,
    /// It could not be updated, or the new one does not run; what runs now is in `after`.
    Failed,
    /// The new one did not run; the old one runs again.
    RolledBack,
    /// Whether there is a newer image cannot be told, and why.
    CannotCheck,
    /// Not reached, because the command ended before.
    NotReached,
    /// A result of a newer version.
    #[serde(other)]
    Unknown,
}

/// A command that an agent has heard of, as it answers a question about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "standing", rename_all = "snake_case")]
pub enum Standing {
    /// It runs; its progress follows from the line asked for.
    Running {
        /// When it began, by the agent's clock.
        since: UnixMicros,
    },
    /// It ended; the outcome is in the outbox or was acknowledged.
    Ended,
    /// This agent, since it started, has never heard of it.
    NeverSeen,
    /// A standing of a newer version.
    #[serde(other)]
    Unknown,
}
