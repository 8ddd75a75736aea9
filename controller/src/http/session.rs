//! Logging in and out, and who one is.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};

use super::App;
use super::access::{self, Peer, Reader, session_token};
use super::extract::Body;
use super::instances::host;
use super::json::Json;
use super::problem::Problem;
use crate::accounts::{ADMIN, By, Credential, GUEST, Login, LoginError, NewSession, Origin, Person};
use crate::audit::{AuditResult, Entry};

/// How long a browser is remembered as one that has signed in.
const DEVICE_COOKIE: Duration = Duration::from_secs(400 * 24 * 3600);

/// Who the audit log says tried, where no user has the name: often it is a password, typed a field too early, and what is
/// in that log stays there.
const UNKNOWN: &str = "an unknown user";

/// Who wants to log in.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    /// User name; `admin` if left out.
    username: Option<String>,
    /// Password.
    password: String,
    /// Code of the second factor, where the account has one, or a recovery code.
    code: Option<String>,
}

/// Who is logged in.
#[derive(Serialize, utoipa::ToSchema)]
pub struct SessionView {
    /// User name.
    username: String,
    /// `admin`, `operator`, `viewer` or `guest`.
    role: &'static str,
    /// The instances' tags that the user is limited to; empty if all are seen.
    tags: Vec<String>,
    /// Whether this is an API token's answer.
    token: bool,
    /// Whether the user may register, change and remove instances and run commands.
    may_change: bool,
    /// Whether guests are let in without a password.
    demo_mode: bool,
    /// What people know the provider as that they may sign in at, if there is one.
    provider: Option<String>,
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
    headers: HeaderMap,
    Body(request): Body<LoginRequest>,
) -> Result<Response, Problem> {
    let name = request.username.unwrap_or_else(|| ADMIN.to_owned());
    let from = origin(&headers, &peer);
    let login = Login { name: name.clone(), password: request.password, code: request.code, from };
    let session = app.services.accounts.log_in(login).await;
    let known = session.is_ok() || app.services.store.user(&name.to_lowercase()).await?.is_some();
    finish(&app, peer, if known { name.as_str() } else { UNKNOWN }, session).await
}

/// Look around without an account, where the demo mode is on: sets the session cookie.
#[utoipa::path(post, path = "/api/guest-login", tag = "session", responses((status = OK, body = SessionView)))]
pub async fn log_in_guest(
    State(app): State<Arc<App>>,
    peer: Peer,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let session = app.services.accounts.let_guest_in(origin(&headers, &peer)).await;
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
        let credential = Credential::Session(token.to_owned());
        if let Some(person) = app.services.accounts.person(&credential, peer.ip()).await? {
            audit(&app, peer.ip(), "logout", &person.name, Ok(())).await;
        }
        app.services.accounts.log_out(token).await?;
    }
    let gone = cookie(&peer, peer.cookie_name(), "", 0)?;
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
    let attempted = matches!(session, Ok(_) | Err(LoginError::Wrong | LoginError::WrongCode));
    let session = session.map_err(Problem::from);
    if attempted || app.may_audit_stranger(peer.ip()) {
        audit(app, peer.ip(), "login", name, session.as_ref().map(|_| ()).map_err(Problem::detail)).await;
    }
    let session = session?;
    remember(Json(view(app, session.person.clone())).into_response(), &peer, &session)
}

/// The answer with the cookies of a session that has begun.
pub(super) fn remember(mut answer: Response, peer: &Peer, session: &NewSession) -> Result<Response, Problem> {
    let cookies = answer.headers_mut();
    let begun = cookie(peer, peer.cookie_name(), &session.token, session.life.as_secs())?;
    cookies.append(header::SET_COOKIE, begun);
    if let Some(device) = &session.device {
        let known = cookie(peer, peer.device_cookie_name(), device, DEVICE_COOKIE.as_secs())?;
        cookies.append(header::SET_COOKIE, known);
    }
    Ok(answer)
}

async fn audit(app: &App, address: IpAddr, what: &str, who: &str, result: Result<(), &str>) {
    let outcome = if result.is_ok() { AuditResult::Done } else { AuditResult::Refused };
    let entry =
        Entry { who, address: Some(address), what, target: None, result: outcome, detail: result.err() };
    app.services.audit.record(entry).await;
}

/// Somebody's session as the API tells of it.
pub(super) fn view(app: &App, person: Person) -> SessionView {
    let this = app.services.about.this_instance.as_ref();
    let this = this.filter(|id| person.scope.is_everything() || host(app, &person, id).is_ok());
    SessionView {
        tags: person.scope.tags(),
        token: matches!(person.by, By::Token { .. }),
        username: person.name,
        role: person.role.as_str(),
        may_change: person.role.changes(),
        demo_mode: app.services.accounts.demo_mode(),
        provider: app.services.oidc.as_ref().map(|oidc| oidc.label().to_owned()),
        version: app.services.about.version.clone(),
        host: app.services.about.name.clone(),
        this_instance: this.map(ToString::to_string),
    }
}

/// Where a request to sign in comes from.
pub(super) fn origin(headers: &HeaderMap, peer: &Peer) -> Origin {
    let client = headers.get(header::USER_AGENT).and_then(|name| name.to_str().ok()).map(str::to_owned);
    let device = access::cookie(headers, peer.device_cookie_name()).map(str::to_owned);
    Origin { address: peer.ip(), client, device }
}

/// A cookie for this browser and this site's own requests alone.
pub(super) fn cookie(peer: &Peer, name: &str, value: &str, seconds: u64) -> Result<HeaderValue, Problem> {
    let secure = if peer.tls { "; Secure" } else { "" };
    let text = format!("{name}={value}; HttpOnly; SameSite=Strict; Path=/; Max-Age={seconds}{secure}");
    HeaderValue::from_str(&text).map_err(|_| Problem::internal())
}
