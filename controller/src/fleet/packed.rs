//! The containers of a host as they lie on disk: each text, list of ports and name of a field once, so that ten thousand
//! hosts are read in a moment.

use std::collections::HashMap;
use std::sync::Arc;

use roadstead_protocol::message::container::{ContainerHealth, ContainerState, Port};
use roadstead_protocol::message::ids::ContainerId;
use roadstead_protocol::message::time::UnixMicros;
use serde::{Deserialize, Serialize};

use super::kept::{Containers, Kept, Pool};

/// Containers, which refer to texts and lists of ports by their places. New fields need a default: an older picture is
/// read by a newer program.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Packed<'a> {
    #[serde(borrow)]
    texts: Vec<&'a str>,
    ports: Vec<Vec<Port>>,
    containers: Vec<Entry>,
}

/// A container; its fields in the order of [`Kept`].
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    #[serde(rename = "i")]
    id: ContainerId,
    #[serde(rename = "n")]
    name: u32,
    #[serde(rename = "g")]
    image: u32,
    #[serde(rename = "d")]
    image_id: u32,
    #[serde(rename = "c")]
    command: u32,
    #[serde(rename = "t")]
    created_at: UnixMicros,
    #[serde(rename = "s")]
    state: ContainerState,
    #[serde(rename = "h")]
    health: ContainerHealth,
    #[serde(rename = "b")]
    started_at: Option<UnixMicros>,
    #[serde(rename = "e")]
    finished_at: Option<UnixMicros>,
    #[serde(rename = "x")]
    exit_code: Option<i64>,
    #[serde(rename = "o")]
    oom_killed: bool,
    #[serde(rename = "p")]
    ports: u32,
    #[serde(rename = "w")]
    networks: Vec<u32>,
    #[serde(rename = "m")]
    mounts: Vec<u32>,
    #[serde(rename = "l")]
    labels: Vec<(u32, u32)>,
    #[serde(rename = "z")]
    labels_truncated: bool,
    #[serde(rename = "r")]
    restart_policy: u32,
}

/// A place that does not exist: the picture is not what was written.
#[derive(Debug, thiserror::Error)]
#[error("it refers to what is not in it")]
pub(super) struct NowhereToBeFound;

impl<'a> Packed<'a> {
    /// Packs the containers of a host.
    pub(super) fn new(containers: &'a Containers) -> Self {
        let mut packed = Self::default();
        let (mut texts, mut ports) = (HashMap::new(), HashMap::new());
        let mut text = |text: &'a Arc<str>| {
            *texts.entry(&**text).or_insert_with(|| {
                packed.texts.push(&**text);
                place(packed.texts.len() - 1)
            })
        };
        for one in containers.values() {
            let of_ports = *ports.entry(&*one.ports).or_insert_with(|| {
                packed.ports.push(one.ports.to_vec());
                place(packed.ports.len() - 1)
            });
            packed.containers.push(Entry {
                id: one.id.clone(),
                name: text(&one.name),
                image: text(&one.image),
                image_id: text(&one.image_id),
                command: text(&one.command),
                created_at: one.created_at,
                state: one.state,
                health: one.health,
                started_at: one.started_at,
                finished_at: one.finished_at,
                exit_code: one.exit_code,
                oom_killed: one.oom_killed,
                ports: of_ports,
                networks: one.networks.iter().map(&mut text).collect(),
                mounts: one.mounts.iter().map(&mut text).collect(),
                labels: one.labels.iter().map(|(name, value)| (text(name), text(value))).collect(),
                labels_truncated: one.labels_truncated,
                restart_policy: text(&one.restart_policy),
            });
        }
        packed
    }

    /// The containers.
    ///
    /// # Errors
    /// If they are not what was packed.
    pub(super) fn unpack(self, pool: &Pool) -> Result<Containers, NowhereToBeFound> {
        let sets = &mut *pool.lock();
        let texts: Vec<Arc<str>> = self.texts.into_iter().map(|text| sets.text(text)).collect();
        let ports: Vec<Arc<[Port]>> = self.ports.into_iter().map(|ports| sets.ports(ports)).collect();
        let text = |place: u32| found(&texts, place);
        let list = |places: Vec<u32>| places.into_iter().map(text).collect::<Result<Vec<_>, _>>();
        let mut kept = Vec::with_capacity(self.containers.len());
        for one in self.containers {
            let labels = one.labels.into_iter().map(|(name, value)| Ok((text(name)?, text(value)?)));
            kept.push(Arc::new(Kept {
                name: text(one.name)?,
                image: text(one.image)?,
                image_id: text(one.image_id)?,
                command: text(one.command)?,
                ports: found(&ports, one.ports)?,
                networks: sets.list(list(one.networks)?),
                mounts: sets.list(list(one.mounts)?),
                labels: sets.labels(labels.collect::<Result<Vec<_>, NowhereToBeFound>>()?),
                restart_policy: text(one.restart_policy)?,
                id: one.id,
                created_at: one.created_at,
                state: one.state,
                health: one.health,
                started_at: one.started_at,
                finished_at: one.finished_at,
                exit_code: one.exit_code,
                oom_killed: one.oom_killed,
                labels_truncated: one.labels_truncated,
            }));
        }
        Ok(kept.into_iter().collect())
    }
}

/// There are far fewer texts in a picture than this holds: it is bounded in bytes.
fn place(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn found<T: ?Sized>(all: &[Arc<T>], place: u32) -> Result<Arc<T>, NowhereToBeFound> {
    let place = usize::try_from(place).map_err(|_| NowhereToBeFound)?;
    all.get(place).cloned().ok_or(NowhereToBeFound)
}

#[cfg(test)]
mod tests {
    use roadstead_protocol::message::codec;
    use roadstead_protocol::message::container::Container;

    use super::*;
    use crate::fixtures::container;

    fn shop(number: u32) -> Container {
        let text = str::to_owned;
        Container {
            labels: [("a", "shop"), ("b", "shop"), ("c", "other")].map(|(a, b)| (text(a), text(b))).into(),
            networks: vec![text("shop_default"), text("web")],
            mounts: vec![text("shop")],
            ports: vec![Port { private: 80, protocol: text("tcp"), host_ip: None, public: Some(8080) }],
            exit_code: Some(-1),
            finished_at: Some(UnixMicros(7)),
            ..container(number, ContainerState::Exited)
        }
    }

    #[test]
    fn what_is_packed_comes_out_again_and_takes_less() {
        let pool = Pool::default();
        let told: Vec<_> = (0..20).map(shop).chain([container(77, ContainerState::Running)]).collect();
        let kept: Containers = told.iter().map(|one| Arc::new(pool.keep(one.clone()))).collect();
        let bytes = codec::encode(&Packed::new(&kept), usize::MAX).unwrap();
        assert!(bytes.len() * 2 < codec::encode(&told, usize::MAX).unwrap().len(), "{} bytes", bytes.len());
        let packed: Packed<'_> = codec::decode(&bytes, usize::MAX).unwrap();
        assert_eq!(packed.unpack(&Pool::default()).unwrap(), kept);
    }

    #[test]
    fn what_refers_to_nothing_is_refused() {
        let pool = Pool::default();
        let kept: Containers = [Arc::new(pool.keep(shop(1)))].into_iter().collect();
        let mut packed = Packed::new(&kept);
        packed.texts.pop();
        assert!(packed.unpack(&pool).is_err());
    }
}
