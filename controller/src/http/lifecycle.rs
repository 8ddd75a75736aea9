//! Where containers and compose projects are in their life.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use roadstead_protocol::message::ids::{ContainerId, InstanceId};
use roadstead_protocol::message::time::UnixMicros;
use serde::Deserialize;

use super::App;
use super::access::Reader;
use super::containers::find;
use super::extract::{Params, PathOf};
use super::instances::host;
use super::json::Json;
use super::problem::Problem;
use super::time::Time;
use super::views::lifecycle::{LivesView, SpansView};
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

/// Which stretch of time.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PastQuery {
    /// From this time (RFC 3339) on; the last 24 hours if left out.
    #[param(value_type = Option<String>)]
    since: Option<Time>,
    /// Only this container, by its whole id.
    #[param(value_type = Option<String>)]
    container: Option<ContainerId>,
}

/// The last 24 hours.
const USUAL_PAST: Duration = Duration::from_secs(24 * 3600);

/// What each container of an instance was from a time on until now, also those that are gone: as far back as the event
/// log goes, or its newest 10,000 events about containers of the instance.
#[utoipa::path(get, path = "/api/instances/{id}/lifecycles", tag = "containers",
    params(("id" = String, Path, description = "Id of the instance"), PastQuery),
    responses((status = OK, body = LivesView)))]
pub async fn instance_lifecycles(
    State(app): State<Arc<App>>,
    Reader(person): Reader,
    PathOf(id): PathOf<InstanceId>,
    Params(query): Params<PastQuery>,
) -> Result<Json<LivesView>, Problem> {
    let host = host(&app, &person, &id)?;
    let now = UnixMicros::now();
    let since = query.since.map_or_else(|| now.minus(USUAL_PAST), |Time(since)| since);
    let past = app.services.lifecycles.past(&host, query.container.as_ref(), since, now).await?;
    Ok(Json(LivesView::new(id.to_string(), &past, since, now)))
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
