//! Links through a web server that ends TLS in front of the controller.
//!
//! The agent knows the web server by its certificate, as a browser would, and is known to the controller by a secret
//! in a header. Both trust whoever ends TLS: it reads along and could act for either. Above that it is the same link.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, TlsStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::Link;
use super::address::WebAddress;
use super::carrier::Carrier;
use super::dialer::{Clock, DialError, Failure, Phase, connect};
use super::identity::Identity;
use super::metered::Metered;
use super::websocket;
use crate::message::ids::PeerKey;

/// Between two heartbeats: web servers cut connections that are idle for longer than they like, which may be 15 s.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Whose certificates a web server may show.
#[derive(Clone, Debug)]
pub struct Roots(Arc<ClientConfig>);

/// Roots that cannot be used. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// The file cannot be read.
    #[error("{path}: {reason}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// There are none.
    #[error(
        "this system has no certificate authorities to verify the web server by; install its package of them \
         (ca-certificates), or name a file of them with ROADSTEAD_CA_FILE"
    )]
    None,
    /// The TLS library.
    #[error("cannot use the certificate authorities: {0}")]
    Unusable(#[from] rustls::Error),
}

impl Roots {
    /// The authorities in `file` (PEM) and no others.
    ///
    /// # Errors
    /// If it cannot be read or holds none.
    pub fn of_file(file: &Path) -> Result<Self, RootsError> {
        let failed = |reason: String| RootsError::File { path: file.to_owned(), reason };
        let mut roots = RootCertStore::empty();
        let certificates = CertificateDer::pem_file_iter(file).map_err(|error| failed(error.to_string()))?;
        for certificate in certificates {
            let certificate = certificate.map_err(|error| failed(error.to_string()))?;
            roots.add(certificate).map_err(|error| failed(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(failed("it holds no certificate (PEM)".to_owned()));
        }
        Self::new(roots)
    }

    /// The authorities that this system trusts.
    ///
    /// # Errors
    /// If it has none.
    pub fn of_system() -> Result<Self, RootsError> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (taken, _) = roots.add_parsable_certificates(found.certs);
        if taken == 0 { Err(RootsError::None) } else { Self::new(roots) }
    }

    /// How to speak to a web server that they vouch for: TLS 1.3 and HTTP/1.1.
    #[must_use]
    pub fn client(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.0)
    }

    fn new(roots: RootCertStore) -> Result<Self, RootsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }
}

/// Makes a link to the controller behind the web server at `address`, within 10 s in all. The agent shows the secret
/// of `identity`.
///
/// # Errors
/// If that fails; the error says at which step and what to do.
pub async fn dial_relayed(
    address: &WebAddress,
    identity: &Identity,
    roots: &Roots,
) -> Result<Link<TcpStream>, DialError> {
    let clock = Clock::start(address.to_string());
    let (stream, socket) = connect(&clock, address.host(), address.port()).await?;
    let failed = |failure| clock.explain(failure, identity);

    let name = ServerName::try_from(address.host().to_owned())
        .map_err(|error| failed(Failure::Tls(io::Error::other(error))))?;
    let connector = TlsConnector::from(Arc::clone(&roots.0));
    let handshake = Box::pin(connector.connect(name, Metered::new(stream)));
    let stream = clock.bound(Phase::Tls, handshake).await?.map_err(|error| failed(Failure::Tls(error)))?;

    let carrier = Carrier::tls(TlsStream::from(stream));
    let (secret, authority) = (identity.secret(), address.authority());
    let handshake = Box::pin(websocket::upgrade_client(carrier, &authority, Some(secret)));
    let socket_stream = clock
        .bound(Phase::WebSocket, handshake)
        .await?
        .map_err(|error| failed(Failure::WebSocket(Box::new(error))))?;
    let mut link = websocket::link(socket_stream, Role::Client, socket.to_string(), secret.filed())
        .map_err(|error| failed(Failure::Tls(error)))?;
    link.heartbeat_every = HEARTBEAT;
    Ok(link)
}

/// The link over a stream that a web server has upgraded to a WebSocket, from an agent at `remote` that has shown the
/// secret filed as `peer`.
pub async fn accept<S>(stream: S, peer: PeerKey, remote: String) -> Link<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let carrier = Carrier::relayed(stream);
    let socket = WebSocketStream::from_raw_socket(carrier, Role::Server, Some(websocket::config())).await;
    let (role, taken, grown) = (Role::Server, 0, false);
    Link { socket, role, taken, grown, peer, shown: None, remote, heartbeat_every: HEARTBEAT, place: None }
}

/// What a server answers to the `Sec-WebSocket-Key` of an upgrade (RFC 6455, section 4.2.2).
#[must_use]
pub fn accept_key(key: &[u8]) -> String {
    derive_accept_key(key)
}
