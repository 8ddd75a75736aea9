//! An identity as text, for who keeps it elsewhere than in files of its own.

use std::path::Path;

use rcgen::KeyPair;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::{
    CERTIFICATE_FILE, Identity, IdentityError, KEY_FILE, private_key, read_file, read_key, self_signed,
};

/// An identity's key and certificate. Whoever has the text is the program.
#[derive(Clone, PartialEq, Eq)]
pub struct IdentityText {
    /// The key (PEM, PKCS #8): the secret.
    pub key: String,
    /// The certificate (PEM).
    pub certificate: String,
}

impl std::fmt::Debug for IdentityText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IdentityText(…)")
    }
}

impl IdentityText {
    /// A new identity.
    ///
    /// # Errors
    /// If the system cannot make a key.
    pub fn generate() -> Result<Self, IdentityError> {
        let pair = KeyPair::generate()?;
        let certificate = self_signed(&pair)?.pem();
        Ok(Self { key: pair.serialize_pem(), certificate })
    }

    /// The text of the identity that is kept in `directory`, if there is one.
    ///
    /// # Errors
    /// If it cannot be read, or others can read the key.
    pub fn read(directory: &Path) -> Result<Option<Self>, IdentityError> {
        let Some(key) = read_key(&directory.join(KEY_FILE))? else { return Ok(None) };
        let certificate = match read_file(&directory.join(CERTIFICATE_FILE))? {
            Some(certificate) => certificate,
            None => self_signed(&KeyPair::from_pem(&key)?)?.pem(),
        };
        Ok(Some(Self { key, certificate }))
    }

    /// The identity that the text is. `place` says where it is kept, for the error.
    ///
    /// # Errors
    /// If it is damaged.
    pub fn parse(&self, place: &str) -> Result<Identity, IdentityError> {
        let damaged = |reason: String| IdentityError::Damaged { path: place.into(), reason };
        let key = private_key(&self.key).map_err(damaged)?;
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes())
            .map_err(|error| damaged(error.to_string()))?;
        Identity::from_parts(certificate, key).map_err(|error| damaged(error.to_string()))
    }
}
