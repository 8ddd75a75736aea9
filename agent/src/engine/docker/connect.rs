//! Where an engine is (`DOCKER_HOST`) and what TLS it asks for. Nothing is dialled here.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

/// Where the engine is looked for when nothing is configured.
const DEFAULT_SOCKET: &str = "unix:///var/run/docker.sock";

/// A `DOCKER_HOST` that cannot be used. The agent's owner must change it.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Not an address of a form that is known here.
    #[error("DOCKER_HOST={0}: use unix:///path/to/docker.sock or tcp://host:port")]
    Malformed(String),
    /// Docker over SSH.
    #[error("DOCKER_HOST={0}: ssh:// is not supported yet; run an agent on that host instead")]
    Ssh(String),
    /// Unencrypted TCP to another host is root for everybody on the way.
    #[error(
        "DOCKER_HOST={0}: an engine on another host is only spoken to over TLS; set DOCKER_TLS_VERIFY=1 and \
         DOCKER_CERT_PATH to a directory with ca.pem, cert.pem and key.pem"
    )]
    PlainTcp(String),
    /// A certificate or key that cannot be used.
    #[error("{path}: {reason}")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// The three files that `DOCKER_CERT_PATH` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificates of the authorities that may have signed the engine's certificate, PEM.
    pub authorities: PathBuf,
    /// The agent's certificate for the engine, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

impl TlsFiles {
    /// The files by the names that Docker gives them.
    #[must_use]
    pub fn in_directory(directory: &Path) -> Self {
        Self {
            authorities: directory.join("ca.pem"),
            certificate: directory.join("cert.pem"),
            key: directory.join("key.pem"),
        }
    }
}

/// Where an engine is.
#[derive(Clone)]
pub(super) enum Endpoint {
    /// A socket on this host.
    Unix(PathBuf),
    /// TCP on a loopback address, in the clear.
    Loopback { address: IpAddr, port: u16 },
    /// TCP with TLS.
    Tls { host: String, port: u16, name: ServerName<'static>, connector: TlsConnector },
}

impl Endpoint {
    /// Reads `docker_host`; `tls` is asked for by `DOCKER_TLS_VERIFY`.
    pub(super) fn parse(docker_host: Option<&str>, tls: Option<&TlsFiles>) -> Result<Self, ConnectError> {
        let text = docker_host.map(str::trim).filter(|text| !text.is_empty()).unwrap_or(DEFAULT_SOCKET);
        let malformed = || ConnectError::Malformed(text.to_owned());
        if let Some(path) = text.strip_prefix("unix://") {
            return if path.starts_with('/') { Ok(Self::Unix(path.into())) } else { Err(malformed()) };
        }
        if text.starts_with("ssh://") {
            return Err(ConnectError::Ssh(text.to_owned()));
        }
        let authority = text.strip_prefix("tcp://").ok_or_else(malformed)?;
        let (host, port) =
            host_and_port(authority.strip_suffix('/').unwrap_or(authority)).ok_or_else(malformed)?;
        if let Some(files) = tls {
            let name = ServerName::try_from(host.clone()).map_err(|_| malformed())?;
            return Ok(Self::Tls { name, connector: connector(files)?, host, port });
        }
        let address = if host == "localhost" { Ok(IpAddr::from([127, 0, 0, 1])) } else { host.parse() };
        match address {
            Ok(address) if address.is_loopback() => Ok(Self::Loopback { address, port }),
            _ => Err(ConnectError::PlainTcp(text.to_owned())),
        }
    }
}

/// `host:port` or `[v6]:port`, nothing else.
fn host_and_port(authority: &str) -> Option<(String, u16)> {
    let (host, port) = authority.rsplit_once(':')?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = match bare {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().ok()?.to_string(),
        None => host.to_owned(),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    let fits = !host.is_empty() && host.bytes().all(plain) && (bare.is_some() || !host.contains(':'));
    let port = port.parse().ok().filter(|port| *port != 0)?;
    fits.then_some((host, port))
}

fn connector(files: &TlsFiles) -> Result<TlsConnector, ConnectError> {
    let bad = |path: &Path, reason: String| ConnectError::Certificate { path: path.to_owned(), reason };
    let mut roots = RootCertStore::empty();
    for authority in certificates(&files.authorities)? {
        roots.add(authority).map_err(|error| bad(&files.authorities, error.to_string()))?;
    }
    let chain = certificates(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| bad(&files.key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .and_then(|builder| builder.with_root_certificates(roots).with_client_auth_cert(chain, key))
        .map_err(|error| bad(&files.key, error.to_string()))?;
    Ok(TlsConnector::from(Arc::new(config)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
    let bad = |reason: String| ConnectError::Certificate { path: path.to_owned(), reason };
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| bad(error.to_string()))?;
    if found.is_empty() { Err(bad("holds no certificate".to_owned())) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use roadstead_protocol::fuzz::{fuzz, text};

    use super::*;

    fn refusal(docker_host: &str) -> String {
        match Endpoint::parse(Some(docker_host), None) {
            Ok(_) => panic!("{docker_host} was accepted"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn sockets_and_loopback_need_no_tls() {
        for (text, want) in [
            (None, "/var/run/docker.sock"),
            (Some(""), "/var/run/docker.sock"),
            (Some("unix:///x/y"), "/x/y"),
        ] {
            let Ok(Endpoint::Unix(path)) = Endpoint::parse(text, None) else { panic!("{text:?}") };
            assert_eq!(path, Path::new(want));
        }
        for text in ["tcp://127.0.0.1:2375", "tcp://localhost:2375/", "tcp://[::1]:2375"] {
            assert!(
                matches!(Endpoint::parse(Some(text), None), Ok(Endpoint::Loopback { port: 2375, .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn refusals_say_what_to_do() {
        assert!(refusal("tcp://10.0.0.1:2375").contains("DOCKER_CERT_PATH"));
        assert!(refusal("tcp://docker.example:2375").contains("DOCKER_TLS_VERIFY"));
        assert!(refusal("tcp://127.0.0.1.evil.example:2375").contains("DOCKER_TLS_VERIFY"));
        assert!(refusal("ssh://root@host").contains("not supported yet"));
        for text in [
            "unix://relative",
            "docker.sock",
            "http://127.0.0.1:2375",
            "tcp://127.0.0.1",
            "tcp://:2375",
            "tcp://127.0.0.1:0",
            "tcp://127.0.0.1:99999",
            "tcp://127.0.0.1:2375/path",
            "tcp://user@127.0.0.1:2375",
            "tcp://::1:2375",
        ] {
            assert!(refusal(text).contains("use unix://"), "{text}");
        }
    }

    #[test]
    fn a_missing_certificate_is_named() {
        let files = TlsFiles::in_directory(Path::new("/nowhere"));
        let Err(error) = Endpoint::parse(Some("tcp://10.0.0.1:2376"), Some(&files)) else {
            panic!("accepted")
        };
        assert!(error.to_string().starts_with("/nowhere/ca.pem: "), "{error}");
    }

    #[test]
    fn fuzz_docker_host() {
        let samples =
            ["unix:///var/run/docker.sock", "tcp://127.0.0.1:2375", "tcp://[::1]:2375/", "ssh://me@host"];
        let words = ["tcp://", "localhost", "0.0.0.0", "::ffff:127.0.0.1"];
        fuzz("DOCKER_HOST", &text(&samples, &words), |text| match Endpoint::parse(Some(&text), None) {
            Ok(Endpoint::Loopback { address, port }) => {
                assert!(address.is_loopback() && port != 0, "{text}");
                true
            }
            Ok(Endpoint::Unix(path)) => {
                assert!(path.is_absolute(), "{text}");
                true
            }
            Ok(Endpoint::Tls { .. }) => panic!("{text}: TLS without certificates"),
            Err(_) => false,
        });
    }
}
