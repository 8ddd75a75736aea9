//! Links and again: dialled in either direction, each greeted and served until it ends.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use roadstead_protocol::link::Link;
use roadstead_protocol::link::address::ControllerAddress;
use roadstead_protocol::link::backoff::Backoff;
use roadstead_protocol::link::dialer::{DialError, dial};
use roadstead_protocol::link::handshake::{GreetError, greet};
use roadstead_protocol::link::listener::Listener;
use roadstead_protocol::link::relayed::dial_relayed;
use roadstead_protocol::message::hello::{Hello, Refusal, Welcome};
use roadstead_protocol::message::version;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Agent;
use crate::engine::Engine;
use crate::outbox::Agreement;
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
            if self.through_web.get().is_some_and(|web| *web != is_web(address)) {
                continue;
            }
            let began = Instant::now();
            let pause = self.dial_once(address, shutdown).await;
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

    async fn dial_once(&self, address: &ControllerAddress, shutdown: &CancellationToken) -> Pause {
        // Only dialling is broken off: a session says goodbye.
        match shutdown.run_until_cancelled(Box::pin(self.dial(address))).await {
            None => Pause::BackOff,
            Some(Ok(link)) => self.serve_link(link, Some(address), shutdown.child_token()).await,
            Some(Err(error)) => {
                tracing::warn!(%address, %error, "cannot reach the controller; trying again");
                Pause::BackOff
            }
        }
    }

    async fn dial(&self, address: &ControllerAddress) -> Result<Link<TcpStream>, DialError> {
        let identity = self.keys.identity();
        match (address, &self.roots) {
            (ControllerAddress::Direct(address), _) => dial(address, &identity, self.keys.trust()).await,
            (ControllerAddress::Web(address), Some(roots)) => dial_relayed(address, &identity, roots).await,
            (ControllerAddress::Web(_), None) => unreachable!("there are roots where there is a web address"),
        }
    }

    /// Inbound: waits for the controller to dial. A newer link takes the place of an older one, which may be half
    /// open without our knowing.
    pub(super) async fn serve_dialled(&self, mut listener: Listener, shutdown: &CancellationToken) {
        let mut current = shutdown.child_token();
        let mut changes = self.keys.subscribe();
        let mut serving = FuturesUnordered::new();
        loop {
            let accepted = tokio::select! {
                Some(_ended) = serving.next() => continue,
                Ok(()) = changes.changed() => {
                    let door = self.keys.door();
                    listener.replace(&door.identity, door.earlier.as_ref(), door.trust);
                    continue;
                }
                () = shutdown.cancelled(), if serving.is_empty() => return,
                accepted = listener.accept(), if !shutdown.is_cancelled() => accepted,
            };
            match accepted {
                Ok(link) => {
                    current.cancel();
                    while serving.next().await.is_some() {}
                    current = shutdown.child_token();
                    serving.push(self.serve_link(link, None, current.clone()));
                }
                Err(error) => {
                    tracing::error!(%error, "the controller cannot dial in any more");
                    return;
                }
            }
        }
    }

    /// One link, from Hello to its end.
    async fn serve_link(
        &self,
        mut link: Link<TcpStream>,
        address: Option<&ControllerAddress>,
        stop: CancellationToken,
    ) -> Pause {
        let remote = link.remote().to_owned();
        let hello = self.hello();
        let greeting = stop.run_until_cancelled(Box::pin(greet(&mut link, &hello))).await;
        match greeting {
            None => Pause::BackOff,
            Some(Ok(welcome)) => {
                self.remember(&welcome, address);
                if !self.agrees(&welcome).await {
                    return Pause::BackOff;
                }
                tracing::info!(controller = %remote, instance = %welcome.instance, session = %welcome.session,
                    version = %welcome.controller_version, "connected as {:?}", welcome.name);
                self.linked.store(true, Ordering::Relaxed);
                let end = serve(&self.parts, &self.keys, link, &welcome, stop).await;
                self.linked.store(false, Ordering::Relaxed);
                tracing::info!(controller = %remote, %end, "disconnected");
                Pause::AfterSession
            }
            Some(Err(GreetError::Refused(Refusal::Busy { retry_after_ms }))) => {
                Pause::AtLeast(Duration::from_millis(retry_after_ms.into()))
            }
            Some(Err(GreetError::Refused(refusal))) => {
                tracing::error!(controller = %remote, "refused: {refusal}");
                match refusal {
                    // A controller that was restored from a backup may know the key before this one.
                    refusal if refusal.is_temporary() => Pause::BackOff,
                    refusal if is_of_key(&refusal) && self.keys.refused() => Pause::BackOff,
                    _ => Pause::AtLeast(REFUSED_PAUSE),
                }
            }
            Some(Err(error)) => {
                tracing::warn!(controller = %remote, %error, "no session; trying again");
                Pause::BackOff
            }
        }
    }

    /// Whether the controller means the same events as this agent by their numbers. The next link will tell of others.
    async fn agrees(&self, welcome: &Welcome) -> bool {
        match self.parts.outbox.agree(welcome.acknowledged, welcome.print).await {
            Ok(Agreement::Reached) => true,
            Ok(Agreement::Forked) => {
                tracing::warn!(
                    "the controller holds events of this outbox that are not from here: another machine uses a copy of \
                     this data folder, or the folder was set back to an older copy; telling all of them under numbers \
                     of their own"
                );
                false
            }
            Err(error) => {
                tracing::error!(%error, "cannot tell events apart from those of a copy of this data folder");
                false
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
                .filter(|join| self.keys.shows_token() && self.keys.is_controllers(join.controller))
                .map(|join| join.proof()),
            name: config.name.clone(),
            environment: config.environment.clone(),
            tags: config.tags.clone(),
            policy: self.parts.policy.current(),
            abilities: self.abilities.clone(),
            epoch: self.parts.outbox.epoch(),
            last_event: self.parts.outbox.pending(),
            remembers_since: Some(self.parts.executor.remembers_since()),
        }
    }

    fn remember(&self, welcome: &Welcome, address: Option<&ControllerAddress>) {
        if let Some(address) = address {
            // Whoever comes second finds the same.
            let _ = self.through_web.set(is_web(address));
        }
        let same_way = |other: &&ControllerAddress| address.is_none_or(|used| is_web(used) == is_web(other));
        let addresses = self.addresses.iter().filter(same_way).map(ToString::to_string).collect();
        if let Err(error) = self.keys.welcomed(&welcome.instance, addresses) {
            tracing::error!(%error, "cannot remember the controller: the join token will be needed again");
        }
    }
}

/// Whether another key, or a token, might be let in.
const fn is_of_key(refusal: &Refusal) -> bool {
    matches!(
        refusal,
        Refusal::NotRegistered
            | Refusal::Removed
            | Refusal::Replaced
            | Refusal::TokenUnknown
            | Refusal::TokenExpired
            | Refusal::TokenUsed
            | Refusal::TokenMismatch
    )
}

const fn is_web(address: &ControllerAddress) -> bool {
    matches!(address, ControllerAddress::Web(_))
}
