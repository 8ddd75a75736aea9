//! The store as a whole: what damage does to it, and which way its statements take.

mod corruptions;
mod intake;
mod plans;
mod together;

use super::Store;

impl Store {
    /// Lets the database grow by `pages` and no more, as if the disk were full then.
    pub(crate) async fn leave_room(&self, pages: i64) {
        let limit = self.write(move |transaction| {
            let now: i64 = transaction.query_row("PRAGMA page_count", [], |row| row.get(0))?;
            transaction.query_row(&format!("PRAGMA max_page_count = {}", now + pages), [], |_| Ok(()))?;
            Ok(())
        });
        limit.await.unwrap();
    }
}
