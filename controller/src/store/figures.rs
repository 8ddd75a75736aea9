//! Numbers for the metrics.

use super::{Store, StoreError};

impl Store {
    /// How many commands are in each state.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn count_commands(&self) -> Result<Vec<(String, i64)>, StoreError> {
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT state, count(*) FROM commands GROUP BY state")?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Number of the newest event: how many were ever stored. 0 if there are none.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn newest_event(&self) -> Result<i64, StoreError> {
        self.read(|connection| {
            Ok(connection.query_row("SELECT coalesce(max(id), 0) FROM events", [], |row| row.get(0))?)
        })
        .await
    }
}
