//! The permission table: every route of the API's own description, for everybody there is.

use std::collections::BTreeMap;

use axum::http::Method;
use serde_json::{Value, json};

use super::{Site, request};
use crate::accounts::Role;

/// The least that may call each route: none for everybody. A route that is missing here fails the test.
fn table() -> BTreeMap<&'static str, Option<Role>> {
    let (open, look, change) = (None, Some(Role::Guest), Some(Role::Operator));
    BTreeMap::from([
        ("get /", open),
        ("get /health", open),
        ("get /metrics", look),
        ("get /api/openapi.json", open),
        ("post /api/login", open),
        ("post /api/guest-login", open),
        ("post /api/logout", open),
        ("get /api/session", look),
        ("get /api/instances", look),
        ("post /api/instances", change),
        ("get /api/instances/{id}", look),
        ("patch /api/instances/{id}", change),
        ("delete /api/instances/{id}", change),
        ("get /api/instances/{id}/health", look),
        ("get /api/instances/{id}/containers", look),
        ("get /api/instances/{id}/containers/{container}/lifecycle", look),
        ("get /api/instances/{id}/projects", look),
        ("post /api/instances/{id}/containers/{container}/{action}", change),
        ("post /api/instances/{id}/sync", change),
        ("post /api/instances/{id}/check", change),
        ("post /api/instances/{id}/install", change),
        ("post /api/instances/{id}/reinstall", change),
        ("get /api/commands", look),
        ("get /api/commands/{id}", look),
        ("delete /api/commands/{id}", change),
        ("get /api/commands/{id}/log", look),
        ("get /api/events", look),
        ("get /api/live", look),
        ("get /api/join-tokens", change),
        ("post /api/join-tokens", change),
        ("delete /api/join-tokens/{id}", change),
        ("get /api/audit", Some(Role::Admin)),
        ("get /api/audit/export", Some(Role::Admin)),
    ])
}

fn described_routes() -> Vec<String> {
    let document: Value = serde_json::from_str(&super::super::openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let routes = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().keys();
        methods.map(move |method| format!("{method} {path}"))
    });
    routes.collect()
}

#[test]
fn every_route_has_a_row_and_every_row_a_route() {
    let described = described_routes();
    let table = table();
    for route in &described {
        assert!(table.contains_key(route.as_str()), "{route} is missing in the permission table");
    }
    for route in table.keys() {
        assert!(described.iter().any(|described| described == route), "{route} is not a route");
    }
}

#[tokio::test]
async fn everybody_may_do_what_the_table_says_and_no_more() {
    let site = Site::with_demo_mode(true).await;
    let everybody = [None, Some(Role::Guest), Some(Role::Viewer), Some(Role::Operator), Some(Role::Admin)];
    for (route, least) in table() {
        let (method, path) = route.split_once(' ').unwrap();
        let method: Method = method.to_uppercase().parse().unwrap();
        // Nothing by these ids exists: whoever may ask is told so.
        let path = path
            .replace("{id}", "00000000-0000-7000-8000-000000000000")
            .replace("{container}", "web")
            .replace("{action}", "stop");
        for role in everybody {
            let cookie = match role {
                Some(role) => site.cookie(role).await,
                None => String::new(),
            };
            // A body that fits no route, so that whoever may change things changes nothing.
            let body = (method != Method::GET).then(|| json!({ "no_such_field": 1 }));
            let request = request(method.clone(), &path, &cookie, body);
            let status = if path == "/api/live" {
                // Its body never ends.
                tower::ServiceExt::oneshot(site.router.clone(), request).await.unwrap().status()
            } else {
                site.send(request).await.status
            };
            let expected = match (least, role) {
                (Some(_), None) => Some(401),
                (Some(least), Some(role)) if role < least => Some(403),
                _ => None,
            };
            match expected {
                Some(expected) => assert_eq!(status, expected, "{route} as {role:?}"),
                None => assert!(
                    !matches!(status.as_u16(), 401 | 403 | 405 | 500..),
                    "{route} as {role:?}: {status}"
                ),
            }
        }
    }
}

#[tokio::test]
async fn a_refusal_is_in_the_audit_log() {
    let site = Site::open().await;
    let cookie = site.cookie(Role::Viewer).await;
    site.send(request(Method::DELETE, "/api/instances/web-1", &cookie, None)).await.problem(403, "forbidden");
    site.send(request(Method::GET, "/api/instances", "", None)).await.problem(401, "not-logged-in");
    let entries = site.get("/api/audit").await.json()["entries"].clone();
    assert_eq!(entries[0]["target"], "/api/instances");
    assert_eq!(entries[0]["result"], "refused");
    assert_eq!(entries[1]["who"], "viewer");
    assert_eq!(entries[1]["what"], "DELETE");
    assert_eq!(entries[1]["target"], "/api/instances/web-1");
}

#[tokio::test]
async fn a_flood_of_strangers_does_not_fill_the_audit_log() {
    let site = Site::open().await;
    for _ in 0..50 {
        site.send(request(Method::GET, "/api/instances", "", None)).await.problem(401, "not-logged-in");
    }
    let entries = site.get("/api/audit").await.json()["entries"].as_array().unwrap().len();
    assert!(entries <= 11, "{entries} entries");
}
