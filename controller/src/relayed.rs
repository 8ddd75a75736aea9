//! Agents that come through a web server: what the web side hands over to the side that serves agents.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::upgrade::OnUpgrade;
use roadstead_protocol::link::identity::AgentSecret;
use roadstead_protocol::link::relayed;
use roadstead_protocol::message::ids::PeerKey;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Agents at a time that are on their way to a session; a further one is told to come back.
const ON_THEIR_WAY: usize = 256;

/// An agent that a web server has brought, about to become a link.
pub struct Relayed {
    /// The stream, once the answer is on its way.
    pub upgrade: OnUpgrade,
    /// What the secret that it showed is filed as.
    pub peer: PeerKey,
    /// Where it comes from, as far as the web server is believed.
    pub remote: SocketAddr,
    /// Given back when it is a session, or gone.
    pub place: OwnedSemaphorePermit,
}

/// The way from the web side to the agents' side; a clone is another handle on it.
#[derive(Clone)]
pub struct Relay {
    places: Arc<Semaphore>,
    queue: mpsc::Sender<Relayed>,
}

/// There is no room for another agent right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many agents are on their way in; this one comes back later by itself")]
pub struct NoRoom;

impl Relay {
    /// Both ends of the way.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<Relayed>) {
        let (queue, arrivals) = mpsc::channel(ON_THEIR_WAY);
        (Self { places: Arc::new(Semaphore::new(ON_THEIR_WAY)), queue }, arrivals)
    }

    /// Hands an agent over.
    ///
    /// # Errors
    /// If there is no room.
    pub fn hand_over(&self, upgrade: OnUpgrade, peer: PeerKey, remote: SocketAddr) -> Result<(), NoRoom> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| NoRoom)?;
        self.queue.try_send(Relayed { upgrade, peer, remote, place }).map_err(|_| NoRoom)
    }
}

/// What the secret in an `Authorization` header is filed as; none if there is none.
#[must_use]
pub fn filed(authorization: &str) -> Option<PeerKey> {
    let (scheme, secret) = authorization.split_once(' ')?;
    let secret: AgentSecret = secret.trim().parse().ok()?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.filed())
}

/// What a server answers to the `Sec-WebSocket-Key` of an upgrade.
#[must_use]
pub fn accept_key(key: &[u8]) -> String {
    relayed::accept_key(key)
}
