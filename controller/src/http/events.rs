//! The event log.

use std::sync::Arc;

use axum::extract::State;
use roadstead_protocol::message::ids::{ContainerId, InstanceId};
use roadstead_protocol::message::time::UnixMicros;
use serde::{Deserialize, Serialize};

use super::App;
use super::access::Reader;
use super::extract::Params;
use super::instances::seen;
use super::json::Json;
use super::problem::Problem;
use super::time::Time;
use super::views::event::EventView;
use crate::events::EventFilter;

/// Which events to list.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventQuery {
    /// Only this instance's.
    #[param(value_type = Option<String>)]
    instance: Option<InstanceId>,
    /// Only those about this container, by its whole id.
    #[param(value_type = Option<String>)]
    container: Option<ContainerId>,
    /// Only those of this kind.
    kind: Option<String>,
    /// Only those that happened at this time (RFC 3339) or later.
    #[param(value_type = Option<String>)]
    since: Option<Time>,
    /// From the page before: `next`.
    cursor: Option<i64>,
    /// How many, at most 500.
    limit: Option<usize>,
}

/// Events, newest first.
#[derive(Serialize, utoipa::ToSchema)]
pub struct EventsView {
    /// The events.
    events: Vec<EventView>,
    /// The cursor of the next page; none if this is the last.
    next: Option<i64>,
}

/// Events, newest first.
#[utoipa::path(get, path = "/api/events", tag = "events", params(EventQuery),
    responses((status = OK, body = EventsView)))]
pub async fn list_events(
    State(app): State<Arc<App>>,
    Reader(person): Reader,
    Params(query): Params<EventQuery>,
) -> Result<Json<EventsView>, Problem> {
    let filter = EventFilter {
        instances: seen(&app, &person),
        instance: query.instance,
        container: query.container,
        kind: query.kind,
        since: query.since.map(|Time(since)| since),
    };
    let page = app.services.events.page(filter, query.cursor, query.limit.unwrap_or(100)).await?;
    let now = UnixMicros::now();
    let events = page.events.iter().map(|event| EventView::new(event, now)).collect();
    Ok(Json(EventsView { events, next: page.next }))
}
