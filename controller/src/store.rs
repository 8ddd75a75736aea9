//! The store: one embedded SQLite database behind a small handle. What is asked of it, each with its SQL, is in
//! `store/*.rs`, one file per kind of record.
//!
//! Writes go through one thread that gathers whatever is waiting into one transaction (group commit,
//! `synchronous=FULL`) and answers each writer after the commit. Reads run on connections of their own, and all but the
//! least on threads of their own.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction};
use tokio::sync::{Semaphore, mpsc, oneshot};

pub mod api_tokens;
pub mod audit;
pub mod commands;
pub mod events;
pub mod external_users;
mod figures;
pub mod identities;
pub mod instances;
mod integrity;
pub mod join_tokens;
pub mod lifecycles;
mod migrations;
pub mod pictures;
mod restore;
pub mod rollouts;
mod seal;
mod second_factors;
mod settings;
#[cfg(test)]
mod tests;
pub mod users;
pub mod web_sessions;
mod writer;

pub use writer::TRANSACTION_EVENTS;

use seal::{Seal, State};

/// A handle on the store; cheap to clone. The database closes when the last handle is gone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    /// None only while it ends.
    writes: Option<mpsc::Sender<writer::Job>>,
    writer: Option<JoinHandle<Connection>>,
    seal: Option<Seal>,
    trouble: writer::Trouble,
    events: events::EventLog,
    /// Those that nobody reads with just now.
    readers: Mutex<Vec<Connection>>,
    reading: Arc<Semaphore>,
    /// Turns for pages of the event log.
    paging: Semaphore,
}

/// Who waits for what became of a write.
type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// Reads at a time, each on a connection of its own, which stays open for the next; a further one waits. When a fleet comes
/// back thousands of reads come at once, and opening a connection takes longer than most of them.
const READERS: usize = 8;

/// Of those, reads of pages of the event log: one that is filtered may go through all of it, and whoever signs in or is an
/// agent must not wait behind people who look at pages.
const PAGES: usize = READERS / 2;

/// What each of them keeps of the database, in KiB.
const READER_CACHE: i64 = 1000;

/// Statements that a connection keeps prepared: all that there are.
const STATEMENTS: usize = 128;

/// Pages that the writer keeps: 8 MiB, so that filling in the index of events does not read the same pages again.
const WRITER_CACHE: i64 = 2048;

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
    /// The database is not what was written. The operator's to mend, from a backup.
    #[error(
        "store: {} is damaged: {what}; put a backup in its place with `roadstead-controller restore BACKUP`",
        path.display()
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Another process has it open.
    #[error("store: {} is in use; stop the controller first", .0.display())]
    InUse(PathBuf),
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
        Self::open_with(directory, "FULL")
    }

    /// Opens a database whose commits do not wait for the disk: what a test of power cuts must find out.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    #[cfg(feature = "test-util")]
    pub fn open_careless(directory: &Path) -> Result<Self, StoreError> {
        Self::open_with(directory, "NORMAL")
    }

    fn open_with(directory: &Path, synchronous: &str) -> Result<Self, StoreError> {
        Self::prepare_directory(directory)?;
        let path = directory.join(FILE);
        let existed = path.exists();
        let (seal, state) = Seal::open(directory)?;
        let connection = Self::connect(&path, synchronous, existed && state == State::Unsealed);
        let connection = connection.map_err(|error| error.about(&path))?;
        let (writes, jobs) = mpsc::channel(WAITING_WRITES);
        let trouble = writer::Trouble::default();
        let events = events::EventLog::default();
        let writer = writer::spawn(connection, jobs, trouble.clone(), events.writing())?;
        let (writes, writer, seal) = (Some(writes), Some(writer), Some(seal));
        let readers = Mutex::default();
        let (reading, paging) = (Arc::new(Semaphore::new(READERS)), Semaphore::new(PAGES));
        let inner = Inner { path, writes, writer, seal, trouble, events, readers, reading, paging };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The connection that writes; with `doubtful`, of a database whose structure was checked.
    fn connect(path: &Path, synchronous: &str, doubtful: bool) -> Result<Connection, StoreError> {
        let mut connection = Connection::open(path)?;
        keep_prepared(&connection)?;
        restrict(path, 0o600)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", synchronous)?;
        connection.pragma_update(None, "cell_size_check", true)?;
        // What was masked or removed does not stay in the free parts of pages.
        connection.pragma_update(None, "secure_delete", "FAST")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "wal_autocheckpoint", 4000)?;
        connection.pragma_update(None, "cache_size", WRITER_CACHE)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        if doubtful {
            let complaints = integrity::complaints(&connection, "PRAGMA quick_check(5)")?;
            if !complaints.is_empty() {
                return Err(StoreError::Damaged { path: path.to_owned(), what: complaints.join("; ") });
            }
        }
        migrations::run(&mut connection)?;
        Ok(connection)
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
        // Nobody else may ever have had it open.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&to);
        drop(file.map_err(|error| StoreError::File { path: to.clone(), error })?);
        self.read(move |connection| {
            connection.execute("VACUUM INTO ?1", [to.to_string_lossy()])?;
            // A backup that cannot be restored should be known today.
            Self::check_file(&to)
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
        self.ask(|answer| Ok(writer::job(write, answer))).await
    }

    /// Has a job done, and returns what is answered when it is on disk.
    async fn ask<T>(
        &self,
        job: impl FnOnce(Answer<T>) -> Result<writer::Job, StoreError>,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let job = job(answer)?;
        let writes = self.inner.writes.as_ref().ok_or(StoreError::Closed)?;
        writes.send(job).await.map_err(|_| StoreError::Closed)?;
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
        let turn = Arc::clone(&inner.reading).acquire_owned().await.map_err(|_| StoreError::Closed)?;
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let connection = inner.reader()?;
            let result = read(&connection);
            inner.give_back(connection);
            result
        })
        .await
        .map_err(|_| StoreError::Closed)?
    }

    /// Runs `read` on the thread that asks: for a row or two by their key, of which every request needs one. A thread of
    /// its own to go to, and to come back from, costs several times as much as that takes.
    ///
    /// # Errors
    /// What `read` returned.
    async fn look_up<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let _turn = self.inner.reading.acquire().await.map_err(|_| StoreError::Closed)?;
        let connection = self.inner.reader()?;
        let result = read(&connection);
        self.inner.give_back(connection);
        result
    }
}

impl StoreError {
    /// What SQLite calls a damaged file is one, and this is its name.
    fn about(self, path: &Path) -> Self {
        match self {
            Self::Sqlite(error)
                if matches!(
                    error.sqlite_error_code(),
                    Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
                ) =>
            {
                Self::Damaged { path: path.to_owned(), what: error.to_string() }
            }
            error => error,
        }
    }
}

impl Drop for Inner {
    /// Closes the database, and seals it if nobody else has it open.
    fn drop(&mut self) {
        self.writes = None;
        self.readers.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
        let (Some(writer), Some(seal)) = (self.writer.take(), self.seal.take()) else { return };
        let Ok(connection) = writer.join() else { return };
        if connection.close().is_ok() {
            seal.close();
        }
    }
}

impl Inner {
    fn reader(&self) -> Result<Connection, StoreError> {
        if let Some(connection) = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            return Ok(connection);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        keep_prepared(&connection)?;
        connection.pragma_update(None, "cache_size", -READER_CACHE)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        Ok(connection)
    }

    fn give_back(&self, connection: Connection) {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}

/// Statements stay prepared, whatever values they get: else SQLite prepares one that has a limit, or a condition that an
/// index might have, anew for every value (https://sqlite.org/queryplanner-ng.html#qpsg).
fn keep_prepared(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(|_| ())
}

fn restrict(path: &Path, mode: u32) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .map_err(|error| StoreError::File { path: path.to_owned(), error })
}
