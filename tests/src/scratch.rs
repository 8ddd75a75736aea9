//! Folders that belong to one test, and what is left of tests that were killed.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context;

/// Short, since the path of a unix socket may have 107 bytes at most.
pub(crate) const ROOT: &str = "/tmp/roadstead-tests";

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A folder of its own with a short path, removed on drop.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes an empty folder, and removes those of processes that are gone.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new() -> anyhow::Result<Self> {
        std::fs::create_dir_all(ROOT).with_context(|| format!("cannot make {ROOT}"))?;
        sweep(Path::new(ROOT));
        let name = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(ROOT).join(name);
        std::fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self { path })
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next run's sweep.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Removes the folders whose process is gone.
fn sweep(root: &Path) {
    let Ok(entries) = std::fs::read_dir(root) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.split_once('-')?.0.parse::<u32>().ok());
        if owner.is_some_and(|process| !Path::new("/proc").join(process.to_string()).exists()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// A port of 127.0.0.1 that nothing listened on a moment ago: for programs that cannot take port 0.
///
/// # Errors
/// When no port can be bound at all.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_process_left_is_swept() {
        let root = tempfile::tempdir().unwrap();
        let (dead, own) =
            (root.path().join("4194305-0"), root.path().join(format!("{}-9", std::process::id())));
        std::fs::create_dir(&dead).unwrap();
        std::fs::create_dir(&own).unwrap();
        sweep(root.path());
        assert!(!dead.exists());
        assert!(own.exists());
    }
}
