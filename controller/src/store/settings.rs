//! Small named values that the controller keeps for itself.

use roadstead_protocol::message::time::UnixMicros;
use rusqlite::OptionalExtension as _;

use super::{Store, StoreError};

impl Store {
    /// A setting's value, if it was ever set.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn setting(&self, name: &'static str) -> Result<Option<String>, StoreError> {
        self.read(move |connection| {
            let sql = "SELECT value FROM settings WHERE name = ?1";
            Ok(connection.query_row(sql, [name], |row| row.get(0)).optional()?)
        })
        .await
    }

    /// Sets a setting.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn put_setting(&self, name: &'static str, value: String) -> Result<(), StoreError> {
        self.write(move |transaction| {
            let sql = "INSERT INTO settings (name, value) VALUES (?1, ?2)
                       ON CONFLICT (name) DO UPDATE SET value = ?2";
            transaction.execute(sql, (name, value))?;
            Ok(())
        })
        .await
    }

    /// Whether the store answers: a read that touches the file, and, if the last commit failed, a write to see
    /// whether the disk has recovered.
    ///
    /// # Errors
    /// If it does not.
    pub async fn answers(&self) -> Result<(), StoreError> {
        if self.inner.trouble.now().is_some() {
            self.put_setting("probed_at", UnixMicros::now().0.to_string()).await?;
        }
        self.read(|connection| {
            connection.query_row("SELECT count(*) FROM settings", [], |_| Ok(()))?;
            Ok(())
        })
        .await
    }
}
