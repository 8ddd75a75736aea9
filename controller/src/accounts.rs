//! People: who may sign in, their web sessions and API tokens, and how often a stranger may try.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngCore as _;
use roadstead_protocol::message::time::UnixMicros;
use tokio::time::Instant;

mod attempts;
mod entry;
mod error;
mod external;
mod first;
pub mod limits;
pub mod password;
mod person;
mod second_factor;
pub mod sources;
#[cfg(test)]
pub(crate) mod tests;
mod tokens;
mod users;

pub use crate::model::role::Role;
pub use crate::store::api_tokens::ApiTokenRecord;
pub use crate::store::users::{UserChange, UserRecord};
pub use crate::store::web_sessions::{SessionId, WebSessionRecord};
pub use attempts::LOGIN_RATE;
pub use entry::{Login, NewSession, Origin};
pub use error::{AccountsError, ExternalError, LoginError, UserError};
pub use external::{External, ExternalSession};
pub use first::FirstPassword;
pub use person::{By, Credential, Person, TOKEN_PREFIX};
pub use second_factor::PendingFactor;
#[cfg(test)]
pub(crate) use second_factor::code_at;
pub use sources::network_of;
pub use tokens::NewApiToken;
pub use users::NewUser;

use crate::store::api_tokens::ApiTokenOwner;
use crate::store::{Store, StoreError};
use attempts::Attempts;
use password::Hasher;
use users::LONGEST_PASSWORD;

/// The user that exists from the first start.
pub const ADMIN: &str = "admin";

/// Name shown for a guest of the demo mode.
pub const GUEST: &str = "guest";

/// How long a web session lasts after its last use.
pub const SESSION_LENGTH: Duration = Duration::from_secs(7 * 24 * 3600);

/// The last use of a session or token is written down at most this often.
const TOUCH_EVERY: Duration = Duration::from_secs(60);

/// Longest user name, in bytes.
const LONGEST_NAME: usize = 64;

/// Setting: the hash of the configured password that was last taken over.
const CONFIGURED: &str = "configured_password";

/// Setting: what proves device cookies.
const DEVICE_KEY: &str = "device_key";

/// Users, web sessions and API tokens.
pub struct Accounts {
    store: Store,
    hasher: Hasher,
    attempts: Attempts,
    /// Since when second factors wait for their first codes, by user.
    pending: Mutex<HashMap<String, Instant>>,
    demo_mode: bool,
}

impl Accounts {
    /// Opens the accounts and sees to it that there is an administrator, as [`Self::admin`] does.
    ///
    /// # Errors
    /// If the password is none, or the store fails.
    pub async fn open(
        store: Store,
        password: Option<String>,
        demo_mode: bool,
    ) -> Result<(Self, Option<String>), AccountsError> {
        let accounts = Self::of(store, demo_mode).await?;
        let generated = accounts.admin(password, None).await?;
        Ok((accounts, generated))
    }

    /// The accounts as they are, for who looks after them beside the controller, or sees to the administrator later.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn of(store: Store, demo_mode: bool) -> Result<Self, AccountsError> {
        let hasher = Hasher::default();
        let attempts = Attempts::new(device_key(&store).await?);
        Ok(Self { store, hasher, attempts, pending: Mutex::default(), demo_mode })
    }

    /// Sees to it that there is an administrator. A configured password that is new becomes his; without one, where there
    /// is no administrator one is made with a password that is generated, returned here once to be printed. `first` has
    /// begun to hash it.
    ///
    /// # Errors
    /// If the password is none, or the store fails.
    pub async fn admin(
        &self,
        configured: Option<String>,
        first: Option<FirstPassword>,
    ) -> Result<Option<String>, AccountsError> {
        match configured {
            Some(password) => {
                self.take_over(password, first).await?;
                Ok(None)
            }
            None if !self.has_admin().await? => {
                let first = first.unwrap_or_else(|| FirstPassword::begin(None));
                let (password, hash) = first.hashed().await?;
                self.put_admin(hash).await?;
                Ok(Some(password))
            }
            None => Ok(None),
        }
    }

    async fn has_admin(&self) -> Result<bool, StoreError> {
        let users = self.store.users().await?;
        Ok(users.iter().any(|user| user.role == Role::Admin && !user.disabled))
    }

    /// Gives the administrator the configured password, unless it is the one that was taken over before: a password
    /// changed since then stays.
    async fn take_over(&self, password: String, first: Option<FirstPassword>) -> Result<(), AccountsError> {
        if password.is_empty() || password.len() > LONGEST_PASSWORD {
            return Err(AccountsError::Password);
        }
        let before = match self.store.setting(CONFIGURED).await? {
            Some(hash) => Some(hash),
            // A store from before this was noted: what the administrator has was configured, or changed by nobody.
            None => self.store.user(ADMIN).await?.map(|admin| admin.password_hash),
        };
        let hash = match before {
            Some(before) if self.hasher.verify(password.clone(), Some(before.clone())).await? => before,
            _ => {
                let first = first.unwrap_or_else(|| FirstPassword::begin(Some(password)));
                let (_, hash) = first.hashed().await?;
                self.put_admin(hash.clone()).await?;
                hash
            }
        };
        Ok(self.store.put_setting(CONFIGURED, hash).await?)
    }

    /// Gives the administrator a new password, which ends every session of his, and returns it. Makes the user if
    /// need be, and administrator again.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn reset_admin(&self) -> Result<String, AccountsError> {
        let password = password::generate();
        let hash = self.hasher.hash(password.clone()).await?;
        self.put_admin(hash).await?;
        Ok(password)
    }

    async fn put_admin(&self, password_hash: String) -> Result<(), StoreError> {
        let again = UserChange { role: Some(Role::Admin), tags: Some(Vec::new()), disabled: Some(false) };
        if self.store.set_password(ADMIN.to_owned(), password_hash.clone(), None).await? {
            self.store.change_user(ADMIN.to_owned(), again).await?;
            return Ok(());
        }
        let admin = UserRecord {
            name: ADMIN.to_owned(),
            password_hash,
            role: Role::Admin,
            tags: Vec::new(),
            disabled: false,
            created_at: UnixMicros::now(),
            last_login: None,
            totp_secret: None,
            totp_pending: None,
            issuer: None,
        };
        self.store.add_user(admin).await.map(drop)
    }

    /// Whether guests are let in.
    #[must_use]
    pub const fn demo_mode(&self) -> bool {
        self.demo_mode
    }

    /// Who shows this credential, if it is one that has not ended. Using a session makes it last longer.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn person(
        &self,
        credential: &Credential,
        address: IpAddr,
    ) -> Result<Option<Person>, StoreError> {
        let now = UnixMicros::now();
        let Some(found) = self.find(credential, now).await? else { return Ok(None) };
        let long_ago = |used: UnixMicros| now.since(used) >= TOUCH_EVERY;
        match &found {
            Found::Session(session) if long_ago(session.last_used) => {
                let end = now.plus(SESSION_LENGTH);
                let end = session.ends_at.map_or(end, |last| end.min(last));
                self.store.touch_web_session(session.token_hash, now, end).await?;
            }
            Found::Token(owner) if owner.token.last_used.is_none_or(long_ago) => {
                let address = address.to_canonical().to_string();
                self.store.touch_api_token(owner.token.id, now, address).await?;
            }
            Found::Session(_) | Found::Token(_) => {}
        }
        Ok(Some(found.person()))
    }

    /// Whether the credential still lets in the same person, who may do and see the same; does not count as use.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn is_still(&self, person: &Person, credential: &Credential) -> Result<bool, StoreError> {
        let found = self.find(credential, UnixMicros::now()).await?;
        Ok(found.is_some_and(|found| found.person() == *person))
    }

    /// How many sessions are open at `now`.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn open_sessions(&self, now: UnixMicros) -> Result<u64, StoreError> {
        self.store.count_web_sessions(now).await
    }

    /// The sessions of a user, the last used first.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn sessions_of(&self, user: &str) -> Result<Vec<WebSessionRecord>, StoreError> {
        self.store.web_sessions_of(user.to_owned(), UnixMicros::now()).await
    }

    /// Ends a session, if it is `user`'s (none: whoever's). Returns whose it was.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn revoke_session(
        &self,
        id: SessionId,
        user: Option<&str>,
    ) -> Result<Option<String>, StoreError> {
        self.store.revoke_web_session(id, user.map(str::to_owned)).await
    }

    async fn find(&self, credential: &Credential, now: UnixMicros) -> Result<Option<Found>, StoreError> {
        match credential {
            Credential::Session(_) => {
                let session = self.store.web_session(credential.hash()).await?;
                let lets_in = |session: &WebSessionRecord| {
                    session.expires_at > now && (self.demo_mode || session.role != Role::Guest)
                };
                Ok(session.filter(lets_in).map(Found::Session))
            }
            Credential::Token(_) => {
                let owner = self.store.api_token(credential.hash()).await?;
                let lives = |owner: &ApiTokenOwner| owner.token.expires_at.is_none_or(|end| end > now);
                Ok(owner.filter(lives).map(|owner| Found::Token(Box::new(owner))))
            }
        }
    }
}

/// What a credential stands for.
enum Found {
    Session(WebSessionRecord),
    Token(Box<ApiTokenOwner>),
}

impl Found {
    fn person(&self) -> Person {
        match self {
            Self::Session(session) => Person::of_session(session),
            Self::Token(owner) => Person::of_token(owner),
        }
    }
}

/// 256 random bits as text.
fn new_secret() -> String {
    let mut secret = [0; 32];
    rand::rng().fill_bytes(&mut secret);
    URL_SAFE_NO_PAD.encode(secret)
}

async fn device_key(store: &Store) -> Result<[u8; 32], StoreError> {
    let text = match store.setting(DEVICE_KEY).await? {
        Some(text) => text,
        None => {
            let text = new_secret();
            store.put_setting(DEVICE_KEY, text.clone()).await?;
            text
        }
    };
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| StoreError::Corrupt("device_key"))?;
    bytes.try_into().map_err(|_| StoreError::Corrupt("device_key"))
}
