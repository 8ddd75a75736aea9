//! A container in detail: asked of its agent, masked for whoever may only look.

use axum::http::Method;
use roadstead_protocol::message::inspection::{ContainerDetails, Inspection, Setting};
use roadstead_protocol::message::snapshot::Change;
use roadstead_protocol::message::to_agent::ToAgent;
use serde_json::{Value, json};

use super::{Agent, Answer, Site, container, request};
use crate::accounts::Role;

async fn ask(
    site: &Site,
    agent: &mut Agent,
    role: Role,
    found: impl FnOnce(ContainerDetails) -> Inspection,
) -> Answer {
    let path = format!("/api/instances/{}/containers/web", agent.id);
    let request = request(Method::GET, &path, &site.cookie(role).await, None);
    let answer = async {
        let Some(ToAgent::Inspect { nonce, container }) = agent.messages.recv().await else {
            panic!("the agent is asked")
        };
        site.services.probes.inspected(nonce, found(ContainerDetails::of(container)));
    };
    tokio::join!(site.send(request), answer).0
}

fn with_password(details: ContainerDetails) -> Inspection {
    let env = vec![Setting { name: "DB_PASSWORD".to_owned(), value: Some("hunter2".to_owned()) }];
    let privileges = vec!["the host's network namespace".to_owned()];
    Inspection::Found(Box::new(ContainerDetails {
        env,
        privileges,
        cpu_limit_thousandths: Some(1500),
        ..details
    }))
}

fn value_of(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["env"][0]["value"].clone()
}

#[tokio::test]
async fn what_the_agent_lets_out_is_for_those_who_may_change_things() {
    let site = Site::with_demo_mode(true).await;
    let id = site.register("nas").await;
    let mut agent = site.connect(&id, vec![container('a', "web", None)]);
    let answer = ask(&site, &mut agent, Role::Operator, with_password).await;
    assert_eq!(value_of(&answer), "hunter2");
    let details = answer.json();
    assert_eq!(
        (&details["cpu_limit"], &details["privileges"][0]),
        (&json!(1.5), &json!("the host's network namespace"))
    );
    for role in [Role::Guest, Role::Viewer] {
        let answer = ask(&site, &mut agent, role, with_password).await;
        assert_eq!(value_of(&answer), Value::Null, "{role:?}");
        assert!(!answer.text.contains("hunter2"));
    }
}

#[tokio::test]
async fn lists_and_streams_are_masked_like_the_details() {
    let site = Site::with_demo_mode(true).await;
    let id = site.register("nas").await;
    let secret = || {
        let mut web = container('a', "web", None);
        web.labels.insert("db.password".to_owned(), "hunter2".to_owned());
        web.command = "serve --password=hunter2".to_owned();
        web
    };
    let agent = site.connect(&id, vec![secret()]);
    for (role, sees) in [(Role::Guest, false), (Role::Viewer, false), (Role::Operator, true)] {
        let cookie = site.cookie(role).await;
        let path = format!("/api/instances/{id}/containers");
        let listed = site.send(request(Method::GET, &path, &cookie, None)).await;
        assert_eq!((listed.status.as_u16(), listed.text.contains("hunter2")), (200, sees), "{role:?}");
        let mut live = site.follow_as(&cookie, "/api/live", &[]).await;
        let view = live.next_named("view").await;
        agent.feed.change(Change::Upsert { container: Box::new(secret()) }).unwrap();
        let change = live.next_named("containers").await;
        let mut apart = site.follow_as(&cookie, "/api/live?containers=apart", &[]).await;
        for told in [view, change, apart.next_named("containers").await] {
            assert_eq!(told.to_string().contains("hunter2"), sees, "{role:?}: {told}");
        }
    }
}

#[tokio::test]
async fn an_agent_that_cannot_answer_is_a_problem_with_its_reason() {
    let site = Site::open().await;
    let id = site.register("nas").await;
    let mut agent = site.connect(&id, vec![container('a', "web", None)]);
    let engine_away = |_| Inspection::Failed { reason: "the engine is away".to_owned() };
    let problem = ask(&site, &mut agent, Role::Viewer, engine_away).await.problem(502, "no-answer");
    assert!(problem["detail"].as_str().unwrap().contains("the engine is away"), "{problem}");
    ask(&site, &mut agent, Role::Viewer, |_| Inspection::Missing).await.problem(404, "unknown-container");
    ask(&site, &mut agent, Role::Viewer, |_| Inspection::Unknown).await.problem(502, "no-answer");
    // Of another container than was asked for.
    let other = |_| Inspection::Found(Box::new(ContainerDetails::of(container('b', "db", None).id)));
    ask(&site, &mut agent, Role::Viewer, other).await.problem(502, "no-answer");
    site.get(&format!("/api/instances/{id}/containers/none")).await.problem(404, "unknown-container");
    drop(agent);
    site.get(&format!("/api/instances/{id}/containers/web")).await.problem(409, "agent-away");
}
