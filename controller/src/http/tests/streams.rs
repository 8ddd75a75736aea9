//! The live view, and who reads something long.

use std::time::Duration;

use axum::http::Method;
use futures_util::StreamExt as _;
use roadstead_protocol::message::event::{Event, EventBatch, EventKind};
use roadstead_protocol::message::ids::{Epoch, EventSeq};
use roadstead_protocol::message::snapshot::Change;
use roadstead_protocol::message::time::UnixMicros;
use roadstead_protocol::message::to_agent::ToAgent;
use serde_json::json;
use tower::ServiceExt as _;

use super::super::streams::{RECHECK, STREAMS, STREAMS_PER_USER};
use super::{Site, container, request};
use crate::accounts::Role;

impl Site {
    /// Somebody reads something long; their session ends meanwhile, and that is found out before the next portion.
    pub(super) async fn reads_until_the_session_ends(&self, role: Role, path: &str) {
        let cookie = self.cookie_of("anna", role, &[]).await;
        let ask = request(Method::GET, path, &cookie, None);
        let mut body = self.router.clone().oneshot(ask).await.unwrap().into_body().into_data_stream();
        assert!(!body.next().await.unwrap().unwrap().is_empty());
        self.services.accounts.remove_user("anna").await.unwrap();
        tokio::time::pause();
        tokio::time::advance(RECHECK + Duration::from_secs(1)).await;
        tokio::time::resume();
        assert!(body.next().await.unwrap().is_err(), "and not as if that had been all");
    }
}

#[tokio::test]
async fn everything_first_then_changes() {
    let site = Site::open().await;
    let id = site.register("web").await;
    let agent = site.connect(&id, vec![container('a', "web", Some("shop"))]);
    let mut live = site.follow("/api/live", &[]).await;
    let view = live.next().await.unwrap();
    assert_eq!(view.name, "view");
    assert_eq!(view.data["instances"][0]["name"], "web");
    assert_eq!(view.data["containers"][0]["containers"][0]["name"], "web");
    assert_eq!(view.data["commands"], json!([]));

    let appeared = Change::Upsert { container: Box::new(container('b', "db", None)) };
    agent.feed.change(appeared).unwrap();
    assert_eq!(live.next_named("instance").await["containers"]["running"], 2);
    let change = live.next_named("containers").await;
    assert_eq!((&change["whole"], &change["upsert"][0]["name"]), (&json!(false), &json!("db")));

    let gone = container('b', "db", None).id;
    agent.feed.change(Change::Remove { id: gone.clone() }).unwrap();
    assert_eq!(live.next_named("containers").await["remove"], json!([gone]));

    let accepted = site.post(&format!("/api/instances/{id}/sync"), json!({})).await.json();
    assert_eq!(live.next_named("command").await["id"], accepted["command_id"]);

    let what = EventKind::AgentStarted { version: "1.0".to_owned() };
    let event = Event { seq: EventSeq(1), at: UnixMicros::now(), what };
    let batch = EventBatch::plain(Epoch::generate(), vec![event]);
    site.services.events.intake(&id, batch).await.unwrap();
    assert_eq!(live.next_named("event").await["kind"], "agent_started");

    drop(agent);
    assert_eq!(live.next_named("instance").await["link"]["state"], "lost");
    site.services.enrolment.remove(&id).await.unwrap();
    assert_eq!(live.next_named("removed").await["instance"], id.as_str());
}

#[tokio::test]
async fn a_browser_that_cannot_keep_up_gets_everything_again() {
    let site = Site::open().await;
    let id = site.register("web").await;
    let agent = site.connect(&id, Vec::new());
    let mut live = site.follow("/api/live", &[]).await;
    assert_eq!(live.next().await.unwrap().name, "view");
    for number in 0..3000 {
        let mut busy = container('a', "web", None);
        busy.exit_code = Some(number);
        agent.feed.change(Change::Upsert { container: Box::new(busy) }).unwrap();
    }
    let again = live.next_named("view").await;
    assert_eq!(again["containers"][0]["containers"][0]["exit_code"], 2999);
}

#[tokio::test]
async fn a_burst_is_told_once() {
    let site = Site::open().await;
    let id = site.register("web").await;
    let agent = site.connect(&id, Vec::new());
    let mut live = site.follow("/api/live", &[]).await;
    assert_eq!(live.next().await.unwrap().name, "view");
    for number in 1..=50 {
        let mut busy = container('a', "web", None);
        busy.exit_code = Some(number);
        agent.feed.change(Change::Upsert { container: Box::new(busy) }).unwrap();
    }
    let mut told = 0;
    loop {
        told += 1;
        if live.next_named("containers").await["upsert"][0]["exit_code"] == 50 {
            break;
        }
    }
    assert!(told <= 2, "told {told} times");
}

#[tokio::test]
async fn watching_keeps_figures_fresh() {
    let site = Site::open().await;
    let id = site.register("web").await;
    let mut agent = site.connect(&id, Vec::new());
    let mut live = site.follow(&format!("/api/live?watch={id}"), &[]).await;
    assert_eq!(live.next().await.unwrap().name, "view");
    assert_eq!(agent.messages.recv().await, Some(ToAgent::Watch { seconds: 30 }));
}

#[tokio::test]
async fn a_stream_ends_with_its_session_and_with_the_controller() {
    let site = Site::open().await;
    let mut live = site.follow("/api/live", &[]).await;
    assert_eq!(live.next().await.unwrap().name, "view");
    site.services.accounts.log_out("token-of-admin").await.unwrap();
    tokio::time::pause();
    assert!(live.next().await.is_none(), "the session is looked at again");
    tokio::time::resume();

    let mut live = site.follow("/api/live", &[]).await;
    assert_eq!(live.next().await.unwrap().name, "view");
    site.ending.cancel();
    assert!(live.next().await.is_none());
}

#[tokio::test]
async fn there_are_only_so_many_streams_and_each_user_has_a_share() {
    let site = Site::open().await;
    let mut open = Vec::new();
    let mut fill = async |cookie: String| {
        loop {
            let request = request(Method::GET, "/api/live", &cookie, None);
            let answer = tower::ServiceExt::oneshot(site.router.clone(), request).await.unwrap();
            if answer.status() != 200 {
                return open.len();
            }
            open.push(answer);
        }
    };
    assert_eq!(fill(site.cookie(Role::Viewer).await).await, STREAMS_PER_USER);
    for number in 0..STREAMS / STREAMS_PER_USER - 2 {
        fill(site.cookie_of(&format!("user-{number}"), Role::Viewer, &[]).await).await;
    }
    assert_eq!(fill(site.cookie(Role::Admin).await).await, STREAMS, "the last one has a whole share too");
    assert_eq!(fill(site.cookie(Role::Operator).await).await, STREAMS);
    site.get("/api/live").await.problem(503, "busy");
    open.pop();
    let mut live = site.follow("/api/live", &[]).await;
    assert_eq!(live.next().await.unwrap().name, "view");
}

#[tokio::test]
async fn containers_come_after_the_view_where_that_is_wished() {
    let site = Site::open().await;
    let (one, two) = (site.register("one").await, site.register("two").await);
    let _one = site.connect(&one, vec![container('a', "web", None)]);
    let _two = site.connect(&two, Vec::new());
    let mut live = site.follow("/api/live?containers=apart", &[]).await;
    let view = live.next().await.unwrap();
    assert_eq!((view.name.as_str(), view.data["containers"].clone()), ("view", json!([])));
    assert_eq!(view.data["instances"].as_array().unwrap().len(), 2);
    let mut told = Vec::new();
    for _ in 0..2 {
        let containers = live.next().await.unwrap();
        assert_eq!((containers.name.as_str(), &containers.data["whole"]), ("containers", &json!(true)));
        told.push((containers.data["instance"].clone(), containers.data["upsert"].as_array().unwrap().len()));
    }
    told.sort_by_key(|(instance, _)| instance.to_string());
    let mut expected = [(json!(one.as_str()), 1), (json!(two.as_str()), 0)];
    expected.sort_by_key(|(instance, _)| instance.to_string());
    assert_eq!(told, expected);
}
