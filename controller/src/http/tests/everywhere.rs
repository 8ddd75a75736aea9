//! The containers of all instances.

use std::collections::BTreeSet;

use axum::http::Method;
use roadstead_protocol::message::container::{Container, ContainerState, Figures};
use roadstead_protocol::message::ids::InstanceId;
use roadstead_protocol::message::snapshot::Change;
use roadstead_protocol::message::time::UnixMicros;
use serde_json::{Value, json};

use super::{Agent, Site, container, request};
use crate::accounts::Role;
use crate::fixtures;

#[tokio::test]
async fn a_long_list_ends_with_the_session_of_its_reader() {
    let site = Site::open().await;
    for number in 0..3_u32 {
        let id = site.register(&format!("host-{number}")).await;
        let containers =
            (0..400).map(|one| fixtures::container(number * 1000 + one, ContainerState::Running));
        drop(site.connect(&id, containers.collect()));
    }
    site.reads_until_the_session_ends(Role::Viewer, "/api/containers/all").await;
}

/// Three hosts with containers of a shop, and one whose name is not ASCII.
async fn fleet(site: &Site) -> Vec<Agent> {
    let mut agents = Vec::new();
    for host in ["nas", "edge", "büro"] {
        let id = site.register(host).await;
        let shop = ['a', 'b', 'c'].map(|letter| container(letter, &format!("web-{letter}"), Some("shop")));
        let other = container('d', "Database", None);
        agents.push(site.connect(&id, shop.into_iter().chain([other]).collect()));
    }
    agents
}

async fn names(site: &Site, query: &str) -> Vec<(Value, Value)> {
    let page = site.get(&format!("/api/containers?{query}")).await.json();
    let rows = page["containers"].as_array().unwrap_or_else(|| panic!("{page}"));
    rows.iter().map(|row| (row["instance_name"].clone(), row["name"].clone())).collect()
}

#[tokio::test]
async fn pages_hold_every_container_once_in_one_order() {
    let site = Site::open().await;
    let agents = fleet(&site).await;
    for limit in [1, 2, 4, 5, 11, 12, 13] {
        let (mut cursor, mut seen, mut pages) = (String::new(), Vec::new(), 0);
        loop {
            let page = site.get(&format!("/api/containers?limit={limit}{cursor}")).await.json();
            let rows = page["containers"].as_array().unwrap().clone();
            assert!(!rows.is_empty() && rows.len() <= limit, "{page}");
            let place = |row: &Value| format!("{}/{}", row["instance"], row["full_id"]);
            seen.extend(rows.iter().map(place));
            pages += 1;
            let Some(next) = page["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!((seen.len(), pages), (12, 12_usize.div_ceil(limit)), "limit {limit}");
        assert!(seen.is_sorted());
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 12);
    }
    // What a cursor names may be gone by the time that it is used.
    let page = site.get("/api/containers?limit=2").await.json();
    let last: InstanceId = page["containers"][1]["instance"].as_str().unwrap().parse().unwrap();
    drop(agents);
    site.services.enrolment.remove(&last).await.unwrap();
    let rest = names(&site, &format!("cursor={}", page["next"].as_str().unwrap())).await;
    assert_eq!(rest.len(), 8);
    for wrong in ["nonsense", "nas/x", "%2F"] {
        let problem = site.get(&format!("/api/containers?cursor={wrong}")).await.problem(422, "invalid");
        assert_eq!(problem["field"], "cursor");
    }
}

#[tokio::test]
async fn containers_are_found_by_words_and_fields() {
    let site = Site::open().await;
    let agents = fleet(&site).await;
    assert_eq!(names(&site, "q=web-b%20NAS").await, [(json!("nas"), json!("web-b"))]);
    assert_eq!(names(&site, "q=database").await.len(), 3, "whatever the case");
    assert_eq!(names(&site, "q=B%C3%9CRO%20web-c").await, [(json!("büro"), json!("web-c"))]);
    assert_eq!(names(&site, "q=busybox&limit=500").await.len(), 12, "by image");
    assert_eq!(names(&site, "project=shop").await.len(), 9);
    assert_eq!(names(&site, "q=no-such").await.len(), 0);
    let nas = &agents[0].id;
    assert_eq!(names(&site, &format!("instance={nas}")).await.len(), 4);
    assert_eq!(names(&site, &format!("instance={nas}&state=exited")).await.len(), 0);
    assert_eq!(names(&site, &format!("instance={nas}&health=healthy")).await.len(), 4);
    assert_eq!(names(&site, "state=unknown").await.len(), 0);
    for field in ["state", "health"] {
        let refused = site.get(&format!("/api/containers?{field}=asleep")).await;
        assert_eq!(refused.problem(422, "invalid")["field"], field);
    }
}

#[tokio::test]
async fn everything_comes_as_lines_of_what_one_sees() {
    let site = Site::open().await;
    let _agents = fleet(&site).await;
    let all = site.get("/api/containers/all").await;
    assert_eq!(all.headers["content-type"], "application/x-ndjson");
    let rows: Vec<Value> = all.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 12);
    assert_eq!((&rows[0]["compose_project"], &rows[0]["state"]), (&json!("shop"), &json!("running")));
    let cookie = site.cookie_of("limited", Role::Viewer, &["elsewhere"]).await;
    for path in ["/api/containers/all", "/api/containers"] {
        let seen = site.send(request(Method::GET, path, &cookie, None)).await;
        assert_eq!((seen.status.as_u16(), seen.text.contains("web-a")), (200, false), "{path}");
    }
}

#[tokio::test]
async fn an_instance_tells_what_its_containers_add_up_to() {
    let site = Site::open().await;
    let id = site.register("nas").await;
    let mut sick = container('b', "db", Some("shop"));
    sick.health = serde_json::from_value(json!("unhealthy")).unwrap();
    let agent = site.connect(&id, vec![container('a', "web", Some("blog")), sick.clone()]);
    let mut live = site.follow("/api/live?containers=changes", &[]).await;
    let view = live.next().await.unwrap();
    assert_eq!((view.name.as_str(), &view.data["containers"]), ("view", &json!([])));
    let told = &view.data["instances"][0];
    assert_eq!((&told["projects"], &told["load"]), (&json!(["blog", "shop"]), &Value::Null));
    assert_eq!(told["containers"]["unhealthy"], 1);

    let figures = |of: &Container, cpu_percent| Figures {
        container: of.id.clone(),
        at: UnixMicros::now(),
        cpu_percent,
        memory_bytes: 3 << 20,
        memory_limit_bytes: None,
        network_rx_bytes: 0,
        network_tx_bytes: 0,
        block_read_bytes: 0,
        block_write_bytes: 0,
    };
    let web = container('a', "web", Some("blog"));
    agent.feed.figures(vec![figures(&web, Some(1.5)), figures(&sick, None)]);
    let first = live.next().await.unwrap();
    assert_eq!(first.name, "instance", "no list of containers comes first");
    assert_eq!(
        (&first.data["load"]["cpu_percent"], &first.data["load"]["memory_mb"]),
        (&json!(1.5), &json!(6.0))
    );

    agent.feed.change(Change::Remove { id: sick.id.clone() }).unwrap();
    let counted = live.next_named("instance").await;
    assert_eq!(
        (&counted["containers"]["unhealthy"], &counted["load"]["memory_mb"]),
        (&json!(0), &json!(3.0))
    );
    assert_eq!(live.next_named("containers").await["remove"], json!([sick.id]));
}
