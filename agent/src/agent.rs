//! The agent: link, handshake, serve, and again. Which side dials is decided here and nowhere below.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use roadstead_protocol::link::Link;
use roadstead_protocol::link::address::AgentAddress;
use roadstead_protocol::link::backoff::Backoff;
use roadstead_protocol::link::dialer::dial;
use roadstead_protocol::link::handshake::{GreetError, greet};
use roadstead_protocol::link::identity::{Identity, IdentityError};
use roadstead_protocol::link::listener::{ListenLimits, Listener};
use roadstead_protocol::link::tls::Trust;
use roadstead_protocol::message::event::EventKind;
use roadstead_protocol::message::hello::{Hello, Refusal, Welcome};
use roadstead_protocol::message::ids::{BootId, PeerKey};
use roadstead_protocol::message::time::UnixMicros;
use roadstead_protocol::message::version;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::commands::CommandOptions;
use crate::config::Config;
use crate::engine::Engine;
use crate::executor::Executor;
use crate::figures::Sampler;
use crate::membership::{Membership, MembershipError};
use crate::outbox::{Outbox, OutboxError};
use crate::policy::PolicyCell;
use crate::serving::{Parts, serve};
use crate::watcher::{PictureHandle, watch};

/// Most the outbox may take on disk, in bytes.
const OUTBOX_LIMIT: u64 = 64 * 1024 * 1024;

/// How long to wait after a refusal that only a person can lift.
const REFUSED_PAUSE: Duration = Duration::from_secs(60);

/// One agent, ready to run.
pub struct Agent<E: Engine> {
    config: Config,
    identity: Identity,
    controller: PeerKey,
    addresses: Vec<AgentAddress>,
    boot: BootId,
    abilities: Vec<String>,
    parts: Arc<Parts<E>>,
    linked: AtomicBool,
}

/// Whether the agent has a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentHealth {
    /// It has.
    Linked,
    /// It has none now.
    Unlinked,
}

impl AgentHealth {
    /// The word in the health file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Linked => "linked",
            Self::Unlinked => "unlinked",
        }
    }
}

/// Why an agent cannot start or go on. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Neither a token nor a membership.
    #[error(
        "this agent belongs to no controller yet: make a join token there and start the agent with ROADSTEAD_JOIN"
    )]
    NoController,
    /// The token names no address and none is configured.
    #[error(
        "the join token is for an agent that listens: set ROADSTEAD_LISTEN (address:port), or make an outbound token"
    )]
    NoAddress,
    /// The token is too old to be worth trying.
    #[error("the join token has expired; make a new one in the controller")]
    TokenExpired,
    /// The data folder.
    #[error("{path}: {error}")]
    DataDir {
        /// Which.
        path: std::path::PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The identity on disk.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The membership on disk.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// The outbox on disk.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The listening address.
    #[error("cannot listen on {address} (ROADSTEAD_LISTEN): {error}")]
    Listen {
        /// Which.
        address: std::net::SocketAddr,
        /// What the system said.
        error: std::io::Error,
    },
}

impl<E: Engine> Agent<E> {
    /// Prepares an agent: its data folder, identity, membership, outbox. Nothing runs yet.
    ///
    /// # Errors
    /// If something it needs is missing or cannot be used.
    pub fn new(config: Config, engine: Arc<E>) -> Result<Self, AgentError> {
        prepare_directory(&config.data_dir)?;
        let identity = Identity::load_or_create(&config.data_dir.join("identity"))?;
        let membership = Membership::load(&config.data_dir)?;
        let (controller, addresses) = whom_to_join(&config, membership.as_ref())?;
        let outbox = Outbox::open(&config.data_dir.join("outbox"), OUTBOX_LIMIT)?;
        let policy = Arc::new(PolicyCell::new(config.policy.clone()));
        let options = CommandOptions {
            sync_script: config.sync_script.clone(),
            docker_env: config.docker_env(),
            ..CommandOptions::default()
        };
        let abilities = options.abilities();
        let executor = Executor::new(Arc::clone(&engine), Arc::clone(&policy), outbox.clone(), options);
        let sampler = Sampler::new(Arc::clone(&engine), Arc::clone(&policy));
        let picture = PictureHandle::remembering(config.data_dir.join("picture"));
        Ok(Self {
            config,
            identity,
            controller,
            addresses,
            boot: BootId::generate(),
            abilities,
            parts: Arc::new(Parts { engine, outbox, policy, executor, sampler, picture }),
            linked: AtomicBool::new(false),
        })
    }

    /// Whether there is a session now.
    #[must_use]
    pub fn health(&self) -> AgentHealth {
        if self.linked.load(Ordering::Relaxed) { AgentHealth::Linked } else { AgentHealth::Unlinked }
    }

    /// Takes over what can change while running, and names what cannot.
    pub fn reload(&self, config: &Config) {
        self.parts.policy.replace(config.policy.clone());
        tracing::info!(allow = ?config.policy.allow, "took over the policy; other settings need a restart");
    }

    /// Watches the engine and keeps a session with the controller until `shutdown`.
    ///
    /// # Errors
    /// If it cannot begin; never for want of a link or an engine.
    pub async fn run(&self, shutdown: CancellationToken) -> Result<(), AgentError> {
        let listener = match self.config.listen {
            Some(address) => Some(self.bind(address).await?),
            None => None,
        };
        let started = EventKind::AgentStarted { version: env!("CARGO_PKG_VERSION").to_owned() };
        if let Err(error) = self.parts.outbox.append(UnixMicros::now(), started).await {
            tracing::error!(%error, "cannot record that the agent started");
        }
        let mut tasks = JoinSet::new();
        let parts = &self.parts;
        tasks.spawn(watch(
            Arc::clone(&parts.engine),
            parts.outbox.clone(),
            parts.picture.clone(),
            shutdown.clone(),
        ));
        tasks.spawn({
            let (parts, shutdown) = (Arc::clone(parts), shutdown.clone());
            async move { parts.sampler.run(&parts.picture, shutdown).await }
        });
        match listener {
            Some(listener) => self.serve_dialled(listener, &shutdown).await,
            None => self.keep_dialling(&shutdown).await,
        }
        self.parts.executor.shut_down().await;
        while tasks.join_next().await.is_some() {}
        Ok(())
    }

    /// Outbound: dials, serves, dials again.
    async fn keep_dialling(&self, shutdown: &CancellationToken) {
        let mut backoff = Backoff::default();
        for address in self.addresses.iter().cycle() {
            let began = Instant::now();
            let pause = tokio::select! {
                () = shutdown.cancelled() => return,
                pause = self.dial_once(address, shutdown) => pause,
            };
            let delay = match pause {
                Pause::BackOff => backoff.next_wait(),
                Pause::AfterSession => {
                    backoff.session_lasted(began.elapsed());
                    backoff.next_wait()
                }
                Pause::AtLeast(pause) => backoff.next_wait_asked(pause),
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(delay) => {}
            }
        }
    }

    async fn dial_once(&self, address: &AgentAddress, shutdown: &CancellationToken) -> Pause {
        match Box::pin(dial(address, &self.identity, Trust::Only(self.controller))).await {
            Ok(link) => self.serve_link(link, shutdown.child_token()).await,
            Err(error) => {
                tracing::warn!(%address, %error, "cannot reach the controller; trying again");
                Pause::BackOff
            }
        }
    }

    /// Inbound: waits for the controller to dial. A newer link takes the place of an older one, which may be half
    /// open without our knowing.
    async fn serve_dialled(&self, mut listener: Listener, shutdown: &CancellationToken) {
        let mut current = shutdown.child_token();
        let mut serving: Option<std::pin::Pin<Box<dyn Future<Output = Pause> + Send + '_>>> = None;
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled(), if serving.is_none() => return,
                _ = async { match &mut serving { Some(serving) => serving.await, None => std::future::pending().await } } => {
                    serving = None;
                    continue;
                }
                accepted = listener.accept(), if !shutdown.is_cancelled() => accepted,
            };
            match accepted {
                Ok(link) => {
                    current.cancel();
                    if let Some(older) = serving.take() {
                        older.await;
                    }
                    current = shutdown.child_token();
                    serving = Some(Box::pin(self.serve_link(link, current.clone())));
                }
                Err(error) => {
                    tracing::error!(%error, "the controller cannot dial in any more");
                    return;
                }
            }
        }
    }

    /// One link, from Hello to its end.
    async fn serve_link(&self, mut link: Link<TcpStream>, stop: CancellationToken) -> Pause {
        let remote = link.remote().to_owned();
        match Box::pin(greet(&mut link, &self.hello())).await {
            Ok(welcome) => {
                self.remember(&welcome);
                tracing::info!(controller = %remote, instance = %welcome.instance, session = %welcome.session,
                    version = %welcome.controller_version, "connected as {:?}", welcome.name);
                self.linked.store(true, Ordering::Relaxed);
                let end = serve(&self.parts, link, &welcome, stop).await;
                self.linked.store(false, Ordering::Relaxed);
                tracing::info!(controller = %remote, %end, "disconnected");
                Pause::AfterSession
            }
            Err(GreetError::Refused(Refusal::Busy { retry_after_ms })) => {
                Pause::AtLeast(Duration::from_millis(retry_after_ms.into()))
            }
            Err(GreetError::Refused(refusal)) => {
                tracing::error!(controller = %remote, "refused: {refusal}");
                if refusal.is_temporary() { Pause::BackOff } else { Pause::AtLeast(REFUSED_PAUSE) }
            }
            Err(error) => {
                tracing::warn!(controller = %remote, %error, "no session; trying again");
                Pause::BackOff
            }
        }
    }

    fn hello(&self) -> Hello {
        let config = &self.config;
        Hello {
            protocol: version::CURRENT,
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            boot: self.boot,
            join: config
                .join
                .as_ref()
                .filter(|join| join.controller == self.controller)
                .map(|join| join.proof()),
            name: config.name.clone(),
            environment: config.environment.clone(),
            tags: config.tags.clone(),
            policy: self.parts.policy.current(),
            abilities: self.abilities.clone(),
            epoch: self.parts.outbox.epoch(),
            last_event: self.parts.outbox.last(),
        }
    }

    fn remember(&self, welcome: &Welcome) {
        let membership = Membership {
            controller: self.controller,
            instance: welcome.instance.clone(),
            addresses: self.addresses.iter().map(ToString::to_string).collect(),
        };
        let saved = match Membership::load(&self.config.data_dir) {
            Ok(Some(known)) if known == membership => return,
            _ => membership.save(&self.config.data_dir),
        };
        if let Err(error) = saved {
            tracing::error!(%error, "cannot remember the controller: the join token will be needed again");
        }
    }

    async fn bind(&self, address: std::net::SocketAddr) -> Result<Listener, AgentError> {
        let failed = |error| AgentError::Listen { address, error };
        let socket = TcpListener::bind(address).await.map_err(failed)?;
        let bound = socket.local_addr().map_err(failed)?;
        let listening = self.config.data_dir.join("listening.json");
        std::fs::write(&listening, serde_json::json!({ "link": bound }).to_string())
            .map_err(|error| AgentError::DataDir { path: listening, error })?;
        tracing::info!(address = %bound, controller = %self.controller, "waiting for the controller to dial in");
        Ok(Listener::new(
            socket,
            self.identity.clone(),
            Trust::Only(self.controller),
            ListenLimits::default(),
        ))
    }
}

/// What to do before the next attempt.
enum Pause {
    /// The usual back-off.
    BackOff,
    /// The back-off after a session, short if that held.
    AfterSession,
    /// At least this long.
    AtLeast(Duration),
}

/// The token wins over the membership where they name different controllers: its owner wants to move the agent.
fn whom_to_join(
    config: &Config,
    membership: Option<&Membership>,
) -> Result<(PeerKey, Vec<AgentAddress>), AgentError> {
    let member_of = membership.map(|membership| membership.controller);
    let (controller, mut addresses) = match (&config.join, membership) {
        (Some(join), _) if member_of != Some(join.controller) => {
            if join.expires_at < UnixMicros::now() {
                return Err(AgentError::TokenExpired);
            }
            (join.controller, &join.addresses)
        }
        (_, Some(membership)) => (membership.controller, &membership.addresses),
        (_, None) => return Err(AgentError::NoController),
    };
    // A newer token of the same controller may name newer addresses.
    if let Some(join) = &config.join
        && join.controller == controller
        && !join.addresses.is_empty()
    {
        addresses = &join.addresses;
    }
    let addresses: Vec<AgentAddress> = match &config.controller {
        Some(address) => vec![address.clone()],
        None => addresses.iter().filter_map(|text| text.parse().ok()).collect(),
    };
    if addresses.is_empty() && config.listen.is_none() {
        return Err(AgentError::NoAddress);
    }
    Ok((controller, addresses))
}

fn prepare_directory(directory: &std::path::Path) -> Result<(), AgentError> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir_all(directory)
        .and_then(|()| std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700)))
        .map_err(|error| AgentError::DataDir { path: directory.to_owned(), error })
}
