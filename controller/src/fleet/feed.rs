//! The one session's right to change one host's picture.

use roadstead_protocol::message::container::Figures;
use roadstead_protocol::message::ids::{InstanceId, SessionId};
use roadstead_protocol::message::snapshot::{Change, SnapshotPart};

use super::slot::Slot;
use super::{Fleet, FleetChange};

/// What a session feeds a host's picture through. Without effect once a newer session has begun or the instance is
/// removed. Dropping it marks the link lost.
pub struct Feed {
    pulse: Pulse,
    reason: String,
}

/// What tells that a session's agent was heard of.
pub struct Pulse {
    fleet: Fleet,
    instance: InstanceId,
    session: SessionId,
}

/// The agent tells more than a host can sensibly have. The peer's fault: ends the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PictureTooLarge {
    /// In number.
    #[error(
        "the agent tells of more than {limit} containers; remove stopped containers on the host (docker container prune)"
    )]
    Containers {
        /// The most that are taken.
        limit: usize,
    },
    /// In size.
    #[error(
        "the agent's containers take more than {limit} bytes; remove stopped containers on the host (docker container prune), or shorten their labels"
    )]
    Bytes {
        /// The most that are taken.
        limit: usize,
    },
}

/// A newer session of the instance has begun, or the instance was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a newer session has begun, or the instance was removed")]
pub struct NoLongerFed;

impl Feed {
    pub(super) fn new(pulse: Pulse) -> Self {
        Self { pulse, reason: "the session ended unexpectedly".to_owned() }
    }

    /// As [`Pulse::seen`].
    ///
    /// # Errors
    /// As there.
    pub fn seen(&self) -> Result<(), NoLongerFed> {
        self.pulse.seen()
    }

    /// A heartbeat is missing.
    pub fn late(&self) {
        self.update(Slot::late);
    }

    /// Heartbeats are on time again.
    pub fn recovered(&self) {
        self.update(Slot::recovered);
    }

    /// A piece of the whole picture; taken over in one step with the last.
    ///
    /// # Errors
    /// If the picture is too large to be true.
    pub fn snapshot_part(&self, part: SnapshotPart) -> Result<(), PictureTooLarge> {
        self.try_update(|slot| slot.snapshot_part(part, &self.pulse.fleet.inner.pool))
    }

    /// A change of the picture.
    ///
    /// # Errors
    /// If the picture grows too large to be true.
    pub fn change(&self, change: Change) -> Result<(), PictureTooLarge> {
        self.try_update(|slot| slot.change(change, &self.pulse.fleet.inner.pool))
    }

    /// New figures. Those of containers that are not in the picture are dropped.
    pub fn figures(&self, samples: Vec<Figures>) {
        self.update(|slot| slot.take_figures(samples));
    }

    /// The session has ended; `reason` is shown.
    pub fn end(mut self, reason: impl Into<String>) {
        self.reason = reason.into();
    }

    fn update(&self, change: impl FnOnce(&mut Slot) -> Option<FleetChange>) {
        self.pulse.update(change);
    }

    fn try_update(
        &self,
        change: impl FnOnce(&mut Slot) -> Result<Option<FleetChange>, PictureTooLarge>,
    ) -> Result<(), PictureTooLarge> {
        let mut result = Ok(());
        self.update(|slot| {
            change(slot).unwrap_or_else(|error| {
                result = Err(error);
                None
            })
        });
        result
    }
}

impl Pulse {
    pub(super) fn new(fleet: Fleet, instance: InstanceId, session: SessionId) -> Self {
        Self { fleet, instance, session }
    }

    /// The agent was heard of just now. Call it for each message and heartbeat: it costs next to nothing.
    ///
    /// # Errors
    /// If the picture is not, or no longer, fed by this session, which must end then: when two sessions of one agent
    /// begin in the same moment, either could be left without a part of what it needs, and the agent's next link mends it.
    pub fn seen(&self) -> Result<(), NoLongerFed> {
        let mut result = Err(NoLongerFed);
        self.update(|slot| {
            slot.seen();
            result = Ok(());
            None
        });
        result
    }

    fn update(&self, change: impl FnOnce(&mut Slot) -> Option<FleetChange>) {
        self.fleet
            .update(&self.instance, |slot| if slot.is_fed_by(self.session) { change(slot) } else { None });
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        let reason = std::mem::take(&mut self.reason);
        self.update(|slot| slot.lost(reason));
    }
}
