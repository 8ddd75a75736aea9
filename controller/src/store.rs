//! The store: one embedded SQLite database behind a small handle. What is asked of it, each with its SQL, is in
//! `store/*.rs`, one file per kind of record.
//!
//! Writes go through one thread that gathers whatever is waiting into one transaction (group commit,
//! `synchronous=FULL`) and answers each writer after the commit. Reads run on connections of their own.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags, Transaction};
use tokio::sync::{mpsc, oneshot};

pub mod api_tokens;
pub mod audit;
pub mod commands;
pub mod events;
mod figures;
pub mod instances;
pub mod join_tokens;
pub mod lifecycles;
mod migrations;
pub mod pictures;
mod second_factors;
mod settings;
pub mod users;
pub mod web_sessions;
mod writer;

/// A handle on the store; cheap to clone. The database closes when the last handle is gone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    writes: mpsc::Sender<writer::Job>,
    readers: Mutex<Vec<Connection>>,
}

/// Readers kept open when idle.
const IDLE_READERS: usize = 4;

/// Writes that may wait; a further writer waits for room.
const WAITING_WRITES: usize = 4096;

/// Why the store did not do something.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite said no: the operator's disk or our SQL.
    #[error("store: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The operator's disk or permissions.
    #[error("store: {path}: {error}")]
    File {
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The transaction that held this write could not be committed; none of it is stored.
    #[error("store: commit failed: {0}")]
    Commit(String),
    /// The store is from a newer Roadstead.
    #[error("store: its schema is version {found}, this program knows up to {known}; run the newer program")]
    Newer {
        /// What the file says.
        found: i64,
        /// What this program knows.
        known: i64,
    },
    /// A stored value cannot be read.
    #[error("store: unreadable value in {0}")]
    Corrupt(&'static str),
    /// The store has been closed.
    #[error("store: closed")]
    Closed,
}

/// Name of the database within its folder.
const FILE: &str = "roadstead.db";

impl Store {
    /// Whether there is a database in `directory`.
    #[must_use]
    pub fn exists(directory: &Path) -> bool {
        directory.join(FILE).is_file()
    }

    /// Opens the database in `directory` (made 0700), creating and migrating it as needed.
    ///
    /// # Errors
    /// If the folder or file cannot be used, or is from a newer program.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        Self::prepare_directory(directory)?;
        let path = directory.join(FILE);
        let mut connection = Connection::open(&path)?;
        restrict(&path, 0o600)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "wal_autocheckpoint", 4000)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        migrations::run(&mut connection)?;
        let (writes, jobs) = mpsc::channel(WAITING_WRITES);
        writer::spawn(connection, jobs)?;
        Ok(Self { inner: Arc::new(Inner { path, writes, readers: Mutex::default() }) })
    }

    /// Makes a folder that only this user can read, or makes it so.
    ///
    /// # Errors
    /// If the system does not allow it.
    pub fn prepare_directory(directory: &Path) -> Result<(), StoreError> {
        std::fs::create_dir_all(directory)
            .map_err(|error| StoreError::File { path: directory.to_owned(), error })?;
        restrict(directory, 0o700)
    }

    /// Writes a consistent copy of the database to a new file, while others go on reading and writing.
    ///
    /// # Errors
    /// If the file exists or cannot be written.
    pub async fn backup(&self, to: PathBuf) -> Result<(), StoreError> {
        // `VACUUM INTO` takes an existing empty file for a new one.
        let file = std::fs::File::create_new(&to);
        let file = file.map_err(|error| StoreError::File { path: to.clone(), error })?;
        drop(file);
        restrict(&to, 0o600)?;
        self.read(move |connection| {
            connection.execute("VACUUM INTO ?1", [to.to_string_lossy()])?;
            Ok(())
        })
        .await
    }

    /// Runs `write` within the next transaction and returns when that is on disk.
    ///
    /// # Errors
    /// What `write` returned (then nothing of it is stored), or a failed commit.
    pub async fn write<T, F>(&self, write: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job = writer::job(write, answer);
        self.inner.writes.send(job).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// Runs `read` on a connection of its own, off the runtime's threads.
    ///
    /// # Errors
    /// What `read` returned.
    pub async fn read<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || {
            let connection = inner.reader()?;
            let result = read(&connection);
            inner.give_back(connection);
            result
        })
        .await
        .map_err(|_| StoreError::Closed)?
    }
}

impl Inner {
    fn reader(&self) -> Result<Connection, StoreError> {
        if let Some(connection) = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            return Ok(connection);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        Ok(connection)
    }

    fn give_back(&self, connection: Connection) {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < IDLE_READERS {
            readers.push(connection);
        }
    }
}

fn restrict(path: &Path, mode: u32) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .map_err(|error| StoreError::File { path: path.to_owned(), error })
}
