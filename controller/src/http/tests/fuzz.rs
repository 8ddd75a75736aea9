//! Whatever is asked of the API, and however: an answer or a problem document, never a failure of ours.

use axum::body::Body;
use axum::http::{Method, Request, header};
use roadstead_protocol::fuzz::{fuzz, text};
use tower::ServiceExt as _;

use super::Site;
use crate::accounts::Role;

/// A site, and a runtime to ask it in.
fn site() -> (tokio::runtime::Runtime, Site, String) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let site = runtime.block_on(Site::open());
    let cookie = runtime.block_on(site.cookie(Role::Admin));
    runtime.block_on(site.register("web"));
    (runtime, site, cookie)
}

#[test]
fn fuzz_paths_and_queries() {
    let (runtime, site, cookie) = site();
    let samples = [
        "/api/events?instance=web&container=e0640a4e3412&kind=container&since=2026-11-20T13:28:34Z&cursor=7&limit=5",
        "/api/commands?instance=web&state=running&unfinished=true&cursor=01999999-0000-7000-8000-000000000001&limit=5",
        "/api/commands/01999999-0000-7000-8000-000000000001/log?from=0&limit=5",
        "/api/audit?cursor=7&limit=5",
        "/api/audit/export?format=csv&after=7",
        "/api/live?watch=web,nas",
        "/api/instances/web/containers/web/lifecycle",
        "/api/join-tokens",
    ];
    let words = [
        "limit=-1",
        "limit=0",
        "cursor=-1",
        "from=18446744073709551615",
        "&&",
        "==",
        "%c3%28",
        "%2e%2e",
        "watch=,,,",
    ];
    fuzz("paths and queries", &text(&samples, &words), |uri| {
        let request = Request::builder().uri(&uri).header(header::COOKIE, &cookie).body(Body::empty());
        let Ok(request) = request else { return false };
        let status = runtime.block_on(site.router.clone().oneshot(request)).unwrap().status();
        assert!(status.as_u16() < 500, "{status}");
        status.is_success()
    });
}

#[test]
fn fuzz_bodies() {
    let (runtime, site, cookie) = site();
    let samples = [
        r#"{"name":"nas","description":"under the desk","environment":"home","tags":["a","b"]}"#,
        r#"{"direction":"outbound","ttl":"15m","uses":2}"#,
        r#"{"project":"shop","services":["web"],"verify_secs":5,"queue_for":"24h"}"#,
    ];
    let words = [
        "\"ttl\":\"18446744073709551615d\"",
        "\"uses\":4294967295",
        "\"name\":\"\\u0000\"",
        "\"tags\":[[]]",
        "0d",
    ];
    fuzz("bodies", &text(&samples, &words), |body| {
        let mut accepted = false;
        for path in ["/api/instances", "/api/join-tokens", "/api/instances/web/sync"] {
            let request = Request::builder()
                .method(Method::POST)
                .uri(path)
                .header(header::COOKIE, &cookie)
                .header(header::CONTENT_TYPE, "application/json")
                .body(Body::from(body.clone()))
                .unwrap();
            let status = runtime.block_on(site.router.clone().oneshot(request)).unwrap().status();
            assert!(status.as_u16() < 500, "{path}: {status}");
            accepted |= status.is_success();
        }
        accepted
    });
}
