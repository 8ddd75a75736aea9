//! Folders and address blocks that belong to one test, and what is left of tests that were killed.

use std::fs::{File, TryLockError};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, bail};

/// Short, since the path of a unix socket may have 107 bytes at most.
const ROOT: &str = "/tmp/roadstead-tests";

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

/// A block of 1,024 addresses that no other test on this machine uses while this value lives.
///
/// The blocks lie in 198.18.0.0/15, which is set aside for tests of networks.
#[derive(Debug)]
pub struct AddressBlock {
    number: u8,
    /// The lock ends with the process, however it ends.
    _lock: File,
}

impl AddressBlock {
    /// Takes a free block.
    ///
    /// # Errors
    /// When all 128 are taken.
    pub fn take() -> anyhow::Result<Self> {
        let directory = Path::new(ROOT).join("blocks");
        std::fs::create_dir_all(&directory)?;
        for number in 0..128 {
            let file = File::create(directory.join(number.to_string()))?;
            match file.try_lock() {
                Ok(()) => return Ok(Self { number, _lock: file }),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error).context("cannot lock an address block"),
            }
        }
        bail!("all 128 address blocks are taken by running tests")
    }

    /// Which block, 0 to 127: for names that must be as distinct as the addresses.
    #[must_use]
    pub fn number(&self) -> u8 {
        self.number
    }

    /// The address at `offset` (0 to 1,023) in the block.
    #[must_use]
    pub fn address(&self, offset: u16) -> Ipv4Addr {
        let base = u32::from(Ipv4Addr::new(198, 18, 0, 0)) + (u32::from(self.number) << 10);
        Ipv4Addr::from(base + u32::from(offset & 0x3ff))
    }

    /// Whether `address` lies in the block.
    #[must_use]
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        u32::from(address) >> 10 == u32::from(self.address(0)) >> 10
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
    fn two_blocks_differ_and_do_not_overlap() {
        let (one, other) = (AddressBlock::take().unwrap(), AddressBlock::take().unwrap());
        assert_ne!(one.number(), other.number());
        assert!(one.contains(one.address(1023)));
        assert!(!other.contains(one.address(1023)));
    }

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
