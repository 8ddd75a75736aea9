//! The composition root: builds every part, hands each what it needs, runs them, ends them in order.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use roadstead_protocol::link::identity::Identity;
use roadstead_protocol::link::listener::{ListenLimits, Listener};
use roadstead_protocol::link::tls::Trust;
use roadstead_protocol::message::ids::InstanceId;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::accounts::{Accounts, FirstPassword};
use crate::admission::Admission;
use crate::audit::{self, Audit};
use crate::commands::Commands;
use crate::config::{Config, LocalAgent};
use crate::connect::refused::RefusedAgents;
use crate::connect::{Front, Strangers, dialling, listening, relaying};
use crate::enrolment::{Enrolment, NewToken, id};
use crate::events::Events;
use crate::events::retention::{self, Retention};
use crate::fleet::{Fleet, persist};
use crate::http::{self, About, Services};
use crate::identities::Identities;
use crate::lifecycle::Lifecycles;
use crate::oidc::Oidc;
use crate::probes::Probes;
use crate::registry::Registry;
use crate::relayed::{Relay, Relayed};
use crate::reload::{Configure, Reload};
use crate::rollouts::Rollouts;
use crate::rotation::Rotation;
use crate::store::Store;
use crate::supervised::{Supervised, find_program};

mod following;
mod offline;
mod people;
mod sockets;

pub use offline::Offline;
use people::People;
use sockets::{agents_waiting, bind, own_agent_url, web_tls};

/// Where a running controller can be reached. Also written to `listening.json` in its data folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Listening {
    /// API and web UI.
    pub web: SocketAddr,
    /// The same as a URL.
    pub web_url: String,
    /// Agents.
    pub agents: SocketAddr,
    /// What join tokens name.
    pub agent_urls: Vec<String>,
    /// The password that was made at this first start; never written to the file.
    #[serde(skip)]
    pub new_password: Option<String>,
}

impl Listening {
    /// Reads where the controller that uses `data_dir` listens.
    ///
    /// # Errors
    /// If none has run with this folder.
    pub fn read(data_dir: &Path) -> anyhow::Result<Self> {
        let path = data_dir.join("listening.json");
        let text = std::fs::read(&path)
            .with_context(|| format!("{}: no controller runs with this data folder", path.display()))?;
        Ok(serde_json::from_slice(&text)?)
    }

    fn write(&self, data_dir: &Path) -> anyhow::Result<()> {
        let (path, temporary) = (data_dir.join("listening.json"), data_dir.join("listening.json.new"));
        std::fs::write(&temporary, serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(&temporary, &path).with_context(|| path.display().to_string())
    }
}

/// A controller that listens and is ready to run.
pub struct Controller {
    listening: Listening,
    front: Arc<Front>,
    services: Services,
    web: TcpListener,
    web_tls: Option<Arc<rustls::ServerConfig>>,
    agents: Listener,
    relayed: mpsc::Receiver<Relayed>,
    local_agent: Option<Supervised>,
    audit_age: Option<Duration>,
}

/// Image reference of the agent in the commands that people paste.
const AGENT_IMAGE: &str = concat!("roadstead-agent:", env!("CARGO_PKG_VERSION"));

impl Controller {
    /// Opens the store, binds both listeners, loads what is known. Nothing is served yet.
    ///
    /// # Errors
    /// If something cannot be opened or bound; the text says what.
    pub async fn start(config: Config, configure: Box<Configure>) -> anyhow::Result<Self> {
        let data_dir = config.data_dir.clone();
        let first = (!Store::exists(&data_dir)).then(|| FirstPassword::begin(config.password.clone()));
        let web_tls = config.tls.as_ref().map(|(cert, key)| web_tls(cert, key)).transpose()?;
        // Before all that takes time, so that whoever comes meanwhile waits instead of being turned away.
        let web = bind(config.listen, "ROADSTEAD_LISTEN")?;
        let agents = bind(config.agent_listen, "ROADSTEAD_AGENT_LISTEN")?;
        let core = Core::open(&config).await?;
        let agents_bound = agents.local_addr()?;
        let agent_urls = agent_urls(&config, agents_bound);
        let enrolment = core.enrolment(&config, agent_urls.clone());
        let fleet = core.fleet.clone();
        // Together, since the one is on this thread and the other is not.
        let (lifecycles, ()) = tokio::try_join!(
            Lifecycles::read(core.store.clone(), fleet.clone()),
            persist::load(&fleet, &core.store)
        )?;
        apply_declared(&enrolment, &config).await?;
        let rotation = Rotation::new(
            core.identities.clone(),
            enrolment.clone(),
            fleet.clone(),
            core.registry.clone(),
            config.rotate_keys_days,
        );
        let own_address = own_agent_url(agents_bound);
        let reload = Reload::new(&config, configure, enrolment.clone(), rotation.clone(), own_address);
        let (relay, relayed) = Relay::new();
        let commands = Commands::load(core.store.clone(), core.registry.clone()).await?;
        let rollouts = Rollouts::load(core.store.clone(), fleet.clone(), commands.clone()).await?;
        let accounts = Accounts::of(core.store.clone(), config.demo_mode).await?;
        let oidc = config.oidc.clone().map(Oidc::new).transpose()?.map(Arc::new);
        let local_agent = local_agent(&config, agents_bound)?;
        let this_instance = local_agent.as_ref().map(|agent| this_instance(&agent.data_dir)).transpose()?;
        let events = Events::new(core.store.clone());
        lifecycles.recall().await?;
        let probes = Probes::default();
        let front = Arc::new(core.front(&enrolment, &commands, &events, &probes));
        let web_bound = web.local_addr()?;
        // Last, so that no start fails between the making of a password and its being shown.
        let new_password = accounts.admin(config.password, first).await?;
        let scheme = if web_tls.is_some() { "https" } else { "http" };
        let listening = Listening {
            web: web_bound,
            web_url: format!("{scheme}://{web_bound}"),
            agents: agents_bound,
            agent_urls: agent_urls.clone(),
            new_password,
        };
        listening.write(&data_dir)?;
        let services = Services {
            store: core.store.clone(),
            fleet,
            registry: core.registry,
            enrolment,
            commands,
            rollouts,
            events,
            lifecycles,
            accounts: Arc::new(accounts),
            oidc,
            audit: Audit::new(core.store),
            probes,
            rotation,
            reload,
            relay,
            fleet_threads: tokio::runtime::Handle::current(),
            about: About {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                this_instance,
                name: config.name,
                agent_image: AGENT_IMAGE.to_owned(),
                open_metrics: config.metrics_open,
                trusted_proxies: config.trusted_proxies,
            },
        };
        let ring = core.identities.ring();
        let limits = ListenLimits { waiting: agents_waiting(), ..ListenLimits::default() };
        let mut agents = Listener::new(agents, ring.newest.clone(), Trust::AnyProven, limits);
        agents.replace(&ring.newest, ring.earlier.as_ref(), Trust::AnyProven);
        let audit_age = config.audit_age;
        Ok(Self { listening, front, services, web, web_tls, agents, relayed, local_agent, audit_age })
    }

    /// Where it listens.
    #[must_use]
    pub const fn listening(&self) -> &Listening {
        &self.listening
    }

    /// Reads the configuration again when asked to.
    #[must_use]
    pub fn reload(&self) -> Reload {
        self.services.reload.clone()
    }

    /// Serves until `shutdown`, then ends in order: no new links and requests, sessions say goodbye, pictures are
    /// saved.
    ///
    /// # Errors
    /// If a part ended that never should.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let Self { front, services, web, web_tls, agents, relayed, local_agent, audit_age, .. } = self;
        let saved = CancellationToken::new();
        let mut saving = JoinSet::new();
        saving.spawn(persist::run(services.fleet.clone(), services.store.clone(), saved.clone()));
        let people = People::start()?;
        let mut parts = JoinSet::new();
        parts.spawn(retention::run(services.store.clone(), Retention::default(), shutdown.clone()));
        parts.spawn(audit::retention::run(services.store.clone(), audit_age, shutdown.clone()));
        parts.spawn(services.commands.clone().run(shutdown.clone()));
        parts.spawn(services.rollouts.clone().run(shutdown.clone()));
        let (lifecycles, commands) = (services.lifecycles.clone(), services.commands.clone());
        parts.spawn(lifecycles.clone().run(services.events.subscribe(), shutdown.clone()));
        parts.spawn(following::commands(lifecycles, commands, shutdown.clone()));
        if let Some(agent) = local_agent {
            let enrolment = services.enrolment.clone();
            let join = move || {
                let enrolment = enrolment.clone();
                async move { local_join_token(&enrolment).await }
            };
            parts.spawn(agent.run(join, shutdown.clone()));
        }
        parts.spawn(services.rotation.clone().run(shutdown.clone()));
        parts.spawn(relaying::relay(Arc::clone(&front), relayed, shutdown.clone()));
        parts.spawn(dialling::dial_all(Arc::clone(&front), shutdown.clone()));
        parts.spawn(listening::listen(front, agents, shutdown.clone()));
        parts.spawn_on(http::serve(web, web_tls, services, shutdown.clone()), people.handle());
        let mut result = Ok(());
        while let Some(ended) = parts.join_next().await {
            let unexpected = !shutdown.is_cancelled();
            shutdown.cancel();
            if let Err(error) = ended {
                result = Err(error).context("a part of the controller failed");
            } else if unexpected {
                result = Err(anyhow::anyhow!("a part of the controller ended by itself; the log says why"));
            }
        }
        drop(people);
        // Last, so that what the sessions told until their end is saved too.
        saved.cancel();
        while let Some(ended) = saving.join_next().await {
            ended.context("saving the pictures failed")?;
        }
        result
    }

    /// The data of a controller, for work on it without serving; the controller may be running.
    ///
    /// # Errors
    /// If no controller has run with the data folder, or it cannot be opened.
    pub async fn offline(config: &Config) -> anyhow::Result<Offline<'_>> {
        anyhow::ensure!(
            Store::exists(&config.data_dir),
            "{}: no controller has run with this data folder; set ROADSTEAD_DATA_DIR to the one that is meant",
            config.data_dir.display()
        );
        Ok(Offline { core: Core::open(config).await?, config })
    }
}

/// What both the running controller and the sub-commands stand on.
struct Core {
    store: Store,
    identities: Identities,
    fleet: Fleet,
    registry: Registry,
}

impl Core {
    async fn open(config: &Config) -> anyhow::Result<Self> {
        let store = Store::open(&config.data_dir)?;
        let identities = Identities::load(&store, &config.data_dir.join("identity")).await?;
        Ok(Self { store, identities, fleet: Fleet::new(), registry: Registry::default() })
    }

    fn enrolment(&self, config: &Config, agent_urls: Vec<String>) -> Enrolment {
        Enrolment::new(
            self.store.clone(),
            self.fleet.clone(),
            self.registry.clone(),
            self.identities.ring().newest.key(),
            agent_urls,
            config.dial_allow.clone(),
        )
    }

    /// What the connections of agents work with.
    fn front(&self, enrolment: &Enrolment, commands: &Commands, events: &Events, probes: &Probes) -> Front {
        Front {
            identities: self.identities.clone(),
            admission: Arc::new(Admission::new(
                self.store.clone(),
                self.fleet.clone(),
                self.registry.clone(),
            )),
            registry: self.registry.clone(),
            fleet: self.fleet.clone(),
            events: events.clone(),
            commands: commands.clone(),
            refused: Arc::new(RefusedAgents::new(Audit::new(self.store.clone()))),
            probes: probes.clone(),
            enrolment: enrolment.clone(),
            strangers: Arc::new(Strangers::default()),
        }
    }
}

fn agent_urls(config: &Config, bound: SocketAddr) -> Vec<String> {
    if config.agent_urls.is_empty() {
        vec![own_agent_url(bound)]
    } else {
        config.agent_urls.iter().map(ToString::to_string).collect()
    }
}

async fn apply_declared(enrolment: &Enrolment, config: &Config) -> anyhow::Result<()> {
    let applied = enrolment.apply_declared(&config.agents).await?;
    for (name, reason) in &applied.failed {
        tracing::error!(name, reason, "a declared agent cannot be as the configuration says");
    }
    Ok(())
}

fn local_agent(config: &Config, agents: SocketAddr) -> anyhow::Result<Option<Supervised>> {
    let program = match (config.local_agent, find_program()) {
        (LocalAgent::Off, _) | (LocalAgent::Auto, None) => return Ok(None),
        (LocalAgent::On, None) => {
            anyhow::bail!("ROADSTEAD_LOCAL_AGENT=on, but there is no roadstead-agent beside this program")
        }
        (LocalAgent::Auto | LocalAgent::On, Some(program)) => program,
    };
    let ip = if agents.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { agents.ip() };
    Ok(Some(Supervised {
        program,
        data_dir: config.data_dir.join("local-agent"),
        controller: format!("wss://{}", SocketAddr::new(ip, agents.port())),
        name: config.name.clone(),
        environment: config.environment.clone(),
    }))
}

/// The id that this host's agent has or will have: it follows from its key, which is made here if need be.
fn this_instance(agent_data: &Path) -> anyhow::Result<InstanceId> {
    Store::prepare_directory(agent_data)?;
    let key = Identity::load_or_create(&agent_data.join("identity"))?.key();
    Ok(id::of_key(&key))
}

async fn local_join_token(enrolment: &Enrolment) -> Option<String> {
    match enrolment.issue_token(NewToken::default()).await {
        Ok(token) => Some(token.text),
        Err(error) => {
            tracing::error!(%error, "cannot make a join token for this host's agent");
            None
        }
    }
}
