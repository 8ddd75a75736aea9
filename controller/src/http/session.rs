//! Logging in and out, and who one is.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};

use super::App;
use super::access::{Peer, Reader, session_token};
use super::extract::Body;
use super::problem::Problem;
use crate::accounts::{ADMIN, GUEST, LoginError, NewSession, Person, SESSION_LENGTH};
use crate::audit::{AuditResult, Entry};

/// Who wants to log in.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    /// User name; `admin` if left out.
    username: Option<String>,
    /// Password.
    password: String,
}

/// Who is logged in.
#[derive(Serialize, utoipa::ToSchema)]
pub struct SessionView {
    /// User name.
    username: String,
    /// `admin`, `operator`, `viewer` or `guest`.
    role: &'static str,
    /// Whether the user may register, change and remove instances and run commands.
    may_change: bool,
    /// Whether guests are let in without a password.
    demo_mode: bool,
    /// Version of the controller.
    version: String,
    /// Name of the controller's host.
    host: String,
    /// Id of the controller's own instance, if it runs an agent for its host.
    this_instance: Option<String>,
}

/// Log in: sets the session cookie.
#[utoipa::path(post, path = "/api/login", tag = "session", request_body = LoginRequest,
    responses((status = OK, body = SessionView)))]
pub async fn log_in(
    State(app): State<Arc<App>>,
    peer: Peer,
    Body(request): Body<LoginRequest>,
) -> Result<Response, Problem> {
    let name = request.username.as_deref().unwrap_or(ADMIN);
    let session = app.services.accounts.log_in(name, request.password, peer.ip()).await;
    finish(&app, peer, name, session).await
}

/// Look around without an account, where the demo mode is on: sets the session cookie.
#[utoipa::path(post, path = "/api/guest-login", tag = "session", responses((status = OK, body = SessionView)))]
pub async fn log_in_guest(State(app): State<Arc<App>>, peer: Peer) -> Result<Response, Problem> {
    let session = app.services.accounts.let_guest_in(peer.ip()).await;
    finish(&app, peer, GUEST, session).await
}

/// Log out: ends the session and takes the cookie back.
#[utoipa::path(post, path = "/api/logout", tag = "session", responses((status = NO_CONTENT)))]
pub async fn log_out(
    State(app): State<Arc<App>>,
    peer: Peer,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if let Some(token) = session_token(&headers, &peer) {
        if let Some(person) = app.services.accounts.person(token).await? {
            audit(&app, peer.ip(), "logout", &person.name, Ok(())).await;
        }
        app.services.accounts.log_out(token).await?;
    }
    let gone = cookie(&peer, "", 0)?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, gone)]).into_response())
}

/// Who is logged in.
#[utoipa::path(get, path = "/api/session", tag = "session", responses((status = OK, body = SessionView)))]
pub async fn session(State(app): State<Arc<App>>, Reader(person): Reader) -> Json<SessionView> {
    Json(view(&app, person))
}

async fn finish(
    app: &App,
    peer: Peer,
    name: &str,
    session: Result<NewSession, LoginError>,
) -> Result<Response, Problem> {
    // Attempts are limited, and each is audited; what is refused without an attempt comes in any number.
    let attempted = matches!(session, Ok(_) | Err(LoginError::Wrong));
    let session = session.map_err(Problem::from);
    if attempted || app.may_audit_stranger(peer.ip()) {
        audit(app, peer.ip(), "login", name, session.as_ref().map(|_| ()).map_err(Problem::detail)).await;
    }
    let session = session?;
    let cookie = cookie(&peer, &session.token, SESSION_LENGTH.as_secs())?;
    Ok(([(header::SET_COOKIE, cookie)], Json(view(app, session.person))).into_response())
}

async fn audit(app: &App, address: IpAddr, what: &str, who: &str, result: Result<(), &str>) {
    let outcome = if result.is_ok() { AuditResult::Done } else { AuditResult::Refused };
    let entry =
        Entry { who, address: Some(address), what, target: None, result: outcome, detail: result.err() };
    app.services.audit.record(entry).await;
}

fn view(app: &App, person: Person) -> SessionView {
    SessionView {
        username: person.name,
        role: person.role.as_str(),
        may_change: person.role.changes(),
        demo_mode: app.services.accounts.demo_mode(),
        version: app.services.about.version.clone(),
        host: app.services.about.name.clone(),
        this_instance: app.services.about.this_instance.as_ref().map(ToString::to_string),
    }
}

fn cookie(peer: &Peer, value: &str, seconds: u64) -> Result<HeaderValue, Problem> {
    let name = peer.cookie_name();
    let secure = if peer.tls { "; Secure" } else { "" };
    let text = format!("{name}={value}; HttpOnly; SameSite=Strict; Path=/; Max-Age={seconds}{secure}");
    HeaderValue::from_str(&text).map_err(|_| Problem::internal())
}
