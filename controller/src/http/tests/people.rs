//! Users, second factors, sessions and API tokens as a browser and a program meet them.

use std::time::Duration;

use axum::http::{Method, Request, header};
use roadstead_protocol::message::snapshot::Change;
use roadstead_protocol::message::time::UnixMicros;
use serde_json::{Value, json};

use super::{Answer, Site, container, request};
use crate::accounts::{Role, code_at};
use crate::enrolment::InstanceChange;

impl Site {
    async fn ask(&self, cookie: &str, method: Method, path: &str, body: Value) -> Answer {
        let body = (method != Method::GET).then_some(body);
        self.send(request(method, path, cookie, body)).await
    }

    async fn log_in(&self, name: &str, password: &str, code: Option<&str>) -> Answer {
        let body = json!({ "username": name, "password": password, "code": code });
        self.ask("", Method::POST, "/api/login", body).await
    }

    async fn bearer(&self, method: Method, path: &str, token: &str) -> Answer {
        let request = Request::builder().method(method).uri(path);
        let request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        self.send(request.body(axum::body::Body::empty()).unwrap()).await
    }
}

/// The cookies that an answer sets, as a browser sends them back.
fn cookies(answer: &Answer) -> String {
    let set = answer.headers.get_all(header::SET_COOKIE).into_iter();
    let pairs: Vec<_> = set.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap()).collect();
    pairs.join("; ")
}

#[tokio::test]
async fn a_user_is_made_changed_and_removed() {
    let site = Site::open().await;
    let made = site.post("/api/users", json!({ "name": "anna", "role": "viewer" })).await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(made.headers[header::LOCATION], "/api/users/anna");
    let password = made.json()["password"].as_str().unwrap().to_owned();
    let anna = cookies(&site.log_in("anna", &password, None).await);
    let session = site.ask(&anna, Method::GET, "/api/session", json!({})).await.json();
    assert_eq!((&session["username"], &session["role"]), (&json!("anna"), &json!("viewer")));

    let sync = "/api/instances/web/sync";
    site.ask(&anna, Method::POST, sync, json!({})).await.problem(403, "forbidden");
    let admin = site.cookie(Role::Admin).await;
    let promote = json!({ "role": "operator", "tags": ["shop", "shop", " blog "] });
    let changed = site.ask(&admin, Method::PATCH, "/api/users/anna", promote).await.json();
    assert_eq!(changed["tags"], json!(["blog", "shop"]));
    site.ask(&anna, Method::POST, sync, json!({})).await.problem(404, "unknown-instance");

    let twice = site.post("/api/users", json!({ "name": "anna", "role": "admin" })).await;
    twice.problem(409, "name-taken");
    let odd = site.post("/api/users", json!({ "name": "Anna Who", "role": "viewer" })).await;
    assert_eq!(odd.problem(422, "invalid")["field"], "name");
    let limited = json!({ "role": "admin" });
    site.ask(&admin, Method::PATCH, "/api/users/anna", limited).await.problem(422, "invalid");

    site.ask(&admin, Method::PATCH, "/api/users/anna", json!({ "disabled": true })).await;
    site.ask(&anna, Method::GET, "/api/session", json!({})).await.problem(401, "not-logged-in");
    site.log_in("anna", &password, None).await.problem(401, "wrong-password");
    assert_eq!(site.ask(&admin, Method::DELETE, "/api/users/anna", json!({})).await.status, 204);
    site.ask(&admin, Method::GET, "/api/users/anna", json!({})).await.problem(404, "unknown-user");

    let entries = site.get("/api/audit").await.json()["entries"].clone();
    let entries = entries.as_array().unwrap();
    let told = |what: &str, target: &str| {
        entries.iter().any(|entry| entry["what"] == what && entry["target"] == target)
    };
    assert!(told("user.add", "anna (viewer)") && told("user.remove", "anna"));
    assert!(told("user.change", "anna role=operator tags=shop,shop, blog "), "{entries:?}");
}

#[tokio::test]
async fn a_password_change_ends_the_other_sessions() {
    let site = Site::open().await;
    let here = cookies(&site.log_in("admin", "secret", None).await);
    let there = cookies(&site.log_in("admin", "secret", None).await);
    let change = |password: &str| json!({ "password": password, "new_password": "correct horse" });
    let path = "/api/account/password";
    site.ask(&here, Method::POST, path, change("guess")).await.problem(403, "not-proven");
    assert_eq!(site.ask(&here, Method::POST, path, change("secret")).await.status, 204);
    assert_eq!(site.ask(&here, Method::GET, "/api/session", json!({})).await.status, 200);
    site.ask(&there, Method::GET, "/api/session", json!({})).await.problem(401, "not-logged-in");
    site.log_in("admin", "secret", None).await.problem(401, "wrong-password");
    assert_eq!(site.log_in("admin", "correct horse", None).await.status, 200);
}

#[tokio::test]
async fn sessions_are_listed_and_revoked() {
    let site = Site::open().await;
    let here = cookies(&site.log_in("admin", "secret", None).await);
    let there = cookies(&site.log_in("admin", "secret", None).await);
    let viewer = site.cookie(Role::Viewer).await;
    let listed = site.ask(&here, Method::GET, "/api/sessions", json!({})).await.json();
    let sessions = listed["sessions"].as_array().unwrap();
    assert_eq!(sessions.iter().filter(|session| session["current"] == true).count(), 1);
    let other = sessions.iter().find(|session| session["current"] == false).unwrap();
    let path = format!("/api/sessions/{}", other["id"].as_str().unwrap());

    site.ask(&viewer, Method::DELETE, &path, json!({})).await.problem(404, "unknown-session");
    site.ask(&viewer, Method::GET, "/api/sessions?user=admin", json!({})).await.problem(403, "forbidden");
    let others = site.ask(&here, Method::GET, "/api/sessions?user=viewer", json!({})).await.json();
    assert_eq!(others["sessions"].as_array().unwrap().len(), 1);
    assert_eq!(site.ask(&here, Method::DELETE, &path, json!({})).await.status, 204);
    site.ask(&there, Method::GET, "/api/session", json!({})).await.problem(401, "not-logged-in");
    site.ask(&here, Method::DELETE, &path, json!({})).await.problem(404, "unknown-session");
    site.ask(&here, Method::DELETE, "/api/sessions/%C3%A9%C3%A9", json!({}))
        .await
        .problem(404, "unknown-session");
}

/// Sets up a second factor for the administrator; returns its secret and recovery codes.
async fn second_factor(site: &Site, cookie: &str) -> (String, Vec<String>) {
    let begun =
        site.ask(cookie, Method::POST, "/api/account/second-factor", json!({ "password": "secret" })).await;
    assert_eq!(begun.status, 201, "{}", begun.text);
    let secret = begun.json()["secret"].as_str().unwrap().to_owned();
    let url = format!("otpauth://totp/Roadstead:admin?secret={secret}&issuer=Roadstead");
    assert_eq!(begun.json()["otpauth_url"], url);
    let path = "/api/account/second-factor/confirm";
    site.ask(cookie, Method::POST, path, json!({ "code": "12" })).await.problem(403, "not-proven");
    let earlier = UnixMicros(UnixMicros::now().0 - 30_000_000);
    let code = json!({ "code": code_at(&secret, earlier) });
    let confirmed = site.ask(cookie, Method::POST, path, code).await;
    assert_eq!(confirmed.status, 200, "{}", confirmed.text);
    (secret, serde_json::from_value(confirmed.json()["recovery_codes"].clone()).unwrap())
}

#[tokio::test]
async fn a_second_factor_is_asked_for_and_each_code_is_good_once() {
    let site = Site::open().await;
    let cookie = cookies(&site.log_in("admin", "secret", None).await);
    let (secret, recovery) = second_factor(&site, &cookie).await;
    assert_eq!(recovery.len(), 10);
    site.log_in("admin", "secret", None).await.problem(401, "second-factor");
    site.log_in("admin", "wrong", Some("123456")).await.problem(401, "wrong-password");
    let now = UnixMicros::now();
    let code = code_at(&secret, now);
    let entered = site.log_in("admin", "secret", Some(&code)).await;
    assert_eq!(entered.status, 200, "{}", entered.text);
    site.log_in("admin", "secret", Some(&code)).await.problem(401, "wrong-code");
    let earlier = code_at(&secret, UnixMicros(now.0 - 30_000_000));
    site.log_in("admin", "secret", Some(&earlier)).await.problem(401, "wrong-code");

    assert_eq!(site.log_in("admin", "secret", Some(&recovery[3])).await.status, 200);
    site.log_in("admin", "secret", Some(&recovery[3])).await.problem(401, "wrong-code");
    let admin = site.ask(&cookie, Method::GET, "/api/users/admin", json!({})).await.json();
    assert_eq!((&admin["second_factor"], &admin["recovery_codes"]), (&json!(true), &json!(9)));

    let remove = json!({ "password": "secret", "code": recovery[4].to_uppercase() });
    let path = "/api/account/second-factor/remove";
    site.ask(&cookie, Method::POST, path, json!({ "password": "secret" })).await.problem(403, "not-proven");
    assert_eq!(site.ask(&cookie, Method::POST, path, remove).await.status, 204);
    assert_eq!(site.log_in("admin", "secret", None).await.status, 200);
}

#[tokio::test]
async fn codes_cannot_be_guessed() {
    let site = Site::open().await;
    let cookie = cookies(&site.log_in("admin", "secret", None).await);
    let (secret, _) = second_factor(&site, &cookie).await;
    let mut tried = 0;
    loop {
        let answer = site.log_in("admin", "secret", Some("000000")).await;
        if answer.status == 429 {
            break;
        }
        tried += 1;
        answer.problem(401, "wrong-code");
    }
    assert!(tried <= 6, "{tried} codes could be tried at once");
    // The owner's browser, which has signed in before, is not kept out by that.
    let body = json!({ "password": "secret", "code": code_at(&secret, UnixMicros::now()) });
    assert_eq!(site.ask(&cookie, Method::POST, "/api/login", body).await.status, 200);
}

#[tokio::test]
async fn a_token_does_what_its_scope_and_its_user_allow() {
    let site = Site::open().await;
    let (shop, blog) = (site.register("shop-1").await, site.register("blog-1").await);
    let tags = InstanceChange { tags: Some(vec!["shop".to_owned()]), ..InstanceChange::default() };
    site.services.enrolment.change(&shop, tags).await.unwrap();
    let made = site.post("/api/tokens", json!({ "name": "ci", "scope": "operate", "tags": ["shop"] })).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let secret = made.json()["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("rst_") && secret.len() > 40);

    let listed = site.bearer(Method::GET, "/api/instances", &secret).await;
    assert_eq!(listed.json()["total_count"], 1);
    site.bearer(Method::GET, &format!("/api/instances/{blog}"), &secret)
        .await
        .problem(404, "unknown-instance");
    site.bearer(Method::GET, "/api/users", &secret).await.problem(403, "forbidden");
    site.bearer(Method::GET, "/api/tokens", &secret).await.problem(403, "no-tokens");
    site.bearer(Method::DELETE, &format!("/api/instances/{blog}"), &secret)
        .await
        .problem(404, "unknown-instance");
    let session = site.bearer(Method::GET, "/api/session", &secret).await.json();
    assert_eq!((&session["role"], &session["token"]), (&json!("operator"), &json!(true)));
    assert_eq!(site.bearer(Method::DELETE, &format!("/api/instances/{shop}"), &secret).await.status, 204);
    let entries = site.get("/api/audit").await.json()["entries"].clone();
    assert_eq!(entries[0]["who"], "admin (token ci)");

    let tokens = site.get("/api/tokens").await;
    assert!(!tokens.text.contains(&secret));
    let token = &tokens.json()["tokens"][0];
    assert!(token["last_used"].is_string(), "{token}");
    let path = format!("/api/tokens/{}", token["id"].as_str().unwrap());
    let admin = site.cookie(Role::Admin).await;
    assert_eq!(site.ask(&admin, Method::DELETE, &path, json!({})).await.status, 204);
    site.bearer(Method::GET, "/api/instances", &secret).await.problem(401, "wrong-token");
}

#[tokio::test]
async fn a_token_never_exceeds_its_user() {
    let site = Site::open().await;
    let anna = site.cookie_of("anna", Role::Operator, &["shop"]).await;
    let new = |name: &str, scope: &str| json!({ "name": name, "scope": scope });
    site.ask(&anna, Method::POST, "/api/tokens", new("a", "admin")).await.problem(403, "scope");
    let made = site.ask(&anna, Method::POST, "/api/tokens", new("a", "operate")).await.json();
    site.ask(&anna, Method::POST, "/api/tokens", new("a", "read")).await.problem(409, "name-taken");
    let secret = made["secret"].as_str().unwrap();
    site.register("elsewhere").await;
    assert_eq!(site.bearer(Method::GET, "/api/instances", secret).await.json()["total_count"], 0);

    let admin = site.cookie(Role::Admin).await;
    site.ask(&admin, Method::PATCH, "/api/users/anna", json!({ "role": "viewer" })).await;
    site.bearer(Method::POST, "/api/instances/elsewhere/sync", secret).await.problem(403, "forbidden");
    site.ask(&admin, Method::PATCH, "/api/users/anna", json!({ "disabled": true })).await;
    site.bearer(Method::GET, "/api/instances", secret).await.problem(401, "wrong-token");
}

#[tokio::test]
async fn a_token_for_an_instance_is_not_for_one_that_is_registered_at_its_address_later() {
    let site = Site::open().await;
    let admin = site.cookie(Role::Admin).await;
    let register = json!({ "name": "cellar", "url": "wss://203.0.113.9:8082" });
    let made = site.ask(&admin, Method::POST, "/api/instances", register.clone()).await.json();
    let id = made["instance"]["id"].as_str().unwrap().to_owned();
    let wish = json!({ "name": "cellar-script", "scope": "operate", "instances": [id] });
    let made = site.ask(&admin, Method::POST, "/api/tokens", wish).await.json();
    let secret = made["secret"].as_str().unwrap();
    let path = format!("/api/instances/{id}");
    assert_eq!(site.bearer(Method::GET, &path, secret).await.status, 200);
    assert_eq!(site.ask(&admin, Method::DELETE, &path, Value::Null).await.status, 204);
    let again = site.ask(&admin, Method::POST, "/api/instances", register).await.json();
    assert_eq!(again["instance"]["id"], id.as_str(), "its history is found by its address");
    site.bearer(Method::GET, &path, secret).await.problem(404, "unknown-instance");
    let seen = site.bearer(Method::GET, "/api/instances", secret).await.json();
    assert_eq!(seen["total_count"], 0, "nor has the token lost its limit");
}

#[tokio::test]
async fn whoever_is_limited_does_not_get_the_history_of_an_address() {
    let site = Site::open().await;
    let admin = site.cookie(Role::Admin).await;
    let register = |tag: &str| json!({ "name": "db", "url": "wss://203.0.113.9:8082", "tags": [tag] });
    let made = site.ask(&admin, Method::POST, "/api/instances", register("finance")).await.json();
    let id = made["instance"]["id"].as_str().unwrap();
    assert_eq!(
        site.ask(&admin, Method::DELETE, &format!("/api/instances/{id}"), Value::Null).await.status,
        204
    );
    let anna = site.cookie_of("anna", Role::Operator, &["shop"]).await;
    let made = site.ask(&anna, Method::POST, "/api/instances", register("shop")).await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_ne!(made.json()["instance"]["id"], id);
}

#[tokio::test]
async fn a_limited_user_registers_and_changes_within_the_own_tags_alone() {
    let site = Site::open().await;
    let anna = site.cookie_of("anna", Role::Operator, &["shop"]).await;
    let register = |tags: Value| json!({ "name": "web-1", "tags": tags });
    let refused = site.ask(&anna, Method::POST, "/api/instances", register(json!(["blog"]))).await;
    assert_eq!(refused.problem(403, "outside-tags")["tags"], json!(["shop"]));
    let made = site.ask(&anna, Method::POST, "/api/instances", register(json!(["blog", "shop"]))).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let path = format!("/api/instances/{}", made.json()["instance"]["id"].as_str().unwrap());
    let change = |tags: Value| json!({ "tags": tags });
    site.ask(&anna, Method::PATCH, &path, change(json!([]))).await.problem(403, "outside-tags");
    assert_eq!(site.ask(&anna, Method::PATCH, &path, change(json!(["shop"]))).await.status, 200);
    site.ask(&anna, Method::POST, "/api/join-tokens", json!({})).await.problem(403, "outside-tags");
    site.ask(&anna, Method::GET, "/metrics", json!({})).await.problem(403, "outside-tags");
}

#[tokio::test]
async fn a_live_view_holds_what_is_in_sight_and_follows_tags_in_and_out() {
    let site = Site::open().await;
    let (shop, blog) = (site.register("shop-1").await, site.register("blog-1").await);
    let tag = async |id, tags: &[&str]| {
        let tags = Some(tags.iter().map(|tag| (*tag).to_owned()).collect());
        site.services
            .enrolment
            .change(id, InstanceChange { tags, ..InstanceChange::default() })
            .await
            .unwrap();
    };
    tag(&shop, &["shop"]).await;
    let (in_sight, hidden) = (
        site.connect(&shop, vec![container('a', "web", None)]),
        site.connect(&blog, vec![container('b', "blog", None)]),
    );
    let cookie = site.cookie_of("anna", Role::Viewer, &["shop"]).await;
    let mut live = site.follow_as(&cookie, "/api/live", &[]).await;
    let view = live.next().await.unwrap().data;
    assert_eq!(view["instances"].as_array().unwrap().len(), 1);
    assert_eq!(view["containers"].as_array().unwrap().len(), 1);

    let appear = |id, name| Change::Upsert { container: Box::new(container(id, name, None)) };
    hidden.feed.change(appear('c', "hidden")).unwrap();
    in_sight.feed.change(appear('d', "seen")).unwrap();
    let told = live.next().await.unwrap();
    assert_eq!((told.name.as_str(), &told.data["id"]), ("instance", &json!(shop.as_str())));
    assert_eq!(live.next_named("containers").await["upsert"][0]["name"], "seen");

    tag(&blog, &["shop"]).await;
    assert_eq!(live.next_named("instance").await["id"], blog.as_str());
    let whole = live.next_named("containers").await;
    assert_eq!((&whole["whole"], whole["upsert"].as_array().unwrap().len()), (&json!(true), 2));
    tag(&shop, &[]).await;
    assert_eq!(live.next_named("removed").await["instance"], shop.as_str());

    site.services.accounts.remove_user("anna").await.unwrap();
    tokio::time::pause();
    assert!(live.next().await.is_none(), "who is gone sees no more");
}

#[tokio::test]
async fn an_empty_tag_is_no_limit_and_no_tag() {
    let site = Site::open().await;
    for tags in [json!([""]), json!(["", " "]), json!(["shop", ""])] {
        let new = json!({ "name": "anna", "role": "viewer", "tags": tags });
        site.post("/api/users", new).await.problem(422, "invalid");
        let token = json!({ "name": "ci", "scope": "read", "tags": tags });
        site.post("/api/tokens", token).await.problem(422, "invalid");
    }
}

#[tokio::test]
async fn an_administrators_open_browser_is_no_proof_of_who_sits_there() {
    let site = Site::open().await;
    let cookie = site.cookie(Role::Admin).await;
    let new = json!({ "password": "another secret" });
    let own = site.ask(&cookie, Method::POST, "/api/users/admin/password", new.clone()).await;
    assert!(own.problem(403, "own-account")["detail"].as_str().unwrap().contains("/api/account/password"));
    let path = "/api/users/admin/second-factor";
    site.ask(&cookie, Method::DELETE, path, json!({})).await.problem(403, "own-account");
    site.cookie_of("anna", Role::Viewer, &[]).await;
    assert_eq!(site.ask(&cookie, Method::POST, "/api/users/anna/password", new).await.status, 200);
    let path = "/api/users/anna/second-factor";
    assert_eq!(site.ask(&cookie, Method::DELETE, path, json!({})).await.status, 204);
}

#[tokio::test]
async fn the_first_code_is_not_guessed_and_not_waited_for_for_ever() {
    let site = Site::open().await;
    let cookie = cookies(&site.log_in("admin", "secret", None).await);
    let accounts = &site.services.accounts;
    let path = "/api/account/second-factor/confirm";
    let late = accounts.begin_second_factor("admin").await.unwrap().secret;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(10 * 60)).await;
    tokio::time::resume();
    let code = |secret: &str| json!({ "code": code_at(secret, UnixMicros::now()) });
    site.ask(&cookie, Method::POST, path, code(&late)).await.problem(409, "second-factor-state");
    let secret = accounts.begin_second_factor("admin").await.unwrap().secret;
    let mut tried = 0;
    while site.ask(&cookie, Method::POST, path, json!({ "code": "12" })).await.status == 403 {
        tried += 1;
        assert!(tried <= 10, "codes can be tried for ever");
    }
    site.ask(&cookie, Method::POST, path, code(&secret)).await.problem(429, "too-many-attempts");
}
