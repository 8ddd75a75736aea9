//! Listening: many handshakes at a time, each with a deadline, so that a silent client stalls nobody.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::ReadBuf;
use tokio::net::{TcpListener, TcpStream};
use tokio::select;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::{TlsAcceptor, TlsStream};
use tokio_tungstenite::tungstenite::Error as SocketError;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::Link;
use super::carrier::Carrier;
use super::identity::Identity;
use super::metered::Metered;
use super::places::{Place, Places, source};
use super::tls::{self, Trust};
use super::waiting::Waiting;
use super::websocket;
use crate::message::ids::PeerKey;

/// How long to leave the socket alone when the system has no room for another connection.
const PAUSE: Duration = Duration::from_millis(200);

/// As much of a first record is waited for; an agent's has some 1,500 bytes.
const HELLO: usize = 1024;

/// How long a client whose handshake failed may take to read why.
const LINGER: Duration = Duration::from_secs(1);

/// How long a handshake may take while others wait for its place. One of an agent takes less than a second.
const HURRIED: Duration = Duration::from_secs(4);

/// What strangers may take up.
#[derive(Clone, Copy, Debug)]
pub struct ListenLimits {
    /// Connections at a time that are no sessions yet, Hello and Welcome included. One beyond it waits for its turn.
    pub handshakes: usize,
    /// As many from one IPv4 address or IPv6 network (/64).
    pub handshakes_per_source: usize,
    /// Connections that may wait, half of them from one source, 20 s at most. One beyond it is dropped.
    pub waiting: usize,
    /// How long TLS and the WebSocket upgrade may take together.
    pub deadline: Duration,
}

impl Default for ListenLimits {
    fn default() -> Self {
        Self { handshakes: 256, handshakes_per_source: 16, waiting: 64, deadline: Duration::from_secs(10) }
    }
}

/// Takes links on a TCP socket.
pub struct Listener {
    socket: TcpListener,
    door: Door,
    deadline: Duration,
    handshakes: JoinSet<Handshake>,
    places: Places,
    waiting: Waiting<(TcpStream, SocketAddr)>,
    paused_until: Option<Instant>,
    dropped: u64,
}

/// As whom it answers, and whom it lets through.
#[derive(Clone)]
struct Door {
    acceptor: TlsAcceptor,
    newest: PeerKey,
    earlier: Option<PeerKey>,
}

impl Door {
    fn new(identity: &Identity, earlier: Option<&Identity>, trust: Trust) -> Self {
        Self {
            acceptor: TlsAcceptor::from(Arc::new(tls::server_config(identity, earlier, trust))),
            newest: identity.key(),
            earlier: earlier.map(Identity::key),
        }
    }

    /// The key that a client which asked for `name` was shown.
    fn shown(&self, name: Option<&str>) -> PeerKey {
        self.earlier.filter(|earlier| tls::asks_for(name, earlier)).unwrap_or(self.newest)
    }
}

/// A connection that did not become a link. The client's doing.
#[derive(Debug, thiserror::Error)]
enum HandshakeError {
    #[error("no TLS: {0}")]
    Tls(io::Error),
    #[error("no WebSocket: {0}")]
    WebSocket(#[from] SocketError),
    #[error("took too long")]
    Deadline,
}

/// A handshake that is over.
struct Handshake {
    remote: SocketAddr,
    link: Result<Box<Link<TcpStream>>, HandshakeError>,
}

enum Happened {
    Connected(io::Result<(TcpStream, SocketAddr)>),
    Finished(Result<Handshake, JoinError>),
    PlaceFree,
    PauseOver,
}

impl Listener {
    /// Listens on `socket` as `identity`, for peers that `trust` lets through.
    #[must_use]
    pub fn new(socket: TcpListener, identity: Identity, trust: Trust, limits: ListenLimits) -> Self {
        Self {
            socket,
            door: Door::new(&identity, None, trust),
            deadline: limits.deadline,
            handshakes: JoinSet::new(),
            places: Places::new(limits.handshakes, limits.handshakes_per_source),
            waiting: Waiting::new(limits.waiting, |(stream, _)| has_said_hello(stream)),
            paused_until: None,
            dropped: 0,
        }
    }

    /// Answers as `identity` from now on, or as `earlier` to who expects that, and lets other peers through.
    pub fn replace(&mut self, identity: &Identity, earlier: Option<&Identity>, trust: Trust) {
        self.door = Door::new(identity, earlier, trust);
    }

    /// The next link whose peer has proven its key. Cancel safe: handshakes under way go on when it is called again.
    /// Connections are taken only while this is awaited.
    ///
    /// # Errors
    /// If the socket is broken for good. A system without room for more connections is waited for instead.
    pub async fn accept(&mut self) -> io::Result<Link<TcpStream>> {
        loop {
            let pause = self.paused_until;
            let happened = select! {
                Some(finished) = self.handshakes.join_next() => Happened::Finished(finished),
                () = self.places.given_up(), if !self.waiting.is_empty() => Happened::PlaceFree,
                connected = self.socket.accept(), if pause.is_none() => Happened::Connected(connected),
                () = sleep_until(pause.unwrap_or_else(Instant::now)), if pause.is_some() => Happened::PauseOver,
            };
            match happened {
                Happened::Connected(Ok((stream, remote))) => self.connected(stream, remote),
                Happened::Connected(Err(error)) => self.failed(error)?,
                Happened::PlaceFree => self.begin_waiting(),
                Happened::PauseOver => self.paused_until = None,
                Happened::Finished(finished) => {
                    if let Some(link) = Self::finished(finished) {
                        return Ok(link);
                    }
                }
            }
        }
    }

    /// Where it listens.
    ///
    /// # Errors
    /// If the system cannot tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// How many connections were dropped at once because too many waited.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn connected(&mut self, stream: TcpStream, remote: SocketAddr) {
        if let Some(place) = self.places.take(remote.ip()) {
            self.begin(stream, remote, place);
        } else if !self.waiting.push(source(remote.ip()), (stream, remote), Instant::now()) {
            self.dropped += 1;
            tracing::debug!(%remote, dropped = self.dropped, "too many handshakes, connection dropped");
        }
    }

    fn begin_waiting(&mut self) {
        let now = Instant::now();
        while !self.places.are_full()
            && let Some((place, (stream, remote))) = self.waiting.next(now, |source| self.places.take(source))
        {
            self.begin(stream, remote, place);
        }
    }

    fn begin(&mut self, stream: TcpStream, remote: SocketAddr, place: Place) {
        let door = self.door.clone();
        let deadline = if self.waiting.is_empty() { self.deadline } else { self.deadline.min(HURRIED) };
        self.handshakes.spawn(async move {
            let handshake = timeout(deadline, upgrade(stream, remote, place, door));
            let link = handshake.await.unwrap_or(Err(HandshakeError::Deadline));
            Handshake { remote, link }
        });
    }

    fn finished(finished: Result<Handshake, JoinError>) -> Option<Link<TcpStream>> {
        let Handshake { remote, link } =
            finished.inspect_err(|error| tracing::error!(%error, "a handshake ended in a bug")).ok()?;
        link.inspect_err(|error| tracing::debug!(%remote, %error, "handshake failed")).ok().map(|link| *link)
    }

    fn failed(&mut self, error: io::Error) -> io::Result<()> {
        use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, InvalidInput, Unsupported};
        match error.kind() {
            ConnectionAborted | ConnectionReset | Interrupted => Ok(()),
            InvalidInput | Unsupported => Err(error),
            _ => {
                tracing::warn!(%error, "cannot take connections; trying again shortly");
                self.paused_until = Some(Instant::now() + PAUSE);
                Ok(())
            }
        }
    }
}

/// Whether what a client begins with has come in: the first record of TLS, as long as it says it is.
fn has_said_hello(stream: &TcpStream) -> bool {
    let mut bytes = [0; HELLO];
    let mut read = ReadBuf::new(&mut bytes);
    let looked = stream.poll_peek(&mut Context::from_waker(Waker::noop()), &mut read);
    let (Poll::Ready(Ok(_)), [_, _, _, high, low, ..]) = (looked, read.filled()) else { return false };
    let length = usize::from(u16::from_be_bytes([*high, *low])) + 5;
    read.filled().len() >= length.min(HELLO)
}

async fn upgrade(
    stream: TcpStream,
    remote: SocketAddr,
    place: Place,
    door: Door,
) -> Result<Box<Link<TcpStream>>, HandshakeError> {
    stream.set_nodelay(true).map_err(HandshakeError::Tls)?;
    let stream = match door.acceptor.accept(Metered::new(stream)).into_fallible().await {
        Ok(stream) => stream,
        Err((error, mut stream)) => {
            // A client that never ends the connection keeps its place no longer than this.
            let _ = timeout(LINGER, websocket::linger(&mut stream)).await;
            return Err(HandshakeError::Tls(error));
        }
    };
    let shown = door.shown(stream.get_ref().1.server_name());
    let socket = websocket::upgrade_server(Carrier::tls(TlsStream::from(stream))).await?;
    let mut link =
        websocket::link(socket, Role::Server, remote.to_string(), shown).map_err(HandshakeError::Tls)?;
    link.place = Some(place);
    Ok(Box::new(link))
}

#[cfg(test)]
mod tests;
