//! The picture of the host: written by the watcher, read by every session.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use roadstead_protocol::message::container::Container;
use roadstead_protocol::message::ids::ContainerId;
use roadstead_protocol::message::snapshot::{Change, Engine, EngineState};
use roadstead_protocol::message::time::UnixMicros;
use tokio::sync::broadcast;

use crate::engine::{EngineError, EngineInfo};
use crate::inventory::{Difference, Inventory};

/// Changes a reader may be behind before it has to take the whole picture again.
const ROOM: usize = 256;

/// A handle on the picture; a clone is another handle on the same one.
#[derive(Clone, Debug)]
pub struct PictureHandle {
    inner: Arc<Mutex<Picture>>,
    changes: broadcast::Sender<Arc<Difference>>,
    memory: Option<Arc<Path>>,
}

#[derive(Debug)]
struct Picture {
    engine: Engine,
    inventory: Inventory,
}

/// The changes after a whole picture.
#[derive(Debug)]
pub struct Changes {
    receiver: broadcast::Receiver<Arc<Difference>>,
}

impl Changes {
    /// The next change; none if this reader fell behind and has to take the whole picture again.
    pub async fn next(&mut self) -> Option<Change> {
        self.receiver.recv().await.ok().map(|difference| Change::from(&*difference))
    }
}

impl Default for PictureHandle {
    fn default() -> Self {
        let state = EngineState::Unreachable { reason: "not asked yet".to_owned() };
        let engine = Engine {
            state,
            since: UnixMicros::now(),
            version: None,
            api_version: None,
            os: None,
            cpus: None,
            memory_bytes: None,
        };
        let picture = Picture { engine, inventory: Inventory::default() };
        Self { inner: Arc::new(Mutex::new(picture)), changes: broadcast::Sender::new(ROOM), memory: None }
    }
}

impl PictureHandle {
    /// A picture whose watcher keeps in the file `memory` what it needs to tell, after a restart, what happened
    /// meanwhile.
    #[must_use]
    pub fn remembering(memory: PathBuf) -> Self {
        Self { memory: Some(memory.into()), ..Self::default() }
    }

    /// Everything as it is now, and the changes that follow it.
    #[must_use]
    pub fn subscribe(&self) -> (Engine, Vec<Arc<Container>>, Changes) {
        let picture = self.locked();
        let receiver = self.changes.subscribe();
        (picture.engine.clone(), picture.inventory.iter().cloned().collect(), Changes { receiver })
    }

    /// The engine as it is now.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.locked().engine.clone()
    }

    /// One container as it is now.
    #[must_use]
    pub fn container(&self, id: &ContainerId) -> Option<Arc<Container>> {
        self.locked().inventory.one(id).cloned()
    }

    /// The containers that run now; none while the engine does not answer.
    #[must_use]
    pub fn running(&self) -> Vec<ContainerId> {
        let picture = self.locked();
        match picture.engine.state {
            EngineState::Reachable => picture.inventory.running(),
            _ => Vec::new(),
        }
    }

    /// The engine as somebody else found it just now; the picture itself is left to the watcher.
    #[must_use]
    pub fn engine_as_identified(&self, identified: Result<EngineInfo, EngineError>) -> Engine {
        found(&self.engine(), identified)
    }

    pub(super) fn memory(&self) -> Option<Arc<Path>> {
        self.memory.clone()
    }

    pub(super) fn ids(&self) -> Vec<ContainerId> {
        self.locked().inventory.iter().map(|container| container.id.clone()).collect()
    }

    /// Takes over what the engine answered about itself.
    pub(super) fn set_engine(&self, identified: Result<EngineInfo, EngineError>) {
        let mut picture = self.locked();
        let engine = found(&picture.engine, identified);
        if engine != picture.engine {
            picture.engine = engine.clone();
            self.publish([Difference::Engine(engine)]);
        }
    }

    /// Takes over a whole list.
    pub(super) fn replace(&self, list: Vec<Container>) {
        let mut picture = self.locked();
        self.publish(picture.inventory.replace(list));
    }

    /// Takes over one container.
    pub(super) fn upsert(&self, container: Container) {
        let mut picture = self.locked();
        self.publish(picture.inventory.upsert(container));
    }

    /// Takes over that a container's process ended.
    pub(super) fn ended(&self, id: &ContainerId, at: UnixMicros, exit_code: Option<i64>) {
        let mut picture = self.locked();
        self.publish(picture.inventory.ended(id, at, exit_code));
    }

    /// Forgets one container.
    pub(super) fn remove(&self, id: &ContainerId) {
        let mut picture = self.locked();
        self.publish(picture.inventory.remove(id));
    }

    fn locked(&self) -> MutexGuard<'_, Picture> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells changes to whoever subscribed. Called with the picture locked, so that none is told twice or missed.
    fn publish(&self, differences: impl IntoIterator<Item = Difference>) {
        for difference in differences {
            // Nobody may be there to hear it.
            let _ = self.changes.send(Arc::new(difference));
        }
    }
}

/// The engine after it answered, or did not; what was last seen of it stays.
fn found(before: &Engine, identified: Result<EngineInfo, EngineError>) -> Engine {
    let mut engine = before.clone();
    let state = match identified {
        Ok(info) => {
            engine.version = Some(info.version);
            engine.api_version = Some(info.api_version);
            engine.os = Some(info.os);
            engine.cpus = Some(info.cpus);
            engine.memory_bytes = Some(info.memory_bytes);
            EngineState::Reachable
        }
        Err(error) => EngineState::Unreachable { reason: error.to_string() },
    };
    if std::mem::discriminant(&state) != std::mem::discriminant(&engine.state) {
        engine.since = UnixMicros::now();
    }
    engine.state = state;
    engine
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fake::FakeEngine;

    #[tokio::test]
    async fn a_reader_sees_the_whole_and_then_every_change() {
        let fake = FakeEngine::new();
        let picture = PictureHandle::default();
        picture.upsert(fake.sample("a", "app:1"));
        let (engine, containers, mut changes) = picture.subscribe();
        assert!(matches!(engine.state, EngineState::Unreachable { .. }));
        assert_eq!(containers.len(), 1);
        let b = fake.sample("b", "app:1");
        picture.upsert(b.clone());
        picture.upsert(b.clone());
        picture.remove(&b.id);
        let Some(Change::Upsert { container }) = changes.next().await else { panic!() };
        assert_eq!(*container, b);
        assert_eq!(changes.next().await, Some(Change::Remove { id: b.id }));
    }

    #[tokio::test]
    async fn a_reader_that_fell_behind_takes_the_whole_again() {
        let fake = FakeEngine::new();
        let picture = PictureHandle::default();
        let (_, _, mut changes) = picture.subscribe();
        for number in 0..=ROOM {
            picture.upsert(fake.sample(&format!("c{number}"), "app:1"));
        }
        assert_eq!(changes.next().await, None);
        let (_, containers, _) = picture.subscribe();
        assert_eq!(containers.len(), ROOM + 1);
    }

    #[tokio::test]
    async fn an_absent_engine_keeps_what_was_seen_of_it_and_its_containers() {
        let fake = FakeEngine::new();
        let picture = PictureHandle::default();
        picture.set_engine(Ok(EngineInfo { version: "20.10.24".to_owned(), ..EngineInfo::default() }));
        picture.upsert(fake.sample("a", "app:1"));
        assert_eq!(picture.running().len(), 1);
        picture.set_engine(Err(EngineError::Unreachable("connection refused".to_owned())));
        let (engine, containers, _) = picture.subscribe();
        let EngineState::Unreachable { reason } = engine.state else { panic!() };
        assert!(reason.contains("connection refused"), "{reason}");
        assert_eq!(engine.version.as_deref(), Some("20.10.24"));
        assert_eq!(containers.len(), 1, "unknown is not empty");
        assert_eq!(picture.running(), []);
    }

    #[test]
    fn a_probe_does_not_touch_the_picture() {
        let picture = PictureHandle::default();
        let probed = picture.engine_as_identified(Ok(EngineInfo::default()));
        assert_eq!(probed.state, EngineState::Reachable);
        assert!(matches!(picture.engine().state, EngineState::Unreachable { .. }));
    }
}
