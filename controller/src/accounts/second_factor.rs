//! The second factor: time-based codes (RFC 6238) and recovery codes, each good once.

use std::collections::HashMap;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use roadstead_protocol::message::time::UnixMicros;
use tokio::time::Instant;
use totp_rs::{Builder, Secret, Totp};

use super::error::{LoginError, UserError};
use super::person::hash_secret;
use super::{Accounts, password};
use crate::store::StoreError;
use crate::store::users::UserRecord;

/// Recovery codes of one set.
const CODES: usize = 10;

/// How long a second factor waits for its first code. A restart of the controller ends the wait as well.
const PENDING_FOR: Duration = Duration::from_secs(10 * 60);

/// Longest code that is looked at, in bytes.
const LONGEST_CODE: usize = 64;

/// A second factor that waits for its first code.
pub struct PendingFactor {
    /// The secret as people type it into an app (base32).
    pub secret: String,
    /// The same as a link, for apps and QR codes.
    pub url: String,
}

impl Accounts {
    /// Begins to set up a second factor: it counts from its first code on.
    ///
    /// # Errors
    /// If the user has one already or is gone, or the store fails.
    pub async fn begin_second_factor(&self, name: &str) -> Result<PendingFactor, UserError> {
        let user = self.known_with_password(name).await?;
        if user.totp_secret.is_some() {
            let detail = "the account has a second factor already; take that away first";
            return Err(UserError::SecondFactor(detail));
        }
        let secret: [u8; 20] = rand::random();
        self.store.begin_totp(user.name.clone(), secret).await?;
        let now = Instant::now();
        let mut pending = self.pending();
        pending.retain(|_, since| now.duration_since(*since) < PENDING_FOR);
        pending.insert(user.name.clone(), now);
        drop(pending);
        let text = Secret::new_stack(secret).to_base32();
        let url = format!(
            "otpauth://totp/Roadstead:{}?secret={text}&issuer=Roadstead",
            user.name.replace('@', "%40").replace('+', "%2B")
        );
        Ok(PendingFactor { secret: text, url })
    }

    /// Confirms a second factor by its first code, and returns its recovery codes.
    ///
    /// # Errors
    /// If none waits, or not any more; if the code is wrong or too many were; or if the store fails.
    pub async fn confirm_second_factor(&self, name: &str, code: &str) -> Result<Vec<String>, UserError> {
        let user = self.known(name).await?;
        let since = self.pending().get(&user.name).copied();
        let fresh = since.is_some_and(|since| since.elapsed() < PENDING_FOR);
        let Some(secret) = user.totp_pending.filter(|_| fresh) else {
            return Err(UserError::SecondFactor(
                "no second factor waits for its first code, for which it has ten minutes; begin one first",
            ));
        };
        self.attempts.try_confirming(&user.name).map_err(UserError::Login)?;
        let Some(step) = step_of(secret, code, UnixMicros::now()) else {
            return Err(UserError::Login(LoginError::WrongCode));
        };
        let (codes, hashes) = recovery_codes();
        if self.store.confirm_totp(user.name, secret, step, hashes).await? {
            Ok(codes)
        } else {
            Err(UserError::SecondFactor("another second factor was begun meanwhile; confirm that one"))
        }
    }

    fn pending(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the recovery codes.
    ///
    /// # Errors
    /// If the user has no second factor or is gone, or the store fails.
    pub async fn renew_recovery_codes(&self, name: &str) -> Result<Vec<String>, UserError> {
        let user = self.known(name).await?;
        if user.totp_secret.is_none() {
            return Err(UserError::SecondFactor("the account has no second factor; set one up first"));
        }
        let (codes, hashes) = recovery_codes();
        self.store.put_recovery_codes(user.name, hashes).await?;
        Ok(codes)
    }

    /// Takes the second factor away.
    ///
    /// # Errors
    /// If the user is gone, or the store fails.
    pub async fn remove_second_factor(&self, name: &str) -> Result<(), UserError> {
        if self.store.clear_totp(name.to_owned()).await? {
            Ok(())
        } else {
            Err(UserError::Unknown(name.to_owned()))
        }
    }

    /// How many recovery codes a user has left.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn recovery_codes_left(&self, name: &str) -> Result<u32, StoreError> {
        self.store.recovery_codes_left(name.to_owned()).await
    }

    /// Checks a code of `user`, who has a second factor, and uses it up.
    pub(super) async fn check_code(
        &self,
        user: &UserRecord,
        secret: [u8; 20],
        code: &str,
    ) -> Result<bool, StoreError> {
        if let Some(step) = step_of(secret, code, UnixMicros::now()) {
            return self.store.use_totp_step(user.name.clone(), step).await;
        }
        if code.len() > LONGEST_CODE {
            return Ok(false);
        }
        let code = hash_secret(&code.trim().to_lowercase());
        self.store.use_recovery_code(user.name.clone(), code).await
    }
}

/// The step of a code that is right at `now`, or was or will be half a minute from it.
fn step_of(secret: [u8; 20], code: &str, now: UnixMicros) -> Option<i64> {
    let seconds = u64::try_from(now.0).ok()? / 1_000_000;
    let digits: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    i64::try_from(totp(secret)?.check(&digits, seconds)?).ok()
}

/// SHA-1, six digits, thirty seconds, one step of tolerance: what every app does.
fn totp(secret: [u8; 20]) -> Option<Totp> {
    Builder::new().with_secret(Secret::new_stack(secret)).build().ok()
}

fn recovery_codes() -> (Vec<String>, Vec<[u8; 32]>) {
    let codes: Vec<_> = (0..CODES).map(|_| password::generate()).collect();
    let hashes = codes.iter().map(|code| hash_secret(code)).collect();
    (codes, hashes)
}

/// The code that is right now, for tests.
#[cfg(test)]
pub(crate) fn code_at(secret: &str, now: UnixMicros) -> String {
    let secret = Secret::try_from_base32(secret).unwrap();
    let totp = Builder::new().with_secret(secret).build().unwrap();
    totp.generate(u64::try_from(now.0).unwrap() / 1_000_000).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_standard() {
        // RFC 6238, appendix B, the last six digits of its SHA-1 column.
        for (seconds, code) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
            let now = UnixMicros::from_secs(seconds);
            assert_eq!(step_of(*b"12345678901234567890", code, now), Some(seconds / 30));
        }
        let now = UnixMicros::from_secs(59);
        let step = |code, now| step_of(*b"12345678901234567890", code, now);
        assert_eq!(step("287 082", now), Some(1), "as apps write them");
        assert_eq!(step("287082", UnixMicros::from_secs(89)), Some(1), "half a minute late");
        for wrong in ["287083", "", "28708", "2870820", "94287082", "２８７０８２", "-87082"] {
            assert_eq!(step(wrong, now), None, "{wrong}");
        }
        assert_eq!(step("287082", UnixMicros::from_secs(125)), None);
    }
}
