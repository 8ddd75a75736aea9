//! What commands are made of: one file per command, what they share, and the table that picks one.
//!
//! A command looks at its halt token only at safe points: between steps, while pulling, while waiting. It returns
//! an outcome that is true of the host at that moment.

pub mod bounded;
mod check;
mod container;
mod heal;
mod install;
pub mod journal;
mod program;
mod protection;
mod pull;
mod reinstall;
mod replace;
mod sane;
mod sync;
mod target;
mod verify;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use roadstead_protocol::message::command::{OrderRefusal, Outcome, ServiceOutcome, Work};
use roadstead_protocol::message::container::Container;
use roadstead_protocol::message::progress::{Step, StepState};
use roadstead_protocol::message::time::UnixMicros;
use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, EngineError};
use crate::policy::PolicyCell;
use journal::Journal;
pub use sane::sane;
pub use target::{Target, describe, resolve};

/// The services of a project in the order in which they are synced, as its containers' labels tell: for benchmarks.
#[cfg(feature = "test-util")]
#[must_use]
pub fn services_of(containers: &[Container], project: &str) -> Vec<String> {
    let project = sync::plan::Project::find(containers, project, None);
    project
        .map_or_else(|_| Vec::new(), |found| found.services.into_iter().map(|service| service.name).collect())
}

/// How this host's owner configured commands, and their limits.
#[derive(Clone, Debug)]
pub struct CommandOptions {
    /// The executable for syncs by script; called with the project and the services as arguments.
    pub sync_script: Option<PathBuf>,
    /// Environment that makes a compose program talk to this agent's engine: `DOCKER_HOST`, `DOCKER_TLS_VERIFY`,
    /// `DOCKER_CERT_PATH`.
    pub docker_env: Vec<(String, String)>,
    /// Where `docker` and `docker-compose` are looked for; none means the agent's own `PATH`.
    pub search_path: Option<OsString>,
    /// Commands that run at once; one more is refused.
    pub at_once: u32,
    /// How long a restarted container without a health check must run on before it counts as up.
    pub settle: Duration,
    /// How long a command may take to reach a safe point after its deadline, before it is given up.
    pub stop_grace: Duration,
}

impl Default for CommandOptions {
    fn default() -> Self {
        Self {
            sync_script: None,
            docker_env: Vec::new(),
            search_path: None,
            at_once: 4,
            settle: Duration::from_secs(3),
            stop_grace: Duration::from_secs(120),
        }
    }
}

impl CommandOptions {
    /// Optional abilities of this agent on this host, as Hello names them: what it can do besides the engine's own.
    #[must_use]
    pub fn abilities(&self) -> Vec<String> {
        let script = self.sync_script.is_some().then(|| "script".to_owned());
        let search = self.search_path.as_ref();
        let plugin = || COMPOSE_PLUGINS.iter().any(|file| program::is_executable(Path::new(file)));
        let compose = program::find("docker-compose", search).is_some()
            || (program::find("docker", search).is_some() && plugin());
        script.into_iter().chain(compose.then(|| "compose".to_owned())).collect()
    }
}

/// Where packages install the compose plugin of the `docker` program.
const COMPOSE_PLUGINS: [&str; 3] = [
    "/usr/libexec/docker/cli-plugins/docker-compose",
    "/usr/lib/docker/cli-plugins/docker-compose",
    "/usr/local/lib/docker/cli-plugins/docker-compose",
];

/// What a running command has at hand.
pub struct Context<E> {
    /// The engine.
    pub engine: Arc<E>,
    /// How commands are configured.
    pub options: Arc<CommandOptions>,
    /// What the owner allows.
    pub policy: Arc<PolicyCell>,
    /// Where it says what it does.
    pub journal: Arc<Journal>,
    /// Set when it should stop at its next safe point.
    pub halt: CancellationToken,
    /// When an earlier process of this agent began with it, if one did: what it did is part of this command, too.
    pub resumed_from: Option<UnixMicros>,
}

impl<E: Engine> Context<E> {
    /// Whether to stop here, at a safe point.
    fn halted(&self) -> bool {
        self.halt.is_cancelled()
    }

    /// Whether a container was made or started by this command before the agent was restarted.
    fn is_own_work(&self, container: &Container) -> bool {
        let since =
            |began| container.created_at >= began || container.started_at.is_some_and(|at| at >= began);
        self.resumed_from.is_some_and(since)
    }

    /// Does one step and says so before and after.
    async fn step<T>(
        &self,
        step: Step,
        service: &str,
        detail: &str,
        work: impl Future<Output = Result<T, EngineError>>,
    ) -> Result<T, EngineError> {
        self.journal.step(step, Some(service), StepState::Started, detail);
        let done = work.await;
        match &done {
            Ok(_) => self.journal.step(step, Some(service), StepState::Done, detail),
            Err(error) => self.journal.step(step, Some(service), StepState::Failed, &error.to_string()),
        }
        done
    }
}

/// Runs one command to its end.
pub async fn run<E: Engine>(context: &Context<E>, work: &Work) -> Outcome {
    match work {
        Work::Sync(sync) => sync::run(context, sync).await,
        Work::Install(install) => install::run(context, install).await,
        Work::Reinstall { container } => reinstall::run(context, container).await,
        Work::Container { container, action } => container::run(context, container, *action).await,
        Work::Check { project } => check::run(context, project).await,
        Work::Unknown => Outcome::Refused { refusal: OrderRefusal::Unsupported },
    }
}

/// A refusal because the request makes no sense here.
fn invalid(reason: impl Into<String>) -> Outcome {
    Outcome::Refused { refusal: OrderRefusal::Invalid { reason: reason.into() } }
}

/// A failure about no service in particular.
fn failed(reason: impl ToString) -> Outcome {
    Outcome::Failed { reason: reason.to_string(), services: Vec::new() }
}

/// An end on request, before anything was changed.
fn cancelled_untouched(services: Vec<ServiceOutcome>) -> Outcome {
    Outcome::Cancelled { summary: "nothing was changed".to_owned(), services }
}
