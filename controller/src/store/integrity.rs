//! Whether the database is what was written.

use rusqlite::Connection;

use super::{Store, StoreError};

/// Most complaints that are told of.
const COMPLAINTS: usize = 5;

impl Store {
    /// Reads the whole database and says whether it is whole: its structure, its indexes, its references.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if it is not, or if it cannot be read.
    pub async fn check(&self) -> Result<(), StoreError> {
        let path = self.inner.path.clone();
        let complaints = self
            .read(|connection| {
                let mut complaints = complaints(connection, "PRAGMA integrity_check(5)")?;
                complaints.extend(complaints_of_references(connection)?);
                Ok(complaints)
            })
            .await?;
        match complaints.is_empty() {
            true => Ok(()),
            false => Err(StoreError::Damaged { path, what: complaints.join("; ") }),
        }
    }
}

/// What a check that answers `ok` where all is well has to say otherwise.
pub(super) fn complaints(connection: &Connection, check: &str) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare(check)?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
    let said: Vec<String> = rows.take(COMPLAINTS).collect::<Result<_, _>>()?;
    Ok(said.into_iter().filter(|line| line != "ok").collect())
}

fn complaints_of_references(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
    let tables: Vec<String> = rows.take(COMPLAINTS).collect::<Result<_, _>>()?;
    Ok(tables.into_iter().map(|table| format!("a row of {table} refers to nothing")).collect())
}
