//! Pictures on disk, so that a restarted controller shows each host as it was, with its age, instead of nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use roadstead_protocol::message::codec;
use roadstead_protocol::message::container::Container;
use roadstead_protocol::message::ids::InstanceId;
use roadstead_protocol::message::snapshot::Engine;
use roadstead_protocol::message::time::UnixMicros;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::slot::Slot;
use super::{Fleet, Host, LinkState, LinkStatus};
use crate::model::InstanceRecord;
use crate::store::{Store, StoreError};

/// How often changed pictures are saved: what a killed controller forgets at most. Agents tell it again.
const EVERY: Duration = Duration::from_secs(15);

/// How long agents have after a restart of the controller before they count as lost: longer than the longest
/// back-off of an agent that the controller was away from.
const WAIT: Duration = Duration::from_secs(90);

/// Hosts that are saved in one write: enough to share its commit, few enough that others need not wait long.
const OF_ONE_WRITE: usize = 256;

/// Largest picture that is saved, in bytes. A larger one is not, and its host is empty until its agent is back.
const MAX_PICTURE: usize = 256 * 1024 * 1024;

/// A host's picture as it lies on disk. New fields need a default: an older file is read by a newer program.
#[derive(Serialize, Deserialize)]
struct Picture<C> {
    engine: Option<Engine>,
    containers: Vec<C>,
    synced_at: Option<UnixMicros>,
}

/// Enters every registered instance with its last picture. Call it before agents can connect.
///
/// # Errors
/// If the store cannot be read. A picture that cannot be read is left out, with a warning: its agent brings it anew.
pub async fn load(fleet: &Fleet, store: &Store) -> Result<(), StoreError> {
    let mut pictures: HashMap<InstanceId, Vec<u8>> = store.pictures().await?.into_iter().collect();
    let now = UnixMicros::now();
    for record in store.instances().await? {
        let slot = match pictures.remove(&record.id).and_then(|bytes| read(&record.id, &bytes)) {
            Some(picture) => Slot::with_host(restored(record, picture, now)),
            None if record.last_seen.is_some() => Slot::with_host(restored(record, Picture::empty(), now)),
            None => Slot::new(record),
        };
        fleet.lock().insert(slot.id(), slot);
    }
    Ok(())
}

/// Saves changed pictures every 15 seconds until `shutdown`, and once more then. Also does what falls due with time.
pub async fn run(fleet: Fleet, store: Store, shutdown: CancellationToken) {
    let started = Instant::now();
    let mut ticks = tokio::time::interval_at(started + EVERY, EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut saved_seen = HashMap::new();
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        fleet.tick();
        if started.elapsed() >= WAIT {
            fleet.end_wait();
        }
        save(&fleet, &store, &mut saved_seen).await;
    }
    save(&fleet, &store, &mut saved_seen).await;
}

/// Saves what changed since the last time. A failure is logged and made good the next time.
async fn save(fleet: &Fleet, store: &Store, saved_seen: &mut HashMap<InstanceId, UnixMicros>) {
    let unsaved = fleet.take_unsaved();
    let seen: Vec<_> = fleet
        .hosts()
        .iter()
        .filter_map(|host| Some((host.record.id.clone(), host.record.last_seen?)))
        .filter(|(id, at)| saved_seen.get(id) != Some(at))
        .collect();
    match try_save(&unsaved, &seen, store).await {
        Ok(()) => saved_seen.extend(seen),
        Err(error) => {
            tracing::warn!(%error, "cannot save pictures of hosts; look at the controller's disk");
            fleet.keep_unsaved(&unsaved);
        }
    }
}

async fn try_save(
    unsaved: &[Arc<Host>],
    seen: &[(InstanceId, UnixMicros)],
    store: &Store,
) -> Result<(), StoreError> {
    for some in unsaved.chunks(OF_ONE_WRITE) {
        let pictures = some.iter().filter_map(|host| encoded(host)).collect();
        store.save_pictures(pictures, UnixMicros::now()).await?;
    }
    for some in seen.chunks(OF_ONE_WRITE) {
        store.save_last_seen(some.to_vec()).await?;
    }
    Ok(())
}

fn encoded(host: &Host) -> Option<(InstanceId, Vec<u8>)> {
    let id = &host.record.id;
    match codec::encode(&Picture::of(host), MAX_PICTURE) {
        Ok(bytes) => Some((id.clone(), bytes)),
        Err(error) => {
            tracing::warn!(instance = %id, %error, "the picture of a host is not saved");
            None
        }
    }
}

fn read(instance: &InstanceId, bytes: &[u8]) -> Option<Picture<Container>> {
    codec::decode(bytes, MAX_PICTURE)
        .inspect_err(|error| tracing::warn!(%instance, %error, "the saved picture of a host cannot be read"))
        .ok()
}

fn restored(record: InstanceRecord, picture: Picture<Container>, now: UnixMicros) -> Host {
    let link = LinkStatus {
        state: LinkState::Awaited,
        since: record.last_seen.unwrap_or(now),
        direction: None,
        remote: None,
        reason: Some("the controller was restarted".to_owned()),
    };
    // The picture was kept current until the last contact, although it may not have changed since long before.
    let synced_at = picture.synced_at.max(picture.synced_at.and(record.last_seen));
    let containers: BTreeMap<_, _> =
        picture.containers.into_iter().map(|container| (container.id.clone(), Arc::new(container))).collect();
    Host {
        record,
        link,
        engine: picture.engine,
        containers,
        figures: HashMap::new(),
        synced_at,
        stale: true,
        round_trip: None,
    }
}

impl Picture<Container> {
    const fn empty() -> Self {
        Self { engine: None, containers: Vec::new(), synced_at: None }
    }
}

impl<'a> Picture<&'a Container> {
    fn of(host: &'a Host) -> Self {
        Self {
            engine: host.engine.clone(),
            containers: host.containers.values().map(Arc::as_ref).collect(),
            synced_at: host.synced_at,
        }
    }
}
