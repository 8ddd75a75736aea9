//! The API as a browser sees it: the real router over a real store, with agents that are a channel.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use futures_util::StreamExt as _;
use roadstead_protocol::message::container::Container;
use roadstead_protocol::message::ids::{BootId, InstanceId, PeerKey, SessionId};
use roadstead_protocol::message::snapshot::SnapshotPart;
use roadstead_protocol::message::time::UnixMicros;
use roadstead_protocol::message::to_agent::ToAgent;
use roadstead_protocol::queue::{Incoming, queue};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::{About, Services, router};
use crate::accounts::{
    Accounts, By, NewApiToken, Person, Role, SESSION_LENGTH, UserChange, UserRecord, WebSessionRecord,
};
use crate::audit::Audit;
use crate::commands::Commands;
use crate::config::Settings;
use crate::dial_allow::DialAllow;
use crate::enrolment::{Enrolment, NewInstance};
use crate::events::Events;
use crate::fixtures::engine;
use crate::fleet::{Feed, Fleet};
use crate::identities::Identities;
use crate::lifecycle::Lifecycles;
use crate::model::Direction;
use crate::model::scope::Scope;
use crate::oidc::Oidc;
use crate::probes::Probes;
use crate::registry::{AgentHandle, Registration, Registry};
use crate::relayed::Relay;
use crate::reload::Reload;
use crate::rollouts::Rollouts;
use crate::rotation::Rotation;
use crate::store::Store;

mod agent;
mod audit;
mod everywhere;
mod fleet;
mod fuzz;
mod hanging_up;
mod inspecting;
mod lifecycles;
mod logs;
mod oidc;
mod orders;
mod people;
mod permissions;
mod problems;
mod rollouts;
mod server;
mod sessions;
mod streams;

/// A controller's API without the rest of the controller.
struct Site {
    services: Services,
    router: Router,
    ending: CancellationToken,
    _folder: tempfile::TempDir,
}

/// What came back.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

/// An agent that is connected, as far as the API can tell.
struct Agent {
    id: InstanceId,
    messages: Incoming<ToAgent>,
    feed: Feed,
    handle: AgentHandle,
    _registration: Registration,
}

impl Site {
    async fn open() -> Self {
        Self::with_demo_mode(false).await
    }

    async fn with_demo_mode(demo_mode: bool) -> Self {
        Self::with(demo_mode, None).await
    }

    async fn with(demo_mode: bool, oidc: Option<Arc<Oidc>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let (fleet, registry) = (Fleet::new(), Registry::default());
        let key = PeerKey([7; 32]);
        let agent_urls = vec!["wss://controller.example.org:8081".to_owned()];
        let enrolment = Enrolment::new(
            store.clone(),
            fleet.clone(),
            registry.clone(),
            key,
            agent_urls.clone(),
            DialAllow::default(),
        );
        let (accounts, _) =
            Accounts::open(store.clone(), Some("secret".to_owned()), demo_mode).await.unwrap();
        let identities = Identities::load(&store, folder.path()).await.unwrap();
        let rotation = Rotation::new(identities, enrolment.clone(), fleet.clone(), registry.clone(), 0);
        let configure = || anyhow::Result::Ok(Settings::default().resolve()?);
        let reload = Reload::new(
            &configure().unwrap(),
            Box::new(configure),
            enrolment.clone(),
            rotation.clone(),
            agent_urls[0].clone(),
        );
        let commands = Commands::load(store.clone(), registry.clone()).await.unwrap();
        let services = Services {
            fleet: fleet.clone(),
            enrolment,
            rollouts: Rollouts::load(store.clone(), fleet.clone(), commands.clone()).await.unwrap(),
            commands,
            registry,
            events: Events::new(store.clone()),
            lifecycles: Lifecycles::load(store.clone(), fleet.clone()).await.unwrap(),
            accounts: Arc::new(accounts),
            oidc,
            audit: Audit::new(store.clone()),
            probes: Probes::default(),
            about: About {
                version: "1.2.3".to_owned(),
                name: "home".to_owned(),
                this_instance: Some("home".parse().unwrap()),
                agent_image: "roadstead-agent:1.2.3".to_owned(),
                open_metrics: false,
                trusted_proxies: "10.0.0.0/8".parse().unwrap(),
            },
            rotation,
            reload,
            relay: Relay::new().0,
            fleet_threads: Handle::current(),
            store,
        };
        let ending = CancellationToken::new();
        Self { router: router(services.clone(), ending.clone()), services, ending, _folder: folder }
    }

    /// A session's cookie for somebody of this role, past the login.
    async fn cookie(&self, role: Role) -> String {
        self.cookie_of(role.as_str(), role, &[]).await
    }

    /// A session's cookie for this user, past the login.
    async fn cookie_of(&self, name: &str, role: Role, tags: &[&str]) -> String {
        let token = format!("token-of-{name}");
        let now = UnixMicros::now();
        let session = WebSessionRecord {
            token_hash: Sha256::digest(&token).into(),
            user: name.to_owned(),
            role,
            tags: Vec::new(),
            created_at: now,
            expires_at: now.plus(SESSION_LENGTH),
            last_used: now,
            address: Some("192.0.2.1".to_owned()),
            client: None,
            ends_at: None,
        };
        let store = &self.services.store;
        if store.web_session(session.token_hash).await.unwrap().is_none() {
            if role != Role::Guest {
                store.add_user(user(name, role, tags)).await.unwrap();
            }
            store.add_web_session(session).await.unwrap();
        }
        format!("roadstead_session={token}")
    }

    /// A new API token of somebody of this role.
    async fn token(&self, of: Role, scope: Role) -> String {
        self.cookie(of).await;
        self.make_token(of, scope, None).await
    }

    async fn expired_token(&self) -> String {
        self.cookie(Role::Admin).await;
        let token = self.make_token(Role::Admin, Role::Admin, Some(Duration::from_micros(1))).await;
        while self
            .services
            .accounts
            .tokens(None)
            .await
            .unwrap()
            .iter()
            .all(|token| token.expires_at.is_none_or(|end| end >= UnixMicros::now()))
        {}
        token
    }

    async fn make_token(&self, of: Role, scope: Role, life: Option<Duration>) -> String {
        let by = By::Session([0; 32]);
        let person = Person { name: of.as_str().to_owned(), role: of, scope: Scope::default(), by };
        let name = format!("{}-{life:?}", scope.as_str());
        let new = NewApiToken { name, scope, tags: Vec::new(), instances: Vec::new(), life };
        self.services.accounts.add_token(&person, new).await.unwrap().1
    }

    /// The cookie of a session of a user who was kept out since.
    async fn kept_out(&self) -> String {
        let cookie = self.cookie_of("gone", Role::Admin, &[]).await;
        let session = self.services.accounts.sessions_of("gone").await.unwrap().remove(0);
        let change = UserChange { disabled: Some(true), ..UserChange::default() };
        self.services.accounts.change_user("gone", change).await.unwrap();
        // As if it had begun just then.
        self.services.store.add_web_session(session).await.unwrap();
        cookie
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    async fn get(&self, path: &str) -> Answer {
        let cookie = self.cookie(Role::Admin).await;
        self.send(request(Method::GET, path, &cookie, None)).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        let cookie = self.cookie(Role::Admin).await;
        self.send(request(Method::POST, path, &cookie, Some(body))).await
    }

    /// Opens a stream of server-sent events.
    async fn follow(&self, path: &str, more: &[(&'static str, &str)]) -> EventReader {
        self.follow_as(&self.cookie(Role::Admin).await, path, more).await
    }

    async fn follow_as(&self, cookie: &str, path: &str, more: &[(&'static str, &str)]) -> EventReader {
        let mut request = request(Method::GET, path, cookie, None);
        request.headers_mut().insert(header::ACCEPT, "text/event-stream".parse().unwrap());
        for (name, value) in more {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let response = self.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
        EventReader { body: response.into_body().into_data_stream(), text: String::new() }
    }

    async fn register(&self, name: &str) -> InstanceId {
        let new = NewInstance { name: name.to_owned(), ..NewInstance::default() };
        self.services.enrolment.register(new).await.unwrap().0.id
    }

    /// Connects an agent for `id`, with these containers.
    fn connect(&self, id: &InstanceId, containers: Vec<Container>) -> Agent {
        let (sender, messages) = queue(64);
        let session = SessionId::generate();
        let handle = AgentHandle::new(
            session,
            BootId::generate(),
            sender,
            CancellationToken::new(),
            CancellationToken::new(),
        );
        let (registration, _) = self.services.registry.enter(id.clone(), handle.clone());
        let feed = self.services.fleet.link_live(id, session, Direction::Outbound, "192.0.2.7:4711").unwrap();
        feed.snapshot_part(SnapshotPart { engine: engine(), containers, last: true }).unwrap();
        Agent { id: id.clone(), messages, feed, handle, _registration: registration }
    }
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The problem document, checked for its form.
    fn problem(&self, status: u16, slug: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["type"], format!("urn:roadstead:problem:{slug}"));
        assert_eq!(problem["status"], status);
        assert!(!problem["title"].as_str().unwrap().is_empty());
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.ends_with('.') && detail.len() > 20, "{detail}");
        problem
    }
}

/// Reads server-sent events.
struct EventReader {
    body: axum::body::BodyDataStream,
    text: String,
}

#[derive(Debug)]
struct Told {
    name: String,
    id: Option<u64>,
    data: Value,
}

impl EventReader {
    /// The next event; none at the end of the stream. Comments are passed over.
    async fn next(&mut self) -> Option<Told> {
        loop {
            while let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
                if let (Some(name), Some(data)) = (field("event: "), field("data: ")) {
                    return Some(Told {
                        name: name.to_owned(),
                        id: field("id: ").map(|id| id.parse().unwrap()),
                        data: serde_json::from_str(data).unwrap(),
                    });
                }
            }
            let chunk = self.body.next().await?.unwrap();
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next event of this name; others are passed over.
    async fn next_named(&mut self, name: &str) -> Value {
        loop {
            let told = self.next().await.expect("the stream ended");
            if told.name == name {
                return told.data;
            }
        }
    }
}

fn request(method: Method, path: &str, cookie: &str, body: Option<Value>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if !cookie.is_empty() {
        request = request.header(header::COOKIE, cookie);
    }
    let Some(body) = body else { return request.body(Body::empty()).unwrap() };
    let body = body.to_string();
    request
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONTENT_LENGTH, body.len())
        .body(Body::from(body))
        .unwrap()
}

fn user(name: &str, role: Role, tags: &[&str]) -> UserRecord {
    UserRecord {
        name: name.to_owned(),
        password_hash: String::new(),
        role,
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        disabled: false,
        created_at: UnixMicros(1),
        last_login: None,
        totp_secret: None,
        totp_pending: None,
        issuer: None,
    }
}

/// A container that has been running for three minutes, of this compose project if there is one.
fn container(id: char, name: &str, project: Option<&str>) -> Container {
    let now = UnixMicros::now();
    let mut labels = serde_json::Map::new();
    if let Some(project) = project {
        labels.insert("com.docker.compose.project".to_owned(), project.into());
        labels.insert("com.docker.compose.service".to_owned(), name.into());
    }
    serde_json::from_value(json!({
        "id": id.to_string().repeat(64),
        "name": name,
        "image": "busybox:1",
        "image_id": "sha256:0123",
        "created_at": now.0 - 600_000_000,
        "started_at": now.0 - 185_000_000,
        "state": "running",
        "health": "healthy",
        "labels": labels,
    }))
    .unwrap()
}
