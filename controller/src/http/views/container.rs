//! A container as the API shows it, with the figures last sampled from it.

use std::collections::BTreeMap;

use roadstead_protocol::masking;
use roadstead_protocol::message::container::{ContainerHealth, ContainerState, Figures, Port};
use roadstead_protocol::message::time::UnixMicros;
use serde::Serialize;

use super::instance::{LinkView, as_of};
use super::lifecycle::LifecycleView;
use crate::accounts::Role;
use crate::fleet::{Host, Kept};
use crate::http::time::{Time, age_seconds};
use crate::lifecycle::Lifecycles;

/// The containers of one instance, with the age of the picture they are from.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct ContainersView {
    /// Whose containers.
    pub instance: String,
    /// The containers, by name.
    pub containers: Vec<ContainerView>,
    /// The moment the picture is from; none before the first picture.
    pub as_of: Option<Time>,
    /// Age of the picture, in seconds.
    pub as_of_age_seconds: Option<f64>,
    /// Whether the host may differ from the picture by now.
    pub stale: bool,
    /// How the agent is connected.
    pub link: LinkView,
}

/// One container.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct ContainerView {
    /// The first twelve characters of its id.
    pub id: String,
    /// Its whole id.
    pub full_id: String,
    /// Its name.
    pub name: String,
    /// Image reference it was created with.
    pub image: String,
    /// Digest of the image's configuration.
    pub image_id: String,
    /// Command line.
    pub command: String,
    /// As `docker ps` says it (`Up 3 minutes (healthy)`), as of the picture.
    pub status: String,
    /// State in the engine's own word.
    pub state: ContainerState,
    /// Where it is in its life.
    pub lifecycle: LifecycleView,
    /// Result of its health check.
    pub health: ContainerHealth,
    /// When it was created.
    pub created_at: Time,
    /// When it last started.
    pub started_at: Option<Time>,
    /// When it last stopped, if it does not run.
    pub finished_at: Option<Time>,
    /// Exit code of the last run, if it does not run.
    pub exit_code: Option<i64>,
    /// Whether the last run ended for want of memory.
    pub oom_killed: bool,
    /// For how long it has been up, as of the picture; none if it is not.
    pub uptime_seconds: Option<u64>,
    /// CPU use in percent of one core.
    pub cpu_percent: Option<f64>,
    /// Memory in use, in MiB.
    pub memory_mb: Option<f64>,
    /// Memory limit, in MiB; none if unlimited or not sampled.
    pub memory_limit_mb: Option<f64>,
    /// Received since it started, in bytes.
    pub network_rx_bytes: Option<u64>,
    /// Sent since it started, in bytes.
    pub network_tx_bytes: Option<u64>,
    /// Read from block devices since it started, in bytes.
    pub block_read_bytes: Option<u64>,
    /// Written to block devices since it started, in bytes.
    pub block_write_bytes: Option<u64>,
    /// When the figures above were sampled; none if they never were in this run.
    pub figures: Option<FiguresAge>,
    /// Ports, published or not.
    pub ports: Vec<Port>,
    /// Networks it is attached to.
    pub networks: Vec<String>,
    /// Volumes and host paths mounted in it.
    pub mounts: Vec<String>,
    /// Compose project it belongs to.
    pub compose_project: Option<String>,
    /// Compose service it is an instance of.
    pub compose_service: Option<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Whether labels were left out because they were too large.
    pub labels_truncated: bool,
    /// Its restart policy.
    pub restart_policy: String,
}

/// When figures were sampled.
#[derive(Clone, Copy, Debug, Serialize, utoipa::ToSchema)]
pub struct FiguresAge {
    /// When, by the agent's clock.
    pub at: Time,
    /// How long ago, in seconds.
    pub age_seconds: f64,
}

impl ContainersView {
    /// What somebody of this role sees of `host`'s containers at `now`.
    #[must_use]
    pub fn new(host: &Host, lifecycles: &Lifecycles, role: Role, now: UnixMicros) -> Self {
        let as_of = as_of(host, now);
        let mut containers: Vec<_> = host
            .containers
            .values()
            .map(|container| ContainerView::new(container, host, lifecycles, role, now))
            .collect();
        containers
            .sort_by(|one, other| one.name.cmp(&other.name).then_with(|| one.full_id.cmp(&other.full_id)));
        Self {
            instance: host.record.id.to_string(),
            containers,
            as_of: as_of.map(Time),
            as_of_age_seconds: as_of.map(|at| age_seconds(at, now)),
            stale: host.stale,
            link: LinkView::new(&host.link, now),
        }
    }
}

impl ContainerView {
    /// What somebody of this role sees at `now` of one of `host`'s containers: whoever may only look sees no secrets.
    #[must_use]
    pub fn new(kept: &Kept, host: &Host, lifecycles: &Lifecycles, role: Role, now: UnixMicros) -> Self {
        let lifecycle = LifecycleView::new(&lifecycles.container(host, kept, now));
        let mut container = kept.to_container();
        if role < Role::Operator {
            masking::mask_container(&mut container);
        }
        let as_of = as_of(host, now).unwrap_or(now);
        let up = is_up(kept);
        let figures = current_figures(host, kept);
        Self {
            id: container.id.short().to_owned(),
            full_id: container.id.to_string(),
            status: super::status::status(&container, as_of),
            compose_project: container.compose_project().map(str::to_owned),
            compose_service: container.compose_service().map(str::to_owned),
            name: container.name,
            image: container.image,
            image_id: container.image_id,
            command: container.command,
            state: container.state,
            lifecycle,
            health: container.health,
            created_at: Time(container.created_at),
            started_at: container.started_at.map(Time),
            finished_at: container.finished_at.map(Time),
            exit_code: container.exit_code,
            oom_killed: container.oom_killed,
            uptime_seconds: container.started_at.filter(|_| up).map(|at| as_of.since(at).as_secs()),
            cpu_percent: figures.and_then(|figures| figures.cpu_percent).map(hundredths),
            memory_mb: figures.map(|figures| mebibytes(figures.memory_bytes)),
            memory_limit_mb: figures.and_then(|figures| figures.memory_limit_bytes).map(mebibytes),
            network_rx_bytes: figures.map(|figures| figures.network_rx_bytes),
            network_tx_bytes: figures.map(|figures| figures.network_tx_bytes),
            block_read_bytes: figures.map(|figures| figures.block_read_bytes),
            block_write_bytes: figures.map(|figures| figures.block_write_bytes),
            figures: figures.map(|figures| FiguresAge::new(figures, now)),
            ports: container.ports,
            networks: container.networks,
            mounts: container.mounts,
            labels: container.labels,
            labels_truncated: container.labels_truncated,
            restart_policy: container.restart_policy,
        }
    }
}

/// Figures of one container, as they are sent to a browser that follows.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct FiguresView {
    /// Whole id of the container.
    pub full_id: String,
    /// When they were sampled, by the agent's clock.
    pub at: Time,
    /// How long ago, in seconds.
    pub age_seconds: f64,
    /// CPU use in percent of one core; none for a first sample.
    pub cpu_percent: Option<f64>,
    /// Memory in use, in MiB.
    pub memory_mb: f64,
    /// Memory limit, in MiB; none if unlimited.
    pub memory_limit_mb: Option<f64>,
    /// Received since it started, in bytes.
    pub network_rx_bytes: u64,
    /// Sent since it started, in bytes.
    pub network_tx_bytes: u64,
    /// Read from block devices since it started, in bytes.
    pub block_read_bytes: u64,
    /// Written to block devices since it started, in bytes.
    pub block_write_bytes: u64,
}

impl FiguresView {
    /// The view of `figures` at `now`.
    #[must_use]
    pub fn new(figures: &Figures, now: UnixMicros) -> Self {
        Self {
            full_id: figures.container.to_string(),
            at: Time(figures.at),
            age_seconds: age_seconds(figures.at, now),
            cpu_percent: figures.cpu_percent.map(hundredths),
            memory_mb: mebibytes(figures.memory_bytes),
            memory_limit_mb: figures.memory_limit_bytes.map(mebibytes),
            network_rx_bytes: figures.network_rx_bytes,
            network_tx_bytes: figures.network_tx_bytes,
            block_read_bytes: figures.block_read_bytes,
            block_write_bytes: figures.block_write_bytes,
        }
    }
}

impl FiguresAge {
    fn new(figures: &Figures, now: UnixMicros) -> Self {
        Self { at: Time(figures.at), age_seconds: age_seconds(figures.at, now) }
    }
}

/// The newest figures of `container`, if they are of its present run: those of an earlier one say nothing about this.
pub(super) fn current_figures<'a>(host: &'a Host, container: &Kept) -> Option<&'a Figures> {
    if !is_up(container) {
        return None;
    }
    let figures = host.figures.get(&container.id)?;
    container.started_at.is_none_or(|at| figures.at >= at).then_some(figures)
}

fn is_up(container: &Kept) -> bool {
    matches!(container.state, ContainerState::Running | ContainerState::Paused)
}

pub(super) fn hundredths(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

#[expect(clippy::cast_precision_loss, reason = "no host has memory enough to lose a hundredth of a MiB")]
pub(super) fn mebibytes(bytes: u64) -> f64 {
    hundredths(bytes as f64 / f64::from(1 << 20))
}
