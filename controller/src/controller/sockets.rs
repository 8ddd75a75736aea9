//! What the controller listens on, and where it can be reached there.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use rustix::process::{Resource, getrlimit};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpSocket};

/// Agents that may wait for their handshake: after a restart a whole fleet comes at once, much of it from one address.
/// Fewer where fewer files may be open: sessions need some, and the rest of the controller.
const AGENTS_WAITING: usize = 16_384;

/// Connections that the system keeps until they are taken. It has a limit of its own (`net.core.somaxconn`).
const BACKLOG: u32 = 4096;

/// Listens; whoever connects waits from here on until the connection is taken.
pub(super) fn bind(address: SocketAddr, setting: &str) -> anyhow::Result<TcpListener> {
    let bind = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    bind().with_context(|| format!("cannot listen on {address} ({setting})"))
}

/// How many agents may wait for their handshake: less than half of the files that may be open.
pub(super) fn agents_waiting() -> usize {
    let files = getrlimit(Resource::Nofile).current;
    let part = files.map_or(u64::MAX, |files| files / 16 * 7);
    usize::try_from(part).map_or(AGENTS_WAITING, |part| part.min(AGENTS_WAITING))
}

/// Where agents find this controller, as far as it can tell.
pub(super) fn own_agent_url(bound: SocketAddr) -> String {
    format!("wss://{}", SocketAddr::new(reachable_address(bound.ip()), bound.port()))
}

/// The address others reach this host at, for a listener on all of them: the one that would be used to reach a
/// documentation address (RFC 5737). Nothing is sent.
fn reachable_address(bound: IpAddr) -> IpAddr {
    if !bound.is_unspecified() {
        return bound;
    }
    let probe = || -> std::io::Result<IpAddr> {
        let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        Ok(socket.local_addr()?.ip())
    };
    probe().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

/// TLS for browsers, with the operator's certificate.
pub(super) fn web_tls(cert: &Path, key: &Path) -> anyhow::Result<Arc<rustls::ServerConfig>> {
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("{} (ROADSTEAD_TLS_CERT)", cert.display()))?;
    let key = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("{} (ROADSTEAD_TLS_KEY)", key.display()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("ROADSTEAD_TLS_CERT and ROADSTEAD_TLS_KEY do not fit together")?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
