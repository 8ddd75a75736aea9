//! The last known picture of each host, as bytes: what is in them is the fleet's business.

use roadstead_protocol::message::ids::InstanceId;
use roadstead_protocol::message::time::UnixMicros;
use rusqlite::params;

use super::{Store, StoreError};

impl Store {
    /// Saves a picture; one of an instance that is gone is skipped.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn save_picture(
        &self,
        instance: InstanceId,
        picture: Vec<u8>,
        now: UnixMicros,
    ) -> Result<(), StoreError> {
        self.write(move |transaction| {
            transaction
                .prepare_cached(
                    "INSERT INTO pictures (instance, taken_at, picture)
                     SELECT id, ?2, ?3 FROM instances WHERE id = ?1
                     ON CONFLICT (instance) DO UPDATE SET taken_at = excluded.taken_at, picture = excluded.picture",
                )?
                .execute(params![instance.as_str(), now.0, picture])?;
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
