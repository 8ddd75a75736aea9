//! Replacing keys, the agents' and the controller's.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use roadstead_protocol::message::ids::InstanceId;
use serde::Serialize;

use super::App;
use super::access::{Administrator, Peer};
use super::extract::PathOf;
use super::instances::host;
use super::json::Json;
use super::problem::Problem;
use super::time::Time;
use crate::identities::{IdentitiesError, Ring};
use crate::rotation::AgentAway;

/// The keys by which agents know the controller.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ControllerKeysView {
    /// Fingerprint of the newest.
    key: String,
    /// Since when it is there.
    since: Time,
    /// The one that it replaces, which counts until every agent knows the newest, and for at least seven days.
    earlier: Option<String>,
    /// Agents that have not confirmed the newest yet.
    waiting_for: usize,
}

/// The controller's keys.
#[utoipa::path(get, path = "/api/controller/keys", tag = "controller",
    responses((status = OK, body = ControllerKeysView)))]
pub async fn controller_keys(
    State(app): State<Arc<App>>,
    _: Administrator,
) -> Result<Json<ControllerKeysView>, Problem> {
    Ok(Json(view(&app, &app.services.rotation.ring()).await?))
}

/// Make the controller a new key. Agents learn it by their sessions; the earlier one counts until they all have.
#[utoipa::path(post, path = "/api/controller/rotate-key", tag = "controller",
    responses((status = OK, body = ControllerKeysView)))]
pub async fn rotate_controller_key(
    State(app): State<Arc<App>>,
    Administrator(person): Administrator,
    peer: Peer,
) -> Result<Json<ControllerKeysView>, Problem> {
    let rotated = app.services.rotation.replace_own_key().await.map_err(Problem::from);
    app.audit(&person, peer, "controller.rotate-key", "controller", &rotated).await;
    Ok(Json(view(&app, &rotated?).await?))
}

/// Ask an agent to make itself a new key. It comes back with it by itself; the present one counts until it has.
#[utoipa::path(post, path = "/api/instances/{id}/rotate-key", tag = "instances",
    params(("id" = String, Path, description = "Id of the instance")),
    responses((status = ACCEPTED, description = "Asked; `key` of the instance changes when it is done")))]
pub async fn rotate_agent_key(
    State(app): State<Arc<App>>,
    Administrator(person): Administrator,
    peer: Peer,
    PathOf(id): PathOf<InstanceId>,
) -> Result<StatusCode, Problem> {
    host(&app, &person, &id)?;
    let asked = app.services.rotation.replace_agents_key(&id).map_err(Problem::from);
    app.audit(&person, peer, "instance.rotate-key", id.as_str(), &asked).await;
    asked?;
    Ok(StatusCode::ACCEPTED)
}

async fn view(app: &App, ring: &Ring) -> Result<ControllerKeysView, Problem> {
    let newest = ring.newest.key();
    let waiting_for = match &ring.earlier {
        Some(_) => app.services.store.agents_that_do_not_know(newest).await?,
        None => 0,
    };
    Ok(ControllerKeysView {
        key: newest.to_string(),
        since: Time(ring.since),
        earlier: ring.earlier.as_ref().map(|earlier| earlier.key().to_string()),
        waiting_for,
    })
}

impl From<AgentAway> for Problem {
    fn from(away: AgentAway) -> Self {
        Self::new(StatusCode::CONFLICT, "agent-away", "Agent away", format!("{away}."))
    }
}

impl From<IdentitiesError> for Problem {
    fn from(error: IdentitiesError) -> Self {
        match error {
            IdentitiesError::UnderWay { .. } => Self::new(
                StatusCode::CONFLICT,
                "rotation-under-way",
                "Rotation under way",
                format!("{error}."),
            ),
            IdentitiesError::Store(error) => error.into(),
            IdentitiesError::Identity(error) => {
                tracing::error!(%error, "cannot make a key");
                Self::internal()
            }
        }
    }
}
