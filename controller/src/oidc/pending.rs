//! Sign-ins that have begun: each can be finished once, within ten minutes, by the browser that began it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::time::Instant;

use super::error::OidcError;

/// How long people have to sign in at the provider.
pub const PENDING_FOR: Duration = Duration::from_secs(10 * 60);

/// Sign-ins that wait, all together; one more is turned away.
const MOST: usize = 4096;

/// And from one network: one more takes the place of its oldest.
const MOST_OF_A_NETWORK: usize = 64;

type Hash = [u8; 32];

/// What waits, by the hash of its `state`.
#[derive(Default)]
pub(super) struct Pending {
    waiting: Mutex<HashMap<Hash, Waiting>>,
}

/// A sign-in that waits to be finished.
pub(super) struct Waiting {
    since: Instant,
    network: IpAddr,
    browser: Hash,
    /// What the ID token has to repeat.
    pub(super) nonce: String,
    /// What proves to the provider that it is who began.
    pub(super) verifier: String,
    /// The page that was wanted.
    pub(super) to: String,
}

impl Waiting {
    pub(super) fn new(network: IpAddr, browser: &str, nonce: String, verifier: String, to: String) -> Self {
        Self { since: Instant::now(), network, browser: hash(browser), nonce, verifier, to }
    }
}

impl Pending {
    pub(super) fn add(&self, state: &str, new: Waiting) -> Result<(), OidcError> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, one| new.since.duration_since(one.since) < PENDING_FOR);
        let network = new.network;
        let own = || waiting.iter().filter(move |(_, one)| one.network == network);
        let oldest = own().min_by_key(|(_, one)| one.since).map(|(state, _)| *state);
        let full = own().count() >= MOST_OF_A_NETWORK;
        if let Some(oldest) = oldest.filter(|_| full) {
            waiting.remove(&oldest);
        }
        if waiting.len() >= MOST {
            return Err(OidcError::TooMany);
        }
        waiting.insert(hash(state), new);
        Ok(())
    }

    /// Takes what waits out, if it is `browser`'s: what another's shows leaves it in its place.
    pub(super) fn take(&self, state: &str, browser: Option<&str>) -> Result<Waiting, OidcError> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (state, browser) = (hash(state), hash(browser.ok_or(OidcError::NotBegun)?));
        let own = waiting.get(&state).is_some_and(|one| bool::from(one.browser.ct_eq(&browser)));
        let taken = own.then(|| waiting.remove(&state)).flatten();
        taken.filter(|one| one.since.elapsed() < PENDING_FOR).ok_or(OidcError::NotBegun)
    }
}

fn hash(text: &str) -> Hash {
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn from(network: u32) -> Waiting {
        let network = IpAddr::V4(Ipv4Addr::from(network));
        Waiting::new(network, "browser", "nonce".to_owned(), "verifier".to_owned(), "/".to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn a_sign_in_is_finished_once_in_time_and_by_whoever_began_it() {
        let pending = Pending::default();
        for state in ["a", "b"] {
            pending.add(state, from(1)).unwrap();
        }
        assert!(pending.take("a", None).is_err());
        assert!(pending.take("a", Some("another")).is_err(), "begun in another browser");
        assert!(pending.take("c", Some("browser")).is_err(), "never begun");
        assert_eq!(pending.take("a", Some("browser")).unwrap().nonce, "nonce");
        assert!(pending.take("a", Some("browser")).is_err(), "finished before");
        tokio::time::advance(PENDING_FOR).await;
        assert!(pending.take("b", Some("browser")).is_err(), "too late");
    }

    #[tokio::test(start_paused = true)]
    async fn one_network_takes_its_own_places_and_all_together_have_a_bound() {
        let pending = Pending::default();
        pending.add("other", from(0)).unwrap();
        for number in 0..=MOST_OF_A_NETWORK {
            pending.add(&number.to_string(), from(1)).unwrap();
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert!(pending.take("0", Some("browser")).is_err(), "the oldest made room");
        assert!(pending.take("1", Some("browser")).is_ok() && pending.take("other", Some("browser")).is_ok());
        let mut network = 2;
        while pending.add(&format!("many {network}"), from(network)).is_ok() {
            network += 1;
        }
        assert!(usize::try_from(network).unwrap() <= MOST);
        tokio::time::advance(PENDING_FOR).await;
        assert!(pending.add("later", from(1)).is_ok(), "what is over made room");
    }
}
