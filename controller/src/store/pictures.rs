//! The last known picture of each host, as bytes: what is in them is the fleet's business.

use std::collections::HashMap;

use roadstead_protocol::message::ids::InstanceId;
use roadstead_protocol::message::time::UnixMicros;
use rusqlite::params;

use super::{Store, StoreError};

impl Store {
    /// Saves pictures in one transaction; those of instances that are gone are skipped.
    ///
    /// # Errors
    /// If they cannot be stored.
    pub async fn save_pictures(
        &self,
        pictures: Vec<(InstanceId, Vec<u8>)>,
        now: UnixMicros,
    ) -> Result<(), StoreError> {
        self.write(move |transaction| {
            let mut statement = transaction.prepare_cached(
                "INSERT INTO pictures (instance, taken_at, picture)
                 SELECT id, ?2, ?3 FROM instances WHERE id = ?1
                 ON CONFLICT (instance) DO UPDATE SET taken_at = excluded.taken_at, picture = excluded.picture",
            )?;
            for (instance, picture) in pictures {
                statement.execute(params![instance.as_str(), now.0, picture])?;
            }
            Ok(())
        })
        .await
    }

    /// What `read` makes of every picture, each from where it lies: they are too many to be all copied first. On this
    /// thread, since what is made of them stays, and the heap of a thread that comes later grows by a page at a time.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn pictures<T>(
        &self,
        mut read: impl FnMut(&InstanceId, &[u8]) -> T,
    ) -> Result<HashMap<InstanceId, T>, StoreError> {
        let corrupt = || StoreError::Corrupt("pictures");
        let connection = self.inner.reader()?;
        let mut pictures = HashMap::new();
        {
            let mut statement = connection.prepare("SELECT instance, picture FROM pictures")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let instance = row.get_ref(0)?.as_str().map_err(|_| corrupt())?;
                let instance: InstanceId = instance.parse().map_err(|_| corrupt())?;
                let picture = read(&instance, row.get_ref(1)?.as_blob().map_err(|_| corrupt())?);
                pictures.insert(instance, picture);
            }
        }
        self.inner.give_back(connection);
        Ok(pictures)
    }
}
