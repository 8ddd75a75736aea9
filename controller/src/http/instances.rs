//! Instances: list, register, look at, change, remove.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use roadstead_protocol::message::ids::InstanceId;
use roadstead_protocol::message::time::UnixMicros;
use serde::{Deserialize, Deserializer, Serialize};

use super::App;
use super::access::{Changer, Peer, Reader, outside};
use super::extract::{Body, PathOf};
use super::join::JoinView;
use super::json::Json;
use super::problem::Problem;
use super::refusals::{token_refused, unknown_instance};
use super::time::Span;
use super::views::instance::{HealthView, InstanceView};
use crate::accounts::Person;
use crate::enrolment::{InstanceChange, NewInstance};
use crate::fleet::Host;

/// Every instance.
#[derive(Serialize, utoipa::ToSchema)]
pub struct InstancesView {
    /// The instances, by name.
    instances: Vec<InstanceView>,
    /// How many there are.
    total_count: usize,
    /// How many of them are healthy.
    healthy_count: usize,
    /// The controller's own host, if it runs an agent for it.
    this_instance: Option<InstanceView>,
}

/// An instance to register.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterRequest {
    /// Name, unique regardless of case.
    #[schema(min_length = 1, max_length = 64)]
    name: String,
    /// Where the controller dials the agent (`wss://host:port`); left out if the agent is to dial.
    url: Option<String>,
    /// Free text.
    #[serde(default)]
    description: String,
    /// Environment label.
    environment: Option<String>,
    /// Tags.
    #[serde(default)]
    tags: Vec<String>,
    /// A join token that the agent at `url` already holds (POST /api/join-tokens with `direction: inbound`); left
    /// out, a new one is made.
    token: Option<String>,
    /// How long the join token lives (`90s`, `15m`, `24h`, `2d`).
    token_ttl: Option<Span>,
}

/// An instance that was registered, and how its host joins.
#[derive(Serialize, utoipa::ToSchema)]
pub struct RegisteredView {
    /// The instance.
    instance: InstanceView,
    /// How its host joins; none if its agent already holds a token.
    join: Option<JoinView>,
}

/// What to change about an instance: what is left out stays as it is.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeRequest {
    /// New name.
    name: Option<String>,
    /// New address to dial; `null` if the agent is to dial from now on.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    url: Option<Option<String>>,
    /// New description.
    description: Option<String>,
    /// New environment label, or `null` for none.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    environment: Option<Option<String>>,
    /// New tags.
    tags: Option<Vec<String>>,
}

/// Every instance, by name.
#[utoipa::path(get, path = "/api/instances", tag = "instances",
    responses((status = OK, body = InstancesView)))]
pub async fn list_instances(State(app): State<Arc<App>>, Reader(person): Reader) -> Json<InstancesView> {
    let instances = views(&hosts(&app, &person));
    let this = app.services.about.this_instance.as_ref();
    Json(InstancesView {
        this_instance: this
            .and_then(|id| instances.iter().find(|instance| instance.id == id.as_str()))
            .cloned(),
        total_count: instances.len(),
        healthy_count: instances.iter().filter(|instance| instance.health == HealthView::Healthy).count(),
        instances,
    })
}

/// Register an instance: answers with a join token and ready-to-paste commands for its host.
#[utoipa::path(post, path = "/api/instances", tag = "instances", request_body = RegisterRequest,
    responses((status = CREATED, body = RegisteredView)))]
pub async fn register_instance(
    State(app): State<Arc<App>>,
    Changer(person): Changer,
    peer: Peer,
    Body(request): Body<RegisterRequest>,
) -> Result<Response, Problem> {
    let name = request.name.clone();
    if !person.scope.fits_new(&request.tags) {
        let refused: Result<(), _> = Err(out_of_sight(&person));
        app.audit(&person, peer, "instance.register", &name, &refused).await;
        refused?;
    }
    let offered = request.token.is_some();
    if let Some(token) = &request.token {
        let checked = check_offered(&app, token, request.url.as_deref()).await;
        if checked.is_err() {
            app.audit(&person, peer, "instance.register", &name, &checked).await;
        }
        checked?;
    }
    let new = NewInstance { anew: !person.scope.is_everything(), ..request.into() };
    let registered = app.services.enrolment.register(new).await.map_err(Problem::from);
    app.audit(&person, peer, "instance.register", &name, &registered).await;
    let (record, token) = registered?;
    let join = if offered {
        app.services.enrolment.revoke_token(token.record.id).await?;
        None
    } else {
        Some(JoinView::new(&token, record.url.as_deref(), &app.services.about))
    };
    let instance = InstanceView::new(&*host(&app, &person, &record.id)?, UnixMicros::now());
    let location = format!("/api/instances/{}", record.id);
    let answer = Json(RegisteredView { instance, join });
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], answer).into_response())
}

/// One instance.
#[utoipa::path(get, path = "/api/instances/{id}", tag = "instances",
    params(("id" = String, Path, description = "Id of the instance")),
    responses((status = OK, body = InstanceView)))]
pub async fn one_instance(
    State(app): State<Arc<App>>,
    Reader(person): Reader,
    PathOf(id): PathOf<InstanceId>,
) -> Result<Json<InstanceView>, Problem> {
    Ok(Json(InstanceView::new(&*host(&app, &person, &id)?, UnixMicros::now())))
}

/// Change an instance's name, address, description, environment or tags.
#[utoipa::path(patch, path = "/api/instances/{id}", tag = "instances", request_body = ChangeRequest,
    params(("id" = String, Path, description = "Id of the instance")),
    responses((status = OK, body = InstanceView)))]
pub async fn change_instance(
    State(app): State<Arc<App>>,
    Changer(person): Changer,
    peer: Peer,
    PathOf(id): PathOf<InstanceId>,
    Body(request): Body<ChangeRequest>,
) -> Result<Json<InstanceView>, Problem> {
    host(&app, &person, &id)?;
    let changed = match &request.tags {
        Some(tags) if !person.scope.fits(&id, tags) => Err(out_of_sight(&person)),
        _ => app.services.enrolment.change(&id, request.into()).await.map_err(Problem::from),
    };
    app.audit(&person, peer, "instance.change", id.as_str(), &changed).await;
    changed?;
    Ok(Json(InstanceView::new(&*host(&app, &person, &id)?, UnixMicros::now())))
}

/// Unregister an instance: ends its link and refuses its agent from then on. The host itself is not touched.
#[utoipa::path(delete, path = "/api/instances/{id}", tag = "instances",
    params(("id" = String, Path, description = "Id of the instance")),
    responses((status = NO_CONTENT)))]
pub async fn remove_instance(
    State(app): State<Arc<App>>,
    Changer(person): Changer,
    peer: Peer,
    PathOf(id): PathOf<InstanceId>,
) -> Result<StatusCode, Problem> {
    host(&app, &person, &id)?;
    let removed = app.services.enrolment.remove(&id).await.map_err(Problem::from);
    app.audit(&person, peer, "instance.remove", id.as_str(), &removed).await;
    removed?;
    app.services.commands.instance_removed(&id).await;
    Ok(StatusCode::NO_CONTENT)
}

/// The instance would not be among those that `person` sees.
fn out_of_sight(person: &Person) -> Problem {
    outside(person, "You would not see the instance with these tags; give it at least one of your own tags.")
}

/// Makes sure that the agent at `url` will be able to join with the token it holds.
async fn check_offered(app: &App, token: &str, url: Option<&str>) -> Result<(), Problem> {
    if url.is_none() {
        let detail =
            "An agent that dials brings its token itself and needs no registration; `token` goes with `url`.";
        return Err(Problem::invalid(detail).with("field", "token"));
    }
    app.services.enrolment.check_offered(token).await?.map_err(|refusal| token_refused(&refusal))
}

/// A host by its instance's id, if `person` sees it; what one does not see is not there.
pub(super) fn host(app: &App, person: &Person, id: &InstanceId) -> Result<Arc<Host>, Problem> {
    let host = app.services.fleet.host(id).filter(|host| person.scope.holds(&host.record));
    host.ok_or_else(|| unknown_instance(id))
}

/// Every host that `person` sees.
pub(super) fn hosts(app: &App, person: &Person) -> Vec<Arc<Host>> {
    let mut hosts = app.services.fleet.hosts();
    hosts.retain(|host| person.scope.holds(&host.record));
    hosts
}

/// The ids of the instances that `person` sees; none for all.
pub(super) fn seen(app: &App, person: &Person) -> Option<Vec<InstanceId>> {
    let ids = || hosts(app, person).iter().map(|host| host.record.id.clone()).collect();
    (!person.scope.is_everything()).then(ids)
}

/// The views of `hosts` now, by name.
pub(super) fn views(hosts: &[Arc<Host>]) -> Vec<InstanceView> {
    let now = UnixMicros::now();
    let mut views: Vec<_> = hosts.iter().map(|host| InstanceView::new(host, now)).collect();
    views.sort_by_cached_key(|view| (view.name.to_lowercase(), view.id.clone()));
    views
}

/// Tells a field that is `null` from one that is left out.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl From<RegisterRequest> for NewInstance {
    fn from(request: RegisterRequest) -> Self {
        Self {
            name: request.name,
            url: request.url,
            description: request.description,
            environment: request.environment,
            tags: request.tags,
            token_ttl: request.token_ttl.map(|Span(ttl)| ttl),
            anew: false,
        }
    }
}

impl From<ChangeRequest> for InstanceChange {
    fn from(request: ChangeRequest) -> Self {
        Self {
            name: request.name,
            url: request.url,
            description: request.description,
            environment: request.environment,
            tags: request.tags,
        }
    }
}
