//! Password hashing: argon2id, a few at a time, off the runtime's threads.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use rand::Rng as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Hashes computed at once: each takes 19 MiB and some 45 ms of a core.
const AT_ONCE: usize = 2;

/// Hashes computed or waited for; one more is turned away.
const WAITING: usize = 32;

/// OWASP's first choice: 19 MiB, two passes, one lane.
const PARAMS: Params = match Params::new(19_456, 2, 1, None) {
    Ok(params) => params,
    Err(_) => Params::DEFAULT,
};

/// Letters and digits that are not mistaken for each other.
const ALPHABET: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";

/// Computes password hashes.
pub struct Hasher {
    room: Arc<Semaphore>,
    turns: Arc<Semaphore>,
}

/// Verified against when there is no such user, so that it takes as long as if there were: random bytes in the form of a
/// hash with [`PARAMS`]. Nobody's password, and whoever found one for it would still be nobody.
const DUMMY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$BFQCR6W8ZxoSImIxrRc1qw$vVz3djR2SirUYXp8jwPa06/ILZOMgZ6zx1qR+B/gPtI";

/// Held by the hashing thread itself, so that a caller who goes away does not make room too early.
struct Turn {
    _room: OwnedSemaphorePermit,
    _turn: OwnedSemaphorePermit,
}

/// Why a password could not be hashed or checked.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// Too many at once.
    #[error("too many logins at once; try again in a few seconds")]
    Busy,
    /// Argon2 said no.
    #[error("password hashing failed: {0}")]
    Failed(String),
}

impl Default for Hasher {
    fn default() -> Self {
        Self { room: Arc::new(Semaphore::new(WAITING)), turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Hasher {
    /// Hashes a password into a PHC string.
    ///
    /// # Errors
    /// If too many wait already, or hashing fails.
    pub async fn hash(&self, password: String) -> Result<String, HashError> {
        let turn = self.turn().await?;
        blocking(turn, move || {
            let hash: PasswordHash = argon2()
                .hash_password(password.as_bytes())
                .map_err(|error| HashError::Failed(error.to_string()))?;
            Ok(hash.to_string())
        })
        .await
    }

    /// Whether `password` is the one behind `hash`. With no hash it takes as long, and the answer is no.
    ///
    /// # Errors
    /// If too many wait already, or the stored hash cannot be read.
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, HashError> {
        let turn = self.turn().await?;
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| DUMMY.to_owned());
        blocking(turn, move || {
            let hash = PasswordHash::new(&hash).map_err(|error| HashError::Failed(error.to_string()))?;
            Ok(argon2().verify_password(password.as_bytes(), &hash).is_ok() && known)
        })
        .await
    }

    async fn turn(&self) -> Result<Turn, HashError> {
        let room = Arc::clone(&self.room).try_acquire_owned().map_err(|_| HashError::Busy)?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| HashError::Busy)?;
        Ok(Turn { _room: room, _turn: turn })
    }
}

/// A password for a person to copy: twenty characters in groups of four, some 99 bits.
#[must_use]
pub fn generate() -> String {
    let mut random = rand::rng();
    let mut text = String::with_capacity(24);
    for index in 0..20 {
        if index > 0 && index % 4 == 0 {
            text.push('-');
        }
        text.push(char::from(ALPHABET[random.random_range(0..ALPHABET.len())]));
    }
    text
}

fn argon2() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, PARAMS)
}

async fn blocking<T: Send + 'static>(
    turn: Turn,
    work: impl FnOnce() -> Result<T, HashError> + Send + 'static,
) -> Result<T, HashError> {
    let worked = tokio::task::spawn_blocking(move || {
        let result = work();
        drop(turn);
        result
    });
    worked.await.map_err(|error| HashError::Failed(error.to_string()))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_fits_its_password_alone_and_no_hash_fits_none() {
        let hasher = Hasher::default();
        let hash = hasher.hash("correct horse".to_owned()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(hasher.verify("correct horse".to_owned(), Some(hash.clone())).await.unwrap());
        assert!(!hasher.verify("wrong horse".to_owned(), Some(hash)).await.unwrap());
        assert!(!hasher.verify("correct horse".to_owned(), None).await.unwrap());
        assert!(hasher.verify("x".to_owned(), Some("garbage".to_owned())).await.is_err());
    }

    #[test]
    fn who_does_not_exist_takes_as_long() {
        let dummy = PasswordHash::new(DUMMY).unwrap();
        assert_eq!(
            (dummy.algorithm, dummy.version),
            (Algorithm::Argon2id.ident(), Some(Version::V0x13.into()))
        );
        let params = Params::try_from(&dummy).unwrap();
        let cost = |params: &Params| (params.m_cost(), params.t_cost(), params.p_cost());
        assert_eq!(cost(&params), cost(&PARAMS));
        assert_eq!(dummy.hash.unwrap().len(), Params::DEFAULT_OUTPUT_LEN);
    }

    #[test]
    fn generated_passwords_are_long_and_differ() {
        let (one, other) = (generate(), generate());
        assert_eq!(one.len(), 24);
        assert_ne!(one, other);
    }
}
