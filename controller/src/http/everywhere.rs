//! The containers of all instances: a page of those that fit, or every one as a stream.

use std::sync::Arc;

use axum::BoxError;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::{self, Stream};
use roadstead_protocol::message::container::{ContainerHealth, ContainerState};
use roadstead_protocol::message::ids::InstanceId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};

use super::App;
use super::access::{Peer, Reader};
use super::extract::Params;
use super::json::{Json, Text};
use super::problem::Problem;
use super::streams::Reading;
use super::views::row::ContainerRow;
use crate::fleet::search::{ContainerFilter, ContainerPlace, Found, Search};

/// Most containers of a page.
const MAX_PAGE: usize = 500;

/// Rows that a stream holds in memory.
const PORTION: usize = 500;

/// Which containers to find.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FindQuery {
    /// Only those in which each word of this is somewhere: in the name, the image, the compose project or service, the
    /// id, or the name of the instance, whatever the case.
    q: Option<String>,
    /// Only this instance's.
    #[param(value_type = Option<String>)]
    instance: Option<InstanceId>,
    /// Only those of this compose project.
    project: Option<String>,
    /// Only those in this state.
    #[param(inline, value_type = Option<ContainerState>)]
    state: Option<String>,
    /// Only those whose health check says this.
    #[param(inline, value_type = Option<ContainerHealth>)]
    health: Option<String>,
    /// From the page before: `next`.
    cursor: Option<String>,
    /// How many, at most 500; 100 if left out.
    limit: Option<usize>,
}

/// Containers of all instances, by instance and id: an order that stands while they change.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ContainersPage<'a> {
    /// The containers.
    #[schema(value_type = Vec<ContainerRow<'static>>)]
    containers: Rows<'a>,
    /// The cursor of the next page; none if this is the last.
    next: Option<String>,
}

/// Containers of all instances, a page at a time: enough of each to find it. GET /api/instances/{id}/containers has the
/// rest.
#[utoipa::path(get, path = "/api/containers", tag = "containers", params(FindQuery),
    responses((status = OK, body = ContainersPage<'static>)))]
pub async fn find_containers(
    State(app): State<Arc<App>>,
    Reader(person): Reader,
    Params(query): Params<FindQuery>,
) -> Result<Response, Problem> {
    let limit = query.limit.unwrap_or(100).clamp(1, MAX_PAGE);
    let after = match query.cursor.as_deref().map(str::parse::<ContainerPlace>) {
        Some(Err(reason)) => return Err(Problem::invalid(reason).with("field", "cursor")),
        Some(Ok(place)) => Some(place),
        None => None,
    };
    let filter = query.filter()?;
    let page = Search::new(app.services.fleet.clone(), filter, person.scope, after).page(limit).await;
    let next = page.next.map(|place| place.to_string());
    Ok(Json(ContainersPage { containers: Rows(&page.found), next }).into_response())
}

/// Every container of all instances as a stream, one JSON object a line: each as it is when its line is written.
#[utoipa::path(get, path = "/api/containers/all", tag = "containers",
    responses((status = OK, content((ContainerRow<'static> = "application/x-ndjson")))))]
pub async fn all_containers(
    State(app): State<Arc<App>>,
    Reader(person): Reader,
    peer: Peer,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let scope = person.scope.clone();
    let reading = Reading::new(&app, person, &headers, &peer)?;
    let search = Search::new(app.services.fleet.clone(), ContainerFilter::default(), scope, None);
    let lines = Body::from_stream(lines(search, reading));
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], lines).into_response())
}

/// Lines in portions, each made when its reader has taken the one before.
fn lines(search: Search, reading: Reading) -> impl Stream<Item = Result<Vec<u8>, BoxError>> + Send {
    stream::try_unfold((search, reading), |(mut search, mut reading)| async move {
        reading.goes_on().await?;
        let Some(found) = search.step(PORTION) else { return Ok(None) };
        let mut text = Text::default();
        for row in Rows(&found).each() {
            text.add(&row)?;
            text.end_line();
        }
        Ok(Some((text.into_bytes(), (search, reading))))
    })
}

/// What was found as rows, each made as it is written.
struct Rows<'a>(&'a [Found]);

impl<'a> Rows<'a> {
    fn each(&self) -> impl Iterator<Item = ContainerRow<'a>> {
        let each = |one: &'a Found| one.containers().map(|container| ContainerRow::new(&one.host, container));
        self.0.iter().flat_map(each)
    }
}

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.each())
    }
}

impl FindQuery {
    fn filter(self) -> Result<ContainerFilter, Problem> {
        let filter = ContainerFilter {
            instance: self.instance,
            project: self.project,
            state: word("state", self.state, ContainerState::Unknown)?,
            health: word("health", self.health, ContainerHealth::Unknown)?,
            ..ContainerFilter::default()
        };
        Ok(filter.with_text(&self.q.unwrap_or_default()))
    }
}

/// A word of the protocol's. From agents any other counts as `unknown`; from whoever asks it is a mistake.
fn word<T: DeserializeOwned + PartialEq>(
    field: &str,
    text: Option<String>,
    unknown: T,
) -> Result<Option<T>, Problem> {
    let Some(text) = text else { return Ok(None) };
    match serde_json::from_value(text.as_str().into()) {
        Ok(word) if word != unknown || text == "unknown" => Ok(Some(word)),
        _ => {
            let detail = format!("`{text}` is no {field} of a container; /api/openapi.json lists them.");
            Err(Problem::invalid(detail).with("field", field))
        }
    }
}
