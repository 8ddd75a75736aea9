//! The agent: link, handshake, serve, and again. Which side dials is decided here and nowhere below.

mod joining;
mod links;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use roadstead_protocol::link::address::ControllerAddress;
use roadstead_protocol::link::listener::{ListenLimits, Listener};
use roadstead_protocol::link::relayed::{Roots, RootsError};
use roadstead_protocol::message::event::EventKind;
use roadstead_protocol::message::ids::BootId;
use roadstead_protocol::message::time::UnixMicros;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::commands::CommandOptions;
use crate::config::Config;
use crate::engine::Engine;
use crate::executor::Executor;
use crate::executor::ledger::{Ledger, LedgerError};
use crate::figures::Sampler;
use crate::keys::{Keys, KeysError};
use crate::membership::{Membership, MembershipError};
use crate::outbox::{DEFAULT_LIMIT, Outbox, OutboxError};
use crate::policy::PolicyCell;
use crate::serving::Parts;
use crate::watcher::{PictureHandle, watch};
use joining::whom_to_join;

/// One agent, ready to run.
pub struct Agent<E: Engine> {
    config: Config,
    keys: Keys,
    addresses: Vec<ControllerAddress>,
    /// Who may vouch for web servers, if there is one among the addresses.
    roots: Option<Roots>,
    /// Whether it is a member through a web server: its key there is another than on a direct link.
    through_web: OnceLock<bool>,
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
    /// The data folder.
    #[error("{path}: {error}")]
    DataDir {
        /// Which.
        path: std::path::PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The keys on disk.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The certificate authorities.
    #[error(transparent)]
    Roots(#[from] RootsError),
    /// The membership on disk.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// The outbox on disk.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The command ledger on disk.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
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
        let membership = Membership::load(&config.data_dir)?;
        let (controller, addresses) = whom_to_join(&config, membership.as_ref())?;
        let keys = Keys::open(&config.data_dir, controller, membership)?;
        let web = |address: &ControllerAddress| matches!(address, ControllerAddress::Web(_));
        let roots = match &config.ca_file {
            _ if !addresses.iter().any(web) => None,
            Some(file) => Some(Roots::of_file(file)?),
            None => Some(Roots::of_system()?),
        };
        let outbox = Outbox::open(&config.data_dir.join("outbox"), DEFAULT_LIMIT)?;
        let policy = Arc::new(PolicyCell::of(config.policy.clone()));
        let options = CommandOptions {
            sync_script: config.sync_script.clone(),
            docker_env: config.docker_env(),
            ..CommandOptions::default()
        };
        let abilities = options.abilities();
        let boot = BootId::generate();
        let ledger = Ledger::open(&config.data_dir.join("commands"), boot)?;
        let executor =
            Executor::new(Arc::clone(&engine), Arc::clone(&policy), outbox.clone(), options, ledger);
        let sampler = Sampler::new(Arc::clone(&engine), Arc::clone(&policy));
        let picture = PictureHandle::remembering(config.data_dir.join("picture"));
        Ok(Self {
            config,
            keys,
            addresses,
            roots,
            through_web: OnceLock::new(),
            boot,
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
        let policy = &config.policy.policy;
        tracing::info!(allow = ?policy.allow, limits = ?policy.limits,
            "took over the policy; other settings need a restart");
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
        parts.executor.resume().await;
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

    async fn bind(&self, address: std::net::SocketAddr) -> Result<Listener, AgentError> {
        let failed = |error| AgentError::Listen { address, error };
        let socket = TcpListener::bind(address).await.map_err(failed)?;
        let bound = socket.local_addr().map_err(failed)?;
        let listening = self.config.data_dir.join("listening.json");
        std::fs::write(&listening, serde_json::json!({ "link": bound }).to_string())
            .map_err(|error| AgentError::DataDir { path: listening, error })?;
        tracing::info!(address = %bound, controller = ?self.keys.controller(), "waiting for the controller to dial in");
        let door = self.keys.door();
        let mut listener = Listener::new(socket, door.identity.clone(), door.trust, ListenLimits::default());
        listener.replace(&door.identity, door.earlier.as_ref(), door.trust);
        Ok(listener)
    }
}

fn prepare_directory(directory: &std::path::Path) -> Result<(), AgentError> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir_all(directory)
        .and_then(|()| std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700)))
        .map_err(|error| AgentError::DataDir { path: directory.to_owned(), error })
}
