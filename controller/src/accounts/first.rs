//! The password of the first administrator, which is hashed while the rest of the controller starts: that takes longer than
//! all else of a first start.

use tokio::task::JoinHandle;

use super::password::{HashError, Hasher, generate};

/// A password, and its hash as soon as that is there. Whoever does not need it after all drops it.
pub struct FirstPassword {
    password: String,
    hash: JoinHandle<Result<String, HashError>>,
}

impl FirstPassword {
    /// Begins to hash the configured password, or else one that is generated. Nothing is stored.
    #[must_use]
    pub fn begin(configured: Option<String>) -> Self {
        let password = configured.unwrap_or_else(generate);
        let hashed = password.clone();
        Self { password, hash: tokio::spawn(async move { Hasher::default().hash(hashed).await }) }
    }

    /// The password and its hash.
    pub(super) async fn hashed(self) -> Result<(String, String), HashError> {
        let hash = self.hash.await.map_err(|error| HashError::Failed(error.to_string()))??;
        Ok((self.password, hash))
    }
}
