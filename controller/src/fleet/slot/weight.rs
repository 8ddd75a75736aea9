//! How large a picture may be: in containers, and in the bytes they take. A stranger's names may be long.

use roadstead_protocol::message::container::{Container, Port};

use crate::fleet::Kept;
use crate::fleet::feed::PictureTooLarge;

/// Most containers in one picture. A host with more has a different problem.
const MAX_CONTAINERS: usize = 10_000;

/// Most bytes in one picture: 10,000 containers with three kilobytes of labels each.
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// What a container takes besides its texts, and an entry of a collection besides its own, in bytes.
const CONTAINER: usize = 512;
const ENTRY: usize = 64;

/// About how many bytes of memory a container takes, if it shares nothing with others.
pub(super) fn weight(container: &Container) -> usize {
    let texts = [
        &container.name,
        &container.image,
        &container.image_id,
        &container.command,
        &container.restart_policy,
    ];
    let lists = container.networks.iter().chain(&container.mounts);
    CONTAINER
        + texts.into_iter().map(String::len).sum::<usize>()
        + lists.map(|entry| ENTRY + entry.len()).sum::<usize>()
        + container.labels.iter().map(|(name, value)| ENTRY + name.len() + value.len()).sum::<usize>()
        + container.ports.iter().map(port).sum::<usize>()
}

/// The same of one that is kept.
pub(super) fn weight_kept(container: &Kept) -> usize {
    let texts = [
        &container.name,
        &container.image,
        &container.image_id,
        &container.command,
        &container.restart_policy,
    ];
    let lists = container.networks.iter().chain(&*container.mounts);
    CONTAINER
        + texts.into_iter().map(|text| text.len()).sum::<usize>()
        + lists.map(|entry| ENTRY + entry.len()).sum::<usize>()
        + container.labels.iter().map(|(name, value)| ENTRY + name.len() + value.len()).sum::<usize>()
        + container.ports.iter().map(port).sum::<usize>()
}

fn port(port: &Port) -> usize {
    ENTRY + port.protocol.len() + port.host_ip.as_ref().map_or(0, String::len)
}

/// Whether so much is still a picture.
pub(super) const fn limit(containers: usize, bytes: usize) -> Result<(), PictureTooLarge> {
    if containers > MAX_CONTAINERS {
        return Err(PictureTooLarge::Containers { limit: MAX_CONTAINERS });
    }
    if bytes > MAX_BYTES {
        return Err(PictureTooLarge::Bytes { limit: MAX_BYTES });
    }
    Ok(())
}
