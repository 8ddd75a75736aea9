//! Everything that is refused is refused with a reason that says what to do.

use std::time::Duration;

use roadstead_protocol::join_token::JoinToken;
use roadstead_protocol::message::time::UnixMicros;
use roadstead_tests::api::{Answer, answer, text};
use roadstead_tests::{AgentOptions, AgentProcess, Api, ControllerOptions, Dockerd, eventually};
use serde_json::json;

use crate::site::{Dial, SOON, Site, logged};

/// Checks a problem document: its status, the end of its type, and words of its detail.
#[track_caller]
fn expect(answer: Answer, status: u16, slug: &str, words: &[&str]) {
    assert_eq!(answer.body["type"], format!("urn:roadstead:problem:{slug}"), "{}", answer.body);
    assert_eq!(answer.body["status"], status);
    let detail = answer.expect_problem(status);
    for word in words {
        assert!(detail.contains(word), "no {word:?} in {detail:?}");
    }
}

/// Sends a body as it is.
async fn send(api: &Api, path: &str, media_type: &str, body: Vec<u8>) -> Answer {
    let request = api.request(reqwest::Method::POST, path).header("content-type", media_type).body(body);
    answer(format!("POST {path}"), request.send().await.unwrap()).await
}

#[tokio::test]
async fn requests_that_cannot_be_done_say_what_to_do() {
    let site = Site::start_with(ControllerOptions::default().set("ROADSTEAD_DIAL_ALLOW", "")).await;
    let stranger = Api::anonymous(&site.controller.url());
    expect(stranger.login("wrong").await, 401, "wrong-password", &["is wrong", "ROADSTEAD_PASSWORD"]);
    expect(stranger.get("/api/instances").await, 401, "not-logged-in", &["POST /api/login"]);
    expect(stranger.post("/api/guest-login", &json!({})).await, 403, "no-guests", &["ROADSTEAD_DEMO_MODE"]);

    let api = &site.api;
    expect(
        api.get("/api/instances/nobody").await,
        404,
        "unknown-instance",
        &["nobody", "GET /api/instances"],
    );
    expect(api.delete("/api/instances/nobody").await, 404, "unknown-instance", &["nobody"]);
    let sync = api.post("/api/instances/nobody/sync", &json!({ "project": "shop" })).await;
    expect(sync, 404, "unknown-instance", &["nobody"]);
    expect(api.get("/api/nothing").await, 404, "no-such-route", &[]);

    // Bodies.
    let register = "/api/instances";
    let json_type = "application/json";
    expect(
        send(api, register, json_type, b"{\"name\": oops}".to_vec()).await,
        400,
        "malformed",
        &["not JSON", "line 1"],
    );
    expect(send(api, register, json_type, vec![b' '; 300 * 1024]).await, 413, "too-large", &["256 KiB"]);
    expect(send(api, register, "text/plain", b"{}".to_vec()).await, 415, "not-json", &["application/json"]);
    let deep = format!("{{\"name\":{}", "[".repeat(100_000));
    expect(send(api, register, json_type, deep.into_bytes()).await, 422, "invalid", &[]);
    let unknown = api.post(register, &json!({ "name": "a", "colour": "red" })).await;
    expect(unknown, 422, "invalid", &["unknown field `colour`", "/api/openapi.json"]);
    expect(api.post(register, &json!({ "name": "" })).await, 422, "invalid", &["name"]);
    assert!(site.api.instances().await.is_empty());

    // An absent agent.
    let (id, _) = api.register(&json!({ "name": "absent" })).await;
    let sync = api.post(&format!("/api/instances/{id}/sync"), &json!({ "project": "shop" })).await;
    expect(sync, 409, "agent-away", &["not connected", "queue_for"]);
    expect(api.post(register, &json!({ "name": "ABSENT" })).await, 409, "name-taken", &["another name"]);
}

#[tokio::test]
async fn addresses_that_must_not_be_dialled_are_refused_on_registration() {
    let site = Site::start_with(ControllerOptions::default().set("ROADSTEAD_DIAL_ALLOW", "")).await;
    let register =
        async |url: &str| site.api.post("/api/instances", &json!({ "name": "a", "url": url })).await;
    for url in [
        "host",
        "ws://host:1",
        "https://host:1",
        "wss://host",
        "wss://host:0",
        "wss://user@host:1",
        "wss://host:1/path",
        "wss://host:1?x=1",
        "wss://2130706433:1",
        "wss://0x7f.1:1",
        "wss://[::1:1",
        "",
    ] {
        expect(register(url).await, 422, "invalid", &["wss://host.example:8443"]);
    }
    let own = own_address();
    for (host, what) in [
        ("127.0.0.1", "loopback"),
        ("127.9.9.9", "loopback"),
        ("[::1]", "loopback"),
        ("[::ffff:127.0.0.1]", "loopback"),
        ("[64:ff9b::7f00:1]", "loopback"),
        ("localhost", "loopback"),
        ("0.0.0.0", "not the address of a host"),
        ("[::]", "not the address of a host"),
        ("169.254.1.1", "link-local"),
        ("[fe80::1]", "link-local"),
        ("169.254.169.254", "metadata"),
        ("[fd00:ec2::254]", "metadata"),
        ("224.0.0.1", "multicast"),
        ("255.255.255.255", "broadcast"),
        (&own, "the controller itself"),
    ] {
        let answer = register(&format!("wss://{host}:9000")).await;
        assert_eq!(answer.status.as_u16(), 422, "{host}: {}", answer.body);
        expect(answer, 422, "address-refused", &[what]);
    }
    assert!(site.api.instances().await.is_empty());

    // What the operator allows is allowed, and nothing else.
    let allowed = ControllerOptions::default().set("ROADSTEAD_DIAL_ALLOW", "127.0.0.0/8");
    let site = Site::start_with(allowed).await;
    let register =
        async |url: &str| site.api.post("/api/instances", &json!({ "name": "a", "url": url })).await;
    register("wss://127.0.0.1:9000").await.expect_status(201);
    expect(
        register("wss://169.254.169.254:80").await,
        422,
        "address-refused",
        &["metadata", "ROADSTEAD_DIAL_ALLOW"],
    );
}

/// An address of this machine that is no loopback one.
fn own_address() -> String {
    // Nothing is sent: only the address that would be used is looked up.
    let socket = std::net::UdpSocket::bind(("0.0.0.0", 0)).unwrap();
    socket.connect(("192.0.2.1", 9)).unwrap();
    socket.local_addr().unwrap().ip().to_string()
}

/// The token with another secret.
fn forged(token: &str) -> String {
    let token: JoinToken = token.parse().unwrap();
    JoinToken { secret: [0; 32], ..token }.to_text().unwrap()
}

/// Starts an agent with this token, which has to be refused with these words, in its log and at the API.
async fn refused(site: &Site, engine: &Dockerd, dial: Dial, token: &str, words: &str) {
    let options = match dial {
        Dial::Outbound => AgentOptions::outbound(engine, token),
        Dial::Inbound => AgentOptions::inbound(engine, token, "127.0.0.1:0"),
    };
    let agent = AgentProcess::start(options.set("ROADSTEAD_INSTANCE_NAME", "refused")).await;
    let before = site.api.instances().await.len();
    match agent.link() {
        None => {
            logged(agent.log(), &["refused", words]).await;
            logged(site.controller.log(), &["refused an agent", words]).await;
            assert_eq!(site.api.instances().await.len(), before, "nothing is registered");
            let audit = site.api.get("/api/audit").await.expect_status(200);
            let told = audit["entries"].as_array().unwrap().iter().any(|entry| {
                entry["what"] == "agent.join"
                    && entry["detail"].as_str().is_some_and(|why| why.contains(words))
            });
            assert!(told, "{audit}");
        }
        Some(link) => {
            let (id, _) = site
                .api
                .register(&json!({ "name": format!("at {link}"), "url": format!("wss://{link}") }))
                .await;
            logged(agent.log(), &["refused", words]).await;
            let shown = site
                .instance_when("the refusal to show", SOON, &id, |it| {
                    it["link"]["reason"].as_str().is_some_and(|reason| reason.contains(words))
                })
                .await;
            assert_eq!((&shown["link"]["state"], &shown["health"]), (&json!("never"), &json!("unknown")));
            assert!(shown["health_reason"].as_str().unwrap().contains(words), "{shown}");
        }
    }
}

#[tokio::test]
async fn wrong_and_used_join_tokens_are_refused_by_name_in_both_directions() {
    let (site, engine) = tokio::join!(Site::start(), Dockerd::start());
    for dial in [Dial::Outbound, Dial::Inbound] {
        let token = site.token(dial).await;
        refused(&site, &engine, dial, &forged(&token), "the join token is not known here").await;
    }
    // One that was revoked is as unknown as one that never was.
    let made = site.api.post("/api/join-tokens", &json!({})).await.expect_status(201);
    site.api.delete(&format!("/api/join-tokens/{}", text(&made, "token_id"))).await.expect_status(204);
    refused(&site, &engine, Dial::Outbound, &text(&made, "token"), "the join token is not known here").await;

    let (_, token) = site.api.register(&json!({ "name": "first" })).await;
    let _first = AgentProcess::start(AgentOptions::outbound(&engine, &token)).await;
    eventually("the first to join", SOON, async || {
        site.api.instance_named("first").await.filter(|it| it["health"] == "healthy").map(drop)
    })
    .await;
    refused(&site, &engine, Dial::Outbound, &token, "the join token has been used").await;
    // A token for the other direction.
    let inbound = site.token(Dial::Inbound).await.parse::<JoinToken>().unwrap();
    let outbound = site.token(Dial::Outbound).await.parse::<JoinToken>().unwrap();
    let bent = JoinToken { addresses: outbound.addresses, ..inbound }.to_text().unwrap();
    refused(&site, &engine, Dial::Outbound, &bent, "the join token is meant for another instance").await;
}

#[tokio::test]
async fn an_expired_join_token_is_refused_by_name() {
    let (site, engine) = tokio::join!(Site::start(), Dockerd::start());
    let short = json!({ "ttl": "59s" });
    expect(site.api.post("/api/join-tokens", &short).await, 422, "invalid", &[]);
    let made = site.api.post("/api/join-tokens", &json!({ "ttl": "60s" })).await.expect_status(201);
    let expires_at = text(&made, "token").parse::<JoinToken>().unwrap().expires_at;
    let expired = async || (UnixMicros::now() > expires_at).then_some(());
    eventually("the token to expire", Duration::from_secs(65), expired).await;
    refused(&site, &engine, Dial::Outbound, &text(&made, "token"), "the join token has expired").await;
}

#[tokio::test]
async fn an_agent_that_nobody_knows_or_that_has_no_controller_says_what_it_lacks() {
    let (site, engine) = tokio::join!(Site::start(), Dockerd::start());
    let token = site.token(Dial::Outbound).await;
    let mut options = AgentOptions::outbound(&engine, &token);
    options.join = None;
    let mut agent = AgentProcess::start(options.clone()).await;
    assert!(!agent.ended().await.success());
    logged(agent.log(), &["belongs to no controller yet", "ROADSTEAD_JOIN"]).await;
    for (name, value, word) in [
        ("ROADSTEAD_JOIN", "rsj_nonsense", "not a join token"),
        ("ROADSTEAD_ALLOW", "view,fly", "fly"),
        ("ROADSTEAD_CONTROLLER", "http://host", "wss://"),
        ("ROADSTEAD_SYNC_SCRIPT", "/nowhere", "cannot be found"),
    ] {
        let mut agent = AgentProcess::start(AgentOptions::outbound(&engine, &token).set(name, value)).await;
        assert!(!agent.ended().await.success(), "{name}={value}");
        logged(agent.log(), &[name, word]).await;
    }
    // A controller that is not the one whose key the token names.
    let stranger = Site::start().await;
    let address = format!("wss://{}", stranger.controller.agents());
    let options = AgentOptions::outbound(&engine, &token).set("ROADSTEAD_CONTROLLER", address);
    let agent = AgentProcess::start(options).await;
    logged(agent.log(), &["has the key", "expected"]).await;
}
