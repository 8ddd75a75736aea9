//! A provider of sign-ins that takes what it is sent, and whose tokens are worth nothing.

use std::sync::{Arc, Mutex};

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use roadstead_tests::Api;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::Seed;

const CLIENT: &str = "seed-oidc-client-secret-8642";
const CODE: &str = "seed-oidc-code-9753";
const ACCESS: &str = "seed-oidc-access-token-1618";
const SIGNATURE: &str = "seed-oidc-id-token-2718";

/// A provider that runs until it is dropped.
pub(super) struct Provider {
    issuer: String,
    heard: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

type Heard = State<(String, Arc<Mutex<Vec<String>>>)>;

async fn document(State((issuer, _)): Heard) -> Json<Value> {
    let of = |path: &str| format!("{issuer}/{path}");
    Json(json!({ "issuer": issuer, "authorization_endpoint": of("authorize"), "token_endpoint": of("token"),
        "jwks_uri": of("keys") }))
}

async fn token(State((_, heard)): Heard, headers: HeaderMap, body: String) -> Json<Value> {
    let login = headers.get("authorization").map_or("", |value| value.to_str().unwrap());
    heard.lock().unwrap().extend([login.to_owned(), body]);
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let (header, claims) = (part(json!({ "alg": "ES256", "kid": "one" })), part(json!({ "sub": "x" })));
    Json(json!({ "access_token": ACCESS, "token_type": "Bearer",
        "id_token": format!("{header}.{claims}.{SIGNATURE}") }))
}

impl Provider {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let heard = Arc::default();
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(document))
            .route("/keys", get(async || Json(json!({ "keys": [] }))))
            .route("/token", post(token))
            .with_state((issuer.clone(), Arc::clone(&heard)));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { issuer, heard, _tasks: tasks }
    }

    /// How a controller is told of it, its secret in a file in `folder`.
    pub(super) fn settings(&self, folder: &std::path::Path) -> String {
        let file = folder.join("oidc.secret");
        std::fs::write(&file, CLIENT).unwrap();
        format!(
            "public-url = 'https://roadstead.example.org'\n[oidc]\nissuer = '{}'\nclient-id = 'roadstead'\n\
             client-secret-file = '{}'\ndefault-role = 'viewer'\n",
            self.issuer,
            file.display()
        )
    }

    /// Somebody signs in and is not believed. What was answered goes to `answers`; what was secret is returned.
    pub(super) async fn sign_in(&self, root: &str, answers: &mut Vec<(String, String)>) -> Vec<Seed> {
        let browser = Api::anonymous(root);
        let begun = browser.post("/api/oidc/begin", &json!({})).await.expect_status(200);
        let location = begun["location"].as_str().unwrap();
        let (_, query) = location.split_once('?').unwrap();
        let state = query.split('&').find_map(|pair| pair.strip_prefix("state=")).unwrap();
        let finish = json!({ "state": state, "code": CODE, "iss": self.issuer });
        let refused = browser.post("/api/oidc/finish", &finish).await;
        assert_eq!(refused.status.as_u16(), 403, "{}", refused.body);
        answers.push(("POST /api/oidc/finish".to_owned(), refused.body.to_string()));

        let heard = self.heard.lock().unwrap().clone();
        let login = STANDARD.encode(format!("roadstead:{CLIENT}"));
        assert_eq!(heard[0], format!("Basic {login}"), "the provider was shown the secret");
        let verifier = heard[1].split('&').find_map(|pair| pair.strip_prefix("code_verifier=")).unwrap();
        [
            ("the secret for the provider", CLIENT),
            ("the login at the provider", &login),
            ("a provider's code", CODE),
            ("a provider's access token", ACCESS),
            ("a provider's ID token", SIGNATURE),
            ("the proof of who began to sign in", verifier),
        ]
        .map(|(name, seed)| (name, seed.as_bytes().to_vec()))
        .to_vec()
    }
}
