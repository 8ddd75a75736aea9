//! One simulated agent: what it keeps between links, and how it greets.

use std::sync::Arc;
use std::time::Duration;

use roadstead_protocol::join_token::JoinToken;
use roadstead_protocol::link::identity::Identity;
use roadstead_protocol::message::event::EventKind;
use roadstead_protocol::message::hello::{Hello, JoinProof};
use roadstead_protocol::message::ids::BootId;
use roadstead_protocol::message::policy::{Policy, Verb};
use roadstead_protocol::message::version;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Common;
use super::host::{self, Host};
use super::invitation::Way;
use super::outbox::Outbox;
use super::work::Commands;

/// Which side dials.
pub(super) enum Place {
    Dials(Way),
    Dialled(TcpListener, Box<JoinToken>),
}

pub(super) struct Agent {
    pub(super) common: Arc<Common>,
    pub(super) number: usize,
    pub(super) identity: Identity,
    pub(super) boot: BootId,
    pub(super) host: Host,
    pub(super) outbox: Outbox,
    pub(super) commands: Commands,
    pub(super) storms: watch::Receiver<(u64, usize)>,
    place: Option<Place>,
}

impl Agent {
    pub(super) fn new(common: &Arc<Common>, number: usize, identity: Identity, place: Place) -> Self {
        let script = &common.script;
        let takes = Duration::from_secs_f64(script.command_takes);
        let mut outbox = Outbox::new();
        outbox.append(EventKind::AgentStarted { version: env!("CARGO_PKG_VERSION").to_owned() });
        common.tally.events.add(1);
        Self {
            number,
            identity,
            boot: BootId::generate(),
            host: Host::new(number, script.containers),
            outbox,
            commands: Commands::new(takes, script.command_lines),
            storms: common.storms.clone(),
            place: Some(place),
            common: Arc::clone(common),
        }
    }

    /// Keeps a session until `stop`.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        match self.place.take() {
            Some(Place::Dials(way)) => self.keep_dialling(way, &stop).await,
            Some(Place::Dialled(listener, token)) => self.be_dialled(listener, &token, &stop).await,
            None => {}
        }
    }

    pub(super) fn hello(&self, join: JoinProof) -> Hello {
        Hello {
            protocol: version::CURRENT,
            agent_version: format!("{}-simulated", env!("CARGO_PKG_VERSION")),
            boot: self.boot,
            join: Some(join),
            name: host::name(self.number),
            environment: Some("simulated".to_owned()),
            tags: vec![format!("rack-{}", self.number / 40)],
            policy: Policy::of(Verb::ALL),
            abilities: vec!["compose".to_owned()],
            epoch: self.outbox.epoch(),
            last_event: self.outbox.last(),
            remembers_since: Some(self.boot),
        }
    }
}
