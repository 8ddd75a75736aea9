//! TLS 1.3 between programs that know each other by key.
//!
//! Certificates carry keys and nothing else: no authority, name or date is looked at. What is checked is the
//! handshake signature, always, and the key's fingerprint against the [`Trust`]. Sessions are never resumed, since a
//! resumed session skips both checks.
//!
//! While a key is being replaced, a program answers to two of them. A client therefore names the key it expects in the
//! server name; the server shows that one if it has it, and its newest otherwise. The name is a hint and nothing is
//! trusted because of it.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, Resumption};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{
    ClientHello, NoServerSessionStorage, ParsedCertificate, ResolvesServerCert, ServerConfig,
};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    CertificateError, CommonState, DigitallySignedStruct, DistinguishedName, Error, OtherError,
    SignatureScheme,
};
use sha2::{Digest, Sha256};

use super::identity::Identity;
use crate::message::ids::PeerKey;

/// The name that a client sends which expects no key in particular. It identifies nobody: the key does.
const SERVER_NAME: &str = "roadstead";

/// Bytes of the expected key in the server name: a label holds 63 characters.
const HINT: usize = 16;

/// Which peers TLS lets through. Every peer must prove that it has the key it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The one with this key.
    Only(PeerKey),
    /// The one with either key: the newer, expected one, or the one that is being replaced.
    Either(PeerKey, PeerKey),
    /// Anyone: admission decides later, by the proven key.
    AnyProven,
    /// Anyone too; who has this key is to show it rather than another.
    Preferably(PeerKey),
}

/// The peer is not who it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the peer's key is {presented}, expected {expected}")]
pub(super) struct WrongKey {
    pub(super) expected: PeerKey,
    pub(super) presented: PeerKey,
}

/// The fingerprint of a certificate's key.
pub(super) fn fingerprint(certificate: &CertificateDer<'_>) -> Result<PeerKey, Error> {
    let key = ParsedCertificate::try_from(certificate)?.subject_public_key_info();
    Ok(PeerKey(Sha256::digest(&key).into()))
}

/// The key that the peer of a finished handshake has proven.
pub(super) fn proven_key(connection: &CommonState) -> Result<PeerKey, Error> {
    let certificate =
        connection.peer_certificates().and_then(<[_]>::first).ok_or(Error::NoCertificatesPresented)?;
    fingerprint(certificate)
}

/// The server name that asks for the key which `trust` expects.
pub(super) fn server_name(trust: Trust) -> Result<ServerName<'static>, Error> {
    let name = match trust {
        Trust::Only(key) | Trust::Either(key, _) | Trust::Preferably(key) => hint(&key),
        Trust::AnyProven => SERVER_NAME.to_owned(),
    };
    ServerName::try_from(name).map_err(|error| Error::General(error.to_string()))
}

/// Whether a client that sent this server name expects `key`.
pub(super) fn asks_for(name: Option<&str>, key: &PeerKey) -> bool {
    name == Some(hint(key).as_str())
}

fn hint(key: &PeerKey) -> String {
    use std::fmt::Write as _;
    let mut name = String::from("k");
    for byte in &key.0[..HINT] {
        // Writing into a string cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    name + "." + SERVER_NAME
}

/// How to dial peers that `trust` lets through.
pub(super) fn client_config(identity: &Identity, trust: Trust) -> ClientConfig {
    let mut config = identity
        .client_builder()
        .dangerous()
        .with_custom_certificate_verifier(KeyCheck::new(identity, trust))
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity.certified())));
    config.resumption = Resumption::disabled();
    config
}

/// How to dial without showing a certificate, and to trust whoever answers.
#[cfg(any(test, feature = "test-util"))]
pub(super) fn anonymous_config(identity: &Identity) -> ClientConfig {
    identity
        .client_builder()
        .dangerous()
        .with_custom_certificate_verifier(KeyCheck::new(identity, Trust::AnyProven))
        .with_no_client_auth()
}

/// How to accept peers that `trust` lets through, as `identity` or, for who asks for that, as `earlier`.
pub(super) fn server_config(identity: &Identity, earlier: Option<&Identity>, trust: Trust) -> ServerConfig {
    let mut config = identity
        .server_builder()
        .with_client_cert_verifier(KeyCheck::new(identity, trust))
        .with_cert_resolver(Arc::new(AskedFor::new(identity, earlier)));
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config
}

/// Shows the identity that the client expects, and the newest to anyone else.
#[derive(Debug)]
struct AskedFor {
    newest: Arc<CertifiedKey>,
    earlier: Option<(PeerKey, Arc<CertifiedKey>)>,
}

impl AskedFor {
    fn new(newest: &Identity, earlier: Option<&Identity>) -> Self {
        let earlier = earlier.map(|identity| (identity.key(), identity.certified()));
        Self { newest: newest.certified(), earlier }
    }
}

impl ResolvesServerCert for AskedFor {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name();
        let earlier = self.earlier.as_ref().filter(|(key, _)| asks_for(name, key));
        Some(Arc::clone(earlier.map_or(&self.newest, |(_, identity)| identity)))
    }
}

/// Checks a peer of either role.
#[derive(Debug)]
struct KeyCheck {
    trust: Trust,
    algorithms: WebPkiSupportedAlgorithms,
}

impl KeyCheck {
    fn new(identity: &Identity, trust: Trust) -> Arc<Self> {
        Arc::new(Self { trust, algorithms: identity.algorithms() })
    }

    fn check(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        let presented = fingerprint(certificate)?;
        match self.trust {
            Trust::Either(_, earlier) if earlier == presented => Ok(()),
            Trust::Only(expected) | Trust::Either(expected, _) if expected != presented => {
                let reason = OtherError(Arc::new(WrongKey { expected, presented }));
                Err(Error::InvalidCertificate(CertificateError::Other(reason)))
            }
            Trust::Only(_) | Trust::Either(..) | Trust::AnyProven | Trust::Preferably(_) => Ok(()),
        }
    }

    fn check_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }
}

/// TLS 1.2 is not offered, so that rustls never asks.
fn no_tls12() -> Error {
    Error::General("TLS 1.2 is not spoken here".to_owned())
}

impl ServerCertVerifier for KeyCheck {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for KeyCheck {
    fn client_auth_mandatory(&self) -> bool {
        true
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(end_entity).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
