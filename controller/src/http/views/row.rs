//! A container as a list of very many shows it: enough to find it. Borrowed from the picture, so that a page costs no
//! copies.

use roadstead_protocol::message::container::{ContainerHealth, ContainerState};
use serde::Serialize;

use super::container::{current_figures, hundredths, mebibytes};
use crate::fleet::{Host, Kept};
use crate::http::time::Time;

/// One container among those of all instances. Nothing in it can be secret.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ContainerRow<'a> {
    /// Id of its instance.
    pub instance: &'a str,
    /// Name of its instance.
    pub instance_name: &'a str,
    /// Its whole id.
    pub full_id: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Image reference it was created with.
    pub image: &'a str,
    /// State in the engine's own word.
    pub state: ContainerState,
    /// Result of its health check.
    pub health: ContainerHealth,
    /// Compose project it belongs to.
    pub compose_project: Option<&'a str>,
    /// Compose service it is an instance of.
    pub compose_service: Option<&'a str>,
    /// CPU use in percent of one core.
    pub cpu_percent: Option<f64>,
    /// Memory in use, in MiB.
    pub memory_mb: Option<f64>,
    /// When these two were sampled, by the agent's clock.
    pub figures_at: Option<Time>,
    /// Whether its host may differ from this by now.
    pub stale: bool,
}

impl<'a> ContainerRow<'a> {
    /// `container` of `host`.
    #[must_use]
    pub fn new(host: &'a Host, container: &'a Kept) -> Self {
        let figures = current_figures(host, container);
        Self {
            instance: host.record.id.as_str(),
            instance_name: &host.record.name,
            full_id: container.id.as_str(),
            name: &container.name,
            image: &container.image,
            state: container.state,
            health: container.health,
            compose_project: container.compose_project(),
            compose_service: container.compose_service(),
            cpu_percent: figures.and_then(|figures| figures.cpu_percent).map(hundredths),
            memory_mb: figures.map(|figures| mebibytes(figures.memory_bytes)),
            figures_at: figures.map(|figures| Time(figures.at)),
            stale: host.stale,
        }
    }
}
