//! What the agent needs of a Docker engine, in plain types. `engine/docker.rs` is the real one.

pub mod docker;
#[cfg(feature = "test-util")]
pub mod fake;

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use futures_util::stream::BoxStream;
use roadstead_protocol::message::command::{ContainerAction, InstallWork};
use roadstead_protocol::message::container::{Container, Figures};
use roadstead_protocol::message::event::EventKind;
use roadstead_protocol::message::ids::ContainerId;
use roadstead_protocol::message::inspection::ContainerDetails;
use roadstead_protocol::message::time::UnixMicros;

use crate::policy::Reach;

/// Labels by which compose finds a project's files. They are compose's own: neither an order nor an image may set them.
pub const COMPOSE_FILES: [&str; 3] = [
    "com.docker.compose.project.working_dir",
    "com.docker.compose.project.config_files",
    "com.docker.compose.project.environment_file",
];

/// Looking at an engine: what the watcher needs.
pub trait EngineView: Send + Sync + 'static {
    /// Whether it answers at all: the cheapest question there is.
    fn ping(&self) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// Version and host facts; some engines ask their own parts for them.
    fn identify(&self) -> impl Future<Output = Result<EngineInfo, EngineError>> + Send;

    /// What a list says of every container: one question, however many there are.
    fn list(&self) -> impl Future<Output = Result<Vec<Listed>, EngineError>> + Send;

    /// Every container, whole, with what a list says of it: a question for each of them.
    fn survey(&self) -> impl Future<Output = Result<Survey, EngineError>> + Send;

    /// Every container, whole; an error if one of them cannot be looked at.
    fn containers(&self) -> impl Future<Output = Result<Vec<Container>, EngineError>> + Send {
        async {
            let Survey { found, failed } = self.survey().await?;
            match failed.into_iter().next() {
                Some((_, error)) => Err(error),
                None => Ok(found.into_iter().map(|(container, _)| container).collect()),
            }
        }
    }

    /// One container, whole; none if there is no such.
    fn container(&self, id: &str) -> impl Future<Output = Result<Option<Container>, EngineError>> + Send;

    /// Everything about one container, nothing masked; none if there is no such.
    fn inspect(&self, id: &str) -> impl Future<Output = Result<Option<Inspected>, EngineError>> + Send;

    /// The engine's events from `since` (past ones first, as many as it kept) and on; up to `until` only, if that is
    /// given. The subscription stands when this returns. [`Refused`](EngineError::Refused) stands for one event that cannot
    /// be read; any other error, and the end, say that the connection is gone. The reader must never block for long: the
    /// engine slows down for everybody when a subscriber does not read.
    fn events(
        &self,
        since: Option<UnixMicros>,
        until: Option<UnixMicros>,
    ) -> impl Future<Output = Result<BoxStream<'static, Result<EngineEvent, EngineError>>, EngineError>> + Send;

    /// Figures of these containers; those that cannot be sampled with that effort are left out.
    fn figures(
        &self,
        containers: &[ContainerId],
        effort: Effort,
    ) -> impl Future<Output = Vec<Figures>> + Send;
}

/// Changing an engine: what commands need.
pub trait EngineControl: Send + Sync + 'static {
    /// Pulls an image. The stream yields progress as the engine tells it and ends with `Ok` items only if the pull
    /// succeeded; dropping it stops the pull.
    fn pull(&self, reference: &str) -> BoxStream<'static, Result<PullProgress, EngineError>>;

    /// A local image by reference or id; none if there is no such.
    fn image(&self, reference: &str) -> impl Future<Output = Result<Option<Image>, EngineError>> + Send;

    /// The digest that the registry has for `reference` now, asked through the engine, nothing pulled.
    fn registry_digest(&self, reference: &str) -> impl Future<Output = Result<String, EngineError>> + Send;

    /// Acts on a container. Idempotent: starting a running one is fine.
    fn act(
        &self,
        container: &str,
        action: ContainerAction,
    ) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// Stops a container, killing it after `grace`.
    fn stop(&self, container: &str, grace: Duration) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// Renames a container.
    fn rename(&self, container: &str, name: &str) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// Removes a container, its anonymous volumes kept; `force` kills it first.
    fn remove(&self, container: &str, force: bool) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// Gives a container the restart policy of another one; without one, none: it is not started again by the engine.
    fn restart_as(
        &self,
        container: &str,
        like: Option<&str>,
    ) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// Creates, without starting it, a container named `name` with the whole configuration of `like` (environment,
    /// labels, mounts incl. anonymous volumes, ports, networks with aliases and addresses, restart policy, limits,
    /// …) but with `image`. What came from the old image's own defaults is taken from the new image instead.
    fn create_like(
        &self,
        like: &str,
        name: &str,
        image: &str,
    ) -> impl Future<Output = Result<ContainerId, EngineError>> + Send;

    /// Creates, without starting it, a new container.
    fn create(&self, work: &InstallWork) -> impl Future<Output = Result<ContainerId, EngineError>> + Send;

    /// The last `lines` lines of a container's log, both streams, oldest first.
    fn log_tail(
        &self,
        container: &str,
        lines: usize,
    ) -> impl Future<Output = Result<Vec<String>, EngineError>> + Send;

    /// The container this agent itself runs in, if it does.
    fn own_container(&self) -> impl Future<Output = Option<ContainerId>> + Send;
}

/// An engine that can be watched and changed.
pub trait Engine: EngineView + EngineControl {}

impl<E: EngineView + EngineControl> Engine for E {}

/// What figures may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// What can be had without asking the engine.
    Read,
    /// The engine is asked for the rest.
    Ask,
}

/// A container in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Which.
    pub id: ContainerId,
    /// Of all else that the list says of it.
    pub print: Print,
}

/// What looking at every container in a list came to.
#[derive(Debug, Default)]
pub struct Survey {
    /// Those that were found.
    pub found: Vec<(Container, Print)>,
    /// Those that are there and cannot be looked at, and why: one of them does not make the engine's others unknown.
    pub failed: Vec<(Listed, EngineError)>,
}

/// Differs when a list says something else of a container than before. Not all that is known of a container is in a
/// list, and it means nothing to another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Print(pub u64);

/// Facts about an engine and its host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineInfo {
    /// `20.10.24+dfsg1`.
    pub version: String,
    /// Newest API it speaks: `1.41`.
    pub api_version: String,
    /// The host's operating system in words.
    pub os: String,
    /// The host's processors.
    pub cpus: u32,
    /// The host's memory in bytes.
    pub memory_bytes: u64,
}

/// A container as its engine describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspected {
    /// What there is to show.
    pub details: ContainerDetails,
    /// What it has of its host; the same as of a container created like it.
    pub reach: Reach,
}

/// One engine event, with what to look at again because of it.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineEvent {
    /// When, by the engine's clock.
    pub at: UnixMicros,
    /// What to tell the controller; none for events that only change the picture.
    pub what: Option<EventKind>,
    /// The container whose state may have changed.
    pub container: Option<ContainerId>,
}

/// One line of a pull's progress.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullProgress {
    /// Short id of the layer, none for lines about the whole image.
    pub layer: Option<String>,
    /// The engine's word.
    pub status: String,
    /// Bytes done in this status.
    pub done_bytes: u64,
    /// Bytes in all in this status.
    pub total_bytes: Option<u64>,
}

/// A local image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Digest of its configuration (`sha256:…`).
    pub id: String,
    /// `name@sha256:…` for each repository it was pulled from.
    pub repo_digests: Vec<String>,
    /// Labels that whoever made it wrote; its containers have them beside their own.
    pub labels: BTreeMap<String, String>,
}

/// Why the engine did not do something. Each names who must act.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The engine does not answer; try again when it does.
    #[error("the Docker engine does not answer: {0}")]
    Unreachable(String),
    /// No such container, image or manifest.
    #[error("{0}")]
    NotFound(String),
    /// It exists already, or is in a state in which this cannot be done.
    #[error("{0}")]
    Conflict(String),
    /// The registry cannot be reached or refuses.
    #[error("registry: {0}")]
    Registry(String),
    /// The host's disk is full.
    #[error("no space left on the host's disk: {0}")]
    DiskFull(String),
    /// The engine refused for a reason of its own.
    #[error("the Docker engine refused: {0}")]
    Refused(String),
    /// The engine took longer than it may.
    #[error("the Docker engine did not finish within {0:?}")]
    TimedOut(Duration),
}
