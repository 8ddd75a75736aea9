//! The handshake: the agent says [`Hello`], the controller answers with [`Reply`], whoever dialled.

use serde::{Deserialize, Serialize};

use super::ids::{BootId, Epoch, EventSeq, InstanceId, Print, SessionId, TokenId};
use super::policy::Policy;
use super::version::ProtocolVersion;

/// The agent's first message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The version the agent speaks.
    pub protocol: ProtocolVersion,
    /// The agent's own version, to show.
    pub agent_version: String,
    /// This start of the agent's process.
    pub boot: BootId,
    /// What a join token gave it; sent until the agent is a member, unneeded afterwards.
    #[serde(default)]
    pub join: Option<JoinProof>,
    /// Name its owner or its host gave it; used when the controller has none.
    pub name: String,
    /// Environment label its owner gave it.
    #[serde(default)]
    pub environment: Option<String>,
    /// Tags its owner gave it.
    #[serde(default)]
    pub tags: Vec<String>,
    /// What its owner allows.
    pub policy: Policy,
    /// Optional abilities of this agent on this host, by name: `compose`, `script`, …
    #[serde(default)]
    pub abilities: Vec<String>,
    /// The outbox it will send events from.
    pub epoch: Epoch,
    /// The last event in the outbox.
    #[serde(default)]
    pub last_event: EventSeq,
    /// The boot that its memory of commands goes back to without a break: what was ordered since then and is not
    /// known to it never began. None if it forgets with each restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remembers_since: Option<BootId>,
}

impl Hello {
    /// The boot that the agent's memory of commands goes back to.
    #[must_use]
    pub fn memory(&self) -> BootId {
        self.remembers_since.unwrap_or(self.boot)
    }
}

/// Proof of having been given a join token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinProof {
    /// Which token.
    pub token: TokenId,
    /// Its secret.
    #[serde(with = "serde_bytes")]
    pub secret: [u8; 32],
}

impl std::fmt::Debug for JoinProof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JoinProof").field("token", &self.token).field("secret", &"…").finish()
    }
}

/// The controller's answer to [`Hello`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// The link is a session from here on.
    Welcome(Welcome),
    /// The link ends here.
    Refused(Refusal),
    /// An answer of a newer version; the agent treats it as a refusal to be tried again.
    #[serde(other)]
    Unknown,
}

/// The session's terms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The version the controller speaks.
    pub protocol: ProtocolVersion,
    /// The controller's own version, to show.
    pub controller_version: String,
    /// This session.
    pub session: SessionId,
    /// Who the agent is to the controller.
    pub instance: InstanceId,
    /// The name the controller shows it under.
    pub name: String,
    /// The last event of the agent's epoch that the controller holds: the agent forgets up to here and sends from
    /// the next.
    #[serde(default)]
    pub acknowledged: EventSeq,
    /// The print of that event, if the agent told it. An agent that has another there must not forget what it has: the
    /// controller holds what another outbox told under the same numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub print: Option<Print>,
}

/// Why a link did not become a session. Each names who has to act.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum Refusal {
    /// No such token.
    #[error("the join token is not known here; make a new one in the controller")]
    TokenUnknown,
    /// The token's time is over.
    #[error("the join token has expired; make a new one in the controller")]
    TokenExpired,
    /// The token's uses are used up.
    #[error("the join token has been used; make a new one in the controller")]
    TokenUsed,
    /// The token belongs to another kind of joining, or to another instance.
    #[error("the join token is meant for another instance; make a new one in the controller")]
    TokenMismatch,
    /// Neither a member nor with a token.
    #[error("this agent is not registered and brought no join token; start it with ROADSTEAD_JOIN")]
    NotRegistered,
    /// It was registered and has been removed or revoked.
    #[error("this agent was removed from the controller; to bring it back, start it with a new join token")]
    Removed,
    /// Its key was replaced: by a newer one of its own, or by that of a new installation.
    #[error(
        "this agent's key was replaced by a newer one in the controller; if this is the installation that should \
         be there, start it with a join token for its instance"
    )]
    Replaced,
    /// Too many at once: come back later.
    #[error("the controller is busy; trying again in {retry_after_ms} ms")]
    Busy {
        /// When to try again, in milliseconds.
        retry_after_ms: u32,
    },
    /// Two machines use one identity.
    #[error("another machine uses this agent's identity; give one of them a data directory of its own")]
    ClonedIdentity,
    /// The protocol's major versions differ.
    #[error(
        "the controller speaks protocol {}.{}; upgrade the older of the two programs",
        controller.major,
        controller.minor
    )]
    Version {
        /// What the controller speaks.
        controller: ProtocolVersion,
    },
    /// Hello could not be understood.
    #[error("the controller could not understand this agent's greeting: {reason}")]
    Malformed {
        /// What was wrong.
        reason: String,
    },
    /// The controller could not look it up just now.
    #[error("the controller has an internal problem; trying again")]
    Internal,
    /// A refusal of a newer version.
    #[error("the controller refused for a reason this agent is too old to know")]
    #[serde(other)]
    Unknown,
}

impl Refusal {
    /// Whether trying again can help without anybody doing anything.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Internal | Self::Unknown)
    }
}
