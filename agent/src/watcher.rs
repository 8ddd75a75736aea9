//! Keeps the picture of the host true: subscribe to the engine's events, then list, then follow.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use roadstead_protocol::message::container::Container;
use roadstead_protocol::message::event::EventKind;
use roadstead_protocol::message::ids::ContainerId;
use roadstead_protocol::message::snapshot::{Change, Engine, EngineState};
use roadstead_protocol::message::time::UnixMicros;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::engine::{EngineError, EngineInfo, EngineView};
use crate::inventory::{Difference, Inventory};
use crate::outbox::Outbox;

/// Changes kept for a slow session; one that falls further behind takes the whole again.
const WAITING_CHANGES: usize = 1024;

/// The shared picture; a clone is another handle on the same one.
#[derive(Clone)]
pub struct PictureHandle {
    inner: Arc<Mutex<Picture>>,
}

struct Picture {
    engine: Engine,
    inventory: Inventory,
    changes: broadcast::Sender<Difference>,
}

/// The changes after a whole picture.
pub struct Changes(broadcast::Receiver<Difference>);

impl Changes {
    /// The next change; none if the reader fell behind and has to take the whole again.
    pub async fn next(&mut self) -> Option<Change> {
        Some(match self.0.recv().await.ok()? {
            Difference::Upsert(container) => {
                Change::Upsert { container: Box::new(Arc::unwrap_or_clone(container)) }
            }
            Difference::Remove(id) => Change::Remove { id },
            Difference::Engine(engine) => Change::Engine { engine },
        })
    }
}

impl Default for PictureHandle {
    fn default() -> Self {
        let engine = Engine {
            state: EngineState::Unreachable { reason: "not asked yet".to_owned() },
            since: UnixMicros::now(),
            version: None,
            api_version: None,
            os: None,
            cpus: None,
            memory_bytes: None,
        };
        let (changes, _) = broadcast::channel(WAITING_CHANGES);
        let picture = Picture { engine, inventory: Inventory::default(), changes };
        Self { inner: Arc::new(Mutex::new(picture)) }
    }
}

impl PictureHandle {
    /// The whole picture and the changes that follow it, taken under one lock.
    #[must_use]
    pub fn subscribe(&self) -> (Engine, Vec<Arc<Container>>, Changes) {
        let picture = self.lock();
        let containers = picture.inventory.iter().cloned().collect();
        (picture.engine.clone(), containers, Changes(picture.changes.subscribe()))
    }

    /// The containers that run.
    #[must_use]
    pub fn running(&self) -> Vec<ContainerId> {
        self.lock().inventory.running()
    }

    /// The engine as it answered just now, by the picture's account of since when.
    #[must_use]
    pub fn engine_as_identified(&self, identified: Result<EngineInfo, EngineError>) -> Engine {
        let picture = self.lock();
        described(&picture.engine, identified)
    }

    fn set_engine(&self, identified: Result<EngineInfo, EngineError>) {
        let mut picture = self.lock();
        let engine = described(&picture.engine, identified);
        if engine != picture.engine {
            picture.engine = engine.clone();
            let _ = picture.changes.send(Difference::Engine(engine));
        }
    }

    fn update<D: IntoIterator<Item = Difference>>(&self, update: impl FnOnce(&mut Inventory) -> D) {
        let mut picture = self.lock();
        for difference in update(&mut picture.inventory) {
            let _ = picture.changes.send(difference);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Picture> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn described(known: &Engine, identified: Result<EngineInfo, EngineError>) -> Engine {
    let state = match &identified {
        Ok(_) => EngineState::Reachable,
        Err(error) => EngineState::Unreachable { reason: error.to_string() },
    };
    let same = std::mem::discriminant(&state) == std::mem::discriminant(&known.state);
    let since = if same { known.since } else { UnixMicros::now() };
    match identified {
        Ok(info) => Engine {
            state,
            since,
            version: Some(info.version),
            api_version: Some(info.api_version),
            os: Some(info.os),
            cpus: Some(info.cpus),
            memory_bytes: Some(info.memory_bytes),
        },
        Err(_) => Engine { state, since, ..known.clone() },
    }
}

/// Watches the engine until `shutdown`.
pub async fn watch<E: EngineView>(
    engine: Arc<E>,
    outbox: Outbox,
    picture: PictureHandle,
    shutdown: CancellationToken,
) {
    let work = async {
        loop {
            let error = follow(&*engine, &outbox, &picture).await;
            picture.set_engine(Err(error));
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let _: Option<()> = shutdown.run_until_cancelled(work).await;
}

async fn follow<E: EngineView>(engine: &E, outbox: &Outbox, picture: &PictureHandle) -> EngineError {
    let work = async {
        let info = engine.identify().await?;
        let mut events = engine.events(outbox.last_engine_time()).await?;
        let list = engine.containers().await?;
        picture.set_engine(Ok(info));
        picture.update(|inventory| inventory.replace(list));
        while let Some(event) = events.next().await {
            let event = event?;
            if let Some(what) = event.what
                && let Err(error) = outbox.append(event.at, what).await
            {
                tracing::error!(%error, "cannot record an event");
            }
            if let Some(id) = event.container {
                match engine.container(id.as_str()).await? {
                    Some(container) => picture.update(|inventory| inventory.upsert(container)),
                    None => picture.update(|inventory| inventory.remove(&id)),
                }
            }
        }
        Ok::<(), EngineError>(())
    };
    match work.await {
        Ok(()) => EngineError::Unreachable("the event stream ended".to_owned()),
        Err(error) => error,
    }
}

#[allow(unused)]
fn kinds(_: EventKind) {}
