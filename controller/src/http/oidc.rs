//! Signing in at a provider, as the UI does it: it asks where to go, and afterwards hands in what the provider sent the
//! browser back with. Both are requests of its own page, so that the cookies are those of a page of this controller
//! alone (SameSite=Strict), however the browser came back.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};

use super::App;
use super::access::{self, Peer};
use super::extract::Body;
use super::json::Json;
use super::problem::Problem;
use super::refusals::sentence;
use super::session::{SessionView, cookie, origin, remember, view};
use crate::accounts::{External, ExternalError, ExternalSession, NewSession, Person, network_of};
use crate::audit::{AuditResult, Entry};
use crate::oidc::{Oidc, OidcError, PENDING_FOR, Returned, Vouched};

/// A wish to sign in at the provider.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginRequest {
    /// The page of the UI to come back to, as a path; the front page if left out.
    to: Option<String>,
}

/// Where to sign in.
#[derive(Serialize, utoipa::ToSchema)]
pub struct BegunView {
    /// The provider's page, to which the browser goes.
    location: String,
}

/// What the provider sent the browser back with: the query of the page it came to.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FinishRequest {
    /// Which sign-in it is about.
    state: String,
    /// The code.
    code: Option<String>,
    /// Who answers.
    iss: Option<String>,
    /// Why there is no code.
    error: Option<String>,
    /// The same, for people.
    error_description: Option<String>,
}

/// A session that has begun.
#[derive(Serialize, utoipa::ToSchema)]
pub struct FinishedView {
    /// The session.
    session: SessionView,
    /// The page that was wanted, as a path.
    to: String,
}

/// Who wants in, as far as it is known.
struct Wanting {
    who: String,
    problem: Problem,
}

/// Begin to sign in at the provider: answers where to go. Sets a cookie, by which this browser alone can finish within
/// ten minutes.
#[utoipa::path(post, path = "/api/oidc/begin", tag = "session", request_body = BeginRequest,
    responses((status = OK, body = BegunView)))]
pub async fn begin(
    State(app): State<Arc<App>>,
    peer: Peer,
    headers: HeaderMap,
    Body(request): Body<BeginRequest>,
) -> Result<Response, Problem> {
    let oidc = provider(&app)?;
    app.may_begin(peer.ip()).map_err(Problem::too_many_attempts)?;
    let browser = access::cookie(&headers, peer.oidc_cookie_name());
    let begun = oidc.begin(network_of(peer.ip()), browser, request.to.as_deref()).await?;
    let mut answer = Json(BegunView { location: begun.location }).into_response();
    let kept = cookie(&peer, peer.oidc_cookie_name(), &begun.browser, PENDING_FOR.as_secs())?;
    answer.headers_mut().append(header::SET_COOKIE, kept);
    Ok(answer)
}

/// Finish to sign in at the provider: sets the session cookie.
#[utoipa::path(post, path = "/api/oidc/finish", tag = "session", request_body = FinishRequest,
    responses((status = OK, body = FinishedView)))]
pub async fn finish(
    State(app): State<Arc<App>>,
    peer: Peer,
    headers: HeaderMap,
    Body(request): Body<FinishRequest>,
) -> Result<Response, Problem> {
    let oidc = provider(&app)?;
    let browser = access::cookie(&headers, peer.oidc_cookie_name());
    let FinishRequest { state, code, iss, error, error_description } = request;
    let returned = Returned { state, code, iss, error, error_description };
    let entered = match oidc.finish(browser, returned).await {
        Ok(vouched) => enter(&app, oidc, peer, &headers, vouched).await,
        Err(error) => Err(Wanting { who: "-".to_owned(), problem: error.into() }),
    };
    match entered {
        Ok((session, to)) => {
            audit(&app, oidc, peer, &session.person.name, "login", None).await;
            let shown = FinishedView { session: view(&app, session.person.clone()), to };
            remember(Json(shown).into_response(), &peer, &session)
        }
        Err(Wanting { who, problem }) => {
            // Whoever was not vouched for may be anybody, in any number.
            if who != "-" || app.may_audit_stranger(peer.ip()) {
                audit(&app, oidc, peer, &who, "login", Some(&problem)).await;
            }
            Err(problem)
        }
    }
}

/// Lets in whom the provider vouches for, if a group does.
async fn enter(
    app: &App,
    oidc: &Oidc,
    peer: Peer,
    headers: &HeaderMap,
    vouched: Vouched,
) -> Result<(NewSession, String), Wanting> {
    let Vouched { subject, name, access, to } = vouched;
    let accounts = &app.services.accounts;
    let Some(access) = access else {
        let lapsed = accounts.lapse_external(oidc.issuer(), &subject).await;
        let lapsed = lapsed.map_err(|error| Wanting { who: name.clone(), problem: error.into() })?;
        if let Some(user) = lapsed {
            changed(app, oidc, peer, "user.change", &format!("{user} disabled=true")).await;
        }
        return Err(Wanting { problem: in_no_group(&name), who: name });
    };
    let issuer = oidc.issuer().to_owned();
    let person = External { issuer, subject, name: name.clone(), role: access.role, tags: access.tags };
    match accounts.let_external_in(person, origin(headers, &peer)).await {
        Ok(ExternalSession { session, change }) => {
            if let Some(what) = change {
                changed(app, oidc, peer, what, &described(&session.person)).await;
            }
            Ok((session, to))
        }
        Err(error) => Err(Wanting { who: name, problem: error.into() }),
    }
}

/// Writes down what the provider changed about a user.
async fn changed(app: &App, oidc: &Oidc, peer: Peer, what: &str, target: &str) {
    let (who, address) = (oidc.issuer(), Some(peer.ip()));
    let entry = Entry { who, address, what, target: Some(target), result: AuditResult::Done, detail: None };
    app.services.audit.record(entry).await;
}

async fn audit(app: &App, oidc: &Oidc, peer: Peer, who: &str, what: &str, problem: Option<&Problem>) {
    let result = match problem {
        None => AuditResult::Done,
        Some(problem) if problem.is_ours() => AuditResult::Failed,
        Some(_) => AuditResult::Refused,
    };
    let (address, target) = (Some(peer.ip()), Some(oidc.issuer()));
    let entry = Entry { who, address, what, target, result, detail: problem.map(Problem::detail) };
    app.services.audit.record(entry).await;
}

fn described(person: &Person) -> String {
    format!("{} role={} tags={}", person.name, person.role.as_str(), person.scope.tags().join(","))
}

fn provider(app: &App) -> Result<&Oidc, Problem> {
    app.services.oidc.as_deref().ok_or_else(|| {
        Problem::unknown(
            "no-provider",
            "This controller has no provider to sign in at; ROADSTEAD_OIDC_ISSUER names one. Log in with a password.",
        )
    })
}

fn in_no_group(name: &str) -> Problem {
    let name: String = name.chars().filter(|c| !c.is_control()).collect();
    let detail = format!(
        "You signed in as {name}, and none of your groups lets you in here. Ask an administrator to add you to one, \
         then sign in again."
    );
    Problem::new(StatusCode::FORBIDDEN, "in-no-group", "In no group", detail)
}

impl From<OidcError> for Problem {
    fn from(error: OidcError) -> Self {
        let detail = sentence(&error.to_string());
        match error {
            OidcError::Authorities(_) | OidcError::Unreachable { .. } | OidcError::Unfit(_) => {
                tracing::warn!(%error, "somebody could not sign in at the provider");
                Self::new(StatusCode::BAD_GATEWAY, "provider", "Provider", detail)
            }
            OidcError::Untrue(_) => {
                tracing::warn!(%error, "somebody could not sign in at the provider");
                Self::new(StatusCode::FORBIDDEN, "provider-untrue", "Answer not trusted", detail)
            }
            OidcError::Denied(_) => {
                Self::new(StatusCode::FORBIDDEN, "provider-denied", "Not signed in", detail)
            }
            OidcError::NotBegun => {
                Self::new(StatusCode::FORBIDDEN, "sign-in-not-begun", "Sign-in not begun", detail)
            }
            OidcError::TooMany => Self::busy(detail, 60),
        }
    }
}

impl From<ExternalError> for Problem {
    fn from(error: ExternalError) -> Self {
        let detail = sentence(&error.to_string());
        match error {
            ExternalError::KeptOut(_) => Self::new(StatusCode::FORBIDDEN, "kept-out", "Kept out", detail),
            ExternalError::LastAdmin(_) => {
                Self::new(StatusCode::FORBIDDEN, "last-admin", "Last administrator", detail)
            }
            ExternalError::TooMany => {
                Self::new(StatusCode::FORBIDDEN, "too-many-users", "Too many users", detail)
            }
            ExternalError::Store(error) => error.into(),
        }
    }
}
