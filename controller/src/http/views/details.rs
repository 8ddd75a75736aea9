//! A container in detail as the API shows it.

use roadstead_protocol::message::inspection::{
    ContainerDetails, HealthEntry, MountDetails, NetworkDetails, Setting,
};
use roadstead_protocol::message::time::UnixMicros;
use serde::Serialize;

use crate::http::time::Time;

/// Everything about one container, as its engine answered just now.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct ContainerDetailsView {
    /// Which instance.
    pub instance: String,
    /// The engine's full id.
    pub id: String,
    /// When the agent answered.
    pub as_of: Time,
    /// Environment; a value that looks secret is none unless the agent's owner allows `view-env` and the reader may
    /// change things.
    pub env: Vec<Setting>,
    /// Labels, by name; masked like the environment.
    pub labels: Vec<Setting>,
    /// Program that is run, as an argument vector.
    pub entrypoint: Vec<String>,
    /// Its arguments.
    pub command: Vec<String>,
    /// Folder it runs in; empty for the image's root.
    pub working_dir: String,
    /// User it runs as; empty for root.
    pub user: String,
    /// Host name within the container.
    pub hostname: String,
    /// What is mounted.
    pub mounts: Vec<MountDetails>,
    /// Networks with the container's addresses there.
    pub networks: Vec<NetworkDetails>,
    /// Restart policy.
    pub restart_policy: String,
    /// How often `on-failure` tries; 0 for ever.
    pub restart_retries: u32,
    /// Memory limit in bytes; none if unlimited.
    pub memory_limit_bytes: Option<u64>,
    /// Processors it may use; none if unlimited.
    pub cpu_limit: Option<f64>,
    /// Processes it may have; none if unlimited.
    pub process_limit: Option<u64>,
    /// What it has of its host beyond what a plain container has, in words.
    pub privileges: Vec<String>,
    /// What its health check runs; empty without one.
    pub health_check: Vec<String>,
    /// The last results of its health check, oldest first.
    pub health_log: Vec<HealthEntryView>,
    /// Digest of its image's configuration.
    pub image_id: String,
    /// `name@sha256:…` for each repository its image was pulled from.
    pub image_digests: Vec<String>,
    /// Whether something was left out or cut because it was too large to send.
    pub truncated: bool,
}

/// One result of a health check.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct HealthEntryView {
    /// When it ended, by the host's clock.
    pub at: Time,
    /// Its exit code; 0 is healthy.
    pub exit_code: i64,
    /// The end of what it said.
    pub output: String,
}

impl ContainerDetailsView {
    /// The view of `details` of a container of `instance`, told at `now`.
    #[must_use]
    pub fn new(instance: &str, details: ContainerDetails, now: UnixMicros) -> Self {
        let entry = |entry: HealthEntry| HealthEntryView {
            at: Time(entry.at),
            exit_code: entry.exit_code,
            output: entry.output,
        };
        Self {
            instance: instance.to_owned(),
            id: details.id.to_string(),
            as_of: Time(now),
            env: details.env,
            labels: details.labels,
            entrypoint: details.entrypoint,
            command: details.command,
            working_dir: details.working_dir,
            user: details.user,
            hostname: details.hostname,
            mounts: details.mounts,
            networks: details.networks,
            restart_policy: details.restart_policy,
            restart_retries: details.restart_retries,
            memory_limit_bytes: details.memory_limit_bytes,
            #[expect(clippy::cast_precision_loss, reason = "nobody limits to 9 * 10^12 processors")]
            cpu_limit: details.cpu_limit_thousandths.map(|limit| limit as f64 / 1000.0),
            process_limit: details.process_limit,
            privileges: details.privileges,
            health_check: details.health_check,
            health_log: details.health_log.into_iter().map(entry).collect(),
            image_id: details.image_id,
            image_digests: details.image_digests,
            truncated: details.truncated,
        }
    }
}
