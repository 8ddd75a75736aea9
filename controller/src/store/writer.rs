//! The one thread that writes: gathers waiting writes into a transaction, commits, answers.
//!
//! A full or failing disk makes SQLite roll back the whole transaction by itself, in the middle of a batch. From then
//! on nothing more of that batch may run: each write would be a transaction of its own, stored and yet reported as
//! failed.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::mpsc;

use super::events::{Append, Log, Message};
use super::{Answer, StoreError};

/// Most writes in one transaction.
const BATCH: usize = 1024;

/// Events after which a transaction ends: who waits for the first of them should not wait for many more, and can make
/// the next ones ready meanwhile.
pub const TRANSACTION_EVENTS: usize = 4096;

/// Something to be written.
pub(super) enum Job {
    /// Anything, which may fail alone.
    Write(Box<dyn Run>),
    /// Events. *Bare*, without a savepoint, which costs more than they do: what they can be refused for was found out
    /// before, what still fails is the disk, and fails for everybody in that transaction.
    Events(Message),
}

impl Job {
    fn events(&self) -> usize {
        match self {
            Self::Write(_) => 0,
            Self::Events(message) => message.events(),
        }
    }

    /// Tells whoever waits how the commit went.
    fn answer(self, commit: Result<(), String>) {
        match self {
            Self::Write(write) => write.answer(commit),
            Self::Events(message) => message.answer(commit),
        }
    }
}

/// One waiting write: runs within the transaction, and afterwards is told how the commit went.
pub(super) trait Run: Send {
    /// Why it failed, if it did.
    fn run(&mut self, transaction: &Transaction<'_>) -> Option<String>;
    fn answer(self: Box<Self>, commit: Result<(), String>);
}

struct Write<T, F> {
    write: Option<F>,
    result: Option<Result<T, StoreError>>,
    answer: Answer<T>,
}

/// Why the last commit failed, until one succeeds again.
#[derive(Clone, Debug, Default)]
pub(super) struct Trouble(Arc<Mutex<Option<String>>>);

impl Trouble {
    pub fn now(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes note of how a commit went, and says it where that is news.
    fn note(&self, commit: &Result<(), String>, writes: usize) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (commit, known.is_some()) {
            (Err(error), false) => {
                tracing::error!(%error, writes, "the store could not commit; make room on, or see to, its disk");
            }
            (Err(error), true) => tracing::debug!(%error, writes, "the store still cannot commit"),
            (Ok(()), true) => tracing::info!("the store can commit again"),
            (Ok(()), false) => {}
        }
        *known = commit.clone().err();
    }
}

/// A write that may fail alone.
pub(super) fn job<T, F>(write: F, answer: Answer<T>) -> Job
where
    T: Send + 'static,
    F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
{
    Job::Write(Box::new(Write { write: Some(write), result: None, answer }))
}

impl<T, F> Run for Write<T, F>
where
    T: Send + 'static,
    F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
{
    fn run(&mut self, transaction: &Transaction<'_>) -> Option<String> {
        let result = within_savepoint(transaction, self.write.take()?);
        let failed = result.as_ref().err().map(cause);
        self.result = Some(result);
        failed
    }

    fn answer(self: Box<Self>, commit: Result<(), String>) {
        // Nobody waiting any more is fine: the write itself stands.
        let _ = self.answer.send(conclude(self.result, commit));
    }
}

/// What became of a write that had this result in a transaction that ended so.
pub(super) fn conclude<T>(
    result: Option<Result<T, StoreError>>,
    commit: Result<(), String>,
) -> Result<T, StoreError> {
    match (result, commit) {
        (Some(Err(error)), _) => Err(error),
        (Some(Ok(value)), Ok(())) => Ok(value),
        (_, Err(error)) => Err(StoreError::Commit(error)),
        (None, Ok(())) => Err(StoreError::Closed),
    }
}

/// One writer's failure must not undo what others wrote in the same transaction.
fn within_savepoint<T>(
    transaction: &Transaction<'_>,
    write: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    run_cached(transaction, "SAVEPOINT one")?;
    let result = write(transaction);
    if transaction.is_autocommit() {
        // Rolled back by SQLite itself, savepoint included: the error that made it do so says more than one of ours.
        return result.and(Err(StoreError::Commit(ROLLED_BACK.to_owned())));
    }
    if result.is_err() {
        run_cached(transaction, "ROLLBACK TO one")?;
    }
    run_cached(transaction, "RELEASE one")?;
    result
}

/// Every write needs these: parsing them anew would cost as much as a small write itself.
fn run_cached(transaction: &Transaction<'_>, sql: &str) -> rusqlite::Result<()> {
    transaction.prepare_cached(sql)?.execute([]).map(drop)
}

/// Why a write failed, in the database's own words where it has some.
pub(super) fn cause(error: &StoreError) -> String {
    match error {
        StoreError::Sqlite(error) => error.to_string(),
        error => error.to_string(),
    }
}

const ROLLED_BACK: &str = "the database rolled back";

pub(super) fn spawn(
    connection: Connection,
    jobs: mpsc::Receiver<Job>,
    trouble: Trouble,
    log: Log,
) -> Result<JoinHandle<Connection>, StoreError> {
    std::thread::Builder::new()
        .name("store-writer".to_owned())
        .spawn(move || write_loop(connection, jobs, &trouble, log))
        .map_err(|error| StoreError::File { path: "store-writer".into(), error })
}

/// Writes until nobody is left who could ask for it; gives the connection back, to be closed.
fn write_loop(
    mut connection: Connection,
    mut jobs: mpsc::Receiver<Job>,
    trouble: &Trouble,
    mut log: Log,
) -> Connection {
    let mut waiting = Vec::with_capacity(BATCH);
    while jobs.blocking_recv_many(&mut waiting, BATCH) > 0 {
        while !waiting.is_empty() {
            let writes = at_once(&waiting);
            let commit = run_batch(&mut connection, &mut waiting[..writes], &mut log);
            trouble.note(&commit, writes);
            for job in waiting.drain(..writes) {
                job.answer(commit.clone());
            }
        }
    }
    connection
}

/// How many of the waiting writes make one transaction; at least one.
fn at_once(waiting: &[Job]) -> usize {
    let mut events = 0;
    let fit = waiting.iter().take_while(|job| {
        events += job.events();
        events <= TRANSACTION_EVENTS
    });
    fit.count().max(1)
}

/// Runs and commits a batch, and tells its events; the error says why none of it is stored.
fn run_batch(connection: &mut Connection, batch: &mut [Job], log: &mut Log) -> Result<(), String> {
    let commit = commit_batch(connection, batch, log);
    match commit {
        Ok(()) => log.tell(batch.iter_mut().filter_map(|job| match job {
            Job::Events(message) => Some(message),
            Job::Write(_) => None,
        })),
        Err(_) => log.forget(),
    }
    commit
}

fn commit_batch(connection: &mut Connection, batch: &mut [Job], log: &mut Log) -> Result<(), String> {
    // A transaction that reads first and writes later fails at once, without waiting, where another process (a
    // sub-command beside the running controller) has written in between.
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(|error| error.to_string())?;
    let mut append = Append::new(&transaction, log);
    for job in batch.iter_mut() {
        match job {
            Job::Events(message) => append.message(message)?,
            Job::Write(write) => {
                append.settle().map_err(|error| cause(&error))?;
                let failed = write.run(&transaction);
                if transaction.is_autocommit() {
                    return Err(failed.unwrap_or_else(|| ROLLED_BACK.to_owned()));
                }
            }
        }
    }
    append.finish().map_err(|error| cause(&error))?;
    transaction.commit().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::RandomState;
    use std::sync::mpsc;
    use std::time::Duration;

    use roadstead_protocol::message::event::{Event, EventBatch, EventKind};
    use roadstead_protocol::message::ids::{Epoch, EventSeq};
    use roadstead_protocol::message::time::UnixMicros;
    use rusqlite::Connection;
    use tokio::sync::{broadcast, oneshot};

    use super::{Job, Log, Message, job, run_batch};
    use crate::fixtures::instance;
    use crate::store::{Store, StoreError};

    const CHECK: &str = "SELECT count(*) FROM settings";

    /// A write of `bytes` and what became of it.
    fn insert(bytes: i64) -> (Job, oneshot::Receiver<Result<(), StoreError>>) {
        let (answer, answered) = oneshot::channel();
        let write = move |transaction: &rusqlite::Transaction<'_>| {
            transaction.execute("INSERT INTO rows (value) VALUES (zeroblob(?1))", [bytes])?;
            Ok(())
        };
        (job(write, answer), answered)
    }

    #[test]
    fn after_the_disk_ran_full_nothing_of_the_batch_is_stored_and_everybody_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = Connection::open(folder.path().join("small.db")).unwrap();
        connection.execute_batch("CREATE TABLE rows (value BLOB); PRAGMA max_page_count = 20").unwrap();
        let (jobs, answers): (Vec<_>, Vec<_>) = [10, 1_000_000, 20, 30].map(insert).into_iter().unzip();
        let mut jobs = jobs;
        let mut log = Log::new(broadcast::Sender::new(1));
        let commit = run_batch(&mut connection, &mut jobs, &mut log);
        assert!(commit.as_ref().is_err_and(|error| error.contains("full")), "{commit:?}");
        for job in jobs {
            job.answer(commit.clone());
        }
        for mut answer in answers {
            let told = answer.try_recv().unwrap().unwrap_err().to_string();
            assert!(told.contains("full"), "{told}");
        }
        let stored: i64 = connection.query_row("SELECT count(*) FROM rows", [], |row| row.get(0)).unwrap();
        assert_eq!(stored, 0, "what was reported as failed is not there");
        let (again, mut answered) = insert(10);
        let commit = run_batch(&mut connection, &mut [again], &mut log);
        assert!(commit.is_ok() && answered.try_recv().is_err());
    }

    #[test]
    fn after_events_could_not_be_appended_nothing_of_the_batch_is_stored_and_everybody_is_told() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE rows (value BLOB)").unwrap();
        let (before, mut told_before) = insert(1);
        let (answer, mut told) = oneshot::channel();
        let what = EventKind::AgentStarted { version: String::new() };
        let events = vec![Event { seq: EventSeq(1), at: UnixMicros(1), what }];
        let batch = EventBatch::plain(Epoch::generate(), events);
        let (told_before_now, hasher) = (HashSet::new(), RandomState::new());
        let message =
            Message::new(instance("a"), batch, told_before_now, UnixMicros(1), &hasher, answer).unwrap();
        let (after, mut told_after) = insert(2);
        let mut jobs = vec![before, Job::Events(message), after];
        let told_of = broadcast::Sender::new(1);
        let mut listener = told_of.subscribe();
        // There is no table for events.
        let commit = run_batch(&mut connection, &mut jobs, &mut Log::new(told_of));
        for job in jobs {
            job.answer(commit.clone());
        }
        assert!(matches!(told.try_recv(), Ok(Err(StoreError::Sqlite(_)))));
        assert!(listener.try_recv().is_err());
        for told in [&mut told_before, &mut told_after] {
            assert!(matches!(told.try_recv(), Ok(Err(StoreError::Commit(_)))));
        }
        let stored: i64 = connection.query_row("SELECT count(*) FROM rows", [], |row| row.get(0)).unwrap();
        assert_eq!(stored, 0);
    }

    #[tokio::test]
    async fn another_process_between_reading_and_writing_spoils_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (ours, theirs) = (Store::open(folder.path()).unwrap(), Store::open(folder.path()).unwrap());
        let (have_read, begin) = mpsc::channel();
        let (written, has_written) = mpsc::channel();
        let first = ours.write(move |transaction| {
            transaction.query_row(CHECK, [], |_| Ok(()))?;
            let _ = have_read.send(());
            // Either the other one waits for us, or it has written now.
            let _ = has_written.recv_timeout(Duration::from_millis(500));
            transaction.execute("INSERT INTO settings (name, value) VALUES ('ours', '1')", [])?;
            Ok(())
        });
        let second = async {
            tokio::task::spawn_blocking(move || begin.recv()).await.unwrap().unwrap();
            let stored = theirs.put_setting("theirs", "1".to_owned()).await;
            let _ = written.send(());
            stored
        };
        let (first, second): (Result<(), StoreError>, _) = tokio::join!(first, second);
        first.unwrap();
        second.unwrap();
    }
}
