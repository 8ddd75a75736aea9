//! Listening: many handshakes at a time, each with a deadline, so that a silent client stalls nobody.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

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
use super::lobby::{Lobby, has_said_hello};
use super::metered::Metered;
use super::places::{Place, Places, source};
use super::tls::{self, Trust};
use super::waiting::Waiting;
use super::websocket;
use crate::message::ids::PeerKey;

/// How long to leave the socket alone when the system has no room for another connection.
const PAUSE: Duration = Duration::from_millis(200);

/// How long a client whose handshake failed may take to read why.
const LINGER: Duration = Duration::from_secs(1);

/// How long a handshake may take while others wait for its place. One of an agent takes less than a second.
const HURRIED: Duration = Duration::from_secs(4);

/// What strangers may take up.
#[derive(Clone, Copy, Debug)]
pub struct ListenLimits {
    /// Connections at a time that are no sessions yet, Hello and Welcome included. One beyond it waits for its turn.
    pub handshakes: usize,
    /// As many from one IPv4 address or IPv6 network (/64), once half of all are taken.
    pub handshakes_per_source: usize,
    /// Connections that have no place yet, half of them from one source: they have not said hello, or wait for their turn,
    /// 20 s at most. One beyond it is dropped, or the one that has been silent for longest.
    pub waiting: usize,
    /// How long a client may take to say hello, and TLS and the WebSocket upgrade together after that.
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
    seats: Places,
    lobby: Lobby,
    places: Places,
    waiting: Waiting<Caller>,
    paused_until: Option<Instant>,
    dropped: u64,
}

/// Who has connected and has no place yet.
struct Caller {
    stream: TcpStream,
    remote: SocketAddr,
    /// What it takes up meanwhile.
    _seat: Place,
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
    SaidHello(Place, TcpStream, SocketAddr),
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
            seats: Places::new(limits.waiting, limits.waiting.div_ceil(2)),
            lobby: Lobby::default(),
            places: Places::new(limits.handshakes, limits.handshakes_per_source),
            waiting: Waiting::default(),
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
                Some((seat, stream, remote)) = self.lobby.next() => Happened::SaidHello(seat, stream, remote),
                () = self.places.given_up(), if !self.waiting.is_empty() => Happened::PlaceFree,
                connected = self.socket.accept(), if pause.is_none() => Happened::Connected(connected),
                () = sleep_until(pause.unwrap_or_else(Instant::now)), if pause.is_some() => Happened::PauseOver,
            };
            match happened {
                Happened::Connected(Ok((stream, remote))) => self.connected(stream, remote),
                Happened::Connected(Err(error)) => self.failed(error)?,
                Happened::SaidHello(seat, stream, remote) => self.said_hello(seat, stream, remote),
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
        let seat = self.seats.take(remote.ip());
        let Some(seat) = seat.or_else(|| self.make_room(remote.ip())) else {
            self.dropped += 1;
            tracing::debug!(%remote, dropped = self.dropped, "too many handshakes, connection dropped");
            return;
        };
        if has_said_hello(&stream) {
            self.said_hello(seat, stream, remote);
        } else {
            self.lobby.enter(seat, stream, remote, self.deadline);
        }
    }

    /// The seat of somebody who is sent away for a client from `address`: who has been silent for long, of the same source
    /// where that has its share, else the last of a source that has more waiting.
    fn make_room(&mut self, address: IpAddr) -> Option<Place> {
        let gone = if self.seats.has_share(address) {
            self.lobby.make_room(Some(source(address)))
        } else {
            self.lobby.make_room(None) || self.waiting.make_room(self.seats.of(address))
        };
        self.dropped += u64::from(gone);
        self.seats.take(address)
    }

    fn said_hello(&mut self, seat: Place, stream: TcpStream, remote: SocketAddr) {
        self.waiting.push(source(remote.ip()), Caller { stream, remote, _seat: seat }, Instant::now());
        self.begin_waiting();
    }

    fn begin_waiting(&mut self) {
        let now = Instant::now();
        while !self.places.are_full()
            && let Some((place, caller)) = self.waiting.next(now, |source| self.places.take(source))
        {
            self.begin(caller.stream, caller.remote, place);
        }
    }

    fn begin(&mut self, stream: TcpStream, remote: SocketAddr, place: Place) {
        let door = self.door.clone();
        let others_wait = self.places.are_full() || self.waiting.has(source(remote.ip()));
        let deadline = if others_wait { self.deadline.min(HURRIED) } else { self.deadline };
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
