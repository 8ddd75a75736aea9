//! `/agent`: where agents come in through a web server that ends TLS in front of this one.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse as _;
use hyper::upgrade::OnUpgrade;

use super::App;
use super::access::Peer;
use super::problem::Problem;
use crate::accounts::network_of;
use crate::relayed::{self, Relayed};

/// How soon an agent for which there is no room may come back, in seconds.
const COME_BACK: u64 = 5;

/// Takes an agent's link. Who it is, is decided by its secret and its hello, on the agents' side.
pub async fn take_link(State(app): State<Arc<App>>, mut request: Request) -> axum::response::Response {
    match take(&app, &mut request).await {
        Ok(answer) => answer.into_response(),
        Err(problem) => problem.into_response(),
    }
}

async fn take(app: &App, request: &mut Request) -> Result<Response<Body>, Problem> {
    let peer: Peer = request.extensions().get().copied().unwrap_or_else(Peer::nowhere);
    let headers = request.headers();
    if !(has_word(headers, &header::UPGRADE, "websocket")
        && has_word(headers, &header::CONNECTION, "upgrade"))
    {
        return Err(not_a_link());
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(not_a_link());
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).ok_or_else(not_a_link)?;
    let accept = HeaderValue::try_from(relayed::accept_key(key.as_bytes())).map_err(|_| not_a_link())?;
    // What a proxy on this host passes on has gone through no network.
    if !peer.tls && !peer.ip().to_canonical().is_loopback() {
        return Err(in_the_clear());
    }
    let mut secrets = headers.get_all(header::AUTHORIZATION).iter();
    let secret = secrets.next().and_then(|value| value.to_str().ok()).and_then(relayed::filed);
    let (Some(filed), None) = (secret, secrets.next()) else { return Err(no_secret()) };
    let known = app.services.store.instance_by_key(filed).await?.is_some();
    // A stranger may have a join token; but no more of them come in than may try to sign in.
    if !known && !app.may_knock(peer.ip()) {
        return Err(too_many());
    }
    let place = app.services.relay.place((!known).then(|| network_of(peer.ip()))).map_err(|_| too_many())?;
    let upgrade = request.extensions_mut().remove::<OnUpgrade>().ok_or_else(not_a_link)?;
    let relayed = Relayed { upgrade, peer: filed, remote: peer.address, place };
    app.services.relay.hand_over(relayed).map_err(|_| too_many())?;
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    Ok(answer)
}

/// Whether a list of words in a header has `word`.
fn has_word(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|found| found.trim().eq_ignore_ascii_case(word))
}

fn not_a_link() -> Problem {
    Problem::new(
        StatusCode::UPGRADE_REQUIRED,
        "not-a-link",
        "Not a link",
        "Only agents come in here, as a WebSocket. A web server in front has to pass the headers Upgrade and \
         Connection on.",
    )
}

fn no_secret() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "no-agent-secret",
        "No agent's secret",
        "An agent shows its secret here, once, in the header Authorization; a web server in front has to pass it on.",
    )
}

fn in_the_clear() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "in-the-clear",
        "Not without TLS",
        "An agent's secret does not go through a network in the clear. Where a web server ends TLS on another host, \
         name its network in ROADSTEAD_TRUSTED_PROXIES, and let it set X-Forwarded-Proto.",
    )
}

fn too_many() -> Problem {
    Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too-many-agents",
        "Too many at once",
        "Too many agents are on their way in; an agent comes back by itself.",
    )
    .retry_after(COME_BACK)
}
