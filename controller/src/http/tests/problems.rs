//! Everything that can be wrong with a request answers with a problem document that says what to do.

use axum::body::Body;
use axum::http::{Method, Request, header};
use serde_json::{Value, json};

use super::{Site, request};
use crate::accounts::Role;

#[tokio::test]
async fn the_description_is_valid_and_names_its_schemas() {
    let document: Value = serde_json::from_str(&super::super::openapi()).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert_eq!(document["info"]["title"], "Roadstead");
    let mut operations = Vec::new();
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            assert!(operation["responses"]["default"].is_object(), "{operation}");
            operations.push(operation["operationId"].as_str().unwrap().to_owned());
        }
    }
    let count = operations.len();
    operations.sort();
    operations.dedup();
    assert_eq!(operations.len(), count, "operation ids must differ");
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let text = document.to_string();
    for reference in text.split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name} is referred to and not described");
    }
}

#[tokio::test]
async fn bodies_that_do_not_fit() {
    let site = Site::open().await;
    let cookie = site.cookie(Role::Admin).await;
    let send = |body: &'static str| {
        let request = Request::post("/api/instances")
            .header(header::COOKIE, &cookie)
            .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
            .body(Body::from(body))
            .unwrap();
        site.send(request)
    };
    let malformed = send("{\n  \"name\": oops }").await.problem(400, "malformed");
    assert_eq!((&malformed["line"], &malformed["column"]), (&json!(2), &json!(11)));
    let unknown = send(r#"{"name": "a", "colour": "red"}"#).await.problem(422, "invalid");
    assert!(unknown["detail"].as_str().unwrap().contains("unknown field `colour`"));
    send(r#"{"name": 1}"#).await.problem(422, "invalid");
    send("").await.problem(400, "malformed");
    let deep = format!("{{\"name\": {}", "[".repeat(100_000)).leak();
    send(deep).await.problem(422, "invalid");

    let huge = Body::from(vec![b' '; super::super::extract::MAX_BODY + 1]);
    let huge = Request::post("/api/instances")
        .header(header::COOKIE, &cookie)
        .header(header::CONTENT_TYPE, "application/json")
        .body(huge)
        .unwrap();
    site.send(huge).await.problem(413, "too-large");
}

#[tokio::test]
async fn bodies_that_are_not_json() {
    let site = Site::open().await;
    let cookie = site.cookie(Role::Admin).await;
    for path in ["/api/instances", "/api/login", "/api/logout", "/api/instances/x/sync"] {
        let form = Request::post(path)
            .header(header::COOKIE, &cookie)
            .header(header::CONTENT_TYPE, "text/plain")
            .header(header::CONTENT_LENGTH, 2)
            .body(Body::from("{}"))
            .unwrap();
        site.send(form).await.problem(415, "not-json");
    }
}

#[tokio::test]
async fn paths_methods_ids_and_queries_that_do_not_exist() {
    let site = Site::open().await;
    site.get("/api/nothing").await.problem(404, "no-such-route");
    let wrong_method = site.post("/api/events", json!({})).await;
    wrong_method.problem(405, "no-such-method");
    assert_eq!(wrong_method.headers[header::ALLOW], "GET,HEAD");
    site.get("/api/instances/no-such").await.problem(404, "unknown-instance");
    site.get("/api/instances/NO_SUCH").await.problem(400, "malformed");
    site.get("/api/instances/%ff").await.problem(400, "malformed");
    site.get("/api/commands/7").await.problem(400, "malformed");
    let id = "00000000-0000-7000-8000-000000000000";
    site.get(&format!("/api/commands/{id}")).await.problem(404, "unknown-command");
    site.get(&format!("/api/commands/{id}/log")).await.problem(404, "unknown-command");
    site.get("/api/events?since=yesterday").await.problem(400, "malformed");
    site.get("/api/events?colour=red").await.problem(400, "malformed");
    site.get("/api/commands?state=sleeping").await.problem(400, "malformed");
    site.get("/api/live?watch=NO_SUCH").await.problem(422, "invalid");
}

#[tokio::test]
async fn requests_from_other_sites() {
    let site = Site::open().await;
    let cookie = site.cookie(Role::Admin).await;
    let send = |name: &'static str, value: &'static str| {
        let mut request = request(Method::POST, "/api/logout", &cookie, None);
        request.headers_mut().insert(header::HOST, "roadstead.example.org:8080".parse().unwrap());
        request.headers_mut().insert(name, value.parse().unwrap());
        site.send(request)
    };
    send("origin", "http://evil.example.org").await.problem(403, "foreign-origin");
    send("origin", "null").await.problem(403, "foreign-origin");
    send("origin", "http://roadstead.example.org").await.problem(403, "foreign-origin");
    send("sec-fetch-site", "cross-site").await.problem(403, "foreign-origin");
    assert_eq!(send("origin", "http://roadstead.example.org:8080").await.status, 204);
    assert_eq!(send("sec-fetch-site", "same-origin").await.status, 204);
    let entries = site.get("/api/audit").await.json()["entries"].clone();
    let refused = entries.as_array().unwrap().iter().filter(|entry| entry["result"] == "refused");
    assert_eq!(refused.count(), 4);
}

#[tokio::test]
async fn every_answer_is_hardened() {
    let site = Site::open().await;
    for path in ["/health", "/api/instances", "/api/nothing", "/api/openapi.json"] {
        let answer = site.get(path).await;
        let policy = answer.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
        assert_eq!(answer.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(answer.headers[header::REFERRER_POLICY], "no-referrer");
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
        assert!(!answer.headers.contains_key(header::STRICT_TRANSPORT_SECURITY));
    }
    let page = site.get("/").await;
    let policy = page.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"));
    assert_eq!(page.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    // Built with the web UI it is that, and names the API where scripts do not run; without, it says so.
    assert!(page.text.contains("/api/openapi.json"));
}

#[tokio::test]
async fn metrics_and_health() {
    let site = Site::open().await;
    site.register("one").await;
    assert_eq!(site.get("/health").await.json()["status"], "ok");
    let metrics = site.get("/metrics").await.text;
    for line in [
        r#"roadstead_instances{link="never",health="unknown"} 1"#,
        r#"roadstead_commands{state="running"} 0"#,
        r#"roadstead_http_requests_total{method="GET",route="/health",status="200"} 1"#,
        r#"roadstead_build_info{version="1.2.3"} 1"#,
        "roadstead_web_sessions 1",
        "roadstead_live_connections 0",
    ] {
        assert!(metrics.contains(line), "{line} is missing in\n{metrics}");
    }
}

#[tokio::test]
async fn metrics_need_a_login_unless_the_operator_opens_them() {
    let site = Site::open().await;
    let ask = async |site: &Site| {
        let mut request = request(Method::GET, "/metrics", "", None);
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
        request.extensions_mut().insert(super::super::access::Peer { address, tls: false });
        site.send(request).await
    };
    ask(&site).await.problem(401, "not-logged-in");
    let mut services = site.services.clone();
    services.about.open_metrics = true;
    let site = Site { router: super::router(services, site.ending.clone()), ..site };
    assert_eq!(ask(&site).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn handlers_that_panic_or_never_answer() {
    let site = Site::open().await;
    let app = std::sync::Arc::new(super::super::App::new(site.services.clone(), site.ending.clone()));
    let layer = axum::middleware::from_fn_with_state(app, super::super::guard::guard);
    let router = axum::Router::new()
        .route("/panic", axum::routing::get(async || -> &'static str { panic!("on purpose") }))
        .route("/forever", axum::routing::get(async || std::future::pending::<&'static str>().await))
        .layer(layer);
    let site = Site { router, ..site };
    site.send(request(Method::GET, "/panic", "", None)).await.problem(500, "internal");
    site.send(request(Method::GET, "/forever", "", None)).await.problem(503, "deadline");
}
