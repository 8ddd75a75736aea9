//! The server around the router: real sockets, slow peers, shutdown.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header;
use futures_util::{poll, stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::super::REQUESTS;
use super::super::access::Peer;
use super::Site;
use crate::accounts::Role;

async fn serve(site: &Site) -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let serving = super::super::serve(listener, None, site.services.clone(), shutdown.clone());
    (address, shutdown, tokio::spawn(serving))
}

#[tokio::test]
async fn requests_are_answered_one_after_the_other_on_one_connection() {
    let site = Site::open().await;
    let (address, shutdown, server) = serve(&site).await;
    let mut peer = TcpStream::connect(address).await.unwrap();
    for _ in 0..2 {
        peer.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        while !answer.ends_with('}') {
            let mut piece = [0; 1024];
            let count = peer.read(&mut piece).await.unwrap();
            answer.push_str(std::str::from_utf8(&piece[..count]).unwrap());
        }
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
    shutdown.cancel();
    server.await.unwrap();
}

#[tokio::test]
async fn a_peer_that_never_ends_its_headers_is_cut_off() {
    let site = Site::open().await;
    let (address, _shutdown, _server) = serve(&site).await;
    let mut peer = TcpStream::connect(address).await.unwrap();
    peer.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    tokio::time::pause();
    let start = tokio::time::Instant::now();
    let mut rest = Vec::new();
    // Whether with an answer or without: the connection ends.
    let _ = peer.read_to_end(&mut rest).await;
    assert!(start.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn a_peer_that_never_ends_its_body_is_cut_off() {
    let site = Site::open().await;
    let (address, _shutdown, _server) = serve(&site).await;
    let mut peer = TcpStream::connect(address).await.unwrap();
    let head = b"POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    peer.write_all(head).await.unwrap();
    tokio::time::pause();
    let start = tokio::time::Instant::now();
    let mut rest = Vec::new();
    peer.read_to_end(&mut rest).await.unwrap();
    assert!(
        String::from_utf8_lossy(&rest).starts_with("HTTP/1.1 408 "),
        "{}",
        String::from_utf8_lossy(&rest)
    );
    assert!(start.elapsed() < Duration::from_secs(40));
}

#[tokio::test]
async fn shutdown_ends_streams_at_once() {
    let site = Site::open().await;
    let cookie = site.cookie(Role::Admin).await;
    let (address, shutdown, server) = serve(&site).await;
    let mut peer = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /api/live HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n");
    peer.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    while !text.contains("event: view") {
        let mut piece = [0; 4096];
        let count = peer.read(&mut piece).await.unwrap();
        text.push_str(std::str::from_utf8(&piece[..count]).unwrap());
    }
    shutdown.cancel();
    let mut rest = Vec::new();
    peer.read_to_end(&mut rest).await.unwrap();
    assert!(rest.ends_with(b"0\r\n\r\n"), "the stream ended in order");
    server.await.unwrap();
}

#[tokio::test]
async fn a_head_without_end_is_refused_before_it_fills_the_memory() {
    let site = Site::open().await;
    let (address, _shutdown, _server) = serve(&site).await;
    let mut peer = TcpStream::connect(address).await.unwrap();
    let head = format!("GET /health HTTP/1.1\r\nHost: x\r\nX: {}", "x".repeat(100_000));
    // The server may end the connection before it has taken everything.
    let _ = peer.write_all(head.as_bytes()).await;
    let soon = Duration::from_secs(5);
    let mut answer = [0; 64];
    let answered = tokio::time::timeout(soon, peer.read(&mut answer)).await;
    assert!(answered.is_ok(), "it is still being read");
}

/// A login from one network of a site, whose body does not come.
fn slow(site: u16, network: usize) -> Request {
    let body = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
    let mut request =
        Request::post("/api/login").header(header::CONTENT_TYPE, "application/json").body(body).unwrap();
    let network = u16::try_from(network).unwrap();
    let address = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, site, network, 0, 0, 0, 1));
    request.extensions_mut().insert(Peer { address: SocketAddr::new(address, 1), tls: true });
    request
}

#[tokio::test]
async fn who_lets_bodies_trickle_in_has_so_many_requests_and_keeps_nobody_out() {
    let site = Site::open().await;
    let ask = |request| Box::pin(site.router.clone().oneshot(request));
    let mut waiting = Vec::new();
    for network in 0..REQUESTS {
        let mut asked = ask(slow(1, network));
        assert!(poll!(&mut asked).is_pending());
        waiting.push(asked);
    }
    site.send(slow(1, REQUESTS)).await.problem(429, "too-many-requests");
    assert!(poll!(&mut ask(slow(2, 0))).is_pending(), "another site goes on");
    drop(waiting.pop());
    assert!(poll!(&mut ask(slow(1, REQUESTS))).is_pending(), "whoever goes leaves room");
}
