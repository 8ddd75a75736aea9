//! A backup in the place of a database that is damaged.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use roadstead_protocol::message::time::UnixMicros;
use rusqlite::{Connection, OpenFlags};

use super::integrity::complaints;
use super::seal::Seal;
use super::{FILE, Store, StoreError};

#[cfg(test)]
mod tests;

impl Store {
    /// Puts the backup `from` in the place of the database in `directory`, and returns where the former one lies now, if
    /// there was one.
    ///
    /// # Errors
    /// If the backup is damaged, the database is in use, or a file cannot be written; then the database is as it was.
    pub fn restore(directory: &Path, from: &Path) -> Result<Option<PathBuf>, StoreError> {
        Self::check_file(from)?;
        Self::prepare_directory(directory)?;
        let path = directory.join(FILE);
        let Some(seal) = Seal::alone(directory)? else { return Err(StoreError::InUse(path)) };
        let aside = directory.join(format!("{FILE}.restored"));
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| StoreError::File { path, error }
        };
        let copied = fs::copy(from, &aside).and_then(|_| {
            fs::set_permissions(&aside, fs::Permissions::from_mode(0o600))?;
            File::open(&aside)?.sync_all()
        });
        copied.map_err(failed(&aside))?;
        let former = directory.join(format!("{FILE}.before-{}", UnixMicros::now().as_secs()));
        let moved = seal.forget().and_then(|()| put_in_place(&aside, &path, &former));
        Ok(moved.map_err(failed(&path))?.then_some(former))
    }

    /// Reads a whole database file, such as a backup, and says whether it is whole.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if it is not.
    pub fn check_file(path: &Path) -> Result<(), StoreError> {
        let damaged = |what: String| StoreError::Damaged { path: path.to_owned(), what };
        let found = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
            .map_err(StoreError::from)
            .and_then(|connection| complaints(&connection, "PRAGMA integrity_check(5)"));
        match found {
            Ok(complaints) if complaints.is_empty() => Ok(()),
            Ok(complaints) => Err(damaged(complaints.join("; "))),
            Err(error) => Err(damaged(error.to_string())),
        }
    }
}

/// Keeps the database with its log as `former`, and moves `new` to its place. Whether there was a database. Until the
/// new one is there, the former keeps its name too: a controller that is started after a kill in between would make an
/// empty one.
fn put_in_place(new: &Path, path: &Path, former: &Path) -> io::Result<bool> {
    let there = path.exists();
    if there {
        fs::hard_link(path, former)?;
    }
    for ending in ["-wal", "-shm"] {
        let named = |path: &Path| PathBuf::from(format!("{}{ending}", path.display()));
        if named(path).exists() {
            fs::rename(named(path), named(former))?;
        }
    }
    fs::rename(new, path)?;
    path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())?;
    Ok(there)
}
