//! Signing in at a provider: what goes well, and everything that a provider, a stranger or bad luck can do.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, StatusCode, header};
use roadstead_protocol::message::time::UnixMicros;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Answer, Site, request};
use crate::accounts::{Role, UserChange};
use crate::config::Settings;
use crate::oidc::Oidc;

mod provider;
mod refused;
mod signing;

use provider::Provider;
use signing::Key;

/// A controller that lets people in from a provider.
struct Pair {
    site: Site,
    provider: Provider,
    key: Key,
}

/// A browser on its way.
struct Browser {
    /// What it was sent to the provider with.
    sent: HashMap<String, String>,
    cookie: String,
}

impl Pair {
    async fn open() -> Self {
        Self::with("").await
    }

    /// With more lines of the section `[oidc]`.
    async fn with(more: &str) -> Self {
        let key = Key::ec("first");
        let provider = Provider::start(&key).await;
        Self { site: site_of(&provider, more).await, provider, key }
    }

    async fn begin(&self) -> Browser {
        let begun = self.post("/api/oidc/begin", json!({ "to": "/events?host=nas" }), "").await;
        Browser::of(&begun)
    }

    async fn post(&self, path: &str, body: Value, cookie: &str) -> Answer {
        self.site.send(request(Method::POST, path, cookie, Some(body))).await
    }

    /// What a good token claims.
    fn claims(&self, browser: &Browser, groups: &[&str]) -> Value {
        let now = UnixMicros::now().0 / 1_000_000;
        json!({
            "iss": self.provider.issuer, "sub": "248289761001", "aud": "roadstead", "nonce": browser.sent["nonce"],
            "iat": now, "exp": now + 300, "preferred_username": "Anna", "groups": groups,
        })
    }

    /// Finishes with a code for this token.
    async fn finish(&self, browser: &Browser, id_token: String) -> Answer {
        let code = self.provider.give_code(&browser.sent, id_token);
        self.hand_in(browser, json!({ "code": code, "iss": self.provider.issuer })).await
    }

    async fn hand_in(&self, browser: &Browser, mut returned: Value) -> Answer {
        returned["state"] = browser.sent["state"].clone().into();
        self.post("/api/oidc/finish", returned, &browser.cookie).await
    }

    /// Signs in as a member of these groups.
    async fn sign_in(&self, groups: &[&str]) -> Answer {
        self.sign_in_as(groups, |_| ()).await
    }

    async fn sign_in_as(&self, groups: &[&str], change: impl FnOnce(&mut Value)) -> Answer {
        let browser = self.begin().await;
        let mut claims = self.claims(&browser, groups);
        change(&mut claims);
        self.finish(&browser, self.key.sign(&claims)).await
    }

    async fn audited(&self) -> Vec<String> {
        let entries = self.site.get("/api/audit").await.json()["entries"].clone();
        let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or("-").to_owned();
        let line =
            |entry: &Value| ["who", "what", "target", "result"].map(|name| text(entry, name)).join(" ");
        entries.as_array().unwrap().iter().map(line).collect()
    }
}

impl Browser {
    fn of(begun: &Answer) -> Self {
        assert_eq!(begun.status, StatusCode::OK, "{}", begun.text);
        let location = begun.json()["location"].as_str().unwrap().to_owned();
        let (_, query) = location.split_once('?').unwrap();
        let sent = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let cookie =
            begun.headers[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
        Self { sent, cookie }
    }
}

async fn site_of(provider: &Provider, more: &str) -> Site {
    let oidc = Oidc::new(settings(&provider.issuer, more).resolve().unwrap().oidc.unwrap()).unwrap();
    Site::with(false, Some(Arc::new(oidc))).await
}

fn settings(issuer: &str, more: &str) -> Settings {
    let text = format!(
        "public-url = 'https://roadstead.example.org'\n[oidc]\nissuer = '{issuer}'\nclient-id = 'roadstead'\n\
         client-secret = 'hunter 2'\n{more}\n[[oidc.groups]]\nname = 'staff'\nrole = 'viewer'\n[[oidc.groups]]\n\
         name = 'ops'\nrole = 'operator'\ntags = ['shop']\n[[oidc.groups]]\nname = 'boss'\nrole = 'admin'\n"
    );
    toml::from_str(&text).unwrap()
}

/// The cookie of the session that an answer begins.
fn session_of(answer: &Answer) -> String {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    answer.headers[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn somebody_signs_in_and_comes_back_to_the_page_that_was_wanted() {
    let pair = Pair::open().await;
    let begun = pair.post("/api/oidc/begin", json!({ "to": "/events?host=nas" }), "").await;
    let cookie = begun.headers[header::SET_COOKIE].to_str().unwrap().to_owned();
    for attribute in ["roadstead_oidc=", "HttpOnly", "SameSite=Strict", "Max-Age=600"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let location = begun.json()["location"].as_str().unwrap().to_owned();
    assert!(location.starts_with(&format!("{}/authorize?response_type=code&", pair.provider.issuer)));
    let browser = Browser::of(&begun);
    for (name, value) in [
        ("client_id", "roadstead"),
        ("redirect_uri", "https://roadstead.example.org/oidc/callback"),
        ("scope", "openid profile email"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(browser.sent[name], value);
    }
    let claims = pair.claims(&browser, &["staff", "ops", "unknown"]);
    let entered = pair.finish(&browser, pair.key.sign(&claims)).await;
    let session = session_of(&entered);
    assert!(
        entered.headers[header::SET_COOKIE]
            .to_str()
            .unwrap()
            .contains("SameSite=Strict; Path=/; Max-Age=86400")
    );
    let entered = entered.json();
    assert_eq!(entered["to"], "/events?host=nas");
    let who = &entered["session"];
    assert_eq!(
        (&who["username"], &who["role"], &who["tags"]),
        (&json!("anna"), &json!("operator"), &json!(["shop"]))
    );
    let seen = pair.site.send(request(Method::GET, "/api/session", &session, None)).await.json();
    assert_eq!((&seen["username"], &seen["provider"]), (&json!("anna"), &json!("127.0.0.1")));
    let issuer = &pair.provider.issuer;
    let told = pair.audited().await;
    assert_eq!(told[0], format!("anna login {issuer} ok"));
    assert_eq!(told[1], format!("{issuer} user.add anna role=operator tags=shop ok"));
}

#[tokio::test]
async fn the_sign_in_page_is_told_of_the_provider() {
    let pair = Pair::with("label = 'the house'").await;
    let nobody = pair.site.send(request(Method::GET, "/api/session", "", None)).await;
    assert_eq!(nobody.problem(401, "not-logged-in")["provider"], "the house");
    let without = Site::open().await;
    let nobody = without.send(request(Method::GET, "/api/session", "", None)).await;
    assert!(nobody.problem(401, "not-logged-in")["provider"].is_null());
    let begin = request(Method::POST, "/api/oidc/begin", "", Some(json!({})));
    without.send(begin).await.problem(404, "no-provider");
}

#[tokio::test]
async fn the_role_is_that_of_the_groups_at_each_sign_in_and_tokens_follow() {
    let pair = Pair::open().await;
    let session = session_of(&pair.sign_in(&["ops"]).await);
    let new = json!({ "name": "ci", "scope": "operate" });
    let token = pair.post("/api/tokens", new, &session).await.json()["secret"].as_str().unwrap().to_owned();
    let act = async |what: &str| {
        let mut act = request(Method::POST, "/api/instances/nas/sync", "", None);
        act.headers_mut().insert(header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        let answer = pair.site.send(act).await;
        assert!(answer.text.contains(what), "{}", answer.text);
    };
    act("unknown-instance").await;
    assert_eq!(pair.sign_in(&["staff"]).await.json()["session"]["role"], "viewer");
    act("urn:roadstead:problem:forbidden").await;

    let refused = pair.sign_in(&["elsewhere"]).await;
    assert!(refused.problem(403, "in-no-group")["detail"].as_str().unwrap().contains("signed in as Anna"));
    let gone = pair.site.send(request(Method::GET, "/api/session", &session, None)).await;
    gone.problem(401, "not-logged-in");
    act("wrong-token").await;
    let issuer = &pair.provider.issuer;
    let told = pair.audited().await;
    for entry in
        [format!("Anna login {issuer} refused"), format!("{issuer} user.change anna disabled=true ok")]
    {
        assert!(told.contains(&entry), "{told:?}");
    }

    assert_eq!(pair.sign_in(&["ops"]).await.json()["session"]["role"], "operator");
    act("unknown-instance").await;
    assert_eq!(pair.site.services.accounts.users().await.unwrap().len(), 2, "there is one anna");
}

#[tokio::test]
async fn an_equal_name_is_nobody_elses_account() {
    let pair = Pair::open().await;
    pair.site.cookie_of("anna", Role::Admin, &[]).await;
    let named = |answer: Answer| answer.json()["session"]["username"].clone();
    assert_eq!(named(pair.sign_in(&["staff"]).await), "anna-2");
    assert_eq!(named(pair.sign_in(&["staff"]).await), "anna-2", "and stays so");
    let other = pair.sign_in_as(&["staff"], |claims| claims["sub"] = "another".into()).await;
    assert_eq!(named(other), "anna-3");
    let admin = |claims: &mut Value| {
        claims["sub"] = "root".into();
        claims["preferred_username"] = "admin".into();
    };
    assert_eq!(named(pair.sign_in_as(&["staff"], admin).await), "admin-2");
}

#[tokio::test]
async fn what_the_provider_keeps_is_not_changed_here() {
    let pair = Pair::open().await;
    let anna = session_of(&pair.sign_in(&["ops"]).await);
    let admin = pair.site.cookie(Role::Admin).await;
    let user = pair.site.get("/api/users/anna").await.json();
    assert_eq!(user["issuer"], pair.provider.issuer.as_str());
    let refused =
        |answer: Answer| answer.problem(409, "external-user")["detail"].as_str().unwrap().to_owned();
    let detail = refused(pair.post("/api/users/anna/password", json!({}), &admin).await);
    assert!(detail.contains(&pair.provider.issuer) && detail.contains("anna"), "{detail}");
    let change = json!({ "role": "admin" });
    refused(pair.site.send(request(Method::PATCH, "/api/users/anna", &admin, Some(change))).await);
    let proof = json!({ "password": "" });
    refused(pair.post("/api/account/second-factor", proof.clone(), &anna).await);
    let new = json!({ "password": "", "new_password": "long enough" });
    refused(pair.post("/api/account/password", new, &anna).await);
    for password in ["", "x"] {
        let login = json!({ "username": "anna", "password": password });
        pair.post("/api/login", login, "").await.problem(401, "wrong-password");
    }
    let local = pair.post("/api/login", json!({ "password": "secret" }), "").await;
    assert_eq!(local.status, 200, "the local administrator comes in as ever");
}

#[tokio::test]
async fn whom_an_administrator_keeps_out_no_group_lets_in() {
    let pair = Pair::open().await;
    let session = session_of(&pair.sign_in(&["boss"]).await);
    let listed = pair.site.get("/api/sessions?user=anna").await.json()["sessions"].clone();
    let path = format!("/api/sessions/{}", listed[0]["id"].as_str().unwrap());
    let admin = pair.site.cookie(Role::Admin).await;
    let ended = pair.site.send(request(Method::DELETE, &path, &admin, None)).await;
    assert_eq!(ended.status, 204, "a session like any other");
    pair.site.send(request(Method::GET, "/api/session", &session, None)).await.problem(401, "not-logged-in");
    let keep_out = request(Method::PATCH, "/api/users/anna", &admin, Some(json!({ "disabled": true })));
    assert_eq!(pair.site.send(keep_out).await.status, 200);
    pair.sign_in(&["boss"]).await.problem(403, "kept-out");
    pair.sign_in(&["elsewhere"]).await.problem(403, "in-no-group");
    pair.sign_in(&["boss"]).await.problem(403, "kept-out");
}

#[tokio::test]
async fn the_last_administrator_stays_one() {
    let pair = Pair::open().await;
    session_of(&pair.sign_in(&["boss"]).await);
    let accounts = &pair.site.services.accounts;
    let out = UserChange { disabled: Some(true), ..UserChange::default() };
    accounts.change_user("admin", out).await.unwrap();
    pair.sign_in(&["staff"]).await.problem(403, "last-admin");
    pair.sign_in(&["elsewhere"]).await.problem(403, "in-no-group");
    let anna = accounts.known("anna").await.unwrap();
    assert_eq!((anna.role, anna.disabled), (Role::Admin, false));
    assert_eq!(pair.sign_in(&["boss"]).await.status, 200);
}

#[tokio::test]
async fn a_session_ends_after_a_day_however_it_is_used() {
    let pair = Pair::open().await;
    session_of(&pair.sign_in(&["ops"]).await);
    let store = &pair.site.services.store;
    let mut session = store.web_sessions_of("anna".to_owned(), UnixMicros::now()).await.unwrap().remove(0);
    assert_eq!(session.ends_at, Some(session.expires_at));
    // As if it had begun long ago, and be used now.
    store.remove_web_session(session.token_hash).await.unwrap();
    let now = UnixMicros::now();
    let token = "of-long-ago";
    session.token_hash = Sha256::digest(token).into();
    session.last_used = UnixMicros(now.0 - 3_600_000_000);
    session.ends_at = Some(now.plus(Duration::from_secs(60)));
    session.expires_at = now.plus(Duration::from_secs(60));
    store.add_web_session(session.clone()).await.unwrap();
    let cookie = format!("roadstead_session={token}");
    assert_eq!(pair.site.send(request(Method::GET, "/api/session", &cookie, None)).await.status, 200);
    let used = store.web_session(session.token_hash).await.unwrap().unwrap();
    assert_eq!(used.expires_at, session.expires_at);
    assert!(used.last_used >= now);
}

#[tokio::test]
async fn groups_may_be_told_apart_from_the_token_and_under_another_name() {
    let pair = Pair::with("groups-claim = 'realm_access.roles'").await;
    let without = |claims: &mut Value| drop(claims.as_object_mut().unwrap().remove("groups"));
    let roles = json!({ "roles": ["boss"] });
    pair.provider.set().userinfo = json!({ "sub": "248289761001", "realm_access": roles });
    assert_eq!(pair.sign_in_as(&[], without).await.json()["session"]["role"], "admin");
    pair.provider.set().userinfo = json!({ "sub": "somebody else", "realm_access": roles });
    pair.sign_in_as(&[], without).await.problem(403, "provider-untrue");
}

#[tokio::test]
async fn whoever_is_in_no_group_has_the_default_role_if_there_is_one() {
    let pair = Pair::with("default-role = 'viewer'").await;
    assert_eq!(pair.sign_in(&[]).await.json()["session"]["role"], "viewer");
}

#[tokio::test]
async fn keys_of_both_kinds_are_believed_and_new_ones_found() {
    let mut pair = Pair::open().await;
    session_of(&pair.sign_in(&["ops"]).await);
    pair.key = Key::rsa("second");
    // Something that is no key beside it, as providers of other algorithms have.
    pair.provider.set().keys = vec![json!({ "kty": "AKP", "alg": "ML-DSA-44" }), pair.key.public()];
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(31)).await;
    tokio::time::resume();
    session_of(&pair.sign_in(&["ops"]).await);
    session_of(&pair.sign_in(&["ops"]).await);
    assert_eq!(pair.provider.set().asked["keys"], 2);
    assert_eq!(pair.provider.set().asked["document"], 1);
}

#[tokio::test]
async fn a_provider_of_an_authority_of_ones_own_is_verified_by_that_alone() {
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    let key = Key::ec("first");
    let provider = Provider::start_tls(&key, &ca_file).await;
    let site = site_of(&provider, &format!("ca-file = '{}'", ca_file.display())).await;
    let known = Pair { site, provider, key };
    assert_eq!(known.sign_in(&["ops"]).await.status, 200);

    let unknown = Pair { site: site_of(&known.provider, "").await, ..known };
    let refused = unknown.post("/api/oidc/begin", json!({}), "").await.problem(502, "provider");
    assert!(refused["detail"].as_str().unwrap().contains("certificate"), "{refused}");
    let missing = settings("https://localhost", &format!("ca-file = '{}.not'", ca_file.display()));
    let error = Oidc::new(missing.resolve().unwrap().oidc.unwrap()).err().unwrap().to_string();
    assert!(error.contains("ROADSTEAD_OIDC_CA_FILE") && error.contains("ca.pem.not"), "{error}");
}
