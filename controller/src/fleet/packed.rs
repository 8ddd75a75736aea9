//! The containers of a host as they lie on disk: each text and each list once, and no names of fields, so that ten thousand
//! hosts are read in a moment.
//!
//! They are bytes: a version, and then, each counted, the texts, the lists of texts, the lists of ports and the
//! containers, which refer to those before them by their places. Whatever changes in that is another version; an earlier
//! one is read for as long as there may be pictures of it.

use std::fmt;

use roadstead_protocol::message::container::{ContainerHealth, ContainerState};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::kept::Containers;
use super::pool::Pool;

mod earlier;
mod reading;
#[cfg(test)]
mod tests;
mod writing;

pub(super) use writing::pack;

/// Packed containers as they are found.
#[derive(Debug)]
pub(super) enum Packed<'a> {
    /// As they are packed now.
    Bytes(&'a [u8]),
    /// As programs packed them before, with names.
    Named(earlier::Named<'a>),
}

/// Why packed containers cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    /// They end too early or too late, or refer to what is not there.
    #[error("the containers in it are not what was written")]
    Damaged,
    /// The program that wrote them is newer.
    #[error("the containers in it are packed in form {0}, this program knows form {VERSION}")]
    Newer(usize),
}

/// The form that is written.
const VERSION: usize = 1;

/// States by their numbers; a further one comes last.
const STATES: [ContainerState; 8] = [
    ContainerState::Unknown,
    ContainerState::Created,
    ContainerState::Running,
    ContainerState::Paused,
    ContainerState::Restarting,
    ContainerState::Removing,
    ContainerState::Exited,
    ContainerState::Dead,
];

/// Results of health checks by their numbers; a further one comes last.
const HEALTHS: [ContainerHealth; 5] = [
    ContainerHealth::Unknown,
    ContainerHealth::None,
    ContainerHealth::Starting,
    ContainerHealth::Healthy,
    ContainerHealth::Unhealthy,
];

/// What a container has or has not, a bit each.
mod flags {
    pub const OOM_KILLED: usize = 1;
    pub const LABELS_TRUNCATED: usize = 1 << 1;
    pub const STARTED_AT: usize = 1 << 2;
    pub const FINISHED_AT: usize = 1 << 3;
    pub const EXIT_CODE: usize = 1 << 4;
}

impl Packed<'_> {
    /// The containers.
    ///
    /// # Errors
    /// If they are not what was packed, or a newer program packed them.
    pub(super) fn unpack(self, pool: &Pool) -> Result<Containers, Unreadable> {
        let sets = &mut *pool.lock();
        match self {
            Self::Bytes(bytes) => reading::unpack(bytes, sets),
            Self::Named(named) => named.unpack(sets),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Packed<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Packed<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("packed containers")
            }

            fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Packed<'de>, E> {
                Ok(Packed::Bytes(bytes))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Packed<'de>, A::Error> {
                Deserialize::deserialize(MapAccessDeserializer::new(map)).map(Packed::Named)
            }
        }
        deserializer.deserialize_any(Either)
    }
}
