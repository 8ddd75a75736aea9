//! The schema, step by step. A step that was released is never edited; a change is a further step.

#[cfg(test)]
mod tests;

use rusqlite::Connection;

use super::StoreError;

/// Each step brings the schema from its index to the next version.
const STEPS: [&str; 2] =
    [include_str!("migrations/001-first.sql"), include_str!("migrations/002-lifecycles.sql")];

/// Brings the schema up to date, all steps in one transaction.
pub(super) fn run(connection: &mut Connection) -> Result<(), StoreError> {
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    let transaction = connection.transaction()?;
    for step in STEPS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", known)?;
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_of_every_earlier_version_is_brought_up_to_date() {
        for version in 0..STEPS.len() {
            let mut connection = Connection::open_in_memory().unwrap();
            for step in &STEPS[..version] {
                connection.execute_batch(step).unwrap();
            }
            connection.pragma_update(None, "user_version", i64::try_from(version).unwrap()).unwrap();
            run(&mut connection).unwrap();
            let newest: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
            assert_eq!(newest, i64::try_from(STEPS.len()).unwrap());
            connection.execute("INSERT INTO lifecycle_mark (one, event) VALUES (1, 0)", []).unwrap();
        }
    }
}
