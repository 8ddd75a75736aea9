//! Syncs of many hosts: plan, begin, look at, stop.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use roadstead_protocol::message::command::Strategy;
use roadstead_protocol::message::ids::InstanceId;
use roadstead_protocol::message::time::UnixMicros;
use serde::{Deserialize, Serialize};

use super::App;
use super::access::{Changer, Peer, Reader};
use super::extract::{Body, Params, PathOf};
use super::instances::host;
use super::json::Json;
use super::problem::Problem;
use super::time::Span;
use super::views::rollout::{RolloutPlanView, RolloutSummary, RolloutView};
use crate::accounts::Person;
use crate::commands::MAX_QUEUE;
use crate::commands::work::MAX_VERIFY_SECS;
use crate::model::rollout::{RolloutId, RolloutRecord};
use crate::rollouts::{NewRollout, Order, Selection};

/// Most rollouts of one answer.
const MAX_PAGE: usize = 200;

/// How long a restarted service may take if the request does not say, in seconds.
const VERIFY_SECS: u32 = 60;

/// A sync of many hosts to do. Which hosts: `instances`, or else all that `filter` lets through.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RolloutRequest {
    /// Ids of the hosts. One that does not show the project is named as skipped.
    #[schema(value_type = Option<Vec<String>>)]
    instances: Option<Vec<InstanceId>>,
    /// Which hosts, by their labels. One that does not show the project is not meant.
    filter: Option<RolloutFilter>,
    /// The compose project; left out, every project that each host shows.
    project: Option<String>,
    /// In which order; `given` if left out.
    #[serde(default)]
    order: RolloutOrder,
    /// How many at once, 1 to 100; 1 if left out. A batch begins when the one before has ended.
    #[serde(default = "one")]
    batch_size: u32,
    /// Whether a host that failed keeps later ones from beginning; so if left out.
    #[serde(default = "yes")]
    stop_on_failure: bool,
    /// How long to wait for an absent agent (`90s`, `24h`, `2d`); left out, its host is skipped and named. One that
    /// waits does not hold up the next batch.
    queue_for: Option<Span>,
    /// How (`script`, `compose`, `engine`); left out, each agent chooses the best there is.
    strategy: Option<Strategy>,
    /// How long a restarted service may take to run and be healthy, in seconds.
    verify_secs: Option<u32>,
    /// Only say what would be done.
    #[serde(default)]
    dry_run: bool,
}

/// Hosts by their labels; what is left out is not asked for.
#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RolloutFilter {
    /// Environment label.
    environment: Option<String>,
    /// Tag.
    tag: Option<String>,
}

/// In which order hosts have their turn.
#[derive(Clone, Copy, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RolloutOrder {
    /// As they are listed in `instances`; by name where there is no list.
    #[default]
    Given,
    /// By name.
    Name,
    /// Those with the fewest containers first.
    Containers,
}

/// How many to list.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RolloutQuery {
    /// How many, at most 200.
    limit: Option<usize>,
}

/// The newest rollouts, newest first.
#[derive(Serialize, utoipa::ToSchema)]
pub struct RolloutsView {
    /// The rollouts.
    rollouts: Vec<RolloutSummary>,
}

const fn one() -> u32 {
    1
}

const fn yes() -> bool {
    true
}

/// Sync many hosts, batch after batch. 202 with the rollout; with `dry_run` 200 with what it would do.
#[utoipa::path(post, path = "/api/rollouts", tag = "rollouts", request_body = RolloutRequest,
    responses((status = ACCEPTED, body = RolloutView), (status = OK, body = RolloutPlanView)))]
pub async fn start_rollout(
    State(app): State<Arc<App>>,
    Changer(person): Changer,
    peer: Peer,
    Body(request): Body<RolloutRequest>,
) -> Result<Response, Problem> {
    let dry_run = request.dry_run;
    let new = request.try_into()?;
    if dry_run {
        let record = app.services.rollouts.plan(&new, &person.label(), &person.scope)?;
        return Ok(Json(RolloutPlanView::new(&record, &app.services.fleet)).into_response());
    }
    let started =
        app.services.rollouts.start(&new, &person.label(), &person.scope).await.map_err(Problem::from);
    let target = started.as_ref().map_or_else(|_| "-".to_owned(), |record| record.id.to_string());
    app.audit(&person, peer, "rollout.start", &target, &started).await;
    let view = RolloutView::new(&started?, UnixMicros::now());
    let location = format!("/api/rollouts/{}", view.summary.id);
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(view)).into_response())
}

/// The newest rollouts, newest first, without their steps.
#[utoipa::path(get, path = "/api/rollouts", tag = "rollouts", params(RolloutQuery),
    responses((status = OK, body = RolloutsView)))]
pub async fn list_rollouts(
    State(app): State<Arc<App>>,
    Reader(person): Reader,
    Params(query): Params<RolloutQuery>,
) -> Result<Json<RolloutsView>, Problem> {
    let mut records = app.services.rollouts.list(query.limit.unwrap_or(20).clamp(1, MAX_PAGE)).await?;
    records.retain(|record| sees(&app, &person, record));
    let now = UnixMicros::now();
    Ok(Json(RolloutsView { rollouts: records.iter().map(|one| RolloutSummary::new(one, now)).collect() }))
}

/// One rollout with its steps.
#[utoipa::path(get, path = "/api/rollouts/{id}", tag = "rollouts",
    params(("id" = String, Path, description = "Id of the rollout")),
    responses((status = OK, body = RolloutView)))]
pub async fn one_rollout(
    State(app): State<Arc<App>>,
    Reader(person): Reader,
    PathOf(id): PathOf<String>,
) -> Result<Json<RolloutView>, Problem> {
    let record = rollout(&app, &person, &id).await?;
    Ok(Json(RolloutView::new(&record, UnixMicros::now())))
}

/// Stop a rollout: no further step begins, what waits for an absent agent is withdrawn, and what an agent has begun
/// runs to its end (each can be cancelled by itself).
#[utoipa::path(delete, path = "/api/rollouts/{id}", tag = "rollouts",
    params(("id" = String, Path, description = "Id of the rollout")),
    responses((status = ACCEPTED, body = RolloutView)))]
pub async fn stop_rollout(
    State(app): State<Arc<App>>,
    Changer(person): Changer,
    peer: Peer,
    PathOf(id): PathOf<String>,
) -> Result<(StatusCode, Json<RolloutView>), Problem> {
    let id = rollout(&app, &person, &id).await?.id;
    let stopped = app.services.rollouts.stop(id, &person.label()).await.map_err(Problem::from);
    app.audit(&person, peer, "rollout.stop", &id.to_string(), &stopped).await;
    Ok((StatusCode::ACCEPTED, Json(RolloutView::new(&stopped?, UnixMicros::now()))))
}

/// A rollout, if `person` sees it.
async fn rollout(app: &App, person: &Person, id: &str) -> Result<RolloutRecord, Problem> {
    let id = rollout_id(id)?;
    let record = app.services.rollouts.one(id).await?;
    record.filter(|record| sees(app, person, record)).ok_or_else(|| unknown_rollout(id))
}

/// Whether `person` sees every host of a rollout. Where one was removed, nobody can say whose it would be.
fn sees(app: &App, person: &Person, record: &RolloutRecord) -> bool {
    person.scope.is_everything() || record.steps.iter().all(|step| host(app, person, &step.instance).is_ok())
}

fn rollout_id(text: &str) -> Result<RolloutId, Problem> {
    text.parse().map_err(|_| {
        Problem::malformed(format!(
            "`{text}` is not a rollout's id; GET /api/rollouts lists those there are."
        ))
    })
}

fn unknown_rollout(id: RolloutId) -> Problem {
    Problem::unknown(
        "unknown-rollout",
        format!("There is no rollout {id}, or it is too old; GET /api/rollouts lists those there are."),
    )
}

impl TryFrom<RolloutRequest> for NewRollout {
    type Error = Problem;

    fn try_from(request: RolloutRequest) -> Result<Self, Problem> {
        let selection = match (request.instances, request.filter) {
            (Some(ids), None) => Selection::Instances(ids),
            (None, Some(RolloutFilter { environment, tag })) => Selection::Labelled { environment, tag },
            (None, None) | (Some(_), Some(_)) => {
                let text = "Say which hosts: either `instances`, or `filter` (`{}` means all of them).";
                return Err(Problem::invalid(text).with("field", "instances"));
            }
        };
        if request.strategy == Some(Strategy::Unknown) {
            let text = "The strategies are: script, compose, engine.";
            return Err(Problem::invalid(text).with("field", "strategy"));
        }
        let verify_secs = request.verify_secs.unwrap_or(VERIFY_SECS);
        if !(1..=MAX_VERIFY_SECS).contains(&verify_secs) {
            let text = format!("verify_secs is {verify_secs}; it is from 1 to {MAX_VERIFY_SECS}.");
            return Err(Problem::invalid(text).with("field", "verify_secs"));
        }
        let queue_secs = request.queue_for.map(|Span(wait)| {
            if wait.is_zero() || wait > MAX_QUEUE {
                let text = "queue_for is more than nothing and at most 7 days.";
                return Err(Problem::invalid(text).with("field", "queue_for"));
            }
            Ok(u32::try_from(wait.as_secs()).unwrap_or(u32::MAX))
        });
        Ok(Self {
            selection,
            project: request.project,
            order: match request.order {
                RolloutOrder::Given => Order::Given,
                RolloutOrder::Name => Order::Name,
                RolloutOrder::Containers => Order::Containers,
            },
            batch_size: request.batch_size,
            stop_on_failure: request.stop_on_failure,
            queue_secs: queue_secs.transpose()?,
            strategy: request.strategy,
            verify_secs,
        })
    }
}
