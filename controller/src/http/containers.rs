//! The containers of an instance.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use roadstead_protocol::masking;
use roadstead_protocol::message::ids::InstanceId;
use roadstead_protocol::message::inspection::Inspection;
use roadstead_protocol::message::time::UnixMicros;

use super::App;
use super::access::Reader;
use super::extract::PathOf;
use super::instances::host;
use super::json::Json;
use super::problem::Problem;
use super::views::container::ContainersView;
use super::views::details::ContainerDetailsView;
use crate::accounts::Role;
use crate::fleet::{Host, Kept};

/// The containers of an instance, with the age of what is shown. Asking has its agent sample figures for the next
/// half minute. What looks secret is masked for whoever may only look.
#[utoipa::path(get, path = "/api/instances/{id}/containers", tag = "containers",
    params(("id" = String, Path, description = "Id of the instance")),
    responses((status = OK, body = ContainersView)))]
pub async fn list_containers(
    State(app): State<Arc<App>>,
    Reader(person): Reader,
    PathOf(id): PathOf<InstanceId>,
) -> Result<Json<ContainersView>, Problem> {
    let host = host(&app, &person, &id)?;
    app.watches.look(&app.services.registry, &id);
    Ok(Json(ContainersView::new(&host, &app.services.lifecycles, person.role, UnixMicros::now())))
}

/// How long an agent may take to describe a container.
const INSPECT_DEADLINE: Duration = Duration::from_secs(15);

/// Everything about one container, asked of its agent now. What looks secret is masked.
#[utoipa::path(get, path = "/api/instances/{id}/containers/{container}", tag = "containers",
    params(("id" = String, Path, description = "Id of the instance"),
        ("container" = String, Path, description = "Name, id, or the beginning of the id, of the container")),
    responses((status = OK, body = ContainerDetailsView)))]
pub async fn one_container(
    State(app): State<Arc<App>>,
    Reader(person): Reader,
    PathOf((id, container)): PathOf<(InstanceId, String)>,
) -> Result<Json<ContainerDetailsView>, Problem> {
    let host = host(&app, &person, &id)?;
    let container = find(&host, &container)?.id.clone();
    let Some(agent) = app.services.registry.agent(&id) else {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "agent-away",
            "Agent away",
            format!(
                "The agent of {} is not connected, so that its container cannot be asked about.",
                host.record.name
            ),
        ));
    };
    let silent = |reason: String| Problem::new(StatusCode::BAD_GATEWAY, "no-answer", "No answer", reason);
    let found = app.services.probes.inspect(&agent, container.clone(), INSPECT_DEADLINE).await;
    match found.map_err(|error| silent(error.to_string()))? {
        Inspection::Found(mut details) if details.id == container => {
            if person.role < Role::Operator {
                masking::mask_details(&mut details);
            }
            Ok(Json(ContainerDetailsView::new(id.as_str(), *details, UnixMicros::now())))
        }
        Inspection::Missing => Err(Problem::unknown(
            "unknown-container",
            format!("{} has no such container any more.", host.record.name),
        )),
        Inspection::Failed { reason } => Err(silent(format!("The container cannot be looked at: {reason}."))),
        Inspection::Found(_) | Inspection::Unknown => Err(silent(
            "The agent answered something else. Upgrade the older of agent and controller.".to_owned(),
        )),
    }
}

/// The container that `text` means: its whole id, its name, or the beginning of one id alone.
pub(super) fn find<'a>(host: &'a Host, text: &str) -> Result<&'a Kept, Problem> {
    let all = || host.containers.values().map(Arc::as_ref);
    let exact = all().find(|container| container.id.as_str() == text).or_else(|| {
        let name = text.strip_prefix('/').unwrap_or(text);
        all().find(|container| *container.name == *name)
    });
    if let Some(container) = exact {
        return Ok(container);
    }
    let mut begin_so = all().filter(|container| !text.is_empty() && container.id.as_str().starts_with(text));
    match (begin_so.next(), begin_so.next()) {
        (Some(container), None) => Ok(container),
        (Some(_), Some(_)) => Err(Problem::invalid(format!(
            "More than one container's id begins with `{text}`; give more of it, or the name."
        ))),
        (None, _) => Err(Problem::unknown(
            "unknown-container",
            format!(
                "{} has no container `{text}`; GET /api/instances/{}/containers lists those it has.",
                host.record.name, host.record.id
            ),
        )),
    }
}
