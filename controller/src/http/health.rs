//! Whether the controller works, and whether an instance answers now.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use roadstead_protocol::message::ids::InstanceId;
use roadstead_protocol::message::snapshot::EngineState;
use roadstead_protocol::message::time::UnixMicros;
use serde::Serialize;

use super::App;
use super::access::Reader;
use super::extract::PathOf;
use super::instances::host;
use super::json::Json;
use super::problem::Problem;
use super::time::Time;
use super::views::instance::{EngineView, HealthView, LinkView};
use crate::fleet::{bare, health};
use crate::probes::ProbeResult;

/// How long an agent may take to answer.
const PROBE_DEADLINE: Duration = Duration::from_secs(5);

/// How long the store may take to answer.
const STORE_DEADLINE: Duration = Duration::from_secs(2);

/// That the controller works.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ControllerHealthView {
    /// `ok`; anything else is a problem document.
    status: &'static str,
    /// Version of the controller.
    version: String,
}

/// What a check found just now.
#[derive(Serialize, utoipa::ToSchema)]
pub struct InstanceHealthView {
    /// Which instance.
    instance: String,
    /// When the check ended.
    checked_at: Time,
    /// How the instance is.
    health: HealthView,
    /// Why, in a sentence.
    reason: String,
    /// How its agent is connected.
    link: LinkView,
    /// Its engine, as it answered just now; none if it could not be asked.
    engine: Option<EngineView>,
    /// Round trip over the link without the engine's part, in milliseconds.
    latency_ms: Option<f64>,
    /// How long the engine took, in milliseconds, by the agent's account.
    engine_ms: Option<f64>,
    /// Last successful contact; a check that failed does not move it.
    last_seen: Option<Time>,
}

/// Whether the controller works: its store answers.
#[utoipa::path(get, path = "/health", tag = "controller",
    responses((status = OK, body = ControllerHealthView)))]
pub async fn controller_health(State(app): State<Arc<App>>) -> Result<Json<ControllerHealthView>, Problem> {
    match tokio::time::timeout(STORE_DEADLINE, app.services.store.answers()).await {
        Ok(answer) => answer?,
        Err(_) => {
            return Err(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "store",
                "Store unavailable",
                "The controller's store does not answer; look at the disk that holds its data.",
            ));
        }
    }
    Ok(Json(ControllerHealthView { status: "ok", version: app.services.about.version.clone() }))
}

/// Check an instance now, through its link: agent, engine, latency.
#[utoipa::path(get, path = "/api/instances/{id}/health", tag = "instances",
    params(("id" = String, Path, description = "Id of the instance")),
    responses((status = OK, body = InstanceHealthView)))]
pub async fn instance_health(
    State(app): State<Arc<App>>,
    Reader(person): Reader,
    PathOf(id): PathOf<InstanceId>,
) -> Result<Json<InstanceHealthView>, Problem> {
    host(&app, &person, &id)?;
    let found = match app.services.registry.agent(&id) {
        Some(agent) => Some(app.services.probes.probe(&agent, PROBE_DEADLINE).await),
        None => None,
    };
    if let Some(Ok(probe)) = &found {
        app.services.fleet.probed(&id, probe.round_trip);
    }
    // Looked up after the check, so that link and last contact are as the check left them.
    let host = host(&app, &person, &id)?;
    let (health, reason) = match &found {
        Some(Ok(probe)) => judge(probe),
        Some(Err(error)) => (HealthView::Unhealthy, error.to_string()),
        None => {
            let (health, reason) = health(&host);
            (health.into(), reason)
        }
    };
    let now = UnixMicros::now();
    let probe = found.and_then(Result::ok);
    Ok(Json(InstanceHealthView {
        instance: id.to_string(),
        checked_at: Time(now),
        health,
        reason,
        link: LinkView::new(&host.link, now),
        engine: probe.as_ref().map(|probe| EngineView::new(&probe.engine)),
        latency_ms: probe.as_ref().map(|probe| probe.round_trip.as_secs_f64() * 1000.0),
        engine_ms: probe
            .as_ref()
            .map(|probe| Duration::from_micros(probe.engine_micros).as_secs_f64() * 1000.0),
        last_seen: host.record.last_seen.map(Time),
    }))
}

fn judge(probe: &ProbeResult) -> (HealthView, String) {
    match &probe.engine.state {
        EngineState::Reachable => {
            (HealthView::Healthy, "The agent is connected and the engine answers.".to_owned())
        }
        EngineState::Unreachable { reason } => (
            HealthView::Unhealthy,
            format!("The agent is connected; the Docker engine does not answer: {}", bare(reason)),
        ),
        EngineState::Unknown => {
            (HealthView::Unknown, "The agent reports an engine state of a newer version.".to_owned())
        }
    }
}
