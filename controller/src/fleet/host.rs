//! One host as the controller knows it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use roadstead_protocol::message::container::{ContainerState, Figures};
use roadstead_protocol::message::ids::ContainerId;
use roadstead_protocol::message::snapshot::Engine;
use roadstead_protocol::message::time::UnixMicros;

use super::Containers;
use crate::model::{Direction, InstanceRecord};

/// One host as the controller knows it.
#[derive(Clone, Debug)]
pub struct Host {
    /// What is registered. Its `last_seen` is kept current here, to the second.
    pub record: InstanceRecord,
    /// How its agent is connected.
    pub link: LinkStatus,
    /// Its engine, as last heard.
    pub engine: Option<Engine>,
    /// Its containers, as last heard.
    pub containers: Containers,
    /// The newest figures of each container; each carries its time.
    pub figures: HashMap<ContainerId, Figures>,
    /// When the picture was last known to be true: while the link is live, when it last changed; once the link is
    /// lost, the last contact. What a stale picture's age is counted from.
    pub synced_at: Option<UnixMicros>,
    /// Whether the host may differ from the picture by now: the link is not live, or its snapshot is still to come.
    pub stale: bool,
    /// Round trip of the last probe.
    pub round_trip: Option<Duration>,
}

impl Host {
    /// How many containers are in each state.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<ContainerState, usize> {
        let mut counts = BTreeMap::new();
        for container in self.containers.values() {
            *counts.entry(container.state).or_default() += 1;
        }
        counts
    }
}

/// How an agent is connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkStatus {
    /// The state.
    pub state: LinkState,
    /// Since when.
    pub since: UnixMicros,
    /// Who dialled the present or last link.
    pub direction: Option<Direction>,
    /// The peer's address of the present or last link.
    pub remote: Option<String>,
    /// Why it is as it is, where there is something to say.
    pub reason: Option<String>,
}

/// Whether an agent is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkState {
    /// A session, with heartbeats on time.
    Live,
    /// A session whose last heartbeat is missing.
    Late,
    /// No session any more.
    Lost,
    /// No session yet after the controller's own restart; the agent is expected back by itself.
    Awaited,
    /// Never a session.
    Never,
}

impl LinkState {
    /// The word used in API and logs: an awaited agent's link is lost.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Late => "late",
            Self::Lost | Self::Awaited => "lost",
            Self::Never => "never",
        }
    }

    /// Whether there is a session.
    #[must_use]
    pub const fn is_connected(self) -> bool {
        matches!(self, Self::Live | Self::Late)
    }
}
