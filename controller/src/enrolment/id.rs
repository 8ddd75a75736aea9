//! Where instance ids come from.
//!
//! An instance with an address has its id from that address, so that registering it again finds its history. An
//! agent that joins by a token for no instance in particular has it from its key. An instance that is registered
//! before its agent has ever shown a key has neither, and gets a random one.

use roadstead_protocol::message::ids::{InstanceId, PeerKey};
use sha2::{Digest as _, Sha256};

/// Characters of an id.
const LENGTH: usize = 16;

/// The id of an instance that the controller dials at `url`, which is in its normal form.
#[must_use]
pub fn of_url(url: &str) -> InstanceId {
    from_bytes(&Sha256::digest(url))
}

/// The id of an instance whose agent has `key`.
#[must_use]
pub fn of_key(key: &PeerKey) -> InstanceId {
    from_bytes(&key.0)
}

/// An id from nothing.
#[must_use]
pub fn random() -> InstanceId {
    from_bytes(&rand::random::<[u8; LENGTH / 2]>())
}

fn from_bytes(bytes: &[u8]) -> InstanceId {
    let text: String = bytes.iter().take(LENGTH / 2).map(|byte| format!("{byte:02x}")).collect();
    match InstanceId::try_from(text) {
        Ok(id) => id,
        Err(_) => unreachable!("hexadecimal digits make an id"),
    }
}
