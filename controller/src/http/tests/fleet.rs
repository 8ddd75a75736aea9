//! Instances and containers as the API shows them.

use roadstead_protocol::message::container::Figures;
use roadstead_protocol::message::time::UnixMicros;
use roadstead_protocol::message::to_agent::ToAgent;
use serde_json::json;

use super::{Site, container, engine, request};
use crate::accounts::Role;
use crate::model::{Direction, JoinTokenRecord};

#[tokio::test]
async fn registering_answers_with_a_token_and_commands() {
    let site = Site::open().await;
    let answer =
        site.post("/api/instances", json!({ "name": "web", "tags": ["b", "a"], "token_ttl": "2h" })).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let registered = answer.json();
    let id = registered["instance"]["id"].as_str().unwrap();
    assert_eq!(answer.headers["location"], format!("/api/instances/{id}"));
    assert_eq!(registered["instance"]["tags"], json!(["a", "b"]));
    assert_eq!(registered["instance"]["health"], "unknown");
    assert_eq!(registered["instance"]["link"]["state"], "never");
    let token = registered["join"]["token"].as_str().unwrap();
    for way in ["docker_run", "compose", "systemd", "binary"] {
        assert!(registered["join"]["commands"][way].as_str().unwrap().contains(token), "{way}");
    }

    site.post("/api/instances", json!({ "name": "WEB" })).await.problem(409, "name-taken");
    site.post("/api/instances", json!({ "name": " " })).await.problem(422, "invalid");
    for url in ["https://host:1", "wss://host", "wss://host:1/path", "wss://user@host:1"] {
        let answer = site.post("/api/instances", json!({ "name": "x", "url": url })).await;
        assert_eq!(answer.problem(422, "invalid")["field"], "url", "{url}");
    }
    for url in ["wss://127.0.0.1:1", "wss://169.254.169.254:80", "wss://[::1]:1"] {
        let answer = site.post("/api/instances", json!({ "name": "x", "url": url })).await;
        answer.problem(422, "address-refused");
    }
}

#[tokio::test]
async fn instances_are_listed_changed_and_removed() {
    let site = Site::open().await;
    let (zebra, ant) = (site.register("Zebra").await, site.register("ant").await);
    let _agent = site.connect(&zebra, vec![container('a', "web", None)]);
    let list = site.get("/api/instances").await.json();
    assert_eq!((&list["total_count"], &list["healthy_count"]), (&json!(2), &json!(1)));
    assert_eq!(list["this_instance"], json!(null), "it has not joined");
    assert_eq!(
        (&list["instances"][0]["name"], &list["instances"][1]["name"]),
        (&json!("ant"), &json!("Zebra"))
    );
    let zebra_view = &list["instances"][1];
    assert_eq!(zebra_view["health"], "healthy");
    assert_eq!(zebra_view["engine"]["version"], "20.10.24");
    assert_eq!(zebra_view["containers"]["running"], 1);
    assert_eq!(zebra_view["stale"], false);

    let path = format!("/api/instances/{ant}");
    let cookie = site.cookie(Role::Operator).await;
    let patch = |body| site.send(request(axum::http::Method::PATCH, &path, &cookie, Some(body)));
    let changed = patch(json!({ "name": "bee", "environment": "production" })).await.json();
    assert_eq!((&changed["name"], &changed["environment"]), (&json!("bee"), &json!("production")));
    let changed = patch(json!({ "environment": null })).await.json();
    assert_eq!((&changed["name"], &changed["environment"]), (&json!("bee"), &json!(null)));
    patch(json!({ "id": "other" })).await.problem(422, "invalid");

    let removed = site.send(request(axum::http::Method::DELETE, &path, &cookie, None)).await;
    assert_eq!(removed.status, 204);
    site.get(&path).await.problem(404, "unknown-instance");
    let entries = site.get("/api/audit").await.json()["entries"].clone();
    assert_eq!((&entries[0]["what"], &entries[0]["result"]), (&json!("instance.remove"), &json!("ok")));
}

#[tokio::test]
async fn containers_come_with_the_age_of_what_is_shown() {
    let site = Site::open().await;
    let id = site.register("web").await;
    let path = format!("/api/instances/{id}/containers");
    let before = site.get(&path).await.json();
    assert_eq!((&before["as_of"], &before["stale"]), (&json!(null), &json!(true)));

    let web = container('a', "web", Some("shop"));
    let mut agent = site.connect(&id, vec![web.clone()]);
    let shown = site.get(&path).await.json();
    let first = &shown["containers"][0];
    assert_eq!(first["id"], "aaaaaaaaaaaa");
    assert_eq!(first["status"], "Up 3 minutes (healthy)");
    assert_eq!(first["uptime_seconds"], 185);
    assert_eq!((&first["compose_project"], &first["compose_service"]), (&json!("shop"), &json!("web")));
    assert_eq!((&first["cpu_percent"], &first["figures"]), (&json!(null), &json!(null)));
    assert_eq!(agent.messages.recv().await, Some(ToAgent::Watch { seconds: 30 }));

    agent.feed.figures(vec![Figures {
        container: web.id.clone(),
        at: UnixMicros::now(),
        cpu_percent: Some(12.345),
        memory_bytes: 3 << 19,
        memory_limit_bytes: None,
        network_rx_bytes: 1,
        network_tx_bytes: 2,
        block_read_bytes: 3,
        block_write_bytes: 4,
    }]);
    let shown = site.get(&path).await.json();
    let first = &shown["containers"][0];
    assert_eq!((&first["cpu_percent"], &first["memory_mb"]), (&json!(12.35), &json!(1.5)));
    assert!(first["figures"]["age_seconds"].as_f64().unwrap() < 60.0);
    assert!(agent.messages.try_recv().is_none(), "asked for figures once in ten seconds");

    drop(agent);
    let shown = site.get(&path).await.json();
    assert_eq!((&shown["stale"], &shown["link"]["state"]), (&json!(true), &json!("lost")));
    assert_eq!(shown["containers"].as_array().unwrap().len(), 1, "the last picture stays");
    assert!(shown["as_of_age_seconds"].as_f64().unwrap() < 60.0);
}

#[tokio::test]
async fn a_check_asks_the_agent_now() {
    let site = Site::open().await;
    let id = site.register("web").await;
    let path = format!("/api/instances/{id}/health");
    let away = site.get(&path).await.json();
    assert_eq!((&away["health"], &away["last_seen"]), (&json!("unknown"), &json!(null)));
    assert!(away["checked_at"].is_string());

    let mut agent = site.connect(&id, Vec::new());
    let probes = site.services.probes.clone();
    let answering = async {
        let Some(ToAgent::Probe { nonce }) = agent.messages.recv().await else { panic!("no probe") };
        probes.answered(nonce, engine(), 1500);
    };
    let (checked, ()) = tokio::join!(site.get(&path), answering);
    let checked = checked.json();
    assert_eq!((&checked["health"], &checked["engine_ms"]), (&json!("healthy"), &json!(1.5)));
    assert!(checked["latency_ms"].is_f64());
}

#[tokio::test]
async fn a_check_of_a_silent_agent_has_a_deadline() {
    let site = Site::open().await;
    let id = site.register("web").await;
    let _agent = site.connect(&id, Vec::new());
    let cookie = site.cookie(Role::Admin).await;
    let seen = site.services.fleet.host(&id).unwrap().record.last_seen;
    let request = request(axum::http::Method::GET, &format!("/api/instances/{id}/health"), &cookie, None);
    tokio::time::pause();
    let checked = site.send(request).await.json();
    assert_eq!(checked["health"], "unhealthy");
    assert!(checked["reason"].as_str().unwrap().contains("did not answer"), "{checked}");
    assert_eq!(site.services.fleet.host(&id).unwrap().record.last_seen, seen);
}

#[tokio::test]
async fn join_tokens_are_made_listed_and_revoked() {
    let site = Site::open().await;
    let made = site.post("/api/join-tokens", json!({ "uses": 3, "ttl": "15m" })).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let id = made.json()["token_id"].as_str().unwrap().to_owned();
    let listed = site.get("/api/join-tokens").await;
    assert_eq!(listed.json()["tokens"][0]["uses_left"], 3);
    assert!(!listed.text.contains(made.json()["token"].as_str().unwrap()));
    let cookie = site.cookie(Role::Operator).await;
    let path = format!("/api/join-tokens/{id}");
    let revoke = || site.send(request(axum::http::Method::DELETE, &path, &cookie, None));
    assert_eq!(revoke().await.status, 204);
    revoke().await.problem(404, "unknown-token");
    site.post("/api/join-tokens", json!({ "instance": "no-such" })).await.problem(404, "unknown-instance");
    site.post("/api/join-tokens", json!({ "ttl": "soon" })).await.problem(422, "invalid");
}

#[tokio::test]
async fn an_inbound_agent_may_hold_its_token_already() {
    let site = Site::open().await;
    let token = |body: serde_json::Value| async { site.post("/api/join-tokens", body).await.json() };
    let register = |token: String| {
        let body = json!({ "name": "edge", "url": "wss://192.0.2.9:8443", "token": token });
        site.post("/api/instances", body)
    };
    register("rsj_nonsense".to_owned()).await.problem(422, "join-token-unknown");
    let outbound = token(json!({ "direction": "outbound" })).await;
    let outbound = outbound["token"].as_str().unwrap().to_owned();
    register(outbound.clone()).await.problem(422, "join-token-mismatch");
    let store = &site.services.store;
    let refused = token(json!({ "direction": "inbound" })).await;
    let text = refused["token"].as_str().unwrap().to_owned();
    let good = store.join_tokens().await.unwrap().into_iter().find(|one| one.direction == Direction::Inbound);
    let good = good.unwrap();
    let expired = JoinTokenRecord { expires_at: UnixMicros::from_secs(1), ..good.clone() };
    let used = JoinTokenRecord { uses_left: 0, ..good.clone() };
    for (record, slug) in [(expired, "join-token-expired"), (used, "join-token-used")] {
        store.delete_join_token(good.id).await.unwrap();
        store.insert_join_token(record).await.unwrap();
        register(text.clone()).await.problem(422, slug);
    }

    let inbound = token(json!({ "direction": "inbound" })).await;
    let registered = register(inbound["token"].as_str().unwrap().to_owned()).await;
    assert_eq!(registered.status, 201, "{}", registered.text);
    assert_eq!(registered.json()["join"], json!(null));
    let tokens = site.get("/api/join-tokens").await.json()["tokens"].as_array().unwrap().len();
    assert_eq!(tokens, 3, "no further token was made");

    let body = json!({ "name": "dialler", "token": outbound });
    site.post("/api/instances", body).await.problem(422, "invalid");
}
