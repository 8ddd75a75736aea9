//! How often one may try to sign in.
//!
//! Strangers are counted by address, by account, and by both together, where each failure after the first few makes
//! the next wait twice as long. Nobody is locked out for good, and nobody can keep an owner out: a browser that has
//! signed in before holds a device cookie and is counted by itself alone.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngCore as _;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::time::Instant;

use super::error::LoginError;
use super::limits::{AtOnce, AtWork, Backoff, Buckets, Rate, Waits};
use super::sources::{Sources, network_of};

/// Login attempts from one address.
pub const LOGIN_RATE: Rate = Rate { burst: 10, refill: Duration::from_secs(6) };

/// Login attempts from one IPv6 site, which has 65,536 of those networks: fewer than an account has, too.
const SITE_RATE: Rate = Rate { burst: 10, refill: Duration::from_secs(3) };

/// Login attempts for one account, from wherever. They come back faster than one address can use them up, so that a
/// stranger who keeps guessing does not keep the owner out.
pub(super) const ACCOUNT_RATE: Rate = Rate { burst: 10, refill: Duration::from_secs(1) };

/// Codes tried for one account, by whoever knows its password. Three of a million are right at any time, so that a
/// guesser has a chance of 0.9 % a day.
pub(super) const CODE_RATE: Rate = Rate { burst: 10, refill: Duration::from_secs(30) };

/// Failures of one address with one account, or of one device: then each waits twice as long as the one before.
pub(super) const FAILURES: Waits = Waits {
    free: 5,
    first: Duration::from_secs(1),
    longest: Duration::from_secs(15 * 60),
    forgotten: Duration::from_secs(3600),
};

/// Passwords of one account that are looked at at the same time, for devices, which have no other limit while they are right:
/// hashing has few places, and they are everybody's.
const AT_ONCE: usize = 2;

/// Accounts whose attempts are counted apart.
const KEYS: usize = 10_000;

const NONCE: usize = 16;

/// What a device is known by.
type Nonce = [u8; NONCE];

/// Counts attempts, and knows the devices that have signed in before.
pub(super) struct Attempts {
    counts: Mutex<Counts>,
    working: AtOnce<String>,
    key: [u8; 32],
}

struct Counts {
    sources: Sources,
    accounts: Buckets<String>,
    codes: Buckets<String>,
    failures: Backoff<(IpAddr, String)>,
    devices: Backoff<Nonce>,
}

/// One attempt that was let through.
pub(super) struct Attempt {
    address: IpAddr,
    account: String,
    device: Option<Nonce>,
}

impl Attempts {
    /// Nothing tried yet. `key` proves device cookies and is kept by the store.
    pub(super) fn new(key: [u8; 32]) -> Self {
        let counts = Counts {
            sources: Sources::new(LOGIN_RATE, SITE_RATE),
            accounts: Buckets::new(ACCOUNT_RATE, KEYS),
            codes: Buckets::new(CODE_RATE, KEYS),
            failures: Backoff::new(FAILURES, KEYS),
            devices: Backoff::new(FAILURES, KEYS),
        };
        Self { counts: Mutex::new(counts), working: AtOnce::new(AT_ONCE), key }
    }

    /// An attempt for no account.
    pub(super) fn anonymous(&self, address: IpAddr) -> Result<(), LoginError> {
        self.counts().sources.take(address, Instant::now()).map_err(LoginError::TooMany)
    }

    /// An attempt for `account`, from a browser with this device cookie.
    pub(super) fn begin(
        &self,
        address: IpAddr,
        account: &str,
        device: Option<&str>,
    ) -> Result<Attempt, LoginError> {
        let device = device.and_then(|cookie| self.proven(account, cookie));
        let attempt = Attempt { address: network_of(address), account: account.to_owned(), device };
        let now = Instant::now();
        let mut counts = self.counts();
        match &attempt.device {
            Some(nonce) => counts.devices.may(nonce, now).map_err(LoginError::TooMany)?,
            None => {
                counts.failures.may(&attempt.pair(), now).map_err(LoginError::TooMany)?;
                counts.sources.take(attempt.address, now).map_err(LoginError::TooMany)?;
                counts.accounts.take(attempt.account.clone(), now).map_err(LoginError::TooMany)?;
            }
        }
        Ok(attempt)
    }

    /// The attempt's password is looked at, until what is returned is dropped.
    pub(super) fn work(&self, attempt: &Attempt) -> Result<Option<AtWork<String>>, LoginError> {
        if attempt.device.is_none() {
            return Ok(None);
        }
        let one = self.working.begin(attempt.account.clone());
        one.map(Some).ok_or(LoginError::TooMany(Duration::from_secs(1)))
    }

    /// The attempt goes on with a code. Devices need no limit of their own here: their failures are counted.
    pub(super) fn try_code(&self, attempt: &Attempt) -> Result<(), LoginError> {
        if attempt.device.is_some() {
            return Ok(());
        }
        self.counts().codes.take(attempt.account.clone(), Instant::now()).map_err(LoginError::TooMany)
    }

    /// A code is tried that is to confirm the second factor of `account`.
    pub(super) fn try_confirming(&self, account: &str) -> Result<(), LoginError> {
        self.counts().codes.take(account.to_owned(), Instant::now()).map_err(LoginError::TooMany)
    }

    /// The attempt failed.
    pub(super) fn failed(&self, attempt: &Attempt) {
        let now = Instant::now();
        let mut counts = self.counts();
        match attempt.device {
            Some(nonce) => counts.devices.failed(nonce, now),
            None => counts.failures.failed(attempt.pair(), now),
        }
    }

    /// The attempt was no failure: it costs nothing.
    pub(super) fn harmless(&self, attempt: &Attempt) {
        let mut counts = self.counts();
        if attempt.device.is_none() {
            counts.sources.give_back(attempt.address);
            counts.accounts.give_back(attempt.account.as_str());
        }
    }

    /// The attempt succeeded: what failed before is forgotten.
    pub(super) fn succeeded(&self, attempt: &Attempt, with_code: bool) {
        self.harmless(attempt);
        let mut counts = self.counts();
        match &attempt.device {
            Some(nonce) => counts.devices.forget(nonce),
            None => counts.failures.forget(&attempt.pair()),
        }
        if with_code && attempt.device.is_none() {
            counts.codes.give_back(attempt.account.as_str());
        }
    }

    /// The device cookie for a browser that has signed in to `account`: the one it has, if that is good.
    pub(super) fn device_for(&self, account: &str, has: Option<&str>) -> String {
        if let Some(cookie) = has.filter(|cookie| self.proven(account, cookie).is_some()) {
            return cookie.to_owned();
        }
        let mut nonce = Nonce::default();
        rand::rng().fill_bytes(&mut nonce);
        let mut bytes = nonce.to_vec();
        bytes.extend(self.proof(account, &nonce));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn proven(&self, account: &str, cookie: &str) -> Option<Nonce> {
        let bytes = URL_SAFE_NO_PAD.decode(cookie).ok()?;
        let (nonce, proof) = bytes.split_first_chunk::<NONCE>()?;
        bool::from(self.proof(account, nonce).as_slice().ct_eq(proof)).then_some(*nonce)
    }

    /// Every part has a fixed length, so that the hash cannot be extended to that of something else.
    fn proof(&self, account: &str, nonce: &Nonce) -> [u8; 32] {
        Sha256::new()
            .chain_update(self.key)
            .chain_update(Sha256::digest(account.as_bytes()))
            .chain_update(nonce)
            .finalize()
            .into()
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt {
    fn pair(&self) -> (IpAddr, String) {
        (self.address, self.account.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    #[tokio::test(start_paused = true)]
    async fn failures_make_the_next_attempt_wait_longer_and_longer_and_never_for_ever() {
        let attempts = Attempts::new([1; 32]);
        let mut waits = Vec::new();
        while waits.len() < 14 {
            match attempts.begin(HOME, "anna", None) {
                Ok(attempt) => attempts.failed(&attempt),
                Err(LoginError::TooMany(wait)) => {
                    waits.push(wait.as_secs());
                    tokio::time::advance(wait).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert!(waits.windows(2).skip(2).all(|two| two[0] <= two[1]), "{waits:?}");
        assert_eq!(waits.last(), Some(&(15 * 60)));
        tokio::time::advance(FAILURES.longest).await;
        let owner = attempts.begin(HOME, "anna", None).unwrap();
        attempts.succeeded(&owner, false);
        assert!(attempts.begin(HOME, "anna", None).is_ok(), "who got in begins anew");
    }

    #[tokio::test(start_paused = true)]
    async fn a_known_device_comes_in_whatever_strangers_do_behind_the_same_address() {
        let attempts = Attempts::new([1; 32]);
        let device = attempts.device_for("anna", None);
        for _ in 0..100 {
            if let Ok(attempt) = attempts.begin(HOME, "anna", None) {
                attempts.failed(&attempt);
            }
        }
        while attempts.anonymous(HOME).is_ok() {}
        assert!(attempts.begin(HOME, "anna", None).is_err());
        let own = attempts.begin(HOME, "anna", Some(&device)).unwrap();
        assert!(attempts.try_code(&own).is_ok());
        assert_eq!(attempts.device_for("anna", Some(&device)), device);
        assert!(
            attempts.begin(HOME, "bob", Some(&device)).is_err(),
            "the address has no attempts left for bob"
        );

        for _ in 0..FAILURES.free {
            attempts.failed(&own);
        }
        attempts.failed(&own);
        assert!(
            attempts.begin(HOME, "anna", Some(&device)).is_err(),
            "a stolen cookie is no licence to guess"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_many_networks_of_one_ipv6_site_do_not_keep_an_owner_waiting() {
        let attempts = Attempts::new([1; 32]);
        let (mut tried, start) = (0, Instant::now());
        for network in 0..10_000_u128 {
            let from = IpAddr::V6((0x2001_0db8_0001 << 80 | (network % 65_536) << 64 | 1).into());
            tried += usize::from(attempts.begin(from, "anna", None).is_ok());
            tokio::time::advance(Duration::from_millis(20)).await;
        }
        let allowed = 10 + start.elapsed().as_secs() / 3 + 1;
        assert!(tried as u64 <= allowed, "{tried} attempts, {allowed} of one site are allowed");
        assert!(attempts.begin(HOME, "anna", None).is_ok(), "the owner, from a browser never used before");
        let other = "2001:db8:2::1".parse().unwrap();
        assert!(attempts.begin(other, "anna", None).is_ok(), "and from another site");
    }

    #[test]
    fn a_device_cookie_is_proven() {
        let attempts = Attempts::new([1; 32]);
        let device = attempts.device_for("anna", None);
        assert!(attempts.proven("anna", &device).is_some());
        assert!(attempts.proven("bob", &device).is_none());
        assert!(Attempts::new([2; 32]).proven("anna", &device).is_none());
        for forged in ["", "AAAA", &device[1..], &format!("{device}AAAA")] {
            assert!(attempts.proven("anna", forged).is_none(), "{forged}");
        }
    }
}
