//! People: who may log in, their web sessions, and how often a stranger may try.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rand::RngCore as _;
use roadstead_protocol::message::time::UnixMicros;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

pub mod limits;
pub mod password;

pub use crate::model::role::Role;
use crate::store::accounts::{UserRecord, WebSessionRecord};
use crate::store::{Store, StoreError};
use limits::{Buckets, Rate};
use password::{HashError, Hasher};

/// The user that exists from the first start.
pub const ADMIN: &str = "admin";

/// Name shown for a guest of the demo mode.
pub const GUEST: &str = "guest";

/// How long a web session lasts after its last use.
pub const SESSION_LENGTH: Duration = Duration::from_secs(7 * 24 * 3600);

/// A session's last use is written down at most this often.
const TOUCH_EVERY: Duration = Duration::from_secs(60);

/// Login attempts from one address.
pub const LOGIN_RATE: Rate = Rate { burst: 10, refill: Duration::from_secs(6) };

/// Login attempts for one account, from wherever. They come back faster than one address can use them up, so that a
/// stranger who keeps guessing does not keep the owner out.
const ACCOUNT_RATE: Rate = Rate { burst: 10, refill: Duration::from_secs(1) };

/// Addresses and accounts whose attempts are counted apart.
const LOGIN_KEYS: usize = 10_000;

/// Longest user name and password that are looked at, in bytes.
const LONGEST_NAME: usize = 64;
const LONGEST_PASSWORD: usize = 1024;

/// Users and web sessions.
pub struct Accounts {
    store: Store,
    hasher: Hasher,
    attempts: Mutex<Attempts>,
    demo_mode: bool,
}

/// What login attempts are counted by.
struct Attempts {
    addresses: Buckets<IpAddr>,
    accounts: Buckets<String>,
}

/// Somebody who is logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Name, as shown and audited.
    pub name: String,
    /// What the person may do.
    pub role: Role,
}

/// A web session that has just begun.
pub struct NewSession {
    /// The cookie's value: a secret that only the browser keeps.
    pub token: String,
    /// Whose session.
    pub person: Person,
}

/// Why somebody was not logged in.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// Name or password is wrong; which of the two is not told.
    #[error("user name or password is wrong")]
    Wrong,
    /// Too many attempts.
    #[error("too many login attempts; try again in {} s", .0.as_secs() + 1)]
    TooMany(Duration),
    /// Too many logins at once, or hashing failed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// There are no guests.
    #[error("guests are only let in where the controller runs with ROADSTEAD_DEMO_MODE=true")]
    NoGuests,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why accounts could not be set up at start.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// The operator's password is no password.
    #[error("ROADSTEAD_PASSWORD must have 1 to {LONGEST_PASSWORD} bytes; leave it out to have one generated")]
    Password,
    /// Hashing failed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Accounts {
    /// Opens the accounts. A `password` given becomes the administrator's; without one, a first start generates
    /// one, returned here once to be printed, and stores its hash.
    ///
    /// # Errors
    /// If the password is none, or the store fails.
    pub async fn open(
        store: Store,
        password: Option<String>,
        demo_mode: bool,
    ) -> Result<(Self, Option<String>), AccountsError> {
        let hasher = Hasher::new().await?;
        let attempts = Mutex::new(Attempts {
            addresses: Buckets::new(LOGIN_RATE, LOGIN_KEYS),
            accounts: Buckets::new(ACCOUNT_RATE, LOGIN_KEYS),
        });
        let accounts = Self { store, hasher, attempts, demo_mode };
        let admin = accounts.store.user(ADMIN).await?;
        let generated = match (&admin, &password) {
            (None, None) => Some(password::generate()),
            _ => None,
        };
        if let Some(password) = generated.clone().or(password) {
            accounts.ensure_admin(admin, password).await?;
        }
        Ok((accounts, generated))
    }

    /// Gives the administrator this password. The same password again keeps the sessions that are open.
    async fn ensure_admin(&self, admin: Option<UserRecord>, password: String) -> Result<(), AccountsError> {
        if password.is_empty() || password.len() > LONGEST_PASSWORD {
            return Err(AccountsError::Password);
        }
        if let Some(admin) = admin
            && self.hasher.verify(password.clone(), Some(admin.password_hash)).await?
        {
            return Ok(());
        }
        let password_hash = self.hasher.hash(password).await?;
        let created_at = UnixMicros::now();
        let user = UserRecord { name: ADMIN.to_owned(), password_hash, role: Role::Admin, created_at };
        Ok(self.store.put_user(user).await?)
    }

    /// Gives the administrator a new password, which ends every session of his, and returns it.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn reset_admin(&self) -> Result<String, AccountsError> {
        let password = password::generate();
        let admin = self.store.user(ADMIN).await?;
        self.ensure_admin(admin, password.clone()).await?;
        Ok(password)
    }

    /// Whether guests are let in.
    #[must_use]
    pub const fn demo_mode(&self) -> bool {
        self.demo_mode
    }

    /// Logs a user in.
    ///
    /// # Errors
    /// If name or password is wrong, or there were too many attempts.
    pub async fn log_in(
        &self,
        name: &str,
        password: String,
        address: IpAddr,
    ) -> Result<NewSession, LoginError> {
        if name.len() > LONGEST_NAME || password.len() > LONGEST_PASSWORD {
            self.take_attempt(address, None)?;
            return Err(LoginError::Wrong);
        }
        self.take_attempt(address, Some(name))?;
        let user = self.store.user(name).await?;
        let hash = user.as_ref().map(|user| user.password_hash.clone());
        if !self.hasher.verify(password, hash).await? {
            return Err(LoginError::Wrong);
        }
        let Some(user) = user else { return Err(LoginError::Wrong) };
        self.give_back_attempt(address, name);
        self.begin_session(Person { name: user.name, role: user.role }).await
    }

    /// Lets a guest in.
    ///
    /// # Errors
    /// If the demo mode is off, or there were too many attempts.
    pub async fn let_guest_in(&self, address: IpAddr) -> Result<NewSession, LoginError> {
        if !self.demo_mode {
            return Err(LoginError::NoGuests);
        }
        self.take_attempt(address, None)?;
        self.begin_session(Person { name: GUEST.to_owned(), role: Role::Guest }).await
    }

    /// Whose session `token` is, if it is one that has not ended. Using a session makes it last longer.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn person(&self, token: &str) -> Result<Option<Person>, StoreError> {
        let now = UnixMicros::now();
        let Some(session) = self.session(token, now).await? else { return Ok(None) };
        if now.since(session.last_used) >= TOUCH_EVERY {
            self.store.touch_web_session(session.token_hash, now, now.plus(SESSION_LENGTH)).await?;
        }
        Ok(Some(Person { name: session.user, role: session.role }))
    }

    /// Whether `token` is a session that has not ended; does not count as use.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn is_open(&self, token: &str) -> Result<bool, StoreError> {
        Ok(self.session(token, UnixMicros::now()).await?.is_some())
    }

    /// How many sessions are open at `now`.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn open_sessions(&self, now: UnixMicros) -> Result<u64, StoreError> {
        self.store.count_web_sessions(now).await
    }

    /// Ends the session of `token`, if it is one.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn log_out(&self, token: &str) -> Result<(), StoreError> {
        self.store.remove_web_session(hash_token(token)).await
    }

    async fn session(&self, token: &str, now: UnixMicros) -> Result<Option<WebSessionRecord>, StoreError> {
        let session = self.store.web_session(hash_token(token)).await?;
        Ok(session
            .filter(|session| session.expires_at > now && (self.demo_mode || session.role != Role::Guest)))
    }

    async fn begin_session(&self, person: Person) -> Result<NewSession, LoginError> {
        let mut secret = [0; 32];
        rand::rng().fill_bytes(&mut secret);
        let token = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, secret);
        let now = UnixMicros::now();
        let session = WebSessionRecord {
            token_hash: hash_token(&token),
            user: person.name.clone(),
            role: person.role,
            created_at: now,
            expires_at: now.plus(SESSION_LENGTH),
            last_used: now,
        };
        self.store.add_web_session(session).await?;
        Ok(NewSession { token, person })
    }

    fn take_attempt(&self, address: IpAddr, account: Option<&str>) -> Result<(), LoginError> {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        attempts.addresses.take(network_of(address), now).map_err(LoginError::TooMany)?;
        match account {
            Some(name) => attempts.accounts.take(name.to_owned(), now).map_err(LoginError::TooMany),
            None => Ok(()),
        }
    }

    fn give_back_attempt(&self, address: IpAddr, account: &str) {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.addresses.give_back(&network_of(address));
        attempts.accounts.give_back(account);
    }
}

/// The address that attempts are counted by: an IPv6 customer has a whole /64.
#[must_use]
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & (u128::MAX << 64)).into()),
        address => address,
    }
}

fn hash_token(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests;
