//! Pictures on disk, so that a restarted controller shows each host as it was, with its age, instead of nothing.

use std::collections::HashMap;
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

use super::packed::{self, Packed};
use super::slot::Slot;
use super::{Containers, Fleet, Host, LinkState, LinkStatus, Pool};
use crate::model::InstanceRecord;
use crate::store::{Store, StoreError};

/// How often changed pictures are saved: what a killed controller forgets at most. Agents tell it again.
const EVERY: Duration = Duration::from_secs(15);

/// Ticks of that after which the last contacts of those are saved that are connected: five minutes, since the last contact
/// of who is connected is now, and to write it for ten thousand takes more than a second of a core. It is what is shown of
/// an agent that does not come back after the controller was killed.
const CONTACTS_EVERY: u32 = 20;

/// How long agents have after a restart of the controller before they count as lost: longer than the longest
/// back-off of an agent that the controller was away from.
const WAIT: Duration = Duration::from_secs(90);

/// Hosts that are saved in one write: enough to share its commit, few enough that others need not wait long.
const OF_ONE_WRITE: usize = 256;

/// Largest picture that is saved, in bytes. A larger one is not, and its host is empty until its agent is back.
const MAX_PICTURE: usize = 256 * 1024 * 1024;

/// A host's picture as it is written.
#[derive(Serialize)]
struct Written<'a> {
    engine: Option<&'a Engine>,
    #[serde(with = "serde_bytes")]
    packed: Vec<u8>,
    synced_at: Option<UnixMicros>,
}

/// A host's picture as it is read. New fields need a default: an older file is read by a newer program.
#[derive(Deserialize)]
struct Picture<'a> {
    engine: Option<Engine>,
    /// As the first programs wrote them.
    #[serde(default)]
    containers: Vec<Container>,
    #[serde(borrow, default)]
    packed: Option<Packed<'a>>,
    synced_at: Option<UnixMicros>,
}

/// Enters every registered instance with its last picture. Call it before agents can connect.
///
/// # Errors
/// If the store cannot be read. A picture that cannot be read is left out, with a warning: its agent brings it anew.
pub async fn load(fleet: &Fleet, store: &Store) -> Result<(), StoreError> {
    let records = store.instances().await?;
    let mut pictures = store.pictures(|id, bytes| read(id, bytes, &fleet.inner.pool))?;
    let now = UnixMicros::now();
    for record in records {
        let slot = match pictures.remove(&record.id).flatten() {
            Some(known) => {
                let form = known.form;
                let mut slot = Slot::with_host(restored(record, known, now));
                if form == Form::Earlier {
                    slot.keep_unsaved();
                }
                slot
            }
            None if record.last_seen.is_some() => Slot::with_host(restored(record, Known::default(), now)),
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
    let (mut saved_seen, mut ticked) = (HashMap::new(), 0_u32);
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        ticked = ticked.wrapping_add(1);
        fleet.tick();
        if started.elapsed() >= WAIT {
            fleet.end_wait();
        }
        let contacts = if ticked.is_multiple_of(CONTACTS_EVERY) { Contacts::All } else { Contacts::Past };
        save(&fleet, &store, &mut saved_seen, contacts).await;
    }
    save(&fleet, &store, &mut saved_seen, Contacts::All).await;
}

/// Whose last contacts are to be saved.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Contacts {
    All,
    /// Those of hosts that are not connected.
    Past,
}

/// Saves what changed since the last time. A failure is logged and made good the next time.
async fn save(
    fleet: &Fleet,
    store: &Store,
    saved_seen: &mut HashMap<InstanceId, UnixMicros>,
    contacts: Contacts,
) {
    let unsaved = fleet.take_unsaved();
    let seen: Vec<_> = fleet
        .hosts()
        .iter()
        .filter(|host| contacts == Contacts::All || !host.link.state.is_connected())
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
    match codec::encode(&Written::of(host), MAX_PICTURE) {
        Ok(bytes) => Some((id.clone(), bytes)),
        Err(error) => {
            tracing::warn!(instance = %id, %error, "the picture of a host is not saved");
            None
        }
    }
}

/// What is known of a host from its picture.
#[derive(Default)]
struct Known {
    engine: Option<Engine>,
    containers: Containers,
    synced_at: Option<UnixMicros>,
    form: Form,
}

/// How a picture lies on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Form {
    #[default]
    Present,
    /// It is written anew: most hosts hardly ever change, and it takes twice as long to be read at every start.
    Earlier,
}

fn read(instance: &InstanceId, bytes: &[u8], pool: &Pool) -> Option<Known> {
    let unreadable = |error: &dyn std::fmt::Display| {
        tracing::warn!(%instance, %error, "the saved picture of a host cannot be read");
    };
    let picture: Picture<'_> =
        codec::decode(bytes, MAX_PICTURE).inspect_err(|error| unreadable(error)).ok()?;
    let form = if matches!(picture.packed, Some(Packed::Bytes(_))) { Form::Present } else { Form::Earlier };
    let containers = match picture.packed {
        Some(packed) => packed.unpack(pool).inspect_err(|error| unreadable(error)).ok()?,
        None => picture.containers.into_iter().map(|container| Arc::new(pool.keep(container))).collect(),
    };
    Some(Known { engine: picture.engine, containers, synced_at: picture.synced_at, form })
}

fn restored(record: InstanceRecord, known: Known, now: UnixMicros) -> Host {
    let link = LinkStatus {
        state: LinkState::Awaited,
        since: record.last_seen.unwrap_or(now),
        direction: None,
        remote: None,
        reason: Some("the controller was restarted".to_owned()),
    };
    // The picture was kept current until the last contact, although it may not have changed since long before.
    let synced_at = known.synced_at.max(known.synced_at.and(record.last_seen));
    Host {
        record,
        link,
        engine: known.engine,
        containers: known.containers,
        figures: HashMap::new(),
        synced_at,
        stale: true,
        round_trip: None,
    }
}

impl<'a> Written<'a> {
    fn of(host: &'a Host) -> Self {
        let packed = packed::pack(&host.containers);
        Self { engine: host.engine.as_ref(), packed, synced_at: host.synced_at }
    }
}

#[cfg(test)]
mod tests {
    use roadstead_protocol::message::container::ContainerState;

    use super::*;
    use crate::fixtures::{container, engine, instance, kept, record};

    /// A picture as programs wrote it before containers were packed.
    #[derive(Serialize)]
    struct Earlier {
        engine: Option<Engine>,
        containers: Vec<Container>,
        synced_at: Option<UnixMicros>,
    }

    #[test]
    fn pictures_of_earlier_programs_are_read() {
        let containers: Vec<_> = (1..4).map(|number| container(number, ContainerState::Running)).collect();
        let earlier = Earlier {
            engine: Some(engine()),
            containers: containers.clone(),
            synced_at: Some(UnixMicros(3)),
        };
        let bytes = codec::encode(&earlier, MAX_PICTURE).unwrap();
        let known = read(&instance("a"), &bytes, &Pool::default()).unwrap();
        let expected: Containers = containers.into_iter().map(|one| Arc::new(kept(one))).collect();
        assert_eq!((known.containers, known.synced_at), (expected, Some(UnixMicros(3))));
        assert_eq!(known.engine, Some(engine()));
    }

    #[tokio::test]
    async fn pictures_in_an_earlier_form_are_written_anew_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store.insert_instance(record("a")).await.unwrap().unwrap();
        let containers = vec![container(1, ContainerState::Running)];
        let earlier = Earlier { engine: Some(engine()), containers, synced_at: Some(UnixMicros(3)) };
        let bytes = codec::encode(&earlier, MAX_PICTURE).unwrap();
        store.save_pictures(vec![(instance("a"), bytes)], UnixMicros(4)).await.unwrap();
        let mut seen = Vec::new();
        for unsaved in [1, 0] {
            let fleet = Fleet::new();
            load(&fleet, &store).await.unwrap();
            seen.push(fleet.host(&instance("a")).unwrap().containers.clone());
            let written_anew = fleet.take_unsaved();
            assert_eq!(written_anew.len(), unsaved);
            try_save(&written_anew, &[], &store).await.unwrap();
        }
        assert_eq!((seen[0].len(), &seen[0]), (1, &seen[1]));
    }
}
