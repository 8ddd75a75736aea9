//! Where containers and compose projects are in their life.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use roadstead_protocol::message::ids::{ContainerId, InstanceId};
use roadstead_protocol::message::time::UnixMicros;

use super::App;
use super::access::Reader;
use super::containers::find;
use super::extract::PathOf;
use super::instances::host;
use super::problem::Problem;
use super::views::lifecycle::SpansView;
use super::views::project::ProjectsView;

/// The compose projects of an instance: their services, how their containers are, and where each is in its life.
#[utoipa::path(get, path = "/api/instances/{id}/projects", tag = "containers",
    params(("id" = String, Path, description = "Id of the instance")),
    responses((status = OK, body = ProjectsView)))]
pub async fn list_projects(
    State(app): State<Arc<App>>,
    Reader(person): Reader,
    PathOf(id): PathOf<InstanceId>,
) -> Result<Json<ProjectsView>, Problem> {
    let host = host(&app, &person, &id)?;
    Ok(Json(ProjectsView::new(&host, &app.services.lifecycles, UnixMicros::now())))
}

/// The life of a container, as far back as its newest 32 facts go: what it was, why, and from when until when. A
/// container that was removed is remembered for a day, by its whole id.
#[utoipa::path(get, path = "/api/instances/{id}/containers/{container}/lifecycle", tag = "containers",
    params(("id" = String, Path, description = "Id of the instance"),
        ("container" = String, Path, description = "Name, id, or the beginning of the id, of the container")),
    responses((status = OK, body = SpansView)))]
pub async fn container_lifecycle(
    State(app): State<Arc<App>>,
    Reader(person): Reader,
    PathOf((id, container)): PathOf<(InstanceId, String)>,
) -> Result<Json<SpansView>, Problem> {
    let host = host(&app, &person, &id)?;
    let now = UnixMicros::now();
    let (container, problem) = match (find(&host, &container), container.parse::<ContainerId>()) {
        (Ok(found), _) => (found.id.clone(), None),
        (Err(problem), Ok(whole)) => (whole, Some(problem)),
        (Err(problem), Err(_)) => return Err(problem),
    };
    match (app.services.lifecycles.spans(&host, &container, now), problem) {
        (Some((spans, shortened)), _) => {
            let view = SpansView::new(id.to_string(), container.to_string(), &spans, shortened, now);
            Ok(Json(view))
        }
        (None, Some(problem)) => Err(problem),
        (None, None) => Ok(Json(SpansView::new(id.to_string(), container.to_string(), &[], false, now))),
    }
}
