//! Who may do what: the permission table of the API as extractors that a handler names among its arguments.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, StatusCode, header};

use super::App;
use super::problem::Problem;
use crate::accounts::{By, Credential, Person, Role, TOKEN_PREFIX};
use crate::audit::{AuditResult, Entry};

/// May look: anybody who is logged in, and a guest in demo mode.
pub struct Reader(pub Person);

/// May register, change and remove instances, and run commands: operators and administrators.
pub struct Changer(pub Person);

/// Administrators alone.
pub struct Administrator(pub Person);

/// A user at a browser: neither a guest nor a program with an API token.
pub struct Member(pub Person);

/// Anybody who is logged in and sees every instance: for what cannot be told apart by instance.
pub struct Overseer(pub Person);

/// Where a connection comes from; set by the server on every request.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// Whether it came over TLS, here or to a proxy in front that is believed.
    pub tls: bool,
}

impl Peer {
    /// The peer of a request with these extensions; nowhere if the server did not say.
    #[must_use]
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get().copied().unwrap_or_else(Self::nowhere)
    }

    /// Of which nothing is known.
    #[must_use]
    pub fn nowhere() -> Self {
        Self { address: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), tls: false }
    }

    /// Its network address.
    #[must_use]
    pub const fn ip(&self) -> IpAddr {
        self.address.ip()
    }

    /// Name of the session cookie on such a connection. The `__Host-` prefix makes browsers insist on TLS.
    #[must_use]
    pub const fn cookie_name(&self) -> &'static str {
        if self.tls { "__Host-roadstead_session" } else { "roadstead_session" }
    }

    /// Name of the cookie of a browser that has signed in before.
    #[must_use]
    pub const fn device_cookie_name(&self) -> &'static str {
        if self.tls { "__Host-roadstead_device" } else { "roadstead_device" }
    }

    /// Name of the cookie of a browser that signs in at the provider.
    #[must_use]
    pub const fn oidc_cookie_name(&self) -> &'static str {
        if self.tls { "__Host-roadstead_oidc" } else { "roadstead_oidc" }
    }
}

impl FromRequestParts<Arc<App>> for Peer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Problem> {
        Ok(Self::of(&parts.extensions))
    }
}

impl FromRequestParts<Arc<App>> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        logged_in(parts, app).await.map(Self)
    }
}

impl FromRequestParts<Arc<App>> for Changer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let person = logged_in(parts, app).await?;
        require(parts, app, person, Role::Operator).await.map(Self)
    }
}

impl FromRequestParts<Arc<App>> for Administrator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let person = logged_in(parts, app).await?;
        require(parts, app, person, Role::Admin).await.map(Self)
    }
}

impl FromRequestParts<Arc<App>> for Member {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let person = logged_in(parts, app).await?;
        let person = require(parts, app, person, Role::Viewer).await?;
        match person.by {
            By::Session(_) => Ok(Self(person)),
            By::Token { .. } => {
                let detail =
                    "This is done by people, not by programs: log in, and do it without an API token.";
                not_within(parts, app, &person, detail).await;
                Err(Problem::new(StatusCode::FORBIDDEN, "no-tokens", "Not with a token", detail))
            }
        }
    }
}

impl FromRequestParts<Arc<App>> for Overseer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let person = logged_in(parts, app).await?;
        if person.scope.is_everything() {
            return Ok(Self(person));
        }
        let problem = outside(
            &person,
            "What is asked for is about every instance, and you see only some of them; ask an administrator.",
        );
        not_within(parts, app, &person, problem.detail()).await;
        Err(problem)
    }
}

/// Something that is not within the instances that `person` sees.
pub fn outside(person: &Person, detail: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "outside-tags", "Outside your tags", detail)
        .with("tags", person.scope.tags())
}

/// What the request shows to be let in. An API token is looked at instead of a cookie, not beside it.
///
/// # Errors
/// If there is an `Authorization` header that holds no API token.
pub fn credential(headers: &HeaderMap, peer: &Peer) -> Result<Option<Credential>, Problem> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Ok(session_token(headers, peer).map(|token| Credential::Session(token.to_owned())));
    };
    let token = value.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        let token = token.trim();
        (scheme.eq_ignore_ascii_case("bearer") && token.starts_with(TOKEN_PREFIX)).then_some(token)
    });
    token.map(|token| Some(Credential::Token(token.to_owned()))).ok_or_else(wrong_token)
}

fn wrong_token() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "wrong-token",
        "Token refused",
        "The API token is unknown, revoked or expired, or its user is kept out. Make one with POST /api/tokens, and \
         send it as `Authorization: Bearer rst_…`.",
    )
}

/// The session cookie's value, if the request has one.
#[must_use]
pub fn session_token<'a>(headers: &'a HeaderMap, peer: &Peer) -> Option<&'a str> {
    cookie(headers, peer.cookie_name())
}

/// A cookie's value, if the request has it.
#[must_use]
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value)
}

async fn logged_in(parts: &Parts, app: &App) -> Result<Person, Problem> {
    let peer = Peer::of(&parts.extensions);
    let problem = match credential(&parts.headers, &peer) {
        Ok(Some(credential)) => {
            if let Some(person) = app.services.accounts.person(&credential, peer.ip()).await? {
                return Ok(person);
            }
            match credential {
                Credential::Session(_) => Problem::not_logged_in(),
                Credential::Token(_) => wrong_token(),
            }
        }
        Ok(None) => Problem::not_logged_in(),
        Err(problem) => problem,
    };
    // The UI asks who is signed in before it shows its sign-in page: no attempt at anything.
    if parts.uri.path() != "/api/session" && app.may_audit_stranger(peer.ip()) {
        refused(parts, app, "-", "not logged in").await;
    }
    let guests = app.services.accounts.demo_mode();
    let problem = problem.with("guests", guests);
    Err(match &app.services.oidc {
        Some(oidc) => problem.with("provider", oidc.label()),
        None => problem,
    })
}

async fn require(parts: &Parts, app: &App, person: Person, least: Role) -> Result<Person, Problem> {
    if person.role >= least {
        return Ok(person);
    }
    let detail = format!(
        "This needs the role {}; {} has the role {}. Log in as somebody who may.",
        least.as_str(),
        person.name,
        person.role.as_str()
    );
    not_within(parts, app, &person, &detail).await;
    let problem = Problem::new(StatusCode::FORBIDDEN, "forbidden", "Not allowed", detail);
    Err(problem.with("needed_role", least.as_str()).with("role", person.role.as_str()))
}

/// Writes down that somebody asked for more than that person may, as long as it is not a flood.
async fn not_within(parts: &Parts, app: &App, person: &Person, detail: &str) {
    if app.may_audit_refusal(&person.name) {
        refused(parts, app, &person.label(), detail).await;
    }
}

/// Writes down that a request was refused.
pub(super) async fn refused(parts: &Parts, app: &App, who: &str, detail: &str) {
    let entry = Entry {
        who,
        address: Some(Peer::of(&parts.extensions).ip()),
        what: parts.method.as_str(),
        target: Some(parts.uri.path()),
        result: AuditResult::Refused,
        detail: Some(detail),
    };
    app.services.audit.record(entry).await;
}
