//! How a host's link comes and goes.

use std::collections::BTreeMap;
use std::time::Duration;

use roadstead_protocol::message::ids::SessionId;
use roadstead_protocol::message::time::UnixMicros;
use tokio::time::Instant;

use super::Slot;
use crate::fleet::{FleetChange, LinkState, LinkStatus};
use crate::model::Direction;

/// `last_seen` moves in steps of this, so that a busy session does not copy the picture with every message.
const SEEN_STEP: Duration = Duration::from_secs(1);

impl Slot {
    pub(in crate::fleet) fn link_live(
        &mut self,
        session: SessionId,
        direction: Direction,
        remote: &str,
    ) -> Option<FleetChange> {
        self.session = Some(session);
        self.synced = false;
        self.arriving = BTreeMap::new();
        self.arriving_weight = 0;
        self.clone_refused_at = None;
        let host = self.host_mut();
        let now = UnixMicros::now();
        host.record.last_seen = Some(now);
        host.stale = true;
        host.round_trip = None;
        host.link = LinkStatus {
            state: LinkState::Live,
            since: now,
            direction: Some(direction),
            remote: Some(remote.to_owned()),
            reason: None,
        };
        self.told()
    }

    pub(in crate::fleet) fn seen(&mut self) {
        let now = UnixMicros::now();
        // A clock that was set back leaves times behind that are yet to come.
        if self.host.record.last_seen.is_none_or(|before| before > now || now.since(before) >= SEEN_STEP) {
            self.host_mut().record.last_seen = Some(now);
        }
    }

    pub(in crate::fleet) fn late(&mut self) -> Option<FleetChange> {
        self.set_link_state(LinkState::Late)
    }

    pub(in crate::fleet) fn recovered(&mut self) -> Option<FleetChange> {
        self.set_link_state(LinkState::Live)
    }

    pub(in crate::fleet) fn lost(&mut self, reason: String) -> Option<FleetChange> {
        let synced = std::mem::take(&mut self.synced);
        self.session = None;
        self.arriving = BTreeMap::new();
        self.arriving_weight = 0;
        let host = self.host_mut();
        host.link.reason = Some(reason);
        if synced {
            host.synced_at = host.record.last_seen;
        }
        self.set_link_state(LinkState::Lost)
    }

    pub(in crate::fleet) fn dial_failed(&mut self, reason: &str) -> Option<FleetChange> {
        let link = &self.host.link;
        let same = link.state != LinkState::Awaited && link.reason.as_deref() == Some(reason);
        if link.state.is_connected() || same {
            return None;
        }
        let link = &mut self.host_mut().link;
        link.reason = Some(reason.to_owned());
        if link.state == LinkState::Awaited {
            link.state = LinkState::Lost;
        }
        self.told()
    }

    /// After a restart of the controller: the agent has had its time to come back.
    pub(in crate::fleet) fn end_wait(&mut self) -> Option<FleetChange> {
        if self.host.link.state != LinkState::Awaited {
            return None;
        }
        let link = &mut self.host_mut().link;
        link.state = LinkState::Lost;
        link.reason = Some("the agent has not come back since the controller was restarted".to_owned());
        self.told()
    }

    pub(in crate::fleet) fn clone_refused(&mut self, reason: &str) -> Option<FleetChange> {
        self.clone_refused_at = Some(Instant::now());
        if self.host.link.reason.as_deref() == Some(reason) {
            return None;
        }
        self.host_mut().link.reason = Some(reason.to_owned());
        self.told()
    }

    pub(in crate::fleet) fn end_clone_warning(&mut self, after: Duration) -> Option<FleetChange> {
        if self.clone_refused_at.is_none_or(|at| at.elapsed() < after) {
            return None;
        }
        self.clone_refused_at = None;
        if !self.host.link.state.is_connected() {
            return None;
        }
        self.host_mut().link.reason = None;
        self.told()
    }

    pub(in crate::fleet) fn set_round_trip(&mut self, round_trip: Duration) {
        self.host_mut().round_trip = Some(round_trip);
    }

    fn set_link_state(&mut self, state: LinkState) -> Option<FleetChange> {
        if self.host.link.state == state {
            return None;
        }
        let synced = self.synced;
        let host = self.host_mut();
        host.link.state = state;
        host.link.since = UnixMicros::now();
        host.stale = state != LinkState::Live || !synced;
        self.told()
    }
}
