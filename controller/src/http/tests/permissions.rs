//! The permission table of docs/permissions.md: every route of the API's own description, as everybody there is.

use std::collections::BTreeSet;

use axum::http::{Method, StatusCode, header};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{Answer, EventReader, Site, request};
use crate::accounts::Role;

const TABLE: &str = include_str!("../../../../docs/permissions.md");

/// A row of the table.
#[derive(Clone, Copy, Debug)]
struct Row {
    method: &'static str,
    path: &'static str,
    /// None for everybody.
    least: Option<Role>,
    tokens: bool,
    tags: &'static str,
}

fn table() -> Vec<Row> {
    let rows = TABLE.lines().filter_map(|line| line.strip_prefix("| `")).map(|line| {
        let cells: Vec<_> = line.trim_end_matches(" |").split(" | ").collect();
        let [route, who, tokens, tags] = cells[..] else { panic!("four columns, please: {line}") };
        let (method, path) = route.trim_end_matches('`').split_once(' ').unwrap();
        let least = (who != "everybody").then(|| who.parse().unwrap());
        assert!(["yes", "no"].contains(&tokens) && ["–", "404", "listed", "whole"].contains(&tags), "{line}");
        Row { method, path, least, tokens: tokens == "yes", tags }
    });
    rows.collect()
}

fn described_routes() -> BTreeSet<String> {
    let document: Value = serde_json::from_str(&super::super::openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let routes = paths.iter().flat_map(|(path, item)| {
        item.as_object().unwrap().keys().map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    routes.collect()
}

#[test]
fn every_route_has_a_row_and_every_row_a_route() {
    let described = described_routes();
    let rows: Vec<_> = table().iter().map(|row| format!("{} {}", row.method, row.path)).collect();
    let written: BTreeSet<_> = rows.iter().cloned().collect();
    assert_eq!(written.len(), rows.len(), "a route has two rows");
    assert_eq!(described, written, "docs/permissions.md must have a row for each route, and no more");
    for row in table() {
        let of_instance = row.path.starts_with("/api/instances/{") || row.path.starts_with("/api/commands/{");
        // Administrators see everything.
        let limited = row.least < Some(Role::Admin);
        assert!(!of_instance || !limited || row.tags == "404", "{row:?}: what is out of sight is not there");
    }
}

/// Addresses are written down by browsers, proxies and logs. What stands there of a token is its id.
#[test]
fn no_secret_has_a_place_in_an_address() {
    let document: Value = serde_json::from_str(&super::super::openapi()).unwrap();
    let routes = document["paths"].as_object().unwrap();
    let routes =
        routes.iter().flat_map(|(path, item)| item.as_object().unwrap().values().map(move |it| (path, it)));
    let mut names = BTreeSet::new();
    for (path, route) in routes {
        for parameter in route["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap();
            let secret =
                ["secret", "password", "token", "code", "key"].iter().any(|word| name.contains(word));
            assert!(!secret, "{path} takes {name}");
            names.insert(name);
        }
    }
    assert!(names.contains("id") && names.contains("cursor"), "{names:?}");
}

/// Routes without a description would be without a row: there is one, which lets in no person and no program.
#[test]
fn no_route_goes_past_the_description_but_that_of_the_agents() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut bare = Vec::new();
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            match entry {
                tests if tests.ends_with("tests") || tests.ends_with("tests.rs") => {}
                folder if folder.is_dir() => folders.push(folder),
                file => {
                    let text = std::fs::read_to_string(file).unwrap();
                    let direct = [".route(", ".route_service(", ".nest(", ".nest_service(", ".merge("];
                    let lines = text.lines().filter(|line| direct.iter().any(|word| line.contains(word)));
                    bare.extend(lines.map(|line| line.trim().to_owned()));
                }
            }
        }
    }
    assert_eq!(bare, [r#".route("/agent", get(agent::take_link))"#]);
}

/// Who asks: what is shown to be let in, and what the table says of it.
struct Caller {
    name: &'static str,
    headers: Vec<(header::HeaderName, String)>,
    /// What the caller may do; none for nobody.
    role: Option<Role>,
    token: bool,
    foreign: bool,
}

async fn everybody(site: &Site) -> Vec<Caller> {
    let mut callers = Vec::new();
    let mut add = |name, headers, role, token| {
        callers.push(Caller { name, headers, role, token, foreign: name == "wrong origin" });
    };
    let cookie = |cookie: String| vec![(header::COOKIE, cookie)];
    let bearer = |token: String| vec![(header::AUTHORIZATION, format!("Bearer {token}"))];
    add("nobody", Vec::new(), None, false);
    for role in Role::ALL {
        add(role.as_str(), cookie(site.cookie(role).await), Some(role), false);
    }
    add(
        "read token of an admin",
        bearer(site.token(Role::Admin, Role::Viewer).await),
        Some(Role::Viewer),
        true,
    );
    let operate = site.token(Role::Operator, Role::Operator).await;
    add("operate token", bearer(operate), Some(Role::Operator), true);
    add("admin token", bearer(site.token(Role::Admin, Role::Admin).await), Some(Role::Admin), true);
    add("expired token", bearer(site.expired_token().await), None, true);
    add("made-up token", bearer("rst_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned()), None, true);
    let mut both = cookie(site.cookie(Role::Admin).await);
    both.push((header::AUTHORIZATION, "Basic YWRtaW46c2VjcmV0".to_owned()));
    add("admin's cookie beside another login", both, None, true);
    add("somebody kept out", cookie(site.kept_out().await), None, false);
    let mut foreign = cookie(site.cookie(Role::Admin).await);
    foreign.push((header::ORIGIN, "https://evil.example.org".to_owned()));
    foreign.push((header::HOST, "roadstead.example.org".to_owned()));
    add("wrong origin", foreign, Some(Role::Admin), false);
    callers
}

fn expected(row: &Row, caller: &Caller) -> Option<u16> {
    let changes = row.method != "GET";
    if caller.foreign && (changes || row.path.starts_with("/api/")) {
        return Some(403);
    }
    match (row.least, caller.role) {
        (None, _) => None,
        (Some(_), None) => Some(401),
        (Some(least), Some(role)) if role < least => Some(403),
        _ if caller.token && !row.tokens => Some(403),
        _ => None,
    }
}

#[tokio::test]
async fn everybody_may_do_what_the_table_says_and_no_more() {
    let site = Site::with_demo_mode(true).await;
    let callers = everybody(&site).await;
    for row in table() {
        for caller in &callers {
            // Some rows end sessions.
            for role in Role::ALL {
                site.cookie(role).await;
            }
            // Nothing by these names exists, and no body fits: whoever may change things changes nothing.
            let body = (row.method != "GET").then(|| json!({ "no_such_field": 1 }));
            let status = ask(&site, &row, caller, body).await.status;
            let route = format!("{} {} as {}", row.method, row.path, caller.name);
            match expected(&row, caller) {
                Some(expected) => assert_eq!(status, expected, "{route}"),
                None => assert!(!matches!(status.as_u16(), 401 | 403 | 405 | 500..), "{route}: {status}"),
            }
        }
    }
}

#[tokio::test]
async fn what_is_out_of_sight_is_not_there() {
    let site = Site::open().await;
    let hidden = site.register("hidden").await;
    let _agent = site.connect(&hidden, vec![super::container('a', "web", Some("shop"))]);
    let sync = site.post(&format!("/api/instances/{hidden}/sync"), json!({})).await.json();
    let command = sync["command_id"].as_str().unwrap().to_owned();
    let rollout = site.post("/api/rollouts", json!({ "instances": [hidden.as_str()] })).await.json();
    let rollout = rollout["id"].as_str().unwrap().to_owned();
    let made = site.post("/api/join-tokens", json!({ "instance": hidden.as_str() })).await.json();
    let join_token = made["token_id"].as_str().unwrap().to_owned();
    let other = site.register("other").await;
    let cookie = site.cookie_of("limited", Role::Operator, &["elsewhere"]).await;
    let (by_tag, by_id) = (json!({ "tags": ["elsewhere"] }), json!({ "instances": [other.as_str()] }));
    let bearer = |token: String| vec![(header::AUTHORIZATION, format!("Bearer {token}"))];
    let limited = [
        ("user with a tag", vec![(header::COOKIE, cookie)], false),
        ("token for a tag", bearer(narrow_token(&site, "by-tag", by_tag).await), true),
        ("token for another instance", bearer(narrow_token(&site, "by-id", by_id).await), true),
    ];
    let limited = limited.map(|(name, headers, token)| Caller {
        name,
        headers,
        role: Some(Role::Operator),
        token,
        foreign: false,
    });
    for (row, limited) in table().into_iter().flat_map(|row| limited.iter().map(move |one| (row, one))) {
        // Some rows end the session.
        site.cookie_of("limited", Role::Operator, &["elsewhere"]).await;
        let id = match row.path {
            path if path.starts_with("/api/commands") => &command,
            path if path.starts_with("/api/join-tokens") => &join_token,
            path if path.starts_with("/api/rollouts") => &rollout,
            _ => hidden.as_str(),
        };
        let path = fill(row.path, id);
        let row = Row { path: path.leak(), ..row };
        let body = (row.method != "GET").then(|| body(row.path, hidden.as_str()));
        let answer = ask(&site, &row, limited, body).await;
        let route = format!("{} {} as {}: {}", row.method, row.path, limited.name, answer.text);
        match row.tags {
            _ if limited.token && !row.tokens => assert_eq!(answer.status, 403, "{route}"),
            "404" => assert_eq!(answer.status, 404, "{route}"),
            "whole" => assert!([403, 404].contains(&answer.status.as_u16()), "{route}"),
            "listed" => assert_eq!(answer.status, 200, "{route}"),
            _ => assert!(!answer.status.is_server_error(), "{route}"),
        }
        if answer.status.is_success() {
            for secret in [hidden.as_str(), &command, &join_token, &rollout] {
                assert!(!answer.text.contains(secret), "{route} tells of {secret}");
            }
        }
    }
    // Nothing of it happened, and who has no limit sees all of it.
    for (path, what) in
        [("/api/instances", hidden.as_str()), ("/api/commands", &command), ("/api/join-tokens", &join_token)]
    {
        assert!(site.get(path).await.text.contains(what), "{path}");
    }
    let record = site.get(&format!("/api/commands/{command}")).await.json();
    assert_eq!(record["cancel_requested"], false);
}

/// A token of an administrator's that operates within `limits`.
async fn narrow_token(site: &Site, name: &str, limits: Value) -> String {
    let cookie = site.cookie(Role::Admin).await;
    let mut wish = limits;
    wish["name"] = json!(name);
    wish["scope"] = json!("operate");
    let made = site.send(request(Method::POST, "/api/tokens", &cookie, Some(wish))).await.json();
    made["secret"].as_str().unwrap().to_owned()
}

/// A body that the route would take.
fn body(path: &str, instance: &str) -> Value {
    match path.rsplit('/').next().unwrap() {
        "install" => json!({ "name": "x", "image": "busybox" }),
        "reinstall" => json!({ "container": "web" }),
        "instances" => json!({ "name": "another" }),
        "join-tokens" => json!({ "instance": instance }),
        "rollouts" => json!({ "instances": [instance] }),
        "commands" => json!({ "instances": [instance], "action": "stop", "container": "web" }),
        _ => json!({}),
    }
}

fn fill(path: &str, id: &str) -> String {
    path.replace("{id}", id)
        .replace("{container}", "web")
        .replace("{action}", "stop")
        .replace("{name}", "nobody-here")
}

async fn ask(site: &Site, row: &Row, caller: &Caller, body: Option<Value>) -> Answer {
    let path = fill(row.path, "00000000-0000-7000-8000-000000000000");
    let method: Method = row.method.parse().unwrap();
    let mut request = request(method, &path, "", body);
    for (name, value) in &caller.headers {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    if path != "/api/live" {
        return site.send(request).await;
    }
    // Its body never ends: the first event will do.
    let response = site.router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let mut events = EventReader { body: body.into_data_stream(), text: String::new() };
    let text = match parts.status {
        StatusCode::OK => events.next().await.unwrap().data.to_string(),
        _ => String::new(),
    };
    Answer { status: parts.status, headers: parts.headers, text }
}

#[tokio::test]
async fn a_refusal_is_in_the_audit_log() {
    let site = Site::open().await;
    let cookie = site.cookie(Role::Viewer).await;
    site.send(request(Method::DELETE, "/api/instances/web-1", &cookie, None)).await.problem(403, "forbidden");
    site.send(request(Method::GET, "/api/instances", "", None)).await.problem(401, "not-logged-in");
    let entries = site.get("/api/audit").await.json()["entries"].clone();
    assert_eq!(entries[0]["target"], "/api/instances");
    assert_eq!(entries[0]["result"], "refused");
    assert_eq!(entries[1]["who"], "viewer");
    assert_eq!(entries[1]["what"], "DELETE");
    assert_eq!(entries[1]["target"], "/api/instances/web-1");
}

#[tokio::test]
async fn a_flood_of_strangers_does_not_fill_the_audit_log() {
    let site = Site::open().await;
    for _ in 0..50 {
        site.send(request(Method::GET, "/api/instances", "", None)).await.problem(401, "not-logged-in");
    }
    let entries = site.get("/api/audit").await.json()["entries"].as_array().unwrap().len();
    assert!(entries <= 11, "{entries} entries");
}

#[tokio::test]
async fn nor_does_somebody_who_asks_for_more_again_and_again() {
    let site = Site::open().await;
    let cookie = site.cookie(Role::Viewer).await;
    for _ in 0..50 {
        site.send(request(Method::GET, "/api/users", &cookie, None)).await.problem(403, "forbidden");
    }
    let entries = site.get("/api/audit").await.json()["entries"].as_array().unwrap().len();
    assert!((1..=11).contains(&entries), "{entries} entries");
}
