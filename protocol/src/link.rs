//! How two programs hold a line: identities, pinned-key TLS, handshake, sessions.
//!
//! A [`Link`] is one authenticated WebSocket over TLS. [`dialer`] and [`listener`] make them; from then on nothing
//! tells who dialled. [`handshake`] turns a link into a session's terms, [`session`] carries typed messages over it.

pub mod address;
pub mod backoff;
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
pub mod session;
pub mod tls;
mod waiting;
mod websocket;

use std::fmt;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsStream;
use tokio_tungstenite::WebSocketStream;

use crate::message::ids::PeerKey;
use metered::Metered;
use places::Place;

/// One authenticated WebSocket over TLS between an agent and a controller, whoever dialled.
pub struct Link<S> {
    socket: WebSocketStream<TlsStream<Metered<S>>>,
    peer: PeerKey,
    remote: String,
    /// Held by a link that was accepted, until it is a session.
    place: Option<Place>,
}

impl<S> Link<S> {
    /// The key whose possession the peer has proven.
    #[must_use]
    pub fn peer(&self) -> PeerKey {
        self.peer
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
        self.socket.get_ref().get_ref().0.received()
    }
}

impl<S> fmt::Debug for Link<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("peer", &self.peer).field("remote", &self.remote).finish_non_exhaustive()
    }
}
