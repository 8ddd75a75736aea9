//! What holds for every request: deadline, panics, forged origins, security headers, counting.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;

use super::access::{Peer, refused};
use super::problem::Problem;
use super::{App, extract, proxied};

/// How long a request may take until its answer begins; streams go on after that.
const DEADLINE: Duration = Duration::from_secs(30);

/// What an answer that is no page may load: nothing.
const API_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

const HEADERS: [(HeaderName, HeaderValue); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("permissions-policy"), HeaderValue::from_static("interest-cohort=()")),
];

/// The outermost layer around every route.
pub async fn guard(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    if let Some(peer) = request.extensions().get::<Peer>().copied() {
        let peer = proxied::behind(peer, request.headers(), &app.services.about.trusted_proxies);
        request.extensions_mut().insert(peer);
    }
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let peer = Peer::of(request.extensions());
    let turn = app.begin_request(peer.ip());
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let tls = peer.tls;
    let mut response = match refuse_forged(&request, tls) {
        Some(problem) => {
            let (parts, _) = request.into_parts();
            if app.may_audit_stranger(peer.ip()) {
                refused(&parts, &app, "-", problem.detail()).await;
            }
            problem.into_response()
        }
        None if turn.is_none() && path != "/agent" => too_many().into_response(),
        None => answer(&app, request, next).await,
    };
    drop(turn);
    let route = route.as_deref().unwrap_or("unmatched");
    app.metrics.count_request(&method, route, response.status());
    // Not what follows the path: others put secrets there.
    tracing::debug!(%method, path, status = response.status().as_u16(), "answered a request");
    harden(response.headers_mut(), tls);
    response
}

fn too_many() -> Problem {
    Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too-many-requests",
        "Too many requests at once",
        "Too many requests from your network wait for their answer; ask again when some have theirs.",
    )
    .retry_after(1)
}

/// Whoever asks for a change may hang up before it is answered; it is carried through to its end, and into the audit
/// log, all the same. What only looks ends with the one who looks.
async fn answer(app: &App, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let changes = !request.method().is_safe();
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
    let answered = if changes {
        let change = app.changes.spawn(answer);
        tokio::time::timeout(DEADLINE, change).await.map(|ended| ended.map_err(drop))
    } else {
        tokio::time::timeout(DEADLINE, answer).await.map(Ok)
    };
    match answered {
        Ok(Ok(Ok(response))) => response,
        Ok(Ok(Err(_)) | Err(())) => {
            tracing::error!(path, "a request handler panicked; please report it");
            Problem::internal().into_response()
        }
        Err(_elapsed) => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "deadline",
            "Took too long",
            format!("The controller had no answer after {} s; try again later.", DEADLINE.as_secs()),
        )
        .retry_after(10)
        .into_response(),
    }
}

/// A request that another site's page made in a visitor's browser: one that changes something, or that the API
/// would answer. Links to pages, and to what anybody may read, may be anywhere.
fn refuse_forged(request: &Request, tls: bool) -> Option<Problem> {
    let changes = !request.method().is_safe();
    let path = request.uri().path();
    if !changes && !path.starts_with("/api/") {
        return None;
    }
    let headers = request.headers();
    let followed = changes || path == "/api/live" || path.ends_with("/log");
    let cross_site = followed && headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site");
    let foreign = headers.get(header::ORIGIN).is_some_and(|origin| !is_own(origin, headers, tls));
    if cross_site || foreign {
        return Some(Problem::new(
            StatusCode::FORBIDDEN,
            "foreign-origin",
            "Foreign origin",
            "The request comes from another site's page. Open the controller by its own address; behind a proxy, \
             let the proxy pass the Host header on.",
        ));
    }
    (changes && has_body(headers) && !extract::is_json(headers)).then(extract::not_json)
}

/// Whether `Origin` names the host that the request was sent to. Without TLS here a proxy in front may have it, so
/// that either scheme will do.
fn is_own(origin: &HeaderValue, headers: &HeaderMap, tls: bool) -> bool {
    let (Ok(origin), Some(Ok(host))) = (origin.to_str(), headers.get(header::HOST).map(HeaderValue::to_str))
    else {
        return false;
    };
    match origin.split_once("://") {
        Some(("https", authority)) => authority.eq_ignore_ascii_case(host),
        Some(("http", authority)) => !tls && authority.eq_ignore_ascii_case(host),
        _ => false,
    }
}

fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(header::TRANSFER_ENCODING)
        || headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0")
}

fn harden(headers: &mut HeaderMap, tls: bool) {
    for (name, value) in HEADERS {
        headers.insert(name, value);
    }
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(API_POLICY);
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if tls {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
}
