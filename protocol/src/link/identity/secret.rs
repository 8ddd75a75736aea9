//! The secret by which an agent is known where TLS ends before its controller.
//!
//! It follows from the agent's private key, so that there is one thing to keep and one to replace. Nothing of the key
//! can be told from it: it is a digest. The controller keeps a digest of the secret in turn.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::message::ids::PeerKey;

/// What the text form begins with.
const PREFIX: &str = "rsb_";

/// Keeps the digests apart from those of anything else.
const OF_KEY: &[u8] = b"roadstead agent secret 1\0";
const FILED: &[u8] = b"roadstead agent secret, filed 1\0";

/// A bearer secret of 256 bits.
#[derive(Clone, PartialEq, Eq)]
pub struct AgentSecret([u8; 32]);

impl AgentSecret {
    /// The secret that belongs to a private key (PKCS #8, DER).
    pub(super) fn of(private_key: &[u8]) -> Self {
        Self(Sha256::new().chain_update(OF_KEY).chain_update(private_key).finalize().into())
    }

    /// What stands for the secret wherever a directly linked agent's key would.
    #[must_use]
    pub fn filed(&self) -> PeerKey {
        PeerKey(Sha256::new().chain_update(FILED).chain_update(self.0).finalize().into())
    }

    /// The text form, for one header and nothing else.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for AgentSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AgentSecret(…)")
    }
}

/// Text that is no agent's secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an agent's secret")]
pub struct InvalidSecret;

impl FromStr for AgentSecret {
    type Err = InvalidSecret;

    fn from_str(text: &str) -> Result<Self, InvalidSecret> {
        let body = text.strip_prefix(PREFIX).filter(|body| body.len() == 43).ok_or(InvalidSecret)?;
        let bytes = URL_SAFE_NO_PAD.decode(body).map_err(|_| InvalidSecret)?;
        bytes.try_into().map(Self).map_err(|_| InvalidSecret)
    }
}

#[cfg(test)]
mod tests {
    use super::AgentSecret;

    #[test]
    fn is_its_keys_own_and_survives_as_text() {
        let (one, other) = (AgentSecret::of(b"one"), AgentSecret::of(b"other"));
        assert_ne!(one.filed(), other.filed());
        assert_eq!(one.to_text().parse(), Ok(one.clone()));
        assert_ne!(one.filed().0, one.0, "what is filed does not let anybody in");
        assert_eq!(format!("{one:?}"), "AgentSecret(…)");
    }

    #[test]
    fn anything_else_is_no_secret() {
        let text = AgentSecret::of(b"one").to_text();
        for text in ["", "rsb_", &text[..46], &text[4..], &format!("{text}A"), &text.replace("rsb", "rsj")] {
            assert!(text.parse::<AgentSecret>().is_err(), "{text}");
        }
    }
}
