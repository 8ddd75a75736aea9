//! Web sessions: whose are open, and ending them.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::App;
use super::access::{Member, Peer};
use super::extract::{Params, PathOf};
use super::json::Json;
use super::problem::Problem;
use super::time::Time;
use crate::accounts::{Role, SessionId, WebSessionRecord};

/// Whose sessions to list.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SessionQuery {
    /// This user's, which administrators may ask for; one's own if left out.
    user: Option<String>,
}

/// Web sessions that are open, the last used first.
#[derive(Serialize, utoipa::ToSchema)]
pub struct SessionsView {
    /// The sessions.
    sessions: Vec<OpenSessionView>,
}

/// A web session.
#[derive(Serialize, utoipa::ToSchema)]
pub struct OpenSessionView {
    /// Its id.
    id: String,
    /// Whose session.
    user: String,
    /// Whether it is the one that asks.
    current: bool,
    /// When it began.
    created_at: Time,
    /// When it was last used, to the minute.
    last_used: Time,
    /// When it ends unless it is used.
    expires_at: Time,
    /// The network it was begun from.
    address: Option<String>,
    /// What the browser calls itself.
    client: Option<String>,
}

/// Web sessions that are open: one's own; administrators may ask for another user's.
#[utoipa::path(get, path = "/api/sessions", tag = "session", params(SessionQuery),
    responses((status = OK, body = SessionsView)))]
pub async fn list_sessions(
    State(app): State<Arc<App>>,
    Member(person): Member,
    Params(query): Params<SessionQuery>,
) -> Result<Json<SessionsView>, Problem> {
    let user = query.user.as_deref().unwrap_or(&person.name);
    if user != person.name && person.role < Role::Admin {
        return Err(not_yours("sessions"));
    }
    let open = app.services.accounts.sessions_of(user).await?;
    let view = |record: &WebSessionRecord| OpenSessionView {
        id: hex(&record.id()),
        user: record.user.clone(),
        current: person.session() == Some(record.token_hash),
        created_at: Time(record.created_at),
        last_used: Time(record.last_used),
        expires_at: Time(record.expires_at),
        address: record.address.clone(),
        client: record.client.clone(),
    };
    Ok(Json(SessionsView { sessions: open.iter().map(view).collect() }))
}

/// End a web session: one's own; administrators may end anybody's. Streams that it opened end within ten seconds.
#[utoipa::path(delete, path = "/api/sessions/{id}", tag = "session",
    params(("id" = String, Path, description = "Id of the session")),
    responses((status = NO_CONTENT)))]
pub async fn revoke_session(
    State(app): State<Arc<App>>,
    Member(person): Member,
    peer: Peer,
    PathOf(text): PathOf<String>,
) -> Result<StatusCode, Problem> {
    let id = parse(&text).ok_or_else(unknown_session)?;
    let own = (person.role < Role::Admin).then_some(person.name.as_str());
    let revoked = app.services.accounts.revoke_session(id, own).await?;
    let target = format!("{}/{text}", revoked.as_deref().unwrap_or("-"));
    let revoked = revoked.ok_or_else(unknown_session);
    app.audit(&person, peer, "session.revoke", &target, &revoked).await;
    revoked.map(|_| StatusCode::NO_CONTENT)
}

/// What belongs to another user, and only administrators may list.
pub(super) fn not_yours(what: &str) -> Problem {
    let detail = format!("Only administrators list the {what} of others; leave `user` out for your own.");
    Problem::new(StatusCode::FORBIDDEN, "forbidden", "Not allowed", detail)
}

fn unknown_session() -> Problem {
    Problem::unknown(
        "unknown-session",
        "There is no such session, or it has ended; GET /api/sessions lists yours.",
    )
}

fn hex(id: &SessionId) -> String {
    id.iter().fold(String::new(), |mut text, byte| {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn parse(text: &str) -> Option<SessionId> {
    let mut id = SessionId::default();
    if text.len() != 2 * id.len() || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (index, byte) in id.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(id)
}
