//! Who may do what: the permission table of the API as extractors that a handler names among its arguments.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};

use super::App;
use super::problem::Problem;
use crate::accounts::{Person, Role};
use crate::audit::{AuditResult, Entry};

/// May look: anybody who is logged in, and a guest in demo mode.
pub struct Reader(pub Person);

/// May register, change and remove instances, and run commands: operators and administrators.
pub struct Changer(pub Person);

/// Administrators alone.
pub struct Administrator(pub Person);

/// Where a connection comes from; set by the server on every request.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// Whether it came over TLS, here or to a web server in front that is believed.
    pub tls: bool,
    /// Whether nobody on the way reads along: TLS, or this host.
    pub private: bool,
}

impl Peer {
    /// The peer of a request; nowhere if the server did not say.
    #[must_use]
    pub fn of(parts: &Parts) -> Self {
        parts.extensions.get().copied().unwrap_or_else(Self::nowhere)
    }

    /// Of which nothing is known.
    #[must_use]
    pub fn nowhere() -> Self {
        Self { address: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), tls: false, private: false }
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
}

impl FromRequestParts<Arc<App>> for Peer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Problem> {
        Ok(Self::of(parts))
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

/// The session cookie's value, if the request has one.
#[must_use]
pub fn session_token<'a>(headers: &'a HeaderMap, peer: &Peer) -> Option<&'a str> {
    let name = peer.cookie_name();
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
    let peer = Peer::of(parts);
    if let Some(token) = session_token(&parts.headers, &peer)
        && let Some(person) = app.services.accounts.person(token).await?
    {
        return Ok(person);
    }
    // The UI asks who is signed in before it shows its sign-in page: no attempt at anything.
    if parts.uri.path() != "/api/session" && app.may_audit_stranger(peer.ip()) {
        refused(parts, app, "-", "not logged in").await;
    }
    let guests = app.services.accounts.demo_mode();
    Err(Problem::not_logged_in().with("guests", guests))
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
    refused(parts, app, &person.name, &detail).await;
    let problem = Problem::new(StatusCode::FORBIDDEN, "forbidden", "Not allowed", detail);
    Err(problem.with("needed_role", least.as_str()).with("role", person.role.as_str()))
}

/// Writes down that a request was refused.
pub(super) async fn refused(parts: &Parts, app: &App, who: &str, detail: &str) {
    let entry = Entry {
        who,
        address: Some(Peer::of(parts).ip()),
        what: parts.method.as_str(),
        target: Some(parts.uri.path()),
        result: AuditResult::Refused,
        detail: Some(detail),
    };
    app.services.audit.record(entry).await;
}
