//! Dialling: from an address to a link. A connection is there within ten seconds or not at all; what follows takes longer
//! only where a whole fleet has come back at once, and waits for its turn.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::{AlertDescription, CertificateError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::{TlsConnector, TlsStream};
use tokio_tungstenite::tungstenite::Error as SocketError;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::Link;
use super::address::AgentAddress;
use super::carrier::Carrier;
use super::identity::Identity;
use super::metered::Metered;
use super::tls::{self, Trust, WrongKey};
use super::websocket;
use crate::message::ids::PeerKey;

/// How long it may take from name to connection; and to the link, unless the peer may have many to serve.
const DEADLINE: Duration = Duration::from_secs(10);

/// How long it may take to the link where the peer may have a whole fleet to serve: longer than connections wait for
/// their turn there (`waiting.rs`), so that whoever has its turn is still there.
const PATIENT: Duration = Duration::from_secs(30);

/// How long one of several addresses of a name may take to answer before the next is tried.
const NEXT_ADDRESS: Duration = Duration::from_secs(3);

/// Where dialling had got to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Looking up the name.
    Resolve,
    /// Connecting.
    Connect,
    /// Proving identities.
    Tls,
    /// Upgrading to a WebSocket.
    WebSocket,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Resolve => "looking up its name",
            Self::Connect => "connecting",
            Self::Tls => "the TLS handshake",
            Self::WebSocket => "the WebSocket upgrade",
        })
    }
}

/// Why there is no link. Trying again may help, except where somebody has to act, which the text says.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name cannot be looked up.
    #[error("cannot look up {host}: {source}")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// Nobody answers there.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// The last address that was tried.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else answers there.
    #[error(
        "the program at {address} has the key {presented}, expected {expected}: \
         check the address, and if its identity was renewed, join again"
    )]
    WrongKey {
        /// Where.
        address: String,
        /// The key this program trusts.
        expected: PeerKey,
        /// The key that was shown.
        presented: PeerKey,
    },
    /// The program there does not trust this program's key.
    #[error("the program at {address} does not accept this program's key {key}; it trusts another one")]
    KeyRefused {
        /// Where.
        address: String,
        /// This program's key.
        key: PeerKey,
    },
    /// TLS failed in another way.
    #[error("no TLS 1.3 with the program at {address}: {source}")]
    Tls {
        /// Where.
        address: String,
        /// What the TLS library said.
        source: io::Error,
    },
    /// It speaks TLS, but no WebSocket at the right path.
    #[error("the program at {address} does not take links: {source}")]
    WebSocket {
        /// Where.
        address: String,
        /// What the WebSocket library said.
        source: Box<SocketError>,
    },
    /// It took too long.
    #[error("no link to {address} within {seconds} s: {phase} took too long")]
    Deadline {
        /// Where.
        address: String,
        /// How long it was waited for.
        seconds: u64,
        /// What took too long.
        phase: Phase,
    },
}

/// Makes a link to whoever listens at `address`: a connection within 10 s, the rest within 30 s in all.
///
/// # Errors
/// If that fails; the error says at which step and what to do.
pub async fn dial(
    address: &AgentAddress,
    identity: &Identity,
    trust: Trust,
) -> Result<Link<TcpStream>, DialError> {
    let clock = Clock::patient(address.to_string());
    let (stream, socket) = connect(&clock, address.host(), address.port()).await?;
    upgrade(stream, socket.to_string(), &clock, address, identity, trust).await
}

/// Makes a link to whoever listens at `socket`, which the caller has found for `address` and approved, within 10 s.
///
/// # Errors
/// If that fails; the error says at which step and what to do.
pub async fn dial_socket(
    socket: SocketAddr,
    address: &AgentAddress,
    identity: &Identity,
    trust: Trust,
) -> Result<Link<TcpStream>, DialError> {
    let clock = Clock::start(address.to_string());
    let stream = clock
        .bound(Phase::Connect, TcpStream::connect(socket))
        .await?
        .map_err(|source| DialError::Connect { address: address.to_string(), source })?;
    send_at_once(&stream, socket);
    upgrade(stream, socket.to_string(), &clock, address, identity, trust).await
}

/// As [`dial`], at a known socket and from `source`, an address of this machine, if that is given: for a program that is
/// many agents at once.
///
/// # Errors
/// If that fails; the error says at which step and what to do.
#[cfg(any(test, feature = "test-util"))]
pub async fn dial_from(
    source: Option<std::net::IpAddr>,
    socket: SocketAddr,
    address: &AgentAddress,
    identity: &Identity,
    trust: Trust,
) -> Result<Link<TcpStream>, DialError> {
    use tokio::net::TcpSocket;

    let clock = Clock::patient(address.to_string());
    let connect = async {
        let own = if socket.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        if let Some(source) = source {
            own.bind(SocketAddr::new(source, 0))?;
        }
        own.connect(socket).await
    };
    let stream = clock
        .bound(Phase::Connect, connect)
        .await?
        .map_err(|source| DialError::Connect { address: address.to_string(), source })?;
    send_at_once(&stream, socket);
    upgrade(stream, socket.to_string(), &clock, address, identity, trust).await
}

/// The first address of `host` that answers.
pub(super) async fn connect(
    clock: &Clock,
    host: &str,
    port: u16,
) -> Result<(TcpStream, SocketAddr), DialError> {
    let sockets: Vec<SocketAddr> = clock
        .bound(Phase::Resolve, lookup_host((host, port)))
        .await?
        .map(|found| in_turns(found.collect()))
        .map_err(|source| DialError::Resolve { host: host.to_owned(), source })?;
    let mut failure = io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address"));
    for (position, socket) in sockets.iter().enumerate() {
        let attempt = clock.bound(Phase::Connect, async {
            if position + 1 == sockets.len() {
                return TcpStream::connect(socket).await;
            }
            let limited = tokio::time::timeout(NEXT_ADDRESS, TcpStream::connect(socket)).await;
            limited.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        });
        match attempt.await? {
            Ok(stream) => {
                send_at_once(&stream, *socket);
                return Ok((stream, *socket));
            }
            Err(error) => failure = error,
        }
    }
    Err(DialError::Connect { address: clock.address.clone(), source: failure })
}

/// The families of addresses in turns, the first one first (RFC 8305, section 4): where one of them leads nowhere, as many
/// a network's IPv6 does, the other is not left to the end, for which there may be no time.
fn in_turns(sockets: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first = sockets.first().is_some_and(SocketAddr::is_ipv6);
    let (one, other): (Vec<_>, Vec<_>) = sockets.into_iter().partition(|socket| socket.is_ipv6() == first);
    let (mut turns, mut other) = (Vec::new(), other.into_iter());
    for socket in one {
        turns.push(socket);
        turns.extend(other.next());
    }
    turns.extend(other);
    turns
}

fn send_at_once(stream: &TcpStream, socket: SocketAddr) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%socket, %error, "cannot switch off delayed sending");
    }
}

/// Both handshakes over a connected stream. Boxed, so that their memory is given back when they are done.
pub(super) async fn upgrade<S>(
    stream: S,
    remote: String,
    clock: &Clock,
    address: &AgentAddress,
    identity: &Identity,
    trust: Trust,
) -> Result<Link<S>, DialError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let explain = |failure| clock.explain(failure, identity);

    let connector = TlsConnector::from(Arc::new(tls::client_config(identity, trust)));
    let name = tls::server_name(trust).map_err(|error| explain(Failure::Tls(io::Error::other(error))))?;
    let handshake = Box::pin(connector.connect(name, Metered::new(stream)));
    let stream = clock.bound(Phase::Tls, handshake).await?.map_err(|error| explain(Failure::Tls(error)))?;

    let authority = address.to_string();
    let authority = authority.trim_start_matches("wss://");
    let carrier = Carrier::tls(TlsStream::from(stream));
    let handshake = Box::pin(websocket::upgrade_client(carrier, authority, None));
    let socket = clock
        .bound(Phase::WebSocket, handshake)
        .await?
        .map_err(|error| explain(Failure::WebSocket(Box::new(error))))?;
    websocket::link(socket, Role::Client, remote, identity.key())
        .map_err(|error| explain(Failure::Tls(error)))
}

/// The deadlines of dialling an address.
pub(super) struct Clock {
    address: String,
    began: Instant,
    /// Within which there is a link.
    limit: Duration,
}

impl Clock {
    pub(super) fn start(address: String) -> Self {
        Self { address, began: Instant::now(), limit: DEADLINE }
    }

    /// For a peer that may have many to serve.
    pub(super) fn patient(address: String) -> Self {
        Self { limit: PATIENT, ..Self::start(address) }
    }

    pub(super) async fn bound<T>(&self, phase: Phase, work: impl Future<Output = T>) -> Result<T, DialError> {
        let limit = match phase {
            Phase::Resolve | Phase::Connect => DEADLINE,
            Phase::Tls | Phase::WebSocket => self.limit,
        };
        let late = |_| DialError::Deadline { address: self.address.clone(), seconds: limit.as_secs(), phase };
        timeout_at(self.began + limit, work).await.map_err(late)
    }

    /// The error that a failed handshake with this identity stands for.
    pub(super) fn explain(&self, failure: Failure, identity: &Identity) -> DialError {
        let address = self.address.clone();
        let cause = match &failure {
            Failure::Tls(error) => tls_error(error),
            Failure::WebSocket(error) => match &**error {
                SocketError::Io(error) => tls_error(error),
                _ => None,
            },
        };
        if let Some(wrong) = cause.and_then(wrong_key) {
            return DialError::WrongKey { address, expected: wrong.expected, presented: wrong.presented };
        }
        // In TLS 1.3 a client is done before the server has looked at its key: the refusal arrives as an alert later.
        if cause.is_some_and(is_refusal) {
            return DialError::KeyRefused { address, key: identity.key() };
        }
        match failure {
            Failure::Tls(source) => DialError::Tls { address, source },
            Failure::WebSocket(source) => DialError::WebSocket { address, source },
        }
    }
}

/// A handshake that failed.
pub(super) enum Failure {
    Tls(io::Error),
    WebSocket(Box<SocketError>),
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// The key that was not the expected one, where this is what failed.
pub(super) fn wrong_key(error: &rustls::Error) -> Option<WrongKey> {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::Other(other)) => {
            other.0.downcast_ref::<WrongKey>().copied()
        }
        _ => None,
    }
}

fn is_refusal(error: &rustls::Error) -> bool {
    use AlertDescription::{AccessDenied, BadCertificate, CertificateUnknown};
    matches!(error, rustls::Error::AlertReceived(AccessDenied | BadCertificate | CertificateUnknown))
}

#[cfg(test)]
mod tests;
