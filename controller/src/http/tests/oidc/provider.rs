//! A provider that does what a test says, good or bad: real HTTP on loopback, real keys.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::signing::{Key, challenge_of};

/// A provider.
pub(super) struct Provider {
    pub(super) issuer: String,
    state: Arc<Shared>,
    _tasks: JoinSet<()>,
}

struct Shared {
    set: Mutex<Settings>,
    /// Closed while it does not answer.
    open: Semaphore,
}

/// What it does, and what it was asked.
pub(super) struct Settings {
    /// What it says of itself.
    pub(super) document: Value,
    /// The keys that it publishes.
    pub(super) keys: Vec<Value>,
    /// What it tells of people beside their tokens.
    pub(super) userinfo: Value,
    /// Codes that were given out, with their challenge and ID token.
    codes: HashMap<String, (String, String)>,
    /// How often each path was asked for.
    pub(super) asked: HashMap<&'static str, u32>,
    /// What is added to each answer.
    pub(super) padding: usize,
}

impl Provider {
    pub(super) async fn start(key: &Key) -> Self {
        Self::serve(key, None).await
    }

    /// Under TLS, by a certificate that only `ca_file` vouches for.
    pub(super) async fn start_tls(key: &Key, ca_file: &Path) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(ca_file, made.cert.pem()).unwrap();
        let private = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], private)
            .unwrap();
        Self::serve(key, Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn serve(key: &Key, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let issuer = match tls {
            Some(_) => format!("https://localhost:{}", address.port()),
            None => format!("http://{address}"),
        };
        let at = |path: &str| format!("{issuer}{path}");
        let document = json!({
            "issuer": issuer, "authorization_endpoint": at("/authorize"), "token_endpoint": at("/token"),
            "jwks_uri": at("/keys"), "userinfo_endpoint": at("/userinfo"),
            "authorization_response_iss_parameter_supported": true,
        });
        let settings = Settings {
            document,
            keys: vec![key.public()],
            userinfo: json!({}),
            codes: HashMap::new(),
            asked: HashMap::new(),
            padding: 0,
        };
        let state = Arc::new(Shared { set: Mutex::new(settings), open: Semaphore::new(1) });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(document_of))
            .route("/keys", get(keys))
            .route("/userinfo", get(userinfo))
            .route("/token", post(token))
            .with_state(Arc::clone(&state));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, tls, router));
        Self { issuer, state, _tasks: tasks }
    }

    pub(super) fn set(&self) -> MutexGuard<'_, Settings> {
        self.state.set.lock().unwrap()
    }

    /// From now on it takes connections and does not answer.
    pub(super) fn fall_silent(&self) {
        self.state.open.forget_permits(1);
    }

    /// Gives out a code for what a browser was sent with; the token is made of the nonce.
    pub(super) fn give_code(&self, sent: &HashMap<String, String>, id_token: String) -> String {
        let mut set = self.set();
        let code = format!("code-{}", set.codes.len());
        set.codes.insert(code.clone(), (sent["code_challenge"].clone(), id_token));
        code
    }
}

impl Shared {
    async fn ask(&self, path: &'static str) -> MutexGuard<'_, Settings> {
        drop(self.open.acquire().await.unwrap());
        let mut set = self.set.lock().unwrap();
        *set.asked.entry(path).or_default() += 1;
        set
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, router: Router) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let service = TowerToHyperService::new(router.clone());
        let tls = tls.clone();
        connections.spawn(async move {
            let http = http1::Builder::new();
            match tls {
                None => http.serve_connection(TokioIo::new(stream), service).await.unwrap_or_default(),
                // Who does not trust the certificate hangs up.
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        http.serve_connection(TokioIo::new(stream), service).await.unwrap_or_default();
                    }
                }
            }
        });
    }
}

fn padded(set: &Settings, mut body: Value) -> Response {
    if set.padding > 0 {
        body["padding"] = "x".repeat(set.padding).into();
    }
    Json(body).into_response()
}

async fn document_of(State(shared): State<Arc<Shared>>) -> Response {
    let set = shared.ask("document").await;
    padded(&set, set.document.clone())
}

async fn keys(State(shared): State<Arc<Shared>>) -> Response {
    let set = shared.ask("keys").await;
    padded(&set, json!({ "keys": set.keys }))
}

async fn userinfo(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let set = shared.ask("userinfo").await;
    if headers[header::AUTHORIZATION] != "Bearer access" {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    padded(&set, set.userinfo.clone())
}

async fn token(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let mut set = shared.ask("token").await;
    let fields: HashMap<String, String> = form_urlencoded::parse(&body).into_owned().collect();
    let basic = format!("Basic {}", STANDARD.encode("roadstead:hunter+2"));
    let known = headers.get(header::AUTHORIZATION).is_some_and(|value| value == basic.as_str())
        || fields.get("client_secret").is_some_and(|secret| secret == "hunter 2");
    let refuse = |error: &str| (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response();
    if !known {
        return refuse("invalid_client");
    }
    // A code is good once.
    let Some((challenge, id_token)) = set.codes.remove(&fields["code"]) else {
        return refuse("invalid_grant");
    };
    if challenge_of(&fields["code_verifier"]) != challenge || fields["grant_type"] != "authorization_code" {
        return refuse("invalid_grant");
    }
    padded(&set, json!({ "id_token": id_token, "access_token": "access", "token_type": "Bearer" }))
}
