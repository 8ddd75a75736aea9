//! Containers as programs packed them until December 2026: MessagePack with names of fields. Only read.

use std::sync::Arc;

use roadstead_protocol::message::container::{ContainerHealth, ContainerState, Port};
use roadstead_protocol::message::ids::ContainerId;
use roadstead_protocol::message::time::UnixMicros;
use serde::Deserialize;

use super::Unreadable;
use crate::fleet::kept::{Containers, Kept};
use crate::fleet::pool::Sets;

/// Containers, which refer to texts and lists of ports by their places.
#[derive(Debug, Deserialize)]
pub(in crate::fleet) struct Named<'a> {
    #[serde(borrow)]
    texts: Vec<&'a str>,
    ports: Vec<Vec<Port>>,
    containers: Vec<Entry>,
}

/// A container; its fields in the order of [`Kept`].
#[derive(Debug, Deserialize)]
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

impl Named<'_> {
    /// The containers.
    ///
    /// # Errors
    /// If they are not what was packed.
    pub(super) fn unpack(self, sets: &mut Sets) -> Result<Containers, Unreadable> {
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
                networks: sets.list(&list(one.networks)?),
                mounts: sets.list(&list(one.mounts)?),
                labels: sets.labels(&labels.collect::<Result<Vec<_>, Unreadable>>()?),
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

fn found<T: ?Sized>(all: &[Arc<T>], place: u32) -> Result<Arc<T>, Unreadable> {
    let place = usize::try_from(place).map_err(|_| Unreadable::Damaged)?;
    all.get(place).cloned().ok_or(Unreadable::Damaged)
}
