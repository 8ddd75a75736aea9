//! One host within the fleet: its picture, who feeds it, and what it owes to the store. No locks, no I/O.

use std::collections::BTreeMap;
use std::sync::Arc;

use roadstead_protocol::message::container::{Container, Figures};
use roadstead_protocol::message::ids::{ContainerId, InstanceId, SessionId};
use roadstead_protocol::message::snapshot::{Change, Engine, SnapshotPart};
use roadstead_protocol::message::time::UnixMicros;
use tokio::time::Instant;

use super::feed::PictureTooLarge;
use super::{Containers, FleetChange, Host, Kept, LinkState, LinkStatus, Pool};
use crate::model::InstanceRecord;

mod link;
mod weight;

use weight::{limit, weight, weight_kept};

pub(super) struct Slot {
    host: Arc<Host>,
    session: Option<SessionId>,
    /// Whether the session that feeds it has sent its whole picture.
    synced: bool,
    arriving: BTreeMap<ContainerId, Container>,
    /// About how many bytes the containers take, and those that are arriving.
    weight: usize,
    arriving_weight: usize,
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
            containers: Containers::default(),
            figures: std::collections::HashMap::new(),
            synced_at: None,
            stale: true,
            round_trip: None,
        })
    }

    pub(super) fn with_host(host: Host) -> Self {
        let weight = host.containers.values().map(|container| weight_kept(container)).sum();
        Self {
            host: Arc::new(host),
            session: None,
            synced: false,
            weight,
            arriving: BTreeMap::new(),
            arriving_weight: 0,
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
        record.last_seen = self.host.record.last_seen.or(record.last_seen);
        if self.host.record == record {
            return None;
        }
        self.host_mut().record = record;
        self.told()
    }

    pub(super) fn snapshot_part(
        &mut self,
        part: SnapshotPart,
        pool: &Pool,
    ) -> Result<Option<FleetChange>, PictureTooLarge> {
        for container in part.containers {
            self.arriving_weight += weight(&container);
            if let Some(doubled) = self.arriving.insert(container.id.clone(), container) {
                self.arriving_weight -= weight(&doubled);
            }
        }
        limit(self.arriving.len(), self.arriving_weight)?;
        if !part.last {
            return Ok(None);
        }
        let whole = std::mem::take(&mut self.arriving);
        self.weight = std::mem::take(&mut self.arriving_weight);
        let (upsert, remove) = self.replace_containers(whole, pool);
        self.synced = true;
        let containers_changed = !upsert.is_empty() || !remove.is_empty();
        let engine_changed = self.host.engine.as_ref() != Some(&part.engine);
        // A fleet that comes back has its old pictures, and need not save them again: see `persist::restored`.
        self.unsaved |= containers_changed || engine_changed || self.host.synced_at.is_none();
        let stale = self.host.link.state != LinkState::Live;
        let host_changed = engine_changed || self.host.stale != stale;
        let host = self.host_mut();
        host.engine = Some(part.engine);
        host.synced_at = Some(UnixMicros::now());
        host.stale = stale;
        Ok(match (host_changed, containers_changed) {
            (true, true) => Some(FleetChange::Replaced(self.view())),
            (true, false) => self.told(),
            (false, true) => Some(FleetChange::Containers { instance: self.id(), upsert, remove }),
            (false, false) => None,
        })
    }

    pub(super) fn change(
        &mut self,
        change: Change,
        pool: &Pool,
    ) -> Result<Option<FleetChange>, PictureTooLarge> {
        match change {
            Change::Upsert { container } => self.upsert(*container, pool),
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

    fn upsert(&mut self, container: Container, pool: &Pool) -> Result<Option<FleetChange>, PictureTooLarge> {
        let known = self.host.containers.get(&container.id);
        if known.is_some_and(|known| known.is(&container)) {
            return Ok(None);
        }
        let more = usize::from(known.is_none());
        let after = self.weight - known.map_or(0, |known| weight_kept(known)) + weight(&container);
        limit(self.host.containers.len() + more, after)?;
        self.weight = after;
        let container = Arc::new(pool.keep(container));
        self.picture_mut().containers.insert(Arc::clone(&container));
        Ok(self.containers_changed(vec![container], Vec::new()))
    }

    fn remove(&mut self, id: ContainerId) -> Option<FleetChange> {
        self.weight -= weight_kept(self.host.containers.get(&id)?);
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
        upsert: Vec<Arc<Kept>>,
        remove: Vec<ContainerId>,
    ) -> Option<FleetChange> {
        self.picture_mut().synced_at = Some(UnixMicros::now());
        Some(FleetChange::Containers { instance: self.id(), upsert, remove })
    }

    /// Takes over a whole list and returns how it differs from the one before.
    fn replace_containers(
        &mut self,
        whole: BTreeMap<ContainerId, Container>,
        pool: &Pool,
    ) -> (Vec<Arc<Kept>>, Vec<ContainerId>) {
        let known = &self.host.containers;
        let remove: Vec<_> = known.keys().filter(|id| !whole.contains_key(*id)).cloned().collect();
        let mut upsert = Vec::new();
        let mut keep = |container: Container| match known.get(&container.id) {
            Some(known) if known.is(&container) => Arc::clone(known),
            _ => {
                let container = Arc::new(pool.keep(container));
                upsert.push(Arc::clone(&container));
                container
            }
        };
        let containers: Containers = whole.into_values().map(&mut keep).collect();
        if !upsert.is_empty() || !remove.is_empty() {
            let host = self.host_mut();
            host.containers = containers;
            for id in &remove {
                host.figures.remove(id);
            }
        }
        (upsert, remove)
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

    fn told(&self) -> Option<FleetChange> {
        Some(FleetChange::Host(self.view()))
    }
}
