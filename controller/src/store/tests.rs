//! The store as a whole: what damage does to it, and which way its statements take.

mod corruptions;
mod intake;
mod plans;
mod together;

use std::thread;

use super::{READERS, Store, StoreError};
use crate::fixtures::store;

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

#[tokio::test]
async fn what_is_looked_up_goes_to_no_other_thread_and_gives_its_turn_back() {
    let (store, _folder) = store();
    for _ in 0..=READERS {
        let failed = store.look_up(|_| Err::<(), _>(StoreError::Corrupt("a row"))).await;
        assert!(matches!(failed, Err(StoreError::Corrupt(_))));
    }
    assert_eq!(store.look_up(|_| Ok(thread::current().id())).await.unwrap(), thread::current().id());
}
