//! API tokens: make, list, revoke.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use roadstead_protocol::message::ids::InstanceId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::App;
use super::access::{Member, Peer};
use super::extract::{Body, Params, PathOf};
use super::json::Json;
use super::problem::Problem;
use super::sessions::not_yours;
use super::time::{Span, Time};
use crate::accounts::{ApiTokenRecord, NewApiToken, Role};

/// The most that a token may do; never more than its user may.
#[derive(Clone, Copy, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScopeView {
    /// Look.
    Read,
    /// Change instances and run commands as well.
    Operate,
    /// Everything.
    Admin,
}

/// An API token to make.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewApiTokenRequest {
    /// Name, unique among one's own.
    #[schema(min_length = 1, max_length = 64)]
    name: String,
    /// The most it may do.
    scope: ScopeView,
    /// It sees and acts on instances with one of these tags, and
    #[serde(default)]
    tags: Vec<String>,
    /// these instances, by id; both left out for all that one sees oneself.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    instances: Vec<InstanceId>,
    /// How long it lives (`24h`, `90d`); left out, until it is revoked.
    ttl: Option<Span>,
}

/// An API token, without its secret.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ApiTokenView {
    /// Its id.
    id: String,
    /// Whose token.
    user: String,
    /// Its name.
    name: String,
    /// The most it may do.
    scope: ScopeView,
    /// It sees and acts on instances with one of these tags, and
    tags: Vec<String>,
    /// these instances; both empty for all that its user sees.
    instances: Vec<String>,
    /// When it was made.
    created_at: Time,
    /// When it ends; none if it does not.
    expires_at: Option<Time>,
    /// When it was last used, to the minute.
    last_used: Option<Time>,
    /// From where it was last used.
    last_address: Option<String>,
}

/// A token that was made. The secret is shown this once.
#[derive(Serialize, utoipa::ToSchema)]
pub struct NewApiTokenView {
    /// The token (`rst_…`): send it as `Authorization: Bearer`.
    secret: String,
    /// What was made.
    token: ApiTokenView,
}

/// API tokens, by user and name.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ApiTokensView {
    /// The tokens.
    tokens: Vec<ApiTokenView>,
}

/// Whose tokens to list.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ApiTokenQuery {
    /// Everybody's, which administrators may ask for; one's own if left out.
    #[serde(default)]
    all: bool,
}

/// API tokens: one's own; administrators may ask for everybody's.
#[utoipa::path(get, path = "/api/tokens", tag = "API tokens", params(ApiTokenQuery),
    responses((status = OK, body = ApiTokensView)))]
pub async fn list_tokens(
    State(app): State<Arc<App>>,
    Member(person): Member,
    Params(query): Params<ApiTokenQuery>,
) -> Result<Json<ApiTokensView>, Problem> {
    if query.all && person.role < Role::Admin {
        return Err(not_yours("tokens"));
    }
    let user = (!query.all).then_some(person.name.as_str());
    let tokens = app.services.accounts.tokens(user).await?;
    Ok(Json(ApiTokensView { tokens: tokens.into_iter().map(ApiTokenView::from).collect() }))
}

/// Make an API token for oneself. It may never do more than one may oneself, and ends with one's account.
#[utoipa::path(post, path = "/api/tokens", tag = "API tokens", request_body = NewApiTokenRequest,
    responses((status = CREATED, body = NewApiTokenView)))]
pub async fn make_token(
    State(app): State<Arc<App>>,
    Member(person): Member,
    peer: Peer,
    Body(request): Body<NewApiTokenRequest>,
) -> Result<Response, Problem> {
    let name = request.name.clone();
    let new = NewApiToken {
        name: request.name,
        scope: request.scope.into(),
        tags: request.tags,
        instances: request.instances,
        life: request.ttl.map(|Span(life)| life),
    };
    let made = app.services.accounts.add_token(&person, new).await.map_err(Problem::from);
    app.audit(&person, peer, "token.make", &name, &made).await;
    let (record, secret) = made?;
    let location = format!("/api/tokens/{}", record.id);
    let answer = Json(NewApiTokenView { secret, token: record.into() });
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], answer).into_response())
}

/// Revoke an API token: one's own; administrators may revoke anybody's.
#[utoipa::path(delete, path = "/api/tokens/{id}", tag = "API tokens",
    params(("id" = String, Path, description = "Id of the token")),
    responses((status = NO_CONTENT)))]
pub async fn revoke_token(
    State(app): State<Arc<App>>,
    Member(person): Member,
    peer: Peer,
    PathOf(id): PathOf<Uuid>,
) -> Result<StatusCode, Problem> {
    let own = (person.role < Role::Admin).then_some(person.name.as_str());
    let revoked = app.services.accounts.revoke_token(id, own).await?;
    let target = match &revoked {
        Some((user, name)) => format!("{user}/{name}"),
        None => id.to_string(),
    };
    let revoked = revoked.ok_or_else(|| {
        Problem::unknown("unknown-token", "There is no such API token; GET /api/tokens lists yours.")
    });
    app.audit(&person, peer, "token.revoke", &target, &revoked).await;
    revoked.map(|_| StatusCode::NO_CONTENT)
}

impl From<ScopeView> for Role {
    fn from(scope: ScopeView) -> Self {
        match scope {
            ScopeView::Read => Self::Viewer,
            ScopeView::Operate => Self::Operator,
            ScopeView::Admin => Self::Admin,
        }
    }
}

impl From<ApiTokenRecord> for ApiTokenView {
    fn from(record: ApiTokenRecord) -> Self {
        let scope = match record.scope {
            Role::Guest | Role::Viewer => ScopeView::Read,
            Role::Operator => ScopeView::Operate,
            Role::Admin => ScopeView::Admin,
        };
        Self {
            id: record.id.to_string(),
            user: record.user,
            name: record.name,
            scope,
            tags: record.tags,
            instances: record.instances,
            created_at: Time(record.created_at),
            expires_at: record.expires_at.map(Time),
            last_used: record.last_used.map(Time),
            last_address: record.last_address,
        }
    }
}
