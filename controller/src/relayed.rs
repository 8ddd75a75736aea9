//! Agents that come through a web server: what the web side hands over to the side that serves agents.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use hyper::upgrade::OnUpgrade;
use roadstead_protocol::link::identity::AgentSecret;
use roadstead_protocol::link::relayed;
use roadstead_protocol::message::ids::PeerKey;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Agents at a time that are on their way to a session; a further one is told to come back.
const ON_THEIR_WAY: usize = 256;

/// How many of those may be nobody's that is known: most places are kept for members.
const STRANGERS: usize = 64;

/// How many of these may come from one network.
const STRANGERS_PER_NETWORK: usize = 16;

/// An agent that a web server has brought, about to become a link.
pub struct Relayed {
    /// The stream, once the answer is on its way.
    pub upgrade: OnUpgrade,
    /// What the secret that it showed is filed as.
    pub peer: PeerKey,
    /// Where it comes from, as far as the web server is believed.
    pub remote: SocketAddr,
    /// Given back when it is a session, or gone.
    pub place: Place,
}

/// A place among those that are on their way; given back when dropped.
pub struct Place {
    _permit: OwnedSemaphorePermit,
    _stranger: Option<StrangersPlace>,
}

/// Strangers on their way, by network.
type Strangers = Arc<Mutex<HashMap<IpAddr, usize>>>;

struct StrangersPlace {
    strangers: Strangers,
    network: IpAddr,
}

impl StrangersPlace {
    fn take(strangers: &Strangers, network: IpAddr) -> Result<Self, NoRoom> {
        let mut taken = strangers.lock().unwrap_or_else(PoisonError::into_inner);
        let here = taken.get(&network).copied().unwrap_or_default();
        if here >= STRANGERS_PER_NETWORK || taken.values().sum::<usize>() >= STRANGERS {
            return Err(NoRoom);
        }
        taken.insert(network, here + 1);
        drop(taken);
        Ok(Self { strangers: Arc::clone(strangers), network })
    }
}

impl Drop for StrangersPlace {
    fn drop(&mut self) {
        let mut taken = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        let left = taken.remove(&self.network).unwrap_or_default().saturating_sub(1);
        if left > 0 {
            taken.insert(self.network, left);
        }
    }
}

/// The way from the web side to the agents' side; a clone is another handle on it.
#[derive(Clone)]
pub struct Relay {
    places: Arc<Semaphore>,
    strangers: Strangers,
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
        let places = Arc::new(Semaphore::new(ON_THEIR_WAY));
        (Self { places, strangers: Strangers::default(), queue }, arrivals)
    }

    /// A place for an agent: a member, or a stranger from that network.
    ///
    /// # Errors
    /// If there is no room.
    pub fn place(&self, stranger: Option<IpAddr>) -> Result<Place, NoRoom> {
        let stranger = stranger.map(|network| StrangersPlace::take(&self.strangers, network)).transpose()?;
        let permit = Arc::clone(&self.places).try_acquire_owned().map_err(|_| NoRoom)?;
        Ok(Place { _permit: permit, _stranger: stranger })
    }

    /// Hands an agent over.
    ///
    /// # Errors
    /// If there is no room.
    pub fn hand_over(&self, relayed: Relayed) -> Result<(), NoRoom> {
        self.queue.try_send(relayed).map_err(|_| NoRoom)
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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn strangers_leave_room_for_members_and_for_strangers_from_elsewhere() {
        let (relay, _arrivals) = Relay::new();
        let from = |last| Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)));
        let mut strangers = Vec::new();
        for network in 0..4 {
            strangers.extend((0..STRANGERS_PER_NETWORK).map(|_| relay.place(from(network)).unwrap()));
            assert!(relay.place(from(network)).is_err());
        }
        assert!(relay.place(from(9)).is_err(), "no stranger has room any more");
        let members: Vec<_> = std::iter::from_fn(|| relay.place(None).ok()).collect();
        assert_eq!(members.len(), ON_THEIR_WAY - STRANGERS);
        strangers.pop();
        assert!(relay.place(from(9)).is_ok(), "a place is given back");
    }
}
