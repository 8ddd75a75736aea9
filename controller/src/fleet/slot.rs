//! One host within the fleet: its picture, who feeds it, and what it owes to the store. No locks, no I/O.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use roadstead_protocol::message::container::{Container, Figures};
use roadstead_protocol::message::ids::{ContainerId, InstanceId, SessionId};
use roadstead_protocol::message::snapshot::{Change, Engine, SnapshotPart};
use roadstead_protocol::message::time::UnixMicros;
use tokio::time::Instant;

use super::feed::PictureTooLarge;
use super::{FleetChange, Host, LinkState, LinkStatus};
use crate::model::{Direction, InstanceRecord};

/// Most containers in one picture. A host with more has a different problem.
const MAX_CONTAINERS: usize = 10_000;

/// `last_seen` moves in steps of this, so that a busy session does not copy the picture with every message.
const SEEN_STEP: Duration = Duration::from_secs(1);

pub(super) struct Slot {
    host: Arc<Host>,
    session: Option<SessionId>,
    /// Whether the session that feeds it has sent its whole picture.
    synced: bool,
    arriving: BTreeMap<ContainerId, Container>,
    clone_refused_at: Option<Instant>,
    /// Whether the picture (engine, containers) changed since it was last saved.
    unsaved: bool,
}

impl Slot {
    pub(super) fn new(record: InstanceRecord) -> Self {
        let link = LinkStatus {
            state: LinkState::Never,
            since: record.created_at,
            direction: None,
            remote: None,
            reason: None,
        };
        Self::with_host(Host {
            record,
            link,
            engine: None,
            containers: BTreeMap::new(),
            figures: std::collections::HashMap::new(),
            synced_at: None,
            stale: true,
            round_trip: None,
        })
    }

    pub(super) fn with_host(host: Host) -> Self {
        Self {
            host: Arc::new(host),
            session: None,
            synced: false,
            arriving: BTreeMap::new(),
            clone_refused_at: None,
            unsaved: false,
        }
    }

    pub(super) fn id(&self) -> InstanceId {
        self.host.record.id.clone()
    }

    pub(super) fn view(&self) -> Arc<Host> {
        Arc::clone(&self.host)
    }

    pub(super) fn is_fed_by(&self, session: SessionId) -> bool {
        self.session == Some(session)
    }

    /// The host, if it changed since the last call.
    pub(super) fn take_unsaved(&mut self) -> Option<Arc<Host>> {
        std::mem::take(&mut self.unsaved).then(|| self.view())
    }

    /// The host could not be saved: try again next time.
    pub(super) fn keep_unsaved(&mut self) {
        self.unsaved = true;
    }

    pub(super) fn set_record(&mut self, mut record: InstanceRecord) -> Option<FleetChange> {
        record.last_seen = record.last_seen.max(self.host.record.last_seen);
        if self.host.record == record {
            return None;
        }
        self.host_mut().record = record;
        self.told()
    }

    pub(super) fn link_live(
        &mut self,
        session: SessionId,
        direction: Direction,
        remote: &str,
    ) -> Option<FleetChange> {
        self.session = Some(session);
        self.synced = false;
        self.arriving = BTreeMap::new();
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

    pub(super) fn seen(&mut self) {
        let now = UnixMicros::now();
        if self.host.record.last_seen.is_none_or(|before| now.since(before) >= SEEN_STEP) {
            self.host_mut().record.last_seen = Some(now);
        }
    }

    pub(super) fn late(&mut self) -> Option<FleetChange> {
        self.set_link_state(LinkState::Late)
    }

    pub(super) fn recovered(&mut self) -> Option<FleetChange> {
        self.set_link_state(LinkState::Live)
    }

    pub(super) fn lost(&mut self, reason: String) -> Option<FleetChange> {
        let synced = std::mem::take(&mut self.synced);
        self.session = None;
        self.arriving = BTreeMap::new();
        let host = if synced { self.picture_mut() } else { self.host_mut() };
        host.link.reason = Some(reason);
        if synced {
            host.synced_at = host.record.last_seen;
        }
        self.set_link_state(LinkState::Lost)
    }

    pub(super) fn dial_failed(&mut self, reason: &str) -> Option<FleetChange> {
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
    pub(super) fn end_wait(&mut self) -> Option<FleetChange> {
        if self.host.link.state != LinkState::Awaited {
            return None;
        }
        let link = &mut self.host_mut().link;
        link.state = LinkState::Lost;
        link.reason = Some("the agent has not come back since the controller was restarted".to_owned());
        self.told()
    }

    pub(super) fn clone_refused(&mut self, reason: &str) -> Option<FleetChange> {
        self.clone_refused_at = Some(Instant::now());
        if self.host.link.reason.as_deref() == Some(reason) {
            return None;
        }
        self.host_mut().link.reason = Some(reason.to_owned());
        self.told()
    }

    pub(super) fn end_clone_warning(&mut self, after: Duration) -> Option<FleetChange> {
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

    pub(super) fn set_round_trip(&mut self, round_trip: Duration) {
        self.host_mut().round_trip = Some(round_trip);
    }

    pub(super) fn snapshot_part(
        &mut self,
        part: SnapshotPart,
    ) -> Result<Option<FleetChange>, PictureTooLarge> {
        self.arriving.extend(part.containers.into_iter().map(|container| (container.id.clone(), container)));
        limit(self.arriving.len())?;
        if !part.last {
            return Ok(None);
        }
        let whole = std::mem::take(&mut self.arriving);
        let (upsert, remove) = self.replace_containers(whole);
        self.synced = true;
        let told_before = (self.host.engine.clone(), self.host.stale);
        let host = self.picture_mut();
        host.engine = Some(part.engine);
        host.synced_at = Some(UnixMicros::now());
        host.stale = host.link.state != LinkState::Live;
        let host_changed = told_before != (host.engine.clone(), host.stale);
        let containers_changed = !upsert.is_empty() || !remove.is_empty();
        Ok(match (host_changed, containers_changed) {
            (true, true) => Some(FleetChange::Replaced(self.view())),
            (true, false) => self.told(),
            (false, true) => Some(FleetChange::Containers { instance: self.id(), upsert, remove }),
            (false, false) => None,
        })
    }

    pub(super) fn change(&mut self, change: Change) -> Result<Option<FleetChange>, PictureTooLarge> {
        match change {
            Change::Upsert { container } => self.upsert(*container),
            Change::Remove { id } => Ok(self.remove(id)),
            Change::Engine { engine } => Ok(self.set_engine(engine)),
            Change::Unknown => Ok(None),
        }
    }

    pub(super) fn take_figures(&mut self, mut samples: Vec<Figures>) -> Option<FleetChange> {
        samples.retain(|sample| self.host.containers.contains_key(&sample.container));
        if samples.is_empty() {
            return None;
        }
        let host = self.host_mut();
        host.figures.extend(samples.iter().map(|sample| (sample.container.clone(), sample.clone())));
        Some(FleetChange::Figures { instance: self.id(), samples: Arc::new(samples) })
    }

    fn upsert(&mut self, container: Container) -> Result<Option<FleetChange>, PictureTooLarge> {
        let known = self.host.containers.get(&container.id);
        if known.is_some_and(|known| **known == container) {
            return Ok(None);
        }
        if known.is_none() {
            limit(self.host.containers.len() + 1)?;
        }
        let container = Arc::new(container);
        self.picture_mut().containers.insert(container.id.clone(), Arc::clone(&container));
        Ok(self.containers_changed(vec![container], Vec::new()))
    }

    fn remove(&mut self, id: ContainerId) -> Option<FleetChange> {
        if !self.host.containers.contains_key(&id) {
            return None;
        }
        let host = self.picture_mut();
        host.containers.remove(&id);
        host.figures.remove(&id);
        self.containers_changed(Vec::new(), vec![id])
    }

    fn set_engine(&mut self, engine: Engine) -> Option<FleetChange> {
        if self.host.engine.as_ref() == Some(&engine) {
            return None;
        }
        let host = self.picture_mut();
        host.engine = Some(engine);
        host.synced_at = Some(UnixMicros::now());
        self.told()
    }

    fn containers_changed(
        &mut self,
        upsert: Vec<Arc<Container>>,
        remove: Vec<ContainerId>,
    ) -> Option<FleetChange> {
        self.picture_mut().synced_at = Some(UnixMicros::now());
        Some(FleetChange::Containers { instance: self.id(), upsert, remove })
    }

    /// Takes over a whole list and returns how it differs from the one before.
    fn replace_containers(
        &mut self,
        whole: BTreeMap<ContainerId, Container>,
    ) -> (Vec<Arc<Container>>, Vec<ContainerId>) {
        let host = self.picture_mut();
        let remove: Vec<_> = host.containers.keys().filter(|id| !whole.contains_key(id)).cloned().collect();
        for id in &remove {
            host.containers.remove(id);
            host.figures.remove(id);
        }
        let mut upsert = Vec::new();
        for (id, container) in whole {
            if host.containers.get(&id).is_none_or(|known| **known != container) {
                let container = Arc::new(container);
                host.containers.insert(id, Arc::clone(&container));
                upsert.push(container);
            }
        }
        (upsert, remove)
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

    /// For changes of engine and containers.
    fn picture_mut(&mut self) -> &mut Host {
        self.unsaved = true;
        self.host_mut()
    }

    /// For everything else. Copies the host if somebody holds a view of it.
    fn host_mut(&mut self) -> &mut Host {
        Arc::make_mut(&mut self.host)
    }

    #[expect(clippy::unnecessary_wraps, reason = "what every change returns")]
    fn told(&self) -> Option<FleetChange> {
        Some(FleetChange::Host(self.view()))
    }
}

fn limit(containers: usize) -> Result<(), PictureTooLarge> {
    if containers > MAX_CONTAINERS { Err(PictureTooLarge { limit: MAX_CONTAINERS }) } else { Ok(()) }
}
