//! Join tokens: one string that is all an agent needs, in either dial direction.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::message::codec;
use crate::message::hello::JoinProof;
use crate::message::ids::{PeerKey, TokenId};
use crate::message::time::UnixMicros;

const PREFIX: &str = "rsj_";

/// Longest token text that is looked at, in characters.
const MAX_TEXT: usize = 4096;

/// What a join token says. Its text form is `rsj_` and base64url of MessagePack.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinToken {
    /// Where the controller listens for agents (`wss://host:port`), best first; empty for inbound agents.
    pub addresses: Vec<String>,
    /// The controller's key.
    pub controller: PeerKey,
    /// The token's id.
    pub id: TokenId,
    /// The token's secret.
    #[serde(with = "serde_bytes")]
    pub secret: [u8; 32],
    /// When it ends.
    pub expires_at: UnixMicros,
}

impl JoinToken {
    /// What the agent shows the controller.
    #[must_use]
    pub fn proof(&self) -> JoinProof {
        JoinProof { token: self.id, secret: self.secret }
    }

    /// The text form. A secret: [`fmt::Display`] is left out so that it is not logged by accident.
    ///
    /// # Errors
    /// If the addresses are too many or too long to fit.
    pub fn to_text(&self) -> Result<String, codec::EncodeError> {
        let limit = MAX_TEXT / 4 * 3 - PREFIX.len();
        Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(codec::encode(self, limit)?)))
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinToken")
            .field("addresses", &self.addresses)
            .field("controller", &self.controller)
            .field("id", &self.id)
            .field("secret", &"…")
            .field("expires_at", &self.expires_at)
            .finish()
    }
}

/// Text that is not a join token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a join token: copy it again, whole; it begins with {PREFIX}")]
pub struct InvalidToken;

impl FromStr for JoinToken {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let text = text.trim();
        if text.len() > MAX_TEXT {
            return Err(InvalidToken);
        }
        let body = text.strip_prefix(PREFIX).ok_or(InvalidToken)?;
        let bytes = URL_SAFE_NO_PAD.decode(body).map_err(|_| InvalidToken)?;
        codec::decode(&bytes, MAX_TEXT).map_err(|_| InvalidToken)
    }
}
