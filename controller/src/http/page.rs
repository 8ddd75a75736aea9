//! The page that stands in for the web UI where that was not built, and the answers for paths and methods that do not exist.

use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::problem::Problem;

const STYLE: &str = "body{max-width:40rem;margin:4rem auto;padding:0 1rem;font:1rem/1.5 system-ui,sans-serif;\
color-scheme:light dark}code{font-size:.95em}";

/// The front page of a controller that was built without the web UI: says how to build it.
pub fn not_built() -> Response {
    let style_hash = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style_hash}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Roadstead</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head><body>\
         <h1>Roadstead</h1>\
         <p>This is a Roadstead controller: one picture of many Docker hosts, and a way to act on them.</p>\
         <p>It was built without its web UI. Build that, then the controller again: \
         <code>(cd controller/web &amp;&amp; npm ci &amp;&amp; npm run build) &amp;&amp; cargo build</code>; \
         <code>make run</code> does both.</p>\
         <p>Its API is described in <a href=\"/api/openapi.json\">/api/openapi.json</a>. \
         Log in with <code>POST /api/login</code>; <code>GET /api/instances</code> then lists the hosts, and \
         <code>GET /api/live</code> follows them.</p>\
         <p><a href=\"/health\">/health</a> says whether the controller works.</p></body></html>\n"
    );
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(page)).into_response()
}

/// Answers for a path that is not there.
pub fn no_such_route(uri: &Uri) -> Problem {
    let path: String = uri.path().chars().take(200).collect();
    Problem::unknown(
        "no-such-route",
        format!("There is nothing at {path}; /api/openapi.json lists every route."),
    )
}

/// Answers for a path that is there, but not with this method.
pub async fn no_such_method(method: Method, uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(200).collect();
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "no-such-method",
        "Method not allowed",
        format!(
            "{path} cannot be asked with {method}; the Allow header and /api/openapi.json say what it takes."
        ),
    )
}
