//! Links and again: dialled in either direction, each greeted and served until it ends.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use roadstead_protocol::link::Link;
use roadstead_protocol::link::address::AgentAddress;
use roadstead_protocol::link::backoff::Backoff;
use roadstead_protocol::link::dialer::dial;
use roadstead_protocol::link::handshake::{GreetError, greet};
use roadstead_protocol::link::listener::Listener;
use roadstead_protocol::link::tls::Trust;
use roadstead_protocol::message::hello::{Hello, Refusal, Welcome};
use roadstead_protocol::message::version;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Agent;
use crate::engine::Engine;
use crate::membership::Membership;
use crate::serving::serve;

/// How long to wait after a refusal that only a person can lift.
const REFUSED_PAUSE: Duration = Duration::from_secs(60);

/// What to do before the next attempt.
enum Pause {
    /// The usual back-off.
    BackOff,
    /// The back-off after a session, short if that held.
    AfterSession,
    /// At least this long.
    AtLeast(Duration),
}

impl<E: Engine> Agent<E> {
    /// Outbound: dials, serves, dials again.
    pub(super) async fn keep_dialling(&self, shutdown: &CancellationToken) {
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
    pub(super) async fn serve_dialled(&self, mut listener: Listener, shutdown: &CancellationToken) {
        let mut current = shutdown.child_token();
        let mut serving = FuturesUnordered::new();
        loop {
            let accepted = tokio::select! {
                Some(_ended) = serving.next() => continue,
                () = shutdown.cancelled(), if serving.is_empty() => return,
                accepted = listener.accept(), if !shutdown.is_cancelled() => accepted,
            };
            match accepted {
                Ok(link) => {
                    current.cancel();
                    while serving.next().await.is_some() {}
                    current = shutdown.child_token();
                    serving.push(self.serve_link(link, current.clone()));
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
        let hello = self.hello();
        let greeting = stop.run_until_cancelled(Box::pin(greet(&mut link, &hello))).await;
        match greeting {
            None => Pause::BackOff,
            Some(Ok(welcome)) => {
                self.remember(&welcome);
                tracing::info!(controller = %remote, instance = %welcome.instance, session = %welcome.session,
                    version = %welcome.controller_version, "connected as {:?}", welcome.name);
                self.linked.store(true, Ordering::Relaxed);
                let end = serve(&self.parts, link, &welcome, stop).await;
                self.linked.store(false, Ordering::Relaxed);
                tracing::info!(controller = %remote, %end, "disconnected");
                Pause::AfterSession
            }
            Some(Err(GreetError::Refused(Refusal::Busy { retry_after_ms }))) => {
                Pause::AtLeast(Duration::from_millis(retry_after_ms.into()))
            }
            Some(Err(GreetError::Refused(refusal))) => {
                tracing::error!(controller = %remote, "refused: {refusal}");
                if refusal.is_temporary() { Pause::BackOff } else { Pause::AtLeast(REFUSED_PAUSE) }
            }
            Some(Err(error)) => {
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
            remembers_since: Some(self.parts.executor.remembers_since()),
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
}
