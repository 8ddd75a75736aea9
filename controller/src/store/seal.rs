//! The seal: a checksum of the database that lies beside it while nobody has it open, so that whatever a disk did to it
//! meanwhile is noticed before anything is read. SQLite itself has no checksums in its database file, only in its log.
//!
//! Whoever has the database open holds a shared lock. The last to close it takes the lock alone and seals; the first to
//! open it takes the lock alone, holds the database against the seal and breaks that before anything is written. A
//! database without a seal was not closed (killed, power cut): its structure is checked instead.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::{FILE, StoreError};

#[cfg(test)]
mod tests;

/// Bytes of the database that are read at once.
const CHUNK: usize = 256 * 1024;

/// The lock on a database that is open.
#[derive(Debug)]
pub(super) struct Seal {
    lock: File,
    database: PathBuf,
}

/// How a database was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// As it was closed.
    Sealed,
    /// Not closed, or not there yet.
    Unsealed,
    /// Open elsewhere, where it was looked at.
    InUse,
}

impl Seal {
    /// Takes the database in `directory` into use.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if it is not what was sealed; then it is left as it is.
    pub fn open(directory: &Path) -> Result<(Self, State), StoreError> {
        let seal = Self::unlocked(directory)?;
        loop {
            match seal.lock.try_lock() {
                Ok(()) => {
                    let state = seal.broken()?;
                    seal.lock.lock_shared().map_err(|error| seal.failed(error))?;
                    return Ok((seal, state));
                }
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(seal.failed(error)),
            }
            seal.lock.lock_shared().map_err(|error| seal.failed(error))?;
            if !seal.path().exists() {
                return Ok((seal, State::InUse));
            }
            // Whoever has it open has broken the seal. So it was being sealed meanwhile, or found damaged.
            seal.lock.unlock().map_err(|error| seal.failed(error))?;
        }
    }

    /// The database in `directory` for this process alone, whatever state it is in; none if it is open elsewhere.
    pub fn alone(directory: &Path) -> Result<Option<Self>, StoreError> {
        let seal = Self::unlocked(directory)?;
        Ok(seal.lock.try_lock().is_ok().then_some(seal))
    }

    fn unlocked(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join("roadstead.lock");
        let mut options = OpenOptions::new();
        let lock = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let lock = lock.map_err(|error| StoreError::File { path, error })?;
        Ok(Self { lock, database: directory.join(FILE) })
    }

    /// Holds the database against its seal, and breaks that.
    fn broken(&self) -> Result<State, StoreError> {
        let path = self.path();
        let sealed = match std::fs::read_to_string(&path) {
            Ok(sealed) => sealed,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(State::Unsealed),
            Err(error) => return Err(StoreError::File { path, error }),
        };
        if self.sum().map_err(|error| self.failed(error))? != sealed {
            let what = format!(
                "it is not as it was closed (if you put another file there yourself, remove {})",
                path.display()
            );
            return Err(StoreError::Damaged { path: self.database.clone(), what });
        }
        self.forget().map_err(|error| self.failed(error))?;
        Ok(State::Sealed)
    }

    /// Removes the seal, durably: one that came back after a power cut would belong to an older database.
    pub fn forget(&self) -> io::Result<()> {
        match std::fs::remove_file(self.path()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.sync_directory()
    }

    /// Seals the database that this process has closed, unless another one has it open or it was not closed well.
    pub fn close(self) {
        let log = self.database.with_extension("db-wal");
        if self.lock.try_lock().is_err() || log.exists() {
            return;
        }
        let written = self.sum().and_then(|sum| {
            let aside = self.path().with_extension("new");
            let mut file = File::create(&aside)?;
            file.write_all(sum.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&aside, self.path())?;
            self.sync_directory()
        });
        if let Err(error) = written {
            tracing::warn!(%error, path = %self.path().display(), "cannot seal the store; its next start takes longer");
        }
    }

    /// The database's size and checksum, as the seal says them.
    fn sum(&self) -> io::Result<String> {
        let mut file = File::open(&self.database)?;
        let mut hasher = crc32fast::Hasher::new();
        let mut bytes = vec![0; CHUNK];
        let mut size = 0;
        loop {
            match file.read(&mut bytes)? {
                0 => return Ok(format!("{size} bytes, CRC-32 {:08x}\n", hasher.finalize())),
                read => {
                    hasher.update(&bytes[..read]);
                    size += read;
                }
            }
        }
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.database.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
    }

    fn path(&self) -> PathBuf {
        self.database.with_extension("db.seal")
    }

    fn failed(&self, error: io::Error) -> StoreError {
        StoreError::File { path: self.database.clone(), error }
    }
}
