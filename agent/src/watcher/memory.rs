//! What the watcher keeps over a restart of the agent: the stories told so far, in one small file.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use roadstead_protocol::message::time::UnixMicros;
use serde::{Deserialize, Serialize};

use crate::inventory::story::Stories;

/// The file's contents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Memory {
    /// The stories.
    pub stories: Stories,
    /// The newest engine event they contain.
    pub until: Option<UnixMicros>,
    /// Whether the last thing told of the engine was that it does not answer.
    pub engine_lost: bool,
}

impl Memory {
    /// What is in the file; nothing if there is none or it is damaged. Then only what the engine replays is known of
    /// the time before.
    pub fn load(path: &Path) -> Self {
        match read(path) {
            Ok(memory) => memory,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::default(),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the watcher's memory is lost");
                Self::default()
            }
        }
    }

    /// Writes the file, whole or not at all.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let body = rmp_serde::to_vec_named(self).map_err(io::Error::other)?;
        let fresh = path.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(&crc32fast::hash(&body).to_le_bytes())?;
        file.write_all(&body)?;
        file.sync_data()?;
        fs::rename(&fresh, path)
    }
}

fn read(path: &Path) -> io::Result<Memory> {
    let bytes = fs::read(path)?;
    let damaged = |_| io::Error::new(io::ErrorKind::InvalidData, "its checksum is wrong");
    let (checksum, body) = bytes.split_at_checked(4).ok_or(()).map_err(damaged)?;
    if crc32fast::hash(body).to_le_bytes() != checksum {
        return Err(damaged(()));
    }
    rmp_serde::from_slice(body).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fake::FakeEngine;

    #[tokio::test]
    async fn what_was_saved_is_loaded_and_damage_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("memory");
        assert_eq!(Memory::load(&path), Memory::default());
        let mut stories = Stories::default();
        let container = FakeEngine::new().sample("web", "app:1");
        stories.infer(&container.id, Some(&container));
        stories.begin();
        let memory = Memory { stories, until: Some(UnixMicros(5)), engine_lost: true };
        memory.save(&path).unwrap();
        assert_eq!(Memory::load(&path), memory);
        let bytes = fs::read(&path).unwrap();
        for cut in [0, 3, bytes.len() - 1] {
            fs::write(&path, &bytes[..cut]).unwrap();
            assert_eq!(Memory::load(&path), Memory::default());
        }
        let mut flipped = bytes;
        flipped[20] ^= 4;
        fs::write(&path, flipped).unwrap();
        assert_eq!(Memory::load(&path), Memory::default());
    }
}
