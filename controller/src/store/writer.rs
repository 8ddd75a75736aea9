//! The one thread that writes: gathers waiting writes into a transaction, commits, answers.

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::StoreError;

/// Most writes in one transaction.
const BATCH: usize = 1024;

/// One waiting write: runs within the transaction, and afterwards is told how the commit went.
pub(super) trait Run: Send {
    fn run(&mut self, transaction: &Transaction<'_>);
    fn answer(self: Box<Self>, commit: Result<(), String>);
}

pub(super) type Job = Box<dyn Run>;

struct Write<T, F> {
    write: Option<F>,
    result: Option<Result<T, StoreError>>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

pub(super) fn job<T, F>(write: F, answer: oneshot::Sender<Result<T, StoreError>>) -> Job
where
    T: Send + 'static,
    F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
{
    Box::new(Write { write: Some(write), result: None, answer })
}

impl<T, F> Run for Write<T, F>
where
    T: Send + 'static,
    F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
{
    fn run(&mut self, transaction: &Transaction<'_>) {
        let Some(write) = self.write.take() else { return };
        self.result = Some(within_savepoint(transaction, write));
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
    transaction.execute_batch("SAVEPOINT one")?;
    let result = write(transaction);
    let end = if result.is_ok() { "RELEASE one" } else { "ROLLBACK TO one; RELEASE one" };
    transaction.execute_batch(end)?;
    result
}

pub(super) fn spawn(connection: Connection, jobs: mpsc::Receiver<Job>) -> Result<(), StoreError> {
    std::thread::Builder::new()
        .name("store-writer".to_owned())
        .spawn(move || write_loop(connection, jobs))
        .map(drop)
        .map_err(|error| StoreError::File { path: "store-writer".into(), error })
}

fn write_loop(mut connection: Connection, mut jobs: mpsc::Receiver<Job>) {
    let mut batch = Vec::with_capacity(BATCH);
    while jobs.blocking_recv_many(&mut batch, BATCH) > 0 {
        let commit = run_batch(&mut connection, &mut batch).map_err(|error| {
            tracing::error!(%error, writes = batch.len(), "the store could not commit; check the disk");
            error.to_string()
        });
        for job in batch.drain(..) {
            job.answer(commit.clone());
        }
    }
}

fn run_batch(connection: &mut Connection, batch: &mut [Job]) -> rusqlite::Result<()> {
    // A transaction that reads first and writes later fails at once, without waiting, where another process (a
    // sub-command beside the running controller) has written in between.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for job in batch.iter_mut() {
        job.run(&transaction);
    }
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use crate::store::{Store, StoreError};

    const CHECK: &str = "SELECT count(*) FROM settings";

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
