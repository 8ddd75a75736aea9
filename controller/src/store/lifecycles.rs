//! What lifecycles are folded from, as bytes, and how far the event log is folded in: what is in the bytes is the
//! lifecycle's business.

use roadstead_protocol::message::ids::InstanceId;
use rusqlite::{OptionalExtension as _, params};

use super::{Store, StoreError, events};
use crate::model::EventRecord;

/// One history: whose, about what, and its bytes; none deletes it.
pub type HistoryRow = (InstanceId, String, Option<Vec<u8>>);

impl Store {
    /// Saves histories, and the id of the last event that is folded into them and into all saved before, if that is
    /// known. Those of instances that are gone are skipped.
    ///
    /// # Errors
    /// If they cannot be stored; then nothing of it is.
    pub async fn save_lifecycles(
        &self,
        rows: Vec<HistoryRow>,
        folded: Option<i64>,
    ) -> Result<(), StoreError> {
        self.write(move |transaction| {
            let mut save = transaction.prepare_cached(
                "INSERT INTO lifecycles (instance, subject, history)
                 SELECT id, ?2, ?3 FROM instances WHERE id = ?1
                 ON CONFLICT (instance, subject) DO UPDATE SET history = excluded.history",
            )?;
            let mut delete =
                transaction.prepare_cached("DELETE FROM lifecycles WHERE instance = ?1 AND subject = ?2")?;
            for (instance, subject, history) in rows {
                match history {
                    Some(history) => save.execute(params![instance.as_str(), subject, history])?,
                    None => delete.execute(params![instance.as_str(), subject])?,
                };
            }
            let Some(folded) = folded else { return Ok(()) };
            transaction
                .prepare_cached(
                    "INSERT INTO lifecycle_mark (one, event) VALUES (1, ?1)
                     ON CONFLICT (one) DO UPDATE SET event = excluded.event",
                )?
                .execute([folded])?;
            Ok(())
        })
        .await
    }

    /// Adds every history to `all`, each from where it lies, and returns that with the id of the last event that is folded
    /// into them; 0 if none is.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn lifecycles<T: Send + 'static>(
        &self,
        mut all: T,
        mut add: impl FnMut(&mut T, &InstanceId, &str, &[u8]) + Send + 'static,
    ) -> Result<(T, i64), StoreError> {
        self.read(move |connection| {
            let corrupt = || StoreError::Corrupt("lifecycles");
            let mut statement = connection.prepare("SELECT instance, subject, history FROM lifecycles")?;
            let mut rows = statement.query([])?;
            let mut last: Option<InstanceId> = None;
            while let Some(row) = rows.next()? {
                let instance = row.get_ref(0)?.as_str().map_err(|_| corrupt())?;
                let instance = match last.take() {
                    Some(last) if last.as_str() == instance => last,
                    _ => instance.parse().map_err(|_| corrupt())?,
                };
                let subject = row.get_ref(1)?.as_str().map_err(|_| corrupt())?;
                add(&mut all, &instance, subject, row.get_ref(2)?.as_blob().map_err(|_| corrupt())?);
                last = Some(instance);
            }
            let mark = "SELECT event FROM lifecycle_mark WHERE one = 1";
            let mark = connection.query_row(mark, [], |row| row.get(0)).optional()?;
            Ok((all, mark.unwrap_or(0)))
        })
        .await
    }

    /// The events about containers after `id`, oldest first, and the id of the last event looked at; `id` if there is none.
    /// Hardly more than `most` are looked at.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn container_events_after(
        &self,
        id: i64,
        most: usize,
    ) -> Result<(Vec<EventRecord>, i64), StoreError> {
        self.read(move |connection| events::read_containers_events(connection, id, most)).await
    }
}
