//! Signing in: a password, a code where there is a second factor, and then a session.

use std::net::IpAddr;
use std::time::Duration;

use roadstead_protocol::message::time::UnixMicros;

use super::attempts::Attempt;
use super::error::LoginError;
use super::person::{Credential, Person, hash_secret};
use super::{Accounts, GUEST, LONGEST_NAME, SESSION_LENGTH, network_of, new_secret, users};
use crate::model::role::Role;
use crate::store::StoreError;
use crate::store::users::UserRecord;
use crate::store::web_sessions::WebSessionRecord;

/// Longest name of a browser that is kept, in characters.
const LONGEST_CLIENT: usize = 200;

/// What somebody shows to sign in.
#[derive(Clone)]
pub struct Login {
    /// User name.
    pub name: String,
    /// Password.
    pub password: String,
    /// Code of the second factor, or a recovery code.
    pub code: Option<String>,
    /// From where.
    pub from: Origin,
}

/// Where somebody signs in from.
#[derive(Clone)]
pub struct Origin {
    /// The network address.
    pub address: IpAddr,
    /// What the browser calls itself.
    pub client: Option<String>,
    /// The cookie that tells a browser which has signed in before.
    pub device: Option<String>,
}

/// A web session that has just begun.
pub struct NewSession {
    /// The cookie's value: a secret that only the browser keeps.
    pub token: String,
    /// The device cookie's value; none for guests.
    pub device: Option<String>,
    /// How long the browser keeps it.
    pub life: Duration,
    /// Whose session.
    pub person: Person,
}

impl Accounts {
    /// Logs a user in.
    ///
    /// # Errors
    /// If name, password or code is wrong, or there were too many attempts.
    pub async fn log_in(&self, login: Login) -> Result<NewSession, LoginError> {
        let Login { name, password, code, from } = login;
        let user = self.prove(&name, password, code, &from).await?;
        self.let_in(user, from).await
    }

    /// Begins a session for a user who was proven to be there.
    pub(super) async fn let_in(&self, user: UserRecord, from: Origin) -> Result<NewSession, LoginError> {
        self.store.note_login(user.name.clone(), UnixMicros::now()).await?;
        let device = self.attempts.device_for(&user.name, from.device.as_deref());
        let (name, role, tags) = (user.name.clone(), user.role, user.tags.clone());
        let (session, record) = new_session(name, role, tags, from, Some(device), None);
        // A password or second factor that was replaced meanwhile lets nobody in any more.
        if self.store.add_proven_session(record, user).await? { Ok(session) } else { Err(LoginError::Wrong) }
    }

    /// Makes sure that somebody who is signed in knows password and code, before something that a stranger at an open
    /// browser must not do. Counts as an attempt to log in.
    ///
    /// # Errors
    /// If password or code is wrong, or there were too many attempts.
    pub async fn prove(
        &self,
        name: &str,
        password: String,
        code: Option<String>,
        from: &Origin,
    ) -> Result<UserRecord, LoginError> {
        let name = name.to_lowercase();
        if name.len() > LONGEST_NAME || password.len() > users::LONGEST_PASSWORD {
            self.attempts.anonymous(from.address)?;
            return Err(LoginError::Wrong);
        }
        let attempt = self.attempts.begin(from.address, &name, from.device.as_deref())?;
        // Whoever signs in at a provider has no password here, and is not told so.
        let user = self.store.user(&name).await?.filter(|user| !user.disabled && user.issuer.is_none());
        let hash = user.as_ref().map(|user| user.password_hash.clone());
        let right = {
            let _at_work = self.attempts.work(&attempt)?;
            self.hasher.verify(password, hash).await?
        };
        let Some(user) = user.filter(|_| right) else {
            self.attempts.failed(&attempt);
            return Err(LoginError::Wrong);
        };
        self.second_step(&user, code, &attempt).await?;
        Ok(user)
    }

    async fn second_step(
        &self,
        user: &UserRecord,
        code: Option<String>,
        attempt: &Attempt,
    ) -> Result<(), LoginError> {
        let Some(secret) = user.totp_secret else {
            self.attempts.succeeded(attempt, false);
            return Ok(());
        };
        let Some(code) = code.filter(|code| !code.trim().is_empty()) else {
            self.attempts.harmless(attempt);
            return Err(LoginError::CodeMissing);
        };
        self.attempts.try_code(attempt)?;
        if self.check_code(user, secret, &code).await? {
            self.attempts.succeeded(attempt, true);
            Ok(())
        } else {
            self.attempts.failed(attempt);
            Err(LoginError::WrongCode)
        }
    }

    /// Lets a guest in.
    ///
    /// # Errors
    /// If the demo mode is off, or there were too many attempts.
    pub async fn let_guest_in(&self, from: Origin) -> Result<NewSession, LoginError> {
        if !self.demo_mode {
            return Err(LoginError::NoGuests);
        }
        self.attempts.anonymous(from.address)?;
        Ok(self.begin_session(GUEST.to_owned(), Role::Guest, Vec::new(), from, None).await?)
    }

    /// Ends the session of `token`, if it is one.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn log_out(&self, token: &str) -> Result<(), StoreError> {
        self.store.remove_web_session(hash_secret(token)).await
    }

    /// Begins a session; with `life`, one that ends after that however it is used.
    pub(super) async fn begin_session(
        &self,
        user: String,
        role: Role,
        tags: Vec<String>,
        from: Origin,
        life: Option<Duration>,
    ) -> Result<NewSession, StoreError> {
        let (session, record) = new_session(user, role, tags, from, None, life);
        self.store.add_web_session(record).await?;
        Ok(session)
    }
}

fn new_session(
    user: String,
    role: Role,
    tags: Vec<String>,
    from: Origin,
    device: Option<String>,
    life: Option<Duration>,
) -> (NewSession, WebSessionRecord) {
    let token = new_secret();
    let now = UnixMicros::now();
    let clean = |text: String| text.chars().filter(|c| !c.is_control()).take(LONGEST_CLIENT).collect();
    let record = WebSessionRecord {
        token_hash: Credential::Session(token.clone()).hash(),
        user,
        role,
        tags,
        created_at: now,
        expires_at: now.plus(life.unwrap_or(SESSION_LENGTH)),
        last_used: now,
        address: Some(network_of(from.address).to_string()),
        client: from.client.map(clean),
        ends_at: life.map(|life| now.plus(life)),
    };
    let person = Person::of_session(&record);
    (NewSession { token, device, life: life.unwrap_or(SESSION_LENGTH), person }, record)
}
