//! Asking for commands: sync, check, install, reinstall, container actions. Each answers 202 with the command's id.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use roadstead_protocol::message::command::{ContainerAction, InstallWork, Strategy, SyncWork, Work};
use roadstead_protocol::message::ids::InstanceId;
use roadstead_protocol::message::time::UnixMicros;
use serde::{Deserialize, Serialize};

use super::App;
use super::access::{Changer, Peer};
use super::containers::find;
use super::extract::{Body, OptionalBody, PathOf};
use super::instances::host;
use super::json::Json;
use super::problem::Problem;
use super::time::Span;
use super::views::command::CommandView;
use crate::accounts::Person;
use crate::commands::IssueOptions;
use crate::fleet::Host;

/// How long a restarted service may take if the request does not say, in seconds.
const VERIFY_SECS: u32 = 60;

/// A command that was accepted: the command itself, and how to follow it.
#[derive(Serialize, utoipa::ToSchema)]
pub struct AcceptedView {
    /// The command.
    #[serde(flatten)]
    command: CommandView,
    /// Its id once more, by a name that says whose.
    command_id: String,
    /// Where to follow its log.
    log: String,
}

/// A sync to do.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SyncRequest {
    /// The compose project; may be left out where the host has only one.
    project: Option<String>,
    /// Services to sync; left out or empty means all.
    #[serde(default)]
    services: Vec<String>,
    /// How (`script`, `compose`, `engine`); left out, the agent chooses the best there is.
    strategy: Option<Strategy>,
    /// How long to wait for an absent agent (`90s`, `24h`, `2d`); left out, an absent agent is a refusal.
    queue_for: Option<Span>,
    /// How long a restarted service may take to run and be healthy, in seconds.
    verify_secs: Option<u32>,
}

/// A check to do.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckRequest {
    /// The compose project; may be left out where the host has only one.
    project: Option<String>,
    /// How long to wait for an absent agent.
    queue_for: Option<Span>,
}

/// A container to install.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InstallRequest {
    /// Name of the container.
    name: String,
    /// Image reference.
    image: String,
    /// Command, as argument vector; left out or empty means the image's own.
    #[serde(default)]
    command: Vec<String>,
    /// Environment.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// Labels.
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// Published ports, as `[host-ip:]host-port:container-port[/protocol]`.
    #[serde(default)]
    ports: Vec<String>,
    /// Mounts, as `volume-or-host-path:container-path[:ro]`.
    #[serde(default)]
    mounts: Vec<String>,
    /// Network to attach to; left out means the engine's default.
    network: Option<String>,
    /// `no`, `always`, `unless-stopped` or `on-failure`.
    restart_policy: Option<String>,
    /// How long it may take to run and be healthy, in seconds.
    verify_secs: Option<u32>,
    /// How long to wait for an absent agent.
    queue_for: Option<Span>,
}

/// A container to reinstall.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReinstallRequest {
    /// Its name, id, or the beginning of its id.
    container: String,
    /// How long to wait for an absent agent.
    queue_for: Option<Span>,
}

/// How to act on a container.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ActionRequest {
    /// How long to wait for an absent agent.
    queue_for: Option<Span>,
}

/// Sync a compose project: pull its images, restart what changed, verify it.
#[utoipa::path(post, path = "/api/instances/{id}/sync", tag = "commands", request_body = SyncRequest,
    params(("id" = String, Path, description = "Id of the instance")),
    responses((status = ACCEPTED, body = AcceptedView)))]
pub async fn sync(
    State(app): State<Arc<App>>,
    Changer(person): Changer,
    peer: Peer,
    PathOf(id): PathOf<InstanceId>,
    OptionalBody(request): OptionalBody<SyncRequest>,
) -> Result<Response, Problem> {
    let host = host(&app, &person, &id)?;
    if request.strategy == Some(Strategy::Unknown) {
        return Err(
            Problem::invalid("The strategies are: script, compose, engine.").with("field", "strategy")
        );
    }
    let work = Work::Sync(SyncWork {
        project: project(&host, request.project)?,
        services: request.services,
        strategy: request.strategy,
        verify_secs: request.verify_secs.unwrap_or(VERIFY_SECS),
    });
    issue(&app, &person, peer, &host, work, request.queue_for).await
}

/// Find out, without changing anything, whether a compose project's images are current.
#[utoipa::path(post, path = "/api/instances/{id}/check", tag = "commands", request_body = CheckRequest,
    params(("id" = String, Path, description = "Id of the instance")),
    responses((status = ACCEPTED, body = AcceptedView)))]
pub async fn check(
    State(app): State<Arc<App>>,
    Changer(person): Changer,
    peer: Peer,
    PathOf(id): PathOf<InstanceId>,
    OptionalBody(request): OptionalBody<CheckRequest>,
) -> Result<Response, Problem> {
    let host = host(&app, &person, &id)?;
    let work = Work::Check { project: project(&host, request.project)? };
    issue(&app, &person, peer, &host, work, request.queue_for).await
}

/// Install a container: pull its image, create and start it, wait until it is ready.
#[utoipa::path(post, path = "/api/instances/{id}/install", tag = "commands", request_body = InstallRequest,
    params(("id" = String, Path, description = "Id of the instance")),
    responses((status = ACCEPTED, body = AcceptedView)))]
pub async fn install(
    State(app): State<Arc<App>>,
    Changer(person): Changer,
    peer: Peer,
    PathOf(id): PathOf<InstanceId>,
    Body(request): Body<InstallRequest>,
) -> Result<Response, Problem> {
    let host = host(&app, &person, &id)?;
    let queue_for = request.queue_for;
    issue(&app, &person, peer, &host, Work::Install(request.into()), queue_for).await
}

/// Pull a container's image and recreate the container with the same configuration.
#[utoipa::path(post, path = "/api/instances/{id}/reinstall", tag = "commands", request_body = ReinstallRequest,
    params(("id" = String, Path, description = "Id of the instance")),
    responses((status = ACCEPTED, body = AcceptedView)))]
pub async fn reinstall(
    State(app): State<Arc<App>>,
    Changer(person): Changer,
    peer: Peer,
    PathOf(id): PathOf<InstanceId>,
    Body(request): Body<ReinstallRequest>,
) -> Result<Response, Problem> {
    let host = host(&app, &person, &id)?;
    let container = find(&host, &request.container)?.id.to_string();
    issue(&app, &person, peer, &host, Work::Reinstall { container }, request.queue_for).await
}

/// Start, stop, restart, kill, pause, unpause or remove a container.
#[utoipa::path(post, path = "/api/instances/{id}/containers/{container}/{action}", tag = "commands",
    request_body = ActionRequest,
    params(("id" = String, Path, description = "Id of the instance"),
        ("container" = String, Path, description = "Name, id, or the beginning of the id, of the container"),
        ("action" = ContainerAction, Path, description = "What to do")),
    responses((status = ACCEPTED, body = AcceptedView)))]
pub async fn act_on_container(
    State(app): State<Arc<App>>,
    Changer(person): Changer,
    peer: Peer,
    PathOf((id, container, action)): PathOf<(InstanceId, String, ContainerAction)>,
    OptionalBody(request): OptionalBody<ActionRequest>,
) -> Result<Response, Problem> {
    if action == ContainerAction::Unknown {
        return Err(Problem::unknown(
            "unknown-action",
            "The actions are: start, stop, restart, kill, pause, unpause, remove.",
        ));
    }
    let host = host(&app, &person, &id)?;
    let container = find(&host, &container)?.id.to_string();
    issue(&app, &person, peer, &host, Work::Container { container, action }, request.queue_for).await
}

async fn issue(
    app: &App,
    person: &Person,
    peer: Peer,
    host: &Host,
    work: Work,
    queue_for: Option<Span>,
) -> Result<Response, Problem> {
    let instance = &host.record.id;
    let (what, target) = describe(instance, &work);
    let options = options(host, queue_for);
    let issued = app.services.commands.issue(instance, work, &person.label(), options).await;
    let issued = issued.map_err(Problem::from);
    let command = issued.as_ref().ok().map(|record| record.id);
    app.audit_about(person, peer, what, &target, &issued, command).await;
    let command = CommandView::new(&issued?, UnixMicros::now());
    let location = format!("/api/commands/{}", command.id);
    let accepted = AcceptedView { command_id: command.id.clone(), log: format!("{location}/log"), command };
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(accepted)).into_response())
}

/// What a request for a command on `host` says beside the work.
pub(super) fn options(host: &Host, queue_for: Option<Span>) -> IssueOptions<'_> {
    IssueOptions {
        id: None,
        queue_for: queue_for.map(|Span(span)| span),
        deadline: None,
        policy: host.record.policy.as_ref(),
        ceiling: host.record.terms.ceiling.as_ref(),
    }
}

/// The project that is meant: the one named, or the only one there is.
pub(super) fn project(host: &Host, named: Option<String>) -> Result<String, Problem> {
    if let Some(project) = named {
        return Ok(project);
    }
    let projects: BTreeSet<_> = host.containers.values().filter_map(|one| one.compose_project()).collect();
    let mut rest = projects.iter();
    match (rest.next(), rest.next()) {
        (Some(only), None) => Ok((*only).to_owned()),
        (None, _) => Err(Problem::invalid(format!(
            "{} shows no compose project; name the one that is meant in `project`.",
            host.record.name
        ))),
        (Some(_), Some(_)) => Err(Problem::invalid(format!(
            "{} has several compose projects; name one of them in `project`: {}.",
            host.record.name,
            projects.iter().copied().collect::<Vec<_>>().join(", ")
        ))),
    }
    .map_err(|problem| {
        problem.with("field", "project").with("projects", projects.into_iter().collect::<Vec<_>>())
    })
}

/// The work as the audit log names it: what, and to what.
pub(super) fn describe(instance: &InstanceId, work: &Work) -> (&'static str, String) {
    let (what, object) = match work {
        Work::Sync(sync) => ("command.sync", sync.project.as_str()),
        Work::Check { project } => ("command.check", project.as_str()),
        Work::Install(install) => ("command.install", install.name.as_str()),
        Work::Reinstall { container } => ("command.reinstall", container.as_str()),
        Work::Container { container, action } => {
            let what = match action {
                ContainerAction::Start => "command.start",
                ContainerAction::Stop => "command.stop",
                ContainerAction::Restart => "command.restart",
                ContainerAction::Kill => "command.kill",
                ContainerAction::Pause => "command.pause",
                ContainerAction::Unpause => "command.unpause",
                ContainerAction::Remove => "command.remove",
                ContainerAction::Unknown => "command.unknown",
            };
            (what, container.as_str())
        }
        Work::Unknown => ("command.unknown", ""),
    };
    (what, format!("{instance}/{object}"))
}

impl From<InstallRequest> for InstallWork {
    fn from(request: InstallRequest) -> Self {
        Self {
            name: request.name,
            image: request.image,
            command: request.command,
            env: request.env,
            labels: request.labels,
            ports: request.ports,
            mounts: request.mounts,
            network: request.network,
            restart_policy: request.restart_policy,
            verify_secs: request.verify_secs.unwrap_or(VERIFY_SECS),
        }
    }
}
