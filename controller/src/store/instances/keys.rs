//! Keys of agents that are replaced by newer ones.

use roadstead_protocol::message::ids::{InstanceId, PeerKey};
use roadstead_protocol::message::time::UnixMicros;

use super::{Former, by_id, conflict, file, former, update};
use crate::model::InstanceRecord;
use crate::store::{Store, StoreError};

impl Store {
    /// Files the key that an instance's agent will show next, beside its present one. False, and nothing is filed, if
    /// the key is or was somebody else's, or there is no such instance.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn file_next_key(&self, id: InstanceId, key: PeerKey) -> Result<bool, StoreError> {
        self.write(move |transaction| {
            let Some(mut record) = by_id(transaction, &id)? else { return Ok(false) };
            if record.key == Some(key) || record.terms.next_key == Some(key) {
                return Ok(true);
            }
            record.terms.next_key = Some(key);
            if former(transaction, &key)?.is_some() || conflict(transaction, &record)?.is_some() {
                return Ok(false);
            }
            update(transaction, &record)?;
            Ok(true)
        })
        .await
    }

    /// The agent of `id` has proven `key`: if that was its next one, it is the present one from now on, and the one
    /// before is filed as replaced. None if the key counts no longer.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn take_up_key(
        &self,
        id: InstanceId,
        key: PeerKey,
        now: UnixMicros,
    ) -> Result<Option<InstanceRecord>, StoreError> {
        self.write(move |transaction| {
            let Some(mut record) = by_id(transaction, &id)? else { return Ok(None) };
            if record.key == Some(key) {
                return Ok(Some(record));
            }
            if record.terms.next_key != Some(key) {
                return Ok(None);
            }
            if let Some(earlier) = record.key.replace(key) {
                file(transaction, &earlier, Former::Replaced, now)?;
            }
            record.terms.next_key = None;
            record.terms.key_since = Some(now);
            update(transaction, &record)?;
            Ok(Some(record))
        })
        .await
    }
}
