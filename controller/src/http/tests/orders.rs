//! Asking for commands.

use axum::http::Method;
use roadstead_protocol::message::command::{ContainerAction, Work};
use roadstead_protocol::message::to_agent::ToAgent;
use serde_json::{Value, json};

use super::{Agent, Site, container, request};
use crate::accounts::Role;

async fn next_order(agent: &mut Agent) -> Work {
    loop {
        match agent.messages.recv().await {
            Some(ToAgent::Order(order)) => return order.work,
            Some(_) => {}
            None => panic!("the session ended"),
        }
    }
}

#[tokio::test]
async fn a_sync_is_accepted_sent_and_listed() {
    let site = Site::open().await;
    let id = site.register("web").await;
    let mut agent = site.connect(&id, vec![container('a', "web", Some("shop"))]);
    let path = format!("/api/instances/{id}/sync");
    let accepted =
        site.post(&path, json!({ "project": "shop", "services": ["web"], "verify_secs": 5 })).await;
    assert_eq!(accepted.status, 202, "{}", accepted.text);
    let command = accepted.json()["command_id"].as_str().unwrap().to_owned();
    assert_eq!(accepted.headers["location"], format!("/api/commands/{command}"));
    let Work::Sync(sync) = next_order(&mut agent).await else { panic!("not a sync") };
    assert_eq!((sync.project.as_str(), sync.verify_secs), ("shop", 5));

    let second = site.post(&path, json!({})).await.problem(409, "busy");
    assert_eq!(second["running"], command.as_str());
    let listed = site.get(&format!("/api/commands?instance={id}&unfinished=true")).await.json();
    assert_eq!(listed["commands"][0]["id"], command.as_str());
    assert_eq!(listed["commands"][0]["issued_by"], "admin");

    let cookie = site.cookie(Role::Operator).await;
    let path = format!("/api/commands/{command}");
    let cancelled = site.send(request(Method::DELETE, &path, &cookie, None)).await;
    assert_eq!((cancelled.status.as_u16(), &cancelled.json()["cancel_requested"]), (202, &json!(true)));
    let entries = site.get("/api/audit").await.json()["entries"].clone();
    let whats: Vec<_> = entries.as_array().unwrap().iter().map(|entry| entry["what"].clone()).collect();
    assert_eq!(whats, ["command.cancel", "command.sync", "command.sync"]);
}

#[tokio::test]
async fn the_project_may_be_left_out_where_there_is_only_one() {
    let site = Site::open().await;
    let id = site.register("web").await;
    let path = format!("/api/instances/{id}/check");
    let mut agent = site.connect(&id, vec![container('a', "web", Some("shop"))]);
    let bare = request(Method::POST, &path, &site.cookie(Role::Admin).await, None);
    assert_eq!(site.send(bare).await.status, 202);
    assert_eq!(next_order(&mut agent).await, Work::Check { project: "shop".to_owned() });

    let _agent =
        site.connect(&id, vec![container('a', "web", Some("shop")), container('b', "wiki", Some("wiki"))]);
    let problem = site.post(&path, json!({})).await.problem(422, "invalid");
    assert_eq!(problem["projects"], json!(["shop", "wiki"]));
    let _agent = site.connect(&id, vec![]);
    site.post(&path, json!({})).await.problem(422, "invalid");
}

#[tokio::test]
async fn containers_are_found_by_name_id_and_beginning_of_id() {
    let site = Site::open().await;
    let id = site.register("web").await;
    let mut agent = site.connect(&id, vec![container('a', "web", None), container('b', "db", None)]);
    let act = |container: &str, action: &str| {
        let path = format!("/api/instances/{id}/containers/{container}/{action}");
        let site = &site;
        async move { site.post(&path, json!({})).await }
    };
    assert_eq!(act("web", "restart").await.status, 202);
    let expected = Work::Container { container: "a".repeat(64), action: ContainerAction::Restart };
    assert_eq!(next_order(&mut agent).await, expected);
    assert_eq!(act("bbb", "stop").await.status, 202);
    act("nothing", "stop").await.problem(404, "unknown-container");
    act("web", "explode").await.problem(404, "unknown-action");
}

#[tokio::test]
async fn an_agent_that_is_away_is_a_refusal_unless_the_caller_waits() {
    let site = Site::open().await;
    let id = site.register("web").await;
    let path = format!("/api/instances/{id}/install");
    let body = json!({ "name": "web", "image": "busybox" });
    site.post(&path, body.clone()).await.problem(409, "agent-away");
    let mut waiting: Value = body;
    waiting["queue_for"] = "24h".into();
    let accepted = site.post(&path, waiting.clone()).await;
    assert_eq!(accepted.status, 202, "{}", accepted.text);
    assert_eq!(accepted.json()["state"], "issued");
    assert!(accepted.json()["queue_until"].is_string());
    waiting["queue_for"] = "a while".into();
    site.post(&path, waiting).await.problem(422, "invalid");
}

#[tokio::test]
async fn many_hosts_are_asked_at_once_and_each_has_its_own_command() {
    let site = Site::open().await;
    let (one, two, bare, away) = (
        site.register("one").await,
        site.register("two").await,
        site.register("bare").await,
        site.register("away").await,
    );
    let mut agents = [
        site.connect(&one, vec![container('a', "web", Some("shop"))]),
        site.connect(&two, vec![container('b', "web", Some("shop"))]),
    ];
    let _bare = site.connect(&bare, vec![container('c', "db", None)]);
    let accepted =
        site.post("/api/commands", json!({ "every": true, "action": "restart", "container": "web" })).await;
    assert_eq!(accepted.status, 202, "{}", accepted.text);
    let accepted = accepted.json();
    assert_eq!(accepted["refused"], json!([]), "those without the container are not meant");
    for (agent, id) in agents.iter_mut().zip(["a", "b"]) {
        let expected = Work::Container { container: id.repeat(64), action: ContainerAction::Restart };
        assert_eq!(next_order(agent).await, expected);
    }
    let listed = site.get("/api/commands?unfinished=true").await.json();
    let ids = |list: &Value| -> std::collections::BTreeSet<String> {
        let key = if list[0]["command_id"].is_string() { "command_id" } else { "id" };
        list.as_array().unwrap().iter().map(|one| one[key].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&accepted["accepted"]), ids(&listed["commands"]));
    let entries = site.get("/api/audit").await.json()["entries"].clone();
    let written = entries.as_array().unwrap().iter().filter(|one| one["what"] == "command.restart");
    assert_eq!(written.filter(|one| one["command"].is_string()).count(), 2);

    // By name, each is told why not: busy, without the container, away.
    let ids = json!([one.as_str(), bare.as_str(), away.as_str()]);
    let body = json!({ "instances": ids, "action": "stop", "container": "web" });
    let problem = site.post("/api/commands", body).await.problem(409, "all-refused");
    let refused = problem["refused"].as_array().unwrap();
    assert_eq!(refused.len(), 3, "{problem}");
    assert!(refused.iter().all(|one| !one["detail"].as_str().unwrap().is_empty()), "{problem}");
    let check = json!({ "instances": [two.as_str()], "action": "check" });
    assert_eq!(site.post("/api/commands", check).await.status, 202);
    assert_eq!(next_order(&mut agents[1]).await, Work::Check { project: "shop".to_owned() });
}

#[tokio::test]
async fn which_of_many_hosts_has_to_be_said() {
    let site = Site::open().await;
    let id = site.register("one").await;
    let _agent = site.connect(&id, vec![container('a', "web", None)]);
    for wrong in [
        json!({ "action": "stop", "container": "web" }),
        json!({ "every": true, "tag": "x", "action": "stop", "container": "web" }),
        json!({ "every": true, "action": "stop" }),
        json!({ "tag": "nobody-has-it", "action": "stop", "container": "web" }),
        json!({ "every": true, "action": "sync" }),
    ] {
        assert_eq!(site.post("/api/commands", wrong.clone()).await.status, 422, "{wrong}");
    }
    let unknown = json!({ "instances": ["nobody"], "action": "stop", "container": "web" });
    site.post("/api/commands", unknown).await.problem(404, "unknown-instance");
}
