//! How two programs hold a line: identities, pinned-key TLS, handshake, sessions.
//!
//! A [`Link`] is one authenticated WebSocket over TLS. [`dialer`] and [`listener`] make them; from then on nothing
//! tells who dialled. [`handshake`] turns a link into a session's terms, [`session`] carries typed messages over it.

pub mod address;
pub mod backoff;
mod carrier;
pub mod dialer;
pub mod handshake;
pub mod identity;
pub mod listener;
#[cfg(any(test, feature = "test-util"))]
pub mod memory;
mod metered;
mod places;
#[cfg(any(test, feature = "test-util"))]
pub mod raw;
pub mod relayed;
pub mod session;
pub mod tls;
mod waiting;
mod websocket;

use std::fmt;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;

use crate::message::ids::PeerKey;
use carrier::Carrier;
use places::Place;

/// One authenticated WebSocket over TLS between an agent and a controller, whoever dialled and wherever TLS ends.
pub struct Link<S> {
    socket: WebSocketStream<Carrier<S>>,
    peer: PeerKey,
    /// The key by which this program has made itself known, if it is an agent or a dialler.
    shown: Option<PeerKey>,
    remote: String,
    /// Between two heartbeats, give or take a tenth.
    heartbeat_every: Duration,
    /// Held by a link that was accepted, until it is a session.
    place: Option<Place>,
}

impl<S> Link<S> {
    /// The key whose possession the peer has proven; for a relayed link what its secret is filed as.
    #[must_use]
    pub fn peer(&self) -> PeerKey {
        self.peer
    }

    /// The key by which this program has made itself known to the peer; none where a web server took the link.
    #[must_use]
    pub fn shown(&self) -> Option<PeerKey> {
        self.shown
    }

    /// The peer's network address, for logs.
    #[must_use]
    pub fn remote(&self) -> &str {
        &self.remote
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    /// Bytes that have come in so far: what tells a slow peer from a silent one.
    fn received(&self) -> u64 {
        self.socket.get_ref().received()
    }
}

impl<S> fmt::Debug for Link<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("peer", &self.peer).field("remote", &self.remote).finish_non_exhaustive()
    }
}
