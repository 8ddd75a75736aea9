//! Reading the controller's configuration again.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use super::App;
use super::access::{Administrator, Peer};
use super::json::Json;
use super::problem::Problem;
use crate::enrolment::declared::Applied;
use crate::reload::ReloadError;

/// What came of reading the configuration again.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ReloadedView {
    /// Settings that changed and count from now on.
    applied: Vec<&'static str>,
    /// Settings that changed and count from the next start of the controller.
    needs_restart: Vec<&'static str>,
    /// The agents that the file declares, by name.
    agents: AppliedView,
}

/// What became of the declared agents.
#[derive(Serialize, utoipa::ToSchema)]
pub struct AppliedView {
    /// Registered just now.
    registered: Vec<String>,
    /// Changed just now.
    changed: Vec<String>,
    /// As they were.
    unchanged: Vec<String>,
    /// No longer declared; they stay until they are removed.
    released: Vec<String>,
    /// Those that cannot be as declared.
    failed: Vec<FailedView>,
}

/// A declared agent that cannot be as declared.
#[derive(Serialize, utoipa::ToSchema)]
pub struct FailedView {
    /// Its name.
    name: String,
    /// Why.
    reason: String,
}

/// Read the configuration again: what can change while the controller runs does, the rest is named. So does SIGHUP.
#[utoipa::path(post, path = "/api/config/reload", tag = "controller",
    responses((status = OK, body = ReloadedView)))]
pub async fn reload_config(
    State(app): State<Arc<App>>,
    Administrator(person): Administrator,
    peer: Peer,
) -> Result<Json<ReloadedView>, Problem> {
    let reloaded = app.services.reload.reload().await.map_err(Problem::from);
    app.audit(&person, peer, "config.reload", "controller", &reloaded).await;
    let reloaded = reloaded?;
    Ok(Json(ReloadedView {
        applied: reloaded.applied,
        needs_restart: reloaded.needs_restart,
        agents: reloaded.agents.into(),
    }))
}

impl From<Applied> for AppliedView {
    fn from(applied: Applied) -> Self {
        let Applied { registered, changed, unchanged, released, failed } = applied;
        let failed = failed.into_iter().map(|(name, reason)| FailedView { name, reason }).collect();
        Self { registered, changed, unchanged, released, failed }
    }
}

impl From<ReloadError> for Problem {
    fn from(error: ReloadError) -> Self {
        match error {
            ReloadError::Configuration(_) => Self::new(
                StatusCode::CONFLICT,
                "configuration",
                "Configuration cannot be used",
                format!("{error}."),
            ),
            ReloadError::Store(error) => error.into(),
        }
    }
}
