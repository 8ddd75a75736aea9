//! The one thread that writes: gathers waiting writes into a transaction, commits, answers.
//!
//! A full or failing disk makes SQLite roll back the whole transaction by itself, in the middle of a batch. From then
//! on nothing more of that batch may run: each write would be a transaction of its own, stored and yet reported as
//! failed.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::StoreError;

/// Most writes in one transaction.
const BATCH: usize = 1024;

/// One waiting write: runs within the transaction, and afterwards is told how the commit went.
pub(super) trait Run: Send {
    /// Why it failed, if it did.
    fn run(&mut self, transaction: &Transaction<'_>) -> Option<String>;
    /// Whether its failure makes all of the transaction fail.
    fn is_bare(&self) -> bool;
    fn answer(self: Box<Self>, commit: Result<(), String>);
}

pub(super) type Job = Box<dyn Run>;

struct Write<T, F> {
    write: Option<F>,
    bare: bool,
    result: Option<Result<T, StoreError>>,
    answer: oneshot::Sender<Result<T, StoreError>>,
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

/// A write that may fail alone or, where it is `bare`, only together with all the others of its transaction.
pub(super) fn job<T, F>(write: F, bare: bool, answer: oneshot::Sender<Result<T, StoreError>>) -> Job
where
    T: Send + 'static,
    F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
{
    Box::new(Write { write: Some(write), bare, result: None, answer })
}

impl<T, F> Run for Write<T, F>
where
    T: Send + 'static,
    F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
{
    fn run(&mut self, transaction: &Transaction<'_>) -> Option<String> {
        let write = self.write.take()?;
        let result = if self.bare { write(transaction) } else { within_savepoint(transaction, write) };
        let failed = result.as_ref().err().map(cause);
        self.result = Some(result);
        failed
    }

    fn is_bare(&self) -> bool {
        self.bare
    }

    fn answer(self: Box<Self>, commit: Result<(), String>) {
        let result = match (self.result, commit) {
            (Some(Err(error)), _) => Err(error),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (Some(Ok(_)), Err(error)) => Err(StoreError::Commit(error)),
            (None, Ok(())) => Err(StoreError::Closed),
            (None, Err(error)) => Err(StoreError::Commit(error)),
        };
        // Nobody waiting any more is fine: the write itself stands.
        let _ = self.answer.send(result);
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

fn cause(error: &StoreError) -> String {
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
) -> Result<JoinHandle<Connection>, StoreError> {
    std::thread::Builder::new()
        .name("store-writer".to_owned())
        .spawn(move || write_loop(connection, jobs, &trouble))
        .map_err(|error| StoreError::File { path: "store-writer".into(), error })
}

/// Writes until nobody is left who could ask for it; gives the connection back, to be closed.
fn write_loop(mut connection: Connection, mut jobs: mpsc::Receiver<Job>, trouble: &Trouble) -> Connection {
    let mut batch = Vec::with_capacity(BATCH);
    while jobs.blocking_recv_many(&mut batch, BATCH) > 0 {
        let commit = run_batch(&mut connection, &mut batch);
        trouble.note(&commit, batch.len());
        for job in batch.drain(..) {
            job.answer(commit.clone());
        }
    }
    connection
}

/// Runs and commits a batch; the error says why none of it is stored.
fn run_batch(connection: &mut Connection, batch: &mut [Job]) -> Result<(), String> {
    // A transaction that reads first and writes later fails at once, without waiting, where another process (a
    // sub-command beside the running controller) has written in between.
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(|error| error.to_string())?;
    for job in batch.iter_mut() {
        let failed = job.run(&transaction);
        match failed {
            Some(error) if job.is_bare() => return Err(error),
            failed if transaction.is_autocommit() => {
                return Err(failed.unwrap_or_else(|| ROLLED_BACK.to_owned()));
            }
            _ => {}
        }
    }
    transaction.commit().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use rusqlite::Connection;
    use tokio::sync::oneshot;

    use super::{job, run_batch};
    use crate::store::{Store, StoreError};

    const CHECK: &str = "SELECT count(*) FROM settings";

    /// A write of `bytes` and what became of it.
    fn insert(bytes: i64) -> (super::Job, oneshot::Receiver<Result<(), StoreError>>) {
        let (answer, answered) = oneshot::channel();
        let write = move |transaction: &rusqlite::Transaction<'_>| {
            transaction.execute("INSERT INTO rows (value) VALUES (zeroblob(?1))", [bytes])?;
            Ok(())
        };
        (job(write, false, answer), answered)
    }

    #[test]
    fn after_the_disk_ran_full_nothing_of_the_batch_is_stored_and_everybody_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = Connection::open(folder.path().join("small.db")).unwrap();
        connection.execute_batch("CREATE TABLE rows (value BLOB); PRAGMA max_page_count = 20").unwrap();
        let (jobs, answers): (Vec<_>, Vec<_>) = [10, 1_000_000, 20, 30].map(insert).into_iter().unzip();
        let mut jobs = jobs;
        let commit = run_batch(&mut connection, &mut jobs);
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
        let commit = run_batch(&mut connection, &mut [again]);
        assert!(commit.is_ok() && answered.try_recv().is_err());
    }

    #[test]
    fn after_a_bare_write_failed_nothing_of_the_batch_is_stored_and_everybody_is_told() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE rows (value BLOB)").unwrap();
        let (before, mut told_before) = insert(1);
        let (answer, mut told) = oneshot::channel::<Result<(), StoreError>>();
        let bare = |transaction: &rusqlite::Transaction<'_>| {
            transaction.execute("INSERT INTO rows (value) VALUES (x'00')", [])?;
            Err(StoreError::Corrupt("this"))
        };
        let (after, mut told_after) = insert(2);
        let mut jobs = vec![before, job(bare, true, answer), after];
        let commit = run_batch(&mut connection, &mut jobs);
        for job in jobs {
            job.answer(commit.clone());
        }
        assert!(matches!(told.try_recv(), Ok(Err(StoreError::Corrupt("this")))));
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
