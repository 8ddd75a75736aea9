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
mod lobby;
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
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::message::ids::PeerKey;
use carrier::Carrier;
use places::Place;

/// One authenticated WebSocket over TLS between an agent and a controller, whoever dialled and wherever TLS ends.
pub struct Link<S> {
    socket: WebSocketStream<Carrier<S>>,
    role: Role,
    /// How many bytes the frames had that came out of the socket.
    taken: u64,
    /// Whether one of them made the socket's read buffer grow.
    grown: bool,
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

    /// Notes a message that came out of the socket.
    fn took(&mut self, message: &Message) {
        let payload = message.len() as u64;
        let length = match payload {
            0..126 => 0,
            126..0x1_0000 => 2,
            _ => 8,
        };
        let mask = if self.role == Role::Server { 4 } else { 0 };
        self.taken += 2 + length + mask + payload;
        self.grown |= message.len() > websocket::READ_BUFFER;
    }

    const fn has_grown(&self) -> bool {
        self.grown
    }

    /// Whether every byte that was read of the peer's frames has come out of the socket: nothing is half read. A peer that
    /// makes frames larger than they need be, or in pieces, is never taken to be.
    fn is_drained(&self) -> bool {
        self.socket.get_ref().framed() == self.taken
    }

    /// The same link with read buffers as small as in the beginning: those of the socket grow with the largest message and
    /// stay so. Only for one that is drained and has nothing to write.
    async fn with_small_buffers(self: Box<Self>) -> Box<Self> {
        let Self { socket, role, .. } = *self;
        let socket =
            WebSocketStream::from_raw_socket(socket.into_inner(), role, Some(websocket::config())).await;
        Box::new(Self { socket, grown: false, ..*self })
    }
}

impl<S> fmt::Debug for Link<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("peer", &self.peer).field("remote", &self.remote).finish_non_exhaustive()
    }
}
