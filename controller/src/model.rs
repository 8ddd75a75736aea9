//! Plain records: what the controller knows and stores. No behaviour beyond what follows from the values.

use std::collections::BTreeSet;
use std::str::FromStr;

use roadstead_protocol::message::command::{Outcome, Work};
use roadstead_protocol::message::event::EventKind;
use roadstead_protocol::message::ids::{BootId, CommandId, Epoch, EventSeq, InstanceId, PeerKey, TokenId};
use roadstead_protocol::message::policy::{Policy, UnknownVerb, Verb};
use roadstead_protocol::message::progress::Progress;
use roadstead_protocol::message::time::UnixMicros;

pub mod role;
pub mod rollout;
pub mod scope;

/// A registered Docker host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceRecord {
    /// Its id.
    pub id: InstanceId,
    /// Name, unique among instances regardless of case.
    pub name: String,
    /// Where the controller dials it (`wss://host:port`); none if the agent dials.
    pub url: Option<String>,
    /// Free text.
    pub description: String,
    /// Environment label (`production`, `staging`, …).
    pub environment: Option<String>,
    /// Tags, sorted, without doubles.
    pub tags: Vec<String>,
    /// The agent's key once it has joined.
    pub key: Option<PeerKey>,
    /// When it was registered.
    pub created_at: UnixMicros,
    /// Last successful contact; never moved by a failed one.
    pub last_seen: Option<UnixMicros>,
    /// Version of its agent, as last heard.
    pub agent_version: Option<String>,
    /// Its policy, as last heard.
    pub policy: Option<Policy>,
    /// Its abilities, as last heard.
    pub abilities: Vec<String>,
    /// On what terms it is a member.
    pub terms: MemberTerms,
}

/// On what terms an instance is a member: who decides over it here, and keys on their way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberTerms {
    /// The most that may be asked of it, whatever its owner allows; none for no such limit.
    pub ceiling: Option<Ceiling>,
    /// Whether the controller's configuration file declares it.
    pub declared: bool,
    /// The key that its agent will show next; it counts as well as the present one.
    pub next_key: Option<PeerKey>,
    /// When the present key was first shown; none if that was never noted.
    pub key_since: Option<UnixMicros>,
    /// The controller's keys that its agent knows, newest first; none if it was never told of more than one.
    pub controller_keys: Option<Vec<PeerKey>>,
}

/// The most that may be asked of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ceiling(pub BTreeSet<Verb>);

impl Ceiling {
    /// Whether `verb` may be asked.
    #[must_use]
    pub fn allows(&self, verb: Verb) -> bool {
        self.0.contains(&verb)
    }

    /// The verbs as words.
    #[must_use]
    pub fn words(&self) -> Vec<&'static str> {
        self.0.iter().map(|verb| verb.as_str()).collect()
    }
}

impl std::fmt::Display for Ceiling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.words().join(" "))
    }
}

impl FromStr for Ceiling {
    type Err = UnknownVerb;

    /// Reads verbs separated by commas or white space; looking is always allowed.
    fn from_str(text: &str) -> Result<Self, UnknownVerb> {
        let mut verbs = text.parse::<Policy>()?.allow;
        verbs.insert(Verb::View);
        Ok(Self(verbs))
    }
}

/// What a join token gives to whatever joins with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// Tags, sorted, without doubles, besides those that the agent brings.
    pub tags: Vec<String>,
    /// Environment label, instead of the agent's.
    pub environment: Option<String>,
    /// The most that may be asked of it.
    pub ceiling: Option<Ceiling>,
}

/// A join token as stored: without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinTokenRecord {
    /// Its id.
    pub id: TokenId,
    /// What it is called, to know it by.
    pub name: Option<String>,
    /// What it gives.
    pub grants: Grants,
    /// SHA-256 of the secret.
    pub secret_hash: [u8; 32],
    /// The instance it is for; none for a token that registers a new one.
    pub instance: Option<InstanceId>,
    /// Which way the link it opens is dialled.
    pub direction: Direction,
    /// When it was made.
    pub created_at: UnixMicros,
    /// When it ends.
    pub expires_at: UnixMicros,
    /// How often it may still be used.
    pub uses_left: u32,
    /// When it was last used.
    pub used_at: Option<UnixMicros>,
}

/// Who dials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// The agent dials the controller.
    Outbound,
    /// The controller dials the agent.
    Inbound,
}

impl Direction {
    /// The word used in storage, API and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Outbound => "outbound",
            Self::Inbound => "inbound",
        }
    }
}

/// An event in the controller's log.
#[derive(Clone, Debug, PartialEq)]
pub struct EventRecord {
    /// Its place in the log: ascending in order of arrival, what cursors hold.
    pub id: i64,
    /// Whose event.
    pub instance: InstanceId,
    /// The outbox it came from; none for events the controller made itself.
    pub origin: Option<(Epoch, EventSeq)>,
    /// When it happened, by the agent's account.
    pub at: UnixMicros,
    /// When it was stored.
    pub received_at: UnixMicros,
    /// What happened.
    pub what: EventKind,
}

/// Some events that one commit added to the log, in the log's order.
pub type StoredEvents = std::sync::Arc<[EventRecord]>;

/// A command in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandRecord {
    /// Its identity.
    pub id: CommandId,
    /// Where it is to run.
    pub instance: InstanceId,
    /// What is asked.
    pub work: Work,
    /// Who asked.
    pub issued_by: String,
    /// When.
    pub issued_at: UnixMicros,
    /// Where it stands.
    pub state: CommandState,
    /// Until when it waits for an absent agent; none if it does not wait.
    pub queue_until: Option<UnixMicros>,
    /// The agent gives up after this many seconds of running.
    pub deadline_secs: u32,
    /// The boot that the memory of the agent it was sent to goes back to.
    pub boot: Option<BootId>,
    /// When it was sent.
    pub sent_at: Option<UnixMicros>,
    /// When it began to run.
    pub started_at: Option<UnixMicros>,
    /// When it ended.
    pub ended_at: Option<UnixMicros>,
    /// Whether somebody asked to cancel it.
    pub cancel_requested: bool,
    /// How it ended, by the agent's account.
    pub outcome: Option<Outcome>,
    /// Why it ended, in words, where the outcome does not say (`lost`, expired).
    pub reason: Option<String>,
}

/// Where a command stands. The last four are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CommandState {
    /// Accepted and stored; not yet sent.
    Issued,
    /// Given to the agent's session; not yet heard of.
    Sent,
    /// The agent runs it.
    Running,
    /// Done.
    Succeeded,
    /// Not done, or not wholly.
    Failed,
    /// Stopped on request.
    Cancelled,
    /// What became of it cannot be known.
    Lost,
}

impl CommandState {
    /// Every state, in order.
    pub const ALL: [Self; 7] =
        [Self::Issued, Self::Sent, Self::Running, Self::Succeeded, Self::Failed, Self::Cancelled, Self::Lost];

    /// Whether it can never change again.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled | Self::Lost)
    }

    /// The word used in storage, API and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Sent => "sent",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
        }
    }
}

/// One stored line of a command's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Number of the line, from 0.
    pub line: u64,
    /// When, by the agent's clock.
    pub at: UnixMicros,
    /// What it says.
    pub entry: Progress,
}
