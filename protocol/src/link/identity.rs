//! Who a program is: a P-256 key and a self-signed certificate for it, on disk.
//!
//! Only the key matters, and peers pin its fingerprint. The certificate is its wrapping for TLS: nobody checks its
//! names or dates.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ConfigBuilder, ServerConfig, WantsVerifier};

mod secret;
mod text;

pub use secret::{AgentSecret, InvalidSecret};
pub use text::IdentityText;

use super::tls;
use crate::message::ids::PeerKey;

const KEY_FILE: &str = "key.pem";
const CERTIFICATE_FILE: &str = "cert.pem";

/// A program's key and certificate. Cheap to clone.
#[derive(Clone)]
pub struct Identity {
    inner: Arc<Inner>,
}

struct Inner {
    key: PeerKey,
    secret: AgentSecret,
    certified: Arc<CertifiedKey>,
    algorithms: WebPkiSupportedAlgorithms,
    client: ConfigBuilder<ClientConfig, WantsVerifier>,
    server: ConfigBuilder<ServerConfig, WantsVerifier>,
}

/// An identity that cannot be used. The operator's to mend, and each says how.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The directory cannot be made or looked at.
    #[error("cannot use the directory {}: {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others may replace what lies in the directory.
    #[error("others may write to {0}, where this program's key is kept; run: chmod go-w {0}", path.display())]
    LooseDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others may read the key.
    #[error(
        "{0} can be read by others (mode {mode:03o}), so the key may no longer be secret; \
         if nobody had access to it run: chmod 600 {0}",
        path.display()
    )]
    LooseKey {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// There is a certificate but no key.
    #[error(
        "{0} is missing, although its certificate is there; restore it from a backup, or remove {1} as well to \
         become a new identity that has to join again",
        key.display(),
        certificate.display()
    )]
    KeyMissing {
        /// The missing key file.
        key: PathBuf,
        /// The certificate file.
        certificate: PathBuf,
    },
    /// A file is not what it should be.
    #[error("{} is damaged: {reason}; restore it from a backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No key or certificate could be made.
    #[error("cannot make a key: {0}")]
    Generate(#[from] rcgen::Error),
    /// The TLS library rejects a key or certificate that was just made.
    #[error("cannot use the key: {0}")]
    Unusable(#[from] rustls::Error),
}

impl Identity {
    /// The identity kept in `directory`; a new one if there is none yet. The directory is made if need be.
    ///
    /// # Errors
    /// If it cannot be read, made or written; if others can read the key; if a file is damaged. Nothing that exists
    /// is ever replaced.
    pub fn load_or_create(directory: &Path) -> Result<Self, IdentityError> {
        prepare_directory(directory)?;
        let key_path = directory.join(KEY_FILE);
        let certificate_path = directory.join(CERTIFICATE_FILE);

        let key_pem = match read_key(&key_path)? {
            Some(pem) => pem,
            None if certificate_path.exists() => {
                return Err(IdentityError::KeyMissing { key: key_path, certificate: certificate_path });
            }
            None => {
                let pem = KeyPair::generate()?.serialize_pem();
                write_file(directory, &key_path, pem.as_bytes())?;
                pem
            }
        };
        let damaged_key = |reason: String| IdentityError::Damaged { path: key_path.clone(), reason };
        let pair = KeyPair::from_pem(&key_pem).map_err(|error| damaged_key(error.to_string()))?;
        let key = private_key(&key_pem).map_err(damaged_key)?;

        // The certificate may be missing after a crash between the two writes: it follows from the key.
        let certificate_pem = match read_file(&certificate_path)? {
            Some(pem) => pem,
            None => {
                let pem = self_signed(&pair)?.pem();
                write_file(directory, &certificate_path, pem.as_bytes())?;
                pem
            }
        };
        let damaged_certificate =
            |reason: String| IdentityError::Damaged { path: certificate_path.clone(), reason };
        let certificate = CertificateDer::from_pem_slice(certificate_pem.as_bytes())
            .map_err(|error| damaged_certificate(error.to_string()))?;
        Self::from_parts(certificate, key).map_err(|error| damaged_certificate(error.to_string()))
    }

    /// A new identity that is kept nowhere.
    ///
    /// # Errors
    /// If the system cannot make a key.
    pub fn generate() -> Result<Self, IdentityError> {
        Self::from_pair(&KeyPair::generate()?)
    }

    fn from_pair(pair: &KeyPair) -> Result<Self, IdentityError> {
        let certificate = self_signed(pair)?;
        let key = PrivateKeyDer::Pkcs8(pair.serialize_der().into());
        Ok(Self::from_parts(certificate.der().clone(), key)?)
    }

    /// A new key as PEM, for [`from_key_pem`](Self::from_key_pem): for a program that keeps many of them in one file.
    ///
    /// # Errors
    /// If the system cannot make a key.
    #[cfg(any(test, feature = "test-util"))]
    pub fn new_key_pem() -> Result<String, IdentityError> {
        Ok(KeyPair::generate()?.serialize_pem())
    }

    /// The identity with this key.
    ///
    /// # Errors
    /// If it is no key.
    #[cfg(any(test, feature = "test-util"))]
    pub fn from_key_pem(pem: &str) -> Result<Self, IdentityError> {
        Self::from_pair(&KeyPair::from_pem(pem)?)
    }

    /// The fingerprint by which peers know this program.
    #[must_use]
    pub fn key(&self) -> PeerKey {
        self.inner.key
    }

    /// The secret by which a controller knows this agent where TLS ends before it.
    #[must_use]
    pub fn secret(&self) -> &AgentSecret {
        &self.inner.secret
    }

    /// The identity that is kept in `directory`, if there is one.
    ///
    /// # Errors
    /// As for [`load_or_create`](Self::load_or_create).
    pub fn load(directory: &Path) -> Result<Option<Self>, IdentityError> {
        if directory.join(KEY_FILE).exists() { Self::load_or_create(directory).map(Some) } else { Ok(None) }
    }

    fn from_parts(
        certificate: CertificateDer<'static>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, rustls::Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let versions = &[&rustls::version::TLS13];
        let peer_key = tls::fingerprint(&certificate)?;
        let secret = AgentSecret::of(key.secret_der());
        let certified = CertifiedKey::from_der(vec![certificate], key, &provider)?;
        Ok(Self {
            inner: Arc::new(Inner {
                key: peer_key,
                secret,
                certified: Arc::new(certified),
                algorithms: provider.signature_verification_algorithms,
                client: ClientConfig::builder_with_provider(Arc::clone(&provider))
                    .with_protocol_versions(versions)?,
                server: ServerConfig::builder_with_provider(provider).with_protocol_versions(versions)?,
            }),
        })
    }

    pub(super) fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.inner.certified)
    }

    pub(super) fn algorithms(&self) -> WebPkiSupportedAlgorithms {
        self.inner.algorithms
    }

    pub(super) fn client_builder(&self) -> ConfigBuilder<ClientConfig, WantsVerifier> {
        self.inner.client.clone()
    }

    pub(super) fn server_builder(&self) -> ConfigBuilder<ServerConfig, WantsVerifier> {
        self.inner.server.clone()
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("key", &self.inner.key).finish_non_exhaustive()
    }
}

fn self_signed(pair: &KeyPair) -> Result<rcgen::Certificate, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "roadstead");
    params.self_signed(pair)
}

fn private_key(pem: &str) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| error.to_string())
}

fn prepare_directory(path: &Path) -> Result<(), IdentityError> {
    let failed = |source| IdentityError::Directory { path: path.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
    let mode = fs::metadata(path).map_err(failed)?.permissions().mode();
    if mode & 0o022 != 0 {
        return Err(IdentityError::LooseDirectory { path: path.to_owned() });
    }
    Ok(())
}

fn read_key(path: &Path) -> Result<Option<String>, IdentityError> {
    let Some(pem) = read_file(path)? else { return Ok(None) };
    let mode = fs::metadata(path)
        .map_err(|source| IdentityError::Read { path: path.to_owned(), source })?
        .permissions()
        .mode()
        & 0o777;
    if mode & 0o077 != 0 {
        return Err(IdentityError::LooseKey { path: path.to_owned(), mode });
    }
    Ok(Some(pem))
}

fn read_file(path: &Path) -> Result<Option<String>, IdentityError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(IdentityError::Damaged { path: path.to_owned(), reason: "it is not text".to_owned() })
        }
        Err(source) => Err(IdentityError::Read { path: path.to_owned(), source }),
    }
}

/// Writes a file so that after a crash it is there whole or not at all.
fn write_file(directory: &Path, path: &Path, bytes: &[u8]) -> Result<(), IdentityError> {
    let temporary = path.with_extension("pem.new");
    let write = || {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(directory)?.sync_all()
    };
    write().map_err(|source| IdentityError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests;
