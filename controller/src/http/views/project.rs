//! A compose project as the API shows it.

use std::collections::BTreeMap;

use roadstead_protocol::message::time::UnixMicros;
use serde::Serialize;

use super::instance::{LinkView, as_of};
use super::lifecycle::LifecycleView;
use crate::fleet::{Host, Kept};
use crate::http::time::{Time, age_seconds};
use crate::lifecycle::{Lifecycle, Lifecycles, Status};

const WORKING_DIR: &str = "com.docker.compose.project.working_dir";
const CONFIG_FILES: &str = "com.docker.compose.project.config_files";

/// The compose projects of one instance, with the age of the picture they are from.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct ProjectsView {
    /// Whose projects.
    pub instance: String,
    /// The projects, by name.
    pub projects: Vec<ProjectView>,
    /// The moment the picture is from; none before the first picture.
    pub as_of: Option<Time>,
    /// Age of the picture, in seconds.
    pub as_of_age_seconds: Option<f64>,
    /// Whether the host may differ from the picture by now.
    pub stale: bool,
    /// How the agent is connected.
    pub link: LinkView,
}

/// One compose project.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct ProjectView {
    /// Its name.
    pub project: String,
    /// Where it is in its life.
    pub lifecycle: LifecycleView,
    /// Its services, by name.
    pub services: Vec<ServiceView>,
    /// How its containers are.
    pub containers: CountsView,
    /// The folder on the host that compose was called in, where a label tells.
    pub working_dir: Option<String>,
    /// Its compose files on the host, where a label tells.
    pub config_files: Vec<String>,
}

/// One service of a project.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct ServiceView {
    /// Its name.
    pub service: String,
    /// How its containers are.
    pub containers: CountsView,
}

/// How many containers have each lifecycle status.
#[derive(Clone, Copy, Debug, Default, Serialize, utoipa::ToSchema)]
pub struct CountsView {
    /// All of them.
    pub total: usize,
    /// On their way to being of use.
    pub installing: usize,
    /// Of use.
    pub ready: usize,
    /// Not as they should be.
    pub failed: usize,
    /// Stopped or frozen.
    pub stopped: usize,
}

impl ProjectsView {
    /// The view of `host`'s projects at `now`.
    #[must_use]
    pub fn new(host: &Host, lifecycles: &Lifecycles, now: UnixMicros) -> Self {
        let as_of = as_of(host, now);
        let projects = lifecycles.projects(host, now);
        let projects = projects.iter().map(|(name, lifecycle)| {
            let of = |one: &&Kept| one.compose_project() == Some(name);
            let containers: Vec<_> = host.containers.values().map(AsRef::as_ref).filter(of).collect();
            ProjectView::new(name, lifecycle, &containers, |one| lifecycles.container(host, one, now).status)
        });
        Self {
            instance: host.record.id.to_string(),
            projects: projects.collect(),
            as_of: as_of.map(Time),
            as_of_age_seconds: as_of.map(|at| age_seconds(at, now)),
            stale: host.stale,
            link: LinkView::new(&host.link, now),
        }
    }
}

impl ProjectView {
    fn new(
        name: &str,
        lifecycle: &Lifecycle,
        containers: &[&Kept],
        status: impl Fn(&Kept) -> Status,
    ) -> Self {
        let mut services: BTreeMap<&str, CountsView> = BTreeMap::new();
        let mut all = CountsView::default();
        for container in containers {
            let status = status(container);
            all.count(status);
            if let Some(service) = container.compose_service() {
                services.entry(service).or_default().count(status);
            }
        }
        let label = |key| containers.iter().find_map(|container| container.label(key));
        let files = label(CONFIG_FILES).unwrap_or_default();
        let services = services.into_iter();
        Self {
            project: name.to_owned(),
            lifecycle: LifecycleView::new(lifecycle),
            services: services
                .map(|(service, containers)| ServiceView { service: service.to_owned(), containers })
                .collect(),
            containers: all,
            working_dir: label(WORKING_DIR).map(str::to_owned),
            config_files: files.split(',').filter(|file| !file.is_empty()).map(str::to_owned).collect(),
        }
    }
}

impl CountsView {
    fn count(&mut self, status: Status) {
        self.total += 1;
        match status {
            Status::Installing => self.installing += 1,
            Status::Ready => self.ready += 1,
            Status::Failed => self.failed += 1,
            Status::Stopped => self.stopped += 1,
            // Still in the picture for a moment: counted among all alone.
            Status::Removed => {}
        }
    }
}
