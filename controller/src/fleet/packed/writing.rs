//! Containers are packed.

use std::collections::HashMap;
use std::sync::Arc;

use roadstead_protocol::message::container::{ContainerHealth, ContainerState, Port};

use super::{VERSION, flags};
use crate::fleet::kept::{Containers, Kept};

/// Packs the containers of a host.
pub(in crate::fleet) fn pack(containers: &Containers) -> Vec<u8> {
    let (mut places, mut rows) = (Places::default(), Vec::new());
    number(&mut rows, containers.len());
    for container in containers.values() {
        places.container(container, &mut rows);
    }
    let mut bytes = Vec::new();
    number(&mut bytes, VERSION);
    for part in [&places.texts.part, &places.lists.part, &places.ports.part] {
        number(&mut bytes, part.count);
        bytes.extend_from_slice(&part.bytes);
    }
    bytes.extend_from_slice(&rows);
    bytes
}

/// What is there already, and where.
#[derive(Default)]
struct Places<'a> {
    texts: Known<&'a str>,
    lists: Known<&'a [Arc<str>]>,
    ports: Known<&'a [Port]>,
}

impl<'a> Places<'a> {
    fn container(&mut self, one: &'a Kept, bytes: &mut Vec<u8>) {
        text(bytes, one.id.as_str());
        let bits = [
            (flags::OOM_KILLED, one.oom_killed),
            (flags::LABELS_TRUNCATED, one.labels_truncated),
            (flags::STARTED_AT, one.started_at.is_some()),
            (flags::FINISHED_AT, one.finished_at.is_some()),
            (flags::EXIT_CODE, one.exit_code.is_some()),
        ];
        number(bytes, bits.iter().filter(|(_, has)| *has).map(|(flag, _)| flag).sum());
        number(bytes, number_of_state(one.state));
        number(bytes, number_of_health(one.health));
        let times = [Some(one.created_at), one.started_at, one.finished_at];
        for value in times.into_iter().flatten().map(|time| time.0).chain(one.exit_code) {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        for field in [&one.name, &one.image, &one.image_id, &one.command, &one.restart_policy] {
            number(bytes, self.text(field));
        }
        number(bytes, self.ports(&one.ports));
        number(bytes, self.list(&one.networks));
        number(bytes, self.list(&one.mounts));
        number(bytes, one.labels.len());
        for (name, value) in one.labels.iter() {
            number(bytes, self.text(name));
            number(bytes, self.text(value));
        }
    }

    fn text(&mut self, new: &'a str) -> usize {
        self.texts.place(new, |bytes| text(bytes, new))
    }

    fn list(&mut self, list: &'a [Arc<str>]) -> usize {
        let Self { texts, lists, .. } = self;
        lists.place(list, |bytes| {
            number(bytes, list.len());
            for one in list {
                number(bytes, texts.place(one, |bytes| text(bytes, one)));
            }
        })
    }

    fn ports(&mut self, list: &'a [Port]) -> usize {
        let Self { texts, ports, .. } = self;
        let mut place = |new: &'a str| texts.place(new, |bytes| text(bytes, new));
        ports.place(list, |bytes| {
            number(bytes, list.len());
            for port in list {
                bytes.extend_from_slice(&port.private.to_le_bytes());
                number(bytes, place(&port.protocol));
                bytes.push(u8::from(port.host_ip.is_some()));
                if let Some(ip) = &port.host_ip {
                    number(bytes, place(ip));
                }
                bytes.push(u8::from(port.public.is_some()));
                bytes.extend(port.public.map(u16::to_le_bytes).into_iter().flatten());
            }
        })
    }
}

/// Things that are written once, each the first time that it comes.
#[derive(Default)]
struct Known<T> {
    places: HashMap<T, usize>,
    part: Part,
}

#[derive(Default)]
struct Part {
    count: usize,
    bytes: Vec<u8>,
}

impl<T: Eq + std::hash::Hash> Known<T> {
    fn place(&mut self, one: T, write: impl FnOnce(&mut Vec<u8>)) -> usize {
        *self.places.entry(one).or_insert_with(|| {
            write(&mut self.part.bytes);
            self.part.count += 1;
            self.part.count - 1
        })
    }
}

/// Seven bits a byte, the least first; the eighth says that more follow.
#[expect(clippy::cast_possible_truncation, reason = "what goes is written in the next bytes")]
fn number(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    number(bytes, text.len());
    bytes.extend_from_slice(text.as_bytes());
}

/// Its place in [`STATES`](super::STATES).
pub(super) const fn number_of_state(state: ContainerState) -> usize {
    match state {
        ContainerState::Unknown => 0,
        ContainerState::Created => 1,
        ContainerState::Running => 2,
        ContainerState::Paused => 3,
        ContainerState::Restarting => 4,
        ContainerState::Removing => 5,
        ContainerState::Exited => 6,
        ContainerState::Dead => 7,
    }
}

/// Its place in [`HEALTHS`](super::HEALTHS).
pub(super) const fn number_of_health(health: ContainerHealth) -> usize {
    match health {
        ContainerHealth::Unknown => 0,
        ContainerHealth::None => 1,
        ContainerHealth::Starting => 2,
        ContainerHealth::Healthy => 3,
        ContainerHealth::Unhealthy => 4,
    }
}
