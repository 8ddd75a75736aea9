//! What is not believed, not waited for, and not done twice.

use std::time::Duration;

use axum::http::Method;
use roadstead_protocol::message::time::UnixMicros;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::signing::{Key, hmac_with, unsigned};
use super::{Browser, Pair, Site, request, settings};
use crate::oidc::Oidc;

/// Says what is wrong with the token that a changed claim makes.
async fn refusal(pair: &Pair, change: impl FnOnce(&mut Value)) -> String {
    let answer = pair.sign_in_as(&["boss"], change).await;
    answer.problem(403, "provider-untrue")["detail"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_token_for_somebody_else_of_another_time_or_another_sign_in_is_refused() {
    let pair = Pair::open().await;
    let now = UnixMicros::now().0 / 1_000_000;
    let cases: [(&str, Value, &str); 16] = [
        ("aud", json!("another"), "InvalidAudience"),
        ("aud", json!([]), "InvalidAudience"),
        ("aud", json!(["another", "third"]), "InvalidAudience"),
        ("aud", json!(["roadstead", "another"]), "made out to another client"),
        ("aud", json!(7), "Audience"),
        ("azp", json!("another"), "made out to another client"),
        ("exp", json!(now - 120), "ExpiredSignature"),
        ("exp", Value::Null, "exp"),
        ("nbf", json!(now + 3600), "ImmatureSignature"),
        ("iat", json!(now - 3600), "not made just now"),
        ("iat", json!(now + 3600), "not made just now"),
        ("nonce", json!("of another sign-in"), "belongs to another sign-in"),
        ("nonce", Value::Null, "belongs to another sign-in"),
        ("iss", json!("https://evil.example.org"), "InvalidIssuer"),
        ("iss", json!([pair.provider.issuer, "https://evil.example.org"]), "ID token"),
        ("sub", json!(""), "names nobody"),
    ];
    for (claim, value, says) in cases {
        let detail = refusal(&pair, |claims| claims[claim] = value.clone()).await;
        assert!(detail.contains(says), "{claim} = {value}: {detail}");
    }
    assert_eq!(pair.site.services.accounts.users().await.unwrap().len(), 1, "nobody was made a user");
    let told = pair.audited().await;
    assert!(told[0].starts_with("- login") && told[0].ends_with("refused"), "{told:?}");
}

#[tokio::test]
async fn a_token_that_is_not_signed_by_the_provider_is_refused() {
    let pair = Pair::open().await;
    let public = pair.key.public();
    let refuse = async |make: &dyn Fn(&Value) -> String| {
        let browser = pair.begin().await;
        let token = make(&pair.claims(&browser, &["boss"]));
        let answer = pair.finish(&browser, token).await;
        answer.problem(403, "provider-untrue")["detail"].as_str().unwrap().to_owned()
    };
    assert!(refuse(&unsigned).await.contains("not signed"));
    assert!(refuse(&|claims| hmac_with(&public, claims)).await.contains("not signed"));
    let stranger = Key::ec("first");
    assert!(refuse(&|claims| stranger.sign(claims)).await.contains("InvalidSignature"));
    let other = Key::rsa("first");
    assert!(refuse(&|claims| other.sign(claims)).await.contains("unknown key"), "of another kind");
    for header in
        [json!({ "alg": "ES384", "kid": "first" }), json!({ "alg": "ES256", "kid": "first", "crit": ["x"] })]
    {
        let detail = refuse(&|claims| pair.key.sign_as(&header, claims)).await;
        assert!(detail.contains("ID token"), "{header}: {detail}");
    }
    let cut = refuse(&|claims| pair.key.sign(claims).rsplit_once('.').unwrap().0.to_owned()).await;
    assert!(cut.contains("not signed"), "{cut}");
    let change = |claims: &Value| {
        let (good, mut better) = (pair.key.sign(claims), claims.clone());
        better["sub"] = "root".into();
        let parts: Vec<_> = good.split('.').collect();
        let other = stranger.sign(&better);
        [parts[0], other.split('.').nth(1).unwrap(), parts[2]].join(".")
    };
    assert!(refuse(&change).await.contains("InvalidSignature"));
}

#[tokio::test]
async fn an_unknown_key_is_asked_for_now_and_then_only() {
    let pair = Pair::open().await;
    let stranger = Key::ec("unknown");
    for _ in 0..5 {
        let browser = pair.begin().await;
        let answer = pair.finish(&browser, stranger.sign(&pair.claims(&browser, &["boss"]))).await;
        let detail = answer.problem(403, "provider-untrue")["detail"].clone();
        assert!(detail.as_str().unwrap().contains("unknown key"), "{detail}");
    }
    assert_eq!(pair.provider.set().asked["keys"], 1);
}

#[tokio::test]
async fn a_sign_in_is_finished_once_and_by_the_browser_that_began_it() {
    let pair = Pair::open().await;
    let (own, other) = (pair.begin().await, pair.begin().await);
    let token = pair.key.sign(&pair.claims(&own, &["boss"]));
    let code = pair.provider.give_code(&own.sent, token);
    let returned = json!({ "code": code, "iss": pair.provider.issuer });
    // The victim of a forged return has no cookie, or one of another sign-in.
    let nobody = Browser { sent: own.sent.clone(), cookie: String::new() };
    pair.hand_in(&nobody, returned.clone()).await.problem(403, "sign-in-not-begun");
    let victim = Browser { sent: own.sent.clone(), cookie: other.cookie };
    pair.hand_in(&victim, returned.clone()).await.problem(403, "sign-in-not-begun");
    assert_eq!(pair.hand_in(&own, returned.clone()).await.status, 200);
    pair.hand_in(&own, returned.clone()).await.problem(403, "sign-in-not-begun");

    // A code that was used before, in a sign-in of its own.
    let again = pair.begin().await;
    let replayed = pair.hand_in(&again, returned.clone()).await.problem(502, "provider");
    assert!(replayed["detail"].as_str().unwrap().contains("invalid_grant"), "{replayed}");
    // A code of somebody else's sign-in is proven by another verifier.
    let (mine, theirs) = (pair.begin().await, pair.begin().await);
    let code = pair.provider.give_code(&theirs.sent, pair.key.sign(&pair.claims(&mine, &["boss"])));
    let stolen = pair.hand_in(&mine, json!({ "code": code, "iss": pair.provider.issuer })).await;
    assert!(stolen.text.contains("invalid_grant"), "{}", stolen.text);

    let late = pair.begin().await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(10 * 60)).await;
    tokio::time::resume();
    pair.hand_in(&late, returned).await.problem(403, "sign-in-not-begun");
}

#[tokio::test]
async fn one_browser_signs_in_from_two_tabs() {
    let pair = Pair::open().await;
    let first = pair.begin().await;
    let second = Browser::of(&pair.post("/api/oidc/begin", json!({}), &first.cookie).await);
    assert_eq!(first.cookie, second.cookie);
    for browser in [first, second] {
        let token = pair.key.sign(&pair.claims(&browser, &["ops"]));
        assert_eq!(pair.finish(&browser, token).await.status, 200);
    }
}

#[tokio::test]
async fn what_the_provider_refuses_is_said_and_another_provider_is_not_believed() {
    let pair = Pair::open().await;
    let issuer = pair.provider.issuer.clone();
    let browser = pair.begin().await;
    let denied =
        json!({ "error": "access_denied", "error_description": "not\u{1b}[31m today", "iss": issuer });
    let denied = pair.hand_in(&browser, denied).await.problem(403, "provider-denied");
    assert!(denied["detail"].as_str().unwrap().contains("access_denied (not [31m today)"), "{denied}");
    for returned in [
        json!({ "code": "x", "iss": "https://evil.example.org" }),
        json!({ "code": "x" }),
        json!({ "iss": issuer }),
        json!({ "code": "", "iss": issuer }),
    ] {
        let browser = pair.begin().await;
        pair.hand_in(&browser, returned).await.problem(403, "provider-untrue");
    }
    assert!(!pair.provider.set().asked.contains_key("token"), "no code went anywhere");
}

#[tokio::test]
async fn a_secret_that_is_wrong_or_goes_into_the_form_is_said_and_done() {
    let pair = Pair::open().await;
    pair.provider.set().document["token_endpoint_auth_methods_supported"] = json!(["client_secret_post"]);
    assert_eq!(pair.sign_in(&["ops"]).await.status, 200);
    let wrong = Pair::with("").await;
    let mut config = settings(&wrong.provider.issuer, "").resolve().unwrap().oidc.unwrap();
    config.client_secret = Some("guess".to_owned());
    let site = Site::with(false, Some(std::sync::Arc::new(Oidc::new(config).unwrap()))).await;
    let wrong = Pair { site, ..wrong };
    let refused = wrong.sign_in(&["ops"]).await.problem(502, "provider");
    assert!(refused["detail"].as_str().unwrap().contains("invalid_client"), "{refused}");
    assert!(!refused.to_string().contains("guess"));
}

#[tokio::test]
async fn a_provider_that_is_another_or_says_too_much_is_refused() {
    let evil = "https://evil.example.org";
    for (field, value, says) in [
        ("issuer", json!(evil), "it calls itself https://evil.example.org; set ROADSTEAD_OIDC_ISSUER"),
        ("token_endpoint", json!("http://evil.example.org/token"), "not under TLS"),
        ("authorization_endpoint", json!("javascript:alert(1)"), "web address"),
        ("jwks_uri", Value::Null, "not what is looked for"),
    ] {
        let pair = Pair::open().await;
        pair.provider.set().document[field] = value;
        let refused = pair.post("/api/oidc/begin", json!({}), "").await.problem(502, "provider");
        assert!(refused["detail"].as_str().unwrap().contains(says), "{refused}");
    }
    let pair = Pair::open().await;
    pair.provider.set().padding = 300 * 1024;
    let refused = pair.post("/api/oidc/begin", json!({}), "").await.problem(502, "provider");
    assert!(refused["detail"].as_str().unwrap().contains("more than 256 KiB"), "{refused}");
}

#[tokio::test]
async fn a_provider_that_is_away_or_silent_is_said_and_passwords_go_on() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let config = settings(&format!("http://{gone}"), "").resolve().unwrap().oidc.unwrap();
    let site = Site::with(false, Some(std::sync::Arc::new(Oidc::new(config).unwrap()))).await;
    let begin = || request(Method::POST, "/api/oidc/begin", "", Some(json!({})));
    let refused = site.send(begin()).await.problem(502, "provider");
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.contains("does not answer") && detail.contains("passwords go on"), "{detail}");
    let login = request(Method::POST, "/api/login", "", Some(json!({ "password": "secret" })));
    assert_eq!(site.send(login).await.status, 200);

    let pair = Pair::open().await;
    pair.provider.fall_silent();
    let begin = pair.post("/api/oidc/begin", json!({}), "");
    let mut begin = std::pin::pin!(begin);
    // Until it waits for the answer; then its patience passes at once.
    assert!(tokio::time::timeout(Duration::from_millis(1), &mut begin).await.is_err());
    tokio::time::pause();
    let refused = begin.await.problem(502, "provider");
    assert!(refused["detail"].as_str().unwrap().contains("no whole answer within 7 s"), "{refused}");
    tokio::time::resume();
    // What failed just now is not waited for again.
    pair.post("/api/oidc/begin", json!({}), "").await.problem(502, "provider");
    assert!(!pair.provider.set().asked.contains_key("document"));
}

#[tokio::test]
async fn a_provider_without_tls_1_3_is_told_what_it_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&ca_file, made.cert.pem()).unwrap();
    // What one says that wants an earlier version, and the hello of one that answers in TLS 1.2 all the same.
    let alert: &[u8] = &[0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x46];
    let old_hello = [&[0x16, 3, 3, 0, 42, 2, 0, 0, 38, 3, 3][..], &[7; 32], &[0, 0xc0, 0x2f, 0]].concat();
    for answer in [alert.to_vec(), old_hello] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let config = settings(&issuer, &format!("ca-file = '{}'", ca_file.display()));
        let oidc = Oidc::new(config.resolve().unwrap().oidc.unwrap()).unwrap();
        let site = Site::with(false, Some(std::sync::Arc::new(oidc))).await;
        let old = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut hello = [0; 512];
            let _ = stream.read(&mut hello).await.unwrap();
            stream.write_all(&answer).await.unwrap();
            let _ = stream.read(&mut hello).await;
        };
        let begin = site.send(request(Method::POST, "/api/oidc/begin", "", Some(json!({}))));
        let (refused, ()) = tokio::join!(begin, old);
        let refused = refused.problem(502, "provider");
        assert!(refused["detail"].as_str().unwrap().contains("it does not speak TLS 1.3"), "{refused}");
    }
}

#[tokio::test]
async fn sign_ins_are_not_begun_without_end() {
    let pair = Pair::open().await;
    let mut begun = 0;
    let refused = loop {
        let answer = pair.post("/api/oidc/begin", json!({}), "").await;
        if answer.status != 200 {
            break answer;
        }
        begun += 1;
        assert!(begun < 200, "sign-ins are begun without end");
    };
    refused.problem(429, "too-many-attempts");
}

#[tokio::test]
async fn another_sites_page_neither_begins_nor_finishes_a_sign_in() {
    let pair = Pair::open().await;
    for path in ["/api/oidc/begin", "/api/oidc/finish"] {
        let mut forged = request(Method::POST, path, "", Some(json!({ "state": "x" })));
        forged.headers_mut().insert("origin", "https://evil.example.org".parse().unwrap());
        forged.headers_mut().insert("host", "roadstead.example.org".parse().unwrap());
        pair.site.send(forged).await.problem(403, "foreign-origin");
    }
}
