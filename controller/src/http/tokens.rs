//! Join tokens: make, list, revoke.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use roadstead_protocol::message::ids::{InstanceId, TokenId};
use roadstead_protocol::message::policy::UnknownVerb;
use serde::{Deserialize, Serialize};

use super::App;
use super::access::{Changer, Peer, outside};
use super::extract::{OptionalBody, PathOf};
use super::instances::host;
use super::join::JoinView;
use super::json::Json;
use super::problem::Problem;
use super::time::{Span, Time};
use crate::accounts::Person;
use crate::enrolment::{DEFAULT_TOKEN_TTL, EnrolError, NewToken};
use crate::model::{Ceiling, Direction, Grants, JoinTokenRecord};

/// A join token to make.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinTokenRequest {
    /// The instance it is for; left out, it registers a new one.
    #[schema(value_type = Option<String>)]
    instance: Option<InstanceId>,
    /// Who dials; left out, as the instance has it, else `outbound`.
    direction: Option<DirectionView>,
    /// How long it lives (`90s`, `15m`, `24h`, `2d`).
    ttl: Option<Span>,
    /// How often it may be used; once if left out.
    uses: Option<u32>,
    /// What to call it, to know it by.
    name: Option<String>,
    /// Tags that it gives to what joins with it, besides the agent's own.
    #[serde(default)]
    tags: Vec<String>,
    /// Environment label that it gives, instead of the agent's.
    environment: Option<String>,
    /// The most that may be asked of what joins with it, as verbs, whatever its owner allows; left out for no such
    /// limit. The controller refuses the rest; the agent's own policy rules beside it.
    ceiling: Option<Vec<String>>,
}

/// Who dials.
#[derive(Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DirectionView {
    /// The agent dials the controller.
    Outbound,
    /// The controller dials the agent.
    Inbound,
}

/// A join token, without its secret.
#[derive(Serialize, utoipa::ToSchema)]
pub struct JoinTokenView {
    /// Its id.
    id: String,
    /// The instance it is for; none if it registers a new one.
    instance: Option<String>,
    /// Who dials: `outbound` or `inbound`.
    direction: &'static str,
    /// When it was made.
    created_at: Time,
    /// When it ends.
    expires_at: Time,
    /// How often it may still be used.
    uses_left: u32,
    /// When it was last used.
    used_at: Option<Time>,
    /// What it is called.
    name: Option<String>,
    /// Tags that it gives.
    tags: Vec<String>,
    /// Environment label that it gives.
    environment: Option<String>,
    /// The most that may be asked of what joins with it; none for no such limit.
    ceiling: Option<Vec<&'static str>>,
}

/// Every join token.
#[derive(Serialize, utoipa::ToSchema)]
pub struct JoinTokensView {
    /// The tokens.
    tokens: Vec<JoinTokenView>,
}

/// Join tokens that are or were of use lately.
#[utoipa::path(get, path = "/api/join-tokens", tag = "join tokens",
    responses((status = OK, body = JoinTokensView)))]
pub async fn list_join_tokens(
    State(app): State<Arc<App>>,
    Changer(person): Changer,
) -> Result<Json<JoinTokensView>, Problem> {
    let mut tokens = app.services.enrolment.tokens().await?;
    tokens.retain(|token| sees(&app, &person, token));
    Ok(Json(JoinTokensView { tokens: tokens.iter().map(JoinTokenView::new).collect() }))
}

/// Make a join token. It is shown once.
#[utoipa::path(post, path = "/api/join-tokens", tag = "join tokens", request_body = JoinTokenRequest,
    responses((status = CREATED, body = JoinView)))]
pub async fn make_join_token(
    State(app): State<Arc<App>>,
    Changer(person): Changer,
    peer: Peer,
    OptionalBody(request): OptionalBody<JoinTokenRequest>,
) -> Result<Response, Problem> {
    let url = match &request.instance {
        Some(id) => host(&app, &person, id)?.record.url.clone(),
        None if person.scope.is_everything() => None,
        None => {
            let detail = "A token for a new host could join it with any tags; register the host, and make a token \
                          for that `instance`.";
            return Err(outside(&person, detail).with("field", "instance"));
        }
    };
    let direction = match request.direction {
        Some(DirectionView::Inbound) => Direction::Inbound,
        Some(DirectionView::Outbound) => Direction::Outbound,
        None if url.is_some() => Direction::Inbound,
        None => Direction::Outbound,
    };
    let target = request.instance.as_ref().map_or("new instance", InstanceId::as_str).to_owned();
    if !(person.scope.is_everything()
        || request.tags.is_empty() && request.environment.is_none() && request.ceiling.is_none())
    {
        let detail =
            "Who has a limit by tags decides about neither tags nor what a token gives; leave them out.";
        return Err(outside(&person, detail).with("field", "tags"));
    }
    let wish = NewToken {
        name: request.name,
        instance: request.instance,
        direction,
        ttl: request.ttl.map_or(DEFAULT_TOKEN_TTL, |Span(ttl)| ttl),
        uses: request.uses.unwrap_or(1),
        grants: Grants {
            tags: request.tags,
            environment: request.environment,
            ceiling: request.ceiling.map(ceiling).transpose()?,
        },
    };
    let issued = app.services.enrolment.issue_token(wish).await.map_err(Problem::from);
    app.audit(&person, peer, "join-token.make", &target, &issued).await;
    let join = JoinView::new(&issued?, url.as_deref(), &app.services.about);
    let location = format!("/api/join-tokens/{}", join.token_id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(join)).into_response())
}

/// Revoke a join token. An instance that has joined with it stays.
#[utoipa::path(delete, path = "/api/join-tokens/{id}", tag = "join tokens",
    params(("id" = String, Path, description = "Id of the token")),
    responses((status = NO_CONTENT)))]
pub async fn revoke_join_token(
    State(app): State<Arc<App>>,
    Changer(person): Changer,
    peer: Peer,
    PathOf(id): PathOf<TokenId>,
) -> Result<StatusCode, Problem> {
    if !person.scope.is_everything() {
        let tokens = app.services.enrolment.tokens().await?;
        if !tokens.iter().any(|token| token.id == id && sees(&app, &person, token)) {
            return Err(EnrolError::UnknownToken(id).into());
        }
    }
    let revoked = app.services.enrolment.revoke_token(id).await.map_err(Problem::from);
    app.audit(&person, peer, "join-token.revoke", &id.to_string(), &revoked).await;
    revoked?;
    Ok(StatusCode::NO_CONTENT)
}

fn ceiling(verbs: Vec<String>) -> Result<Ceiling, Problem> {
    verbs
        .join(" ")
        .parse()
        .map_err(|error: UnknownVerb| Problem::invalid(format!("{error}.")).with("field", "ceiling"))
}

/// Whether `person` sees what the token is for.
fn sees(app: &App, person: &Person, token: &JoinTokenRecord) -> bool {
    let instance = token.instance.as_ref();
    person.scope.is_everything() || instance.is_some_and(|id| host(app, person, id).is_ok())
}

impl JoinTokenView {
    fn new(record: &JoinTokenRecord) -> Self {
        Self {
            id: record.id.to_string(),
            instance: record.instance.as_ref().map(ToString::to_string),
            direction: record.direction.as_str(),
            created_at: Time(record.created_at),
            expires_at: Time(record.expires_at),
            uses_left: record.uses_left,
            used_at: record.used_at.map(Time),
            name: record.name.clone(),
            tags: record.grants.tags.clone(),
            environment: record.grants.environment.clone(),
            ceiling: record.grants.ceiling.as_ref().map(Ceiling::words),
        }
    }
}
