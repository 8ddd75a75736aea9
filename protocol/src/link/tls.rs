//! TLS 1.3 between programs that know each other by key.
//!
//! Certificates carry keys and nothing else: no authority, name or date is looked at. What is checked is the
//! handshake signature, always, and the key's fingerprint against the [`Trust`]. Sessions are never resumed, since a
//! resumed session skips both checks.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, Resumption};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, ServerConfig};
use rustls::sign::SingleCertAndKey;
use rustls::{
    CertificateError, CommonState, DigitallySignedStruct, DistinguishedName, Error, OtherError,
    SignatureScheme,
};
use sha2::{Digest, Sha256};

use super::identity::Identity;
use crate::message::ids::PeerKey;

/// The name every client sends. It identifies nobody: the key does.
pub(super) const SERVER_NAME: &str = "roadstead";

/// Which peers TLS lets through. Every peer must prove that it has the key it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The one with this key.
    Only(PeerKey),
    /// Anyone: admission decides later, by the proven key.
    AnyProven,
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

/// How to accept peers that `trust` lets through.
pub(super) fn server_config(identity: &Identity, trust: Trust) -> ServerConfig {
    let mut config = identity
        .server_builder()
        .with_client_cert_verifier(KeyCheck::new(identity, trust))
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(identity.certified())));
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config
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
            Trust::Only(expected) if expected != presented => {
                let reason = OtherError(Arc::new(WrongKey { expected, presented }));
                Err(Error::InvalidCertificate(CertificateError::Other(reason)))
            }
            Trust::Only(_) | Trust::AnyProven => Ok(()),
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
