//! Lifecycles of containers and projects, as they are listed and followed.

use roadstead_protocol::message::container::{Container, ContainerHealth};
use roadstead_protocol::message::event::{Event, EventBatch, EventKind};
use roadstead_protocol::message::ids::{Epoch, EventSeq, InstanceId};
use roadstead_protocol::message::snapshot::Change;
use roadstead_protocol::message::time::UnixMicros;
use serde_json::json;

use super::{Site, container};

impl Site {
    /// Stores events about `container`, `(how many seconds ago, action)`, and has them taken in.
    async fn happened(&self, instance: &InstanceId, container: &Container, told: &[(i64, &str)]) {
        let now = UnixMicros::now();
        let event = |(seq, (ago, action)): (u64, &(i64, &str))| Event {
            seq: EventSeq(seq),
            at: UnixMicros(now.0 - ago * 1_000_000),
            what: EventKind::Container {
                id: container.id.clone(),
                name: container.name.clone(),
                image: String::new(),
                action: (*action).to_owned(),
                attributes: [("exitCode".to_owned(), "3".to_owned())].into(),
                inferred: false,
            },
        };
        let batch = EventBatch::plain(Epoch::generate(), (1..).zip(told).map(event).collect());
        self.services.events.intake(instance, batch).await.unwrap();
        self.services.lifecycles.catch_up().await.unwrap();
    }
}

/// The same without a health check.
fn unchecked(container: Container) -> Container {
    Container { health: ContainerHealth::None, ..container }
}

#[tokio::test]
async fn containers_and_projects_show_where_they_are_in_their_life() {
    let site = Site::open().await;
    let id = site.register("web").await;
    let (mut web, db) = (container('a', "web", Some("shop")), container('b', "db", Some("shop")));
    web.labels.insert("com.docker.compose.project.working_dir".to_owned(), "/srv/shop".to_owned());
    web.labels
        .insert("com.docker.compose.project.config_files".to_owned(), "/srv/a.yml,/srv/b.yml".to_owned());
    let agent = site.connect(&id, vec![web.clone(), db.clone(), container('c', "alone", None)]);
    site.happened(&id, &web, &[(600, "create"), (180, "start")]).await;

    let containers = site.get(&format!("/api/instances/{id}/containers")).await.json();
    let lifecycle = &containers["containers"][2]["lifecycle"];
    assert_eq!((&lifecycle["status"], &lifecycle["reason"]), (&json!("ready"), &json!(null)));

    let projects = site.get(&format!("/api/instances/{id}/projects")).await.json();
    assert_eq!(projects["projects"].as_array().unwrap().len(), 1);
    let shop = &projects["projects"][0];
    assert_eq!((&shop["project"], &shop["lifecycle"]["status"]), (&json!("shop"), &json!("ready")));
    assert_eq!((&shop["containers"]["total"], &shop["containers"]["ready"]), (&json!(2), &json!(2)));
    assert_eq!(shop["services"][1]["service"], "web");
    assert_eq!(shop["working_dir"], "/srv/shop");
    assert_eq!(shop["config_files"], json!(["/srv/a.yml", "/srv/b.yml"]));

    let mut exited = serde_json::to_value(&db).unwrap();
    exited["state"] = json!("exited");
    exited["exit_code"] = json!(3);
    exited["finished_at"] = json!(UnixMicros::now());
    let exited = Box::new(serde_json::from_value(exited).unwrap());
    agent.feed.change(Change::Upsert { container: exited }).unwrap();
    let projects = site.get(&format!("/api/instances/{id}/projects")).await.json();
    let lifecycle = &projects["projects"][0]["lifecycle"];
    assert_eq!((&lifecycle["status"], &lifecycle["cause"]), (&json!("failed"), &json!("exit")));
    assert_eq!(lifecycle["reason"], "db: ended with exit code 3");
    site.get("/api/instances/no-such/projects").await.problem(404, "unknown-instance");
}

#[tokio::test]
async fn a_life_is_told_in_spans() {
    let site = Site::open().await;
    let id = site.register("web").await;
    let web = unchecked(container('a', "web", None));
    let agent = site.connect(&id, vec![web.clone()]);
    let told = [(600, "create"), (500, "start"), (300, "die"), (180, "start")];
    site.happened(&id, &web, &told).await;
    let path = format!("/api/instances/{id}/containers/web/lifecycle");
    let life = site.get(&path).await.json();
    let statuses: Vec<_> = life["spans"].as_array().unwrap().iter().map(|span| &span["status"]).collect();
    assert_eq!(statuses, ["installing", "ready", "failed", "installing", "ready"]);
    assert_eq!(life["spans"][2]["reason"], "ended with exit code 3");
    assert_eq!((&life["spans"][4]["until"], &life["shortened"]), (&json!(null), &json!(false)));

    agent.feed.change(Change::Remove { id: web.id.clone() }).unwrap();
    site.happened(&id, &web, &[(1, "destroy")]).await;
    site.get(&path).await.problem(404, "unknown-container");
    let gone = site.get(&format!("/api/instances/{id}/containers/{}/lifecycle", web.id)).await.json();
    assert_eq!(gone["spans"][5]["status"], "removed");
    let never = format!("/api/instances/{id}/containers/{}/lifecycle", "f".repeat(64));
    site.get(&never).await.problem(404, "unknown-container");
}

#[tokio::test]
async fn a_change_of_life_is_followed() {
    let site = Site::open().await;
    let id = site.register("web").await;
    let web = unchecked(container('a', "web", None));
    let _agent = site.connect(&id, vec![web.clone()]);
    let mut live = site.follow("/api/live", &[]).await;
    let view = live.next().await.unwrap().data;
    assert_eq!(view["containers"][0]["containers"][0]["lifecycle"]["status"], "ready");
    site.happened(&id, &web, &[(180, "start"), (3, "die"), (2, "start")]).await;
    let change = live.next_named("containers").await;
    assert_eq!(change["upsert"][0]["lifecycle"]["status"], "installing");
}

#[tokio::test]
async fn the_past_goes_back_as_far_as_the_log_and_knows_containers_that_are_gone() {
    let site = Site::open().await;
    let id = site.register("web").await;
    let (web, gone) = (unchecked(container('a', "web", Some("shop"))), container('b', "gone", None));
    let _agent = site.connect(&id, vec![web.clone()]);
    // More runs than the history in memory has room for.
    let mut told = vec![(9500, "create")];
    for run in 0..40 {
        told.extend([(9000 - run * 200, "start"), (8950 - run * 200, "die")]);
    }
    told.push((90, "start"));
    site.happened(&id, &web, &told).await;
    site.happened(&id, &gone, &[(300, "create"), (299, "start"), (200, "destroy")]).await;

    let past = site.get(&format!("/api/instances/{id}/lifecycles")).await.json();
    assert_eq!(past["shortened"], false);
    let lives = past["containers"].as_array().unwrap();
    let names: Vec<_> =
        lives.iter().map(|life| (&life["name"], &life["project"], &life["present"])).collect();
    let (yes, no, none) = (json!(true), json!(false), json!(null));
    assert_eq!(names, [(&json!("web"), &json!("shop"), &yes), (&json!("gone"), &none, &no)]);
    let spans = lives[0]["spans"].as_array().unwrap();
    assert!(spans.len() > 40, "{} spans", spans.len());
    assert_eq!(
        (&spans[0]["status"], &spans.last().unwrap()["status"]),
        (&json!("installing"), &json!("ready"))
    );
    let stretches = spans.windows(2).all(|pair| pair[0]["until"] == pair[1]["from"]);
    assert!(stretches, "each begins where the one before ended");
    assert_eq!(lives[1]["spans"].as_array().unwrap().last().unwrap()["status"], "removed");

    let lately = UnixMicros(UnixMicros::now().0 - 60_000_000);
    let lately = serde_json::to_value(crate::http::time::Time(lately)).unwrap();
    let path = format!("/api/instances/{id}/lifecycles?since={}", lately.as_str().unwrap());
    let past = site.get(&path).await.json();
    assert_eq!(
        past["containers"][0]["spans"].as_array().unwrap().len(),
        1,
        "only what reaches into the stretch"
    );
    let path = format!("/api/instances/{id}/lifecycles?container={}", "b".repeat(64));
    assert_eq!(site.get(&path).await.json()["containers"].as_array().unwrap().len(), 1);
}
