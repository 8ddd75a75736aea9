//! The containers of an instance.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use roadstead_protocol::message::container::Container;
use roadstead_protocol::message::ids::InstanceId;
use roadstead_protocol::message::time::UnixMicros;

use super::App;
use super::access::Reader;
use super::extract::PathOf;
use super::instances::host;
use super::problem::Problem;
use super::views::container::ContainersView;
use crate::fleet::Host;

/// The containers of an instance, with the age of what is shown. Asking has its agent sample figures for the next
/// half minute.
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
    Ok(Json(ContainersView::new(&host, &app.services.lifecycles, UnixMicros::now())))
}

/// The container that `text` means: its whole id, its name, or the beginning of one id alone.
pub(super) fn find<'a>(host: &'a Host, text: &str) -> Result<&'a Container, Problem> {
    let all = || host.containers.values().map(Arc::as_ref);
    let exact = all().find(|container| container.id.as_str() == text).or_else(|| {
        let name = text.strip_prefix('/').unwrap_or(text);
        all().find(|container| container.name == name)
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
