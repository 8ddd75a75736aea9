//! `/agent`, as far as it gets without a connection: who is turned away, and why.

use std::net::SocketAddr;

use axum::http::{HeaderName, HeaderValue};

use super::*;
use crate::http::access::Peer;

const SECRET: &str = "Bearer rsb_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn link(from: [u8; 4], private: bool, change: &[(&'static str, &'static str)]) -> Request<Body> {
    let mut request = request(Method::GET, "/agent", "", None);
    request.headers_mut().remove(header::COOKIE);
    let usual = [
        ("upgrade", "websocket"),
        ("connection", "keep-alive, Upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("authorization", SECRET),
    ];
    for (name, value) in usual.iter().chain(change) {
        let name = HeaderName::from_static(name);
        match *value {
            "" => _ = request.headers_mut().remove(name),
            value => _ = request.headers_mut().insert(name, HeaderValue::from_static(value)),
        }
    }
    let address = SocketAddr::from((from, 4000));
    request.extensions_mut().insert(Peer { address, tls: private });
    request
}

#[tokio::test]
async fn who_is_no_agent_or_comes_in_the_clear_is_turned_away_by_name() {
    let site = Site::open().await;
    let from = [192, 0, 2, 1];
    for missing in ["upgrade", "connection", "sec-websocket-version", "sec-websocket-key"] {
        site.send(link(from, true, &[(missing, "")])).await.problem(426, "not-a-link");
    }
    site.send(link(from, true, &[("upgrade", "h2c")])).await.problem(426, "not-a-link");
    site.send(link(from, false, &[])).await.problem(403, "in-the-clear");
    for secret in ["", "Bearer rsj_x", "Basic rsb_AAAA", "rsb_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
        site.send(link(from, true, &[("authorization", secret)])).await.problem(401, "no-agent-secret");
    }
    let mut twice = link(from, true, &[]);
    twice.headers_mut().append("authorization", HeaderValue::from_static(SECRET));
    site.send(twice).await.problem(401, "no-agent-secret");
    // All in order, but for a connection that can be given away.
    site.send(link(from, true, &[])).await.problem(426, "not-a-link");
}

#[tokio::test]
async fn strangers_from_one_network_knock_only_so_often() {
    let site = Site::open().await;
    for _ in 0..32 {
        site.send(link([192, 0, 2, 1], true, &[])).await.problem(426, "not-a-link");
    }
    site.send(link([192, 0, 2, 1], true, &[])).await.problem(429, "too-many-agents");
    site.send(link([198, 51, 100, 1], true, &[])).await.problem(426, "not-a-link");
}
