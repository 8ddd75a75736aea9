//! The last known picture of each host, as bytes: what is in them is the fleet's business.

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

    /// Every picture.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn pictures(&self) -> Result<Vec<(InstanceId, Vec<u8>)>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare("SELECT instance, picture FROM pictures")?;
            let mut rows = statement.query([])?;
            let mut pictures = Vec::new();
            while let Some(row) = rows.next()? {
                let instance = row.get::<_, String>(0)?;
                let instance = instance.parse().map_err(|_| StoreError::Corrupt("pictures"))?;
                pictures.push((instance, row.get(1)?));
            }
            Ok(pictures)
        })
        .await
    }
}
