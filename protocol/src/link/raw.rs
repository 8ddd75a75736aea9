//! TLS to a listener and nothing above it, for tests that send what no program of ours would.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::identity::Identity;
use super::tls::{self, Trust};

/// Makes TLS over `stream` with whoever listens there; without an identity no certificate is shown.
///
/// # Errors
/// If the handshake fails. A listener that refuses the certificate is noticed only with the first byte read.
pub async fn connect(
    stream: TcpStream,
    identity: Option<&Identity>,
) -> io::Result<impl AsyncRead + AsyncWrite + Unpin + Send + 'static> {
    let config = match identity {
        Some(identity) => tls::client_config(identity, Trust::AnyProven),
        None => tls::anonymous_config(&Identity::generate().map_err(io::Error::other)?),
    };
    let name = tls::server_name(Trust::AnyProven).map_err(io::Error::other)?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}
