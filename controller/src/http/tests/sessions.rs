//! Logging in and out as a browser does.

use std::net::SocketAddr;

use axum::http::{Method, header};
use serde_json::json;

use super::super::access::Peer;
use super::{Site, request};

fn login(body: serde_json::Value, tls: bool) -> axum::http::Request<axum::body::Body> {
    let mut request = request(Method::POST, "/api/login", "", Some(body));
    request.extensions_mut().insert(Peer { address: SocketAddr::from(([192, 0, 2, 1], 1000)), tls });
    request
}

#[tokio::test]
async fn a_login_gives_a_cookie_that_works_until_logout() {
    let site = Site::open().await;
    let answer = site.send(login(json!({ "password": "secret" }), false)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.json()["username"], "admin");
    assert_eq!(answer.json()["may_change"], true);
    let cookie = answer.headers[header::SET_COOKIE].to_str().unwrap().to_owned();
    assert!(cookie.starts_with("roadstead_session="), "{cookie}");
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=604800"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.contains("Secure"));

    let cookie = cookie.split(';').next().unwrap();
    let session = site.send(request(Method::GET, "/api/session", cookie, None)).await;
    assert_eq!(session.json()["role"], "admin");
    let logout = site.send(request(Method::POST, "/api/logout", cookie, None)).await;
    assert_eq!(logout.status, 204);
    assert!(logout.headers[header::SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
    site.send(request(Method::GET, "/api/session", cookie, None)).await.problem(401, "not-logged-in");
}

#[tokio::test]
async fn under_tls_the_cookie_is_bound_to_the_host() {
    let site = Site::open().await;
    let answer = site.send(login(json!({ "username": "admin", "password": "secret" }), true)).await;
    let cookie = answer.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("__Host-roadstead_session=") && cookie.ends_with("; Secure"), "{cookie}");
    assert!(answer.headers.contains_key(header::STRICT_TRANSPORT_SECURITY));
}

#[tokio::test]
async fn wrong_passwords_look_alike_and_run_out() {
    let site = Site::open().await;
    let wrong = site.send(login(json!({ "password": "guess" }), false)).await;
    let nobody = site.send(login(json!({ "username": "nobody", "password": "secret" }), false)).await;
    assert_eq!(wrong.problem(401, "wrong-password"), nobody.problem(401, "wrong-password"));
    for _ in 0..5 {
        site.send(login(json!({ "password": "guess" }), false)).await.problem(401, "wrong-password");
    }
    let refused = site.send(login(json!({ "password": "secret" }), false)).await;
    refused.problem(429, "too-many-attempts");
    let seconds: u64 = refused.headers[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
    assert!((1..=6).contains(&seconds));

    let entries = site.get("/api/audit").await.json()["entries"].clone();
    assert_eq!(entries[0]["what"], "login");
    assert_eq!(entries[0]["address"], "192.0.2.1");
    assert_eq!(entries[0]["result"], "refused");
    let whole = entries.to_string();
    assert!(whole.contains("an unknown user") && !whole.contains("nobody"), "it may be a password: {whole}");
}

#[tokio::test]
async fn guests_look_in_demo_mode_alone() {
    let demo = Site::with_demo_mode(true).await;
    let answer = demo.send(request(Method::POST, "/api/guest-login", "", None)).await;
    assert_eq!(answer.json()["role"], "guest");
    assert_eq!(answer.json()["may_change"], false);

    let earnest = Site::open().await;
    let answer = earnest.send(request(Method::POST, "/api/guest-login", "", None)).await;
    answer.problem(403, "no-guests");
}

#[tokio::test]
async fn a_trusted_proxy_with_tls_makes_cookies_secure_and_names_the_address() {
    let site = Site::open().await;
    let behind = |proxy: [u8; 4]| {
        let mut request = login(json!({ "password": "secret" }), false);
        request.extensions_mut().insert(Peer { address: SocketAddr::from((proxy, 1000)), tls: false });
        request.headers_mut().insert("x-forwarded-for", "198.51.100.7".parse().unwrap());
        request.headers_mut().insert("x-forwarded-proto", "https".parse().unwrap());
        site.send(request)
    };
    let answer = behind([10, 0, 0, 2]).await;
    for cookie in answer.headers.get_all(header::SET_COOKIE) {
        let cookie = cookie.to_str().unwrap();
        assert!(cookie.starts_with("__Host-") && cookie.ends_with("; Secure"), "{cookie}");
    }
    assert!(answer.headers.contains_key(header::STRICT_TRANSPORT_SECURITY));
    let stranger = behind([192, 0, 2, 2]).await;
    assert!(!stranger.headers.contains_key(header::STRICT_TRANSPORT_SECURITY));
    let entries = site.get("/api/audit").await.json()["entries"].clone();
    assert_eq!(
        (&entries[0]["address"], &entries[1]["address"]),
        (&json!("192.0.2.2"), &json!("198.51.100.7"))
    );
}
