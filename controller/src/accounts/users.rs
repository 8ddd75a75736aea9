//! Managing users: made, changed and removed by administrators, or on the command line without the web.

use roadstead_protocol::message::time::UnixMicros;

use super::error::UserError;
use super::{Accounts, GUEST, LONGEST_NAME, password};
use crate::model::role::Role;
use crate::store::StoreError;
use crate::store::users::{UserChange, UserRecord, UserWrite};

/// Shortest password that is taken, in characters, and the longest, in bytes.
pub const SHORTEST_PASSWORD: usize = 8;
/// See [`SHORTEST_PASSWORD`].
pub const LONGEST_PASSWORD: usize = 1024;

/// Most tags of a user or token, and the longest, in characters: as instances have them.
const MAX_TAGS: usize = 16;
const LONGEST_TAG: usize = 32;

/// A user to make.
#[derive(Clone)]
pub struct NewUser {
    /// Name: small letters, digits, and `. _ - @ +`.
    pub name: String,
    /// Password; none to have one made.
    pub password: Option<String>,
    /// What the user may do; not guest.
    pub role: Role,
    /// The user sees and acts on instances with one of these tags; empty for all.
    pub tags: Vec<String>,
}

impl Accounts {
    /// Every user, by name.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn users(&self) -> Result<Vec<UserRecord>, StoreError> {
        self.store.users().await
    }

    /// A user that must exist.
    ///
    /// # Errors
    /// If there is none of that name, or the store cannot be read.
    pub async fn known(&self, name: &str) -> Result<UserRecord, UserError> {
        self.store.user(name).await?.ok_or_else(|| UserError::Unknown(name.to_owned()))
    }

    /// A user that must exist and sign in with a password.
    ///
    /// # Errors
    /// If there is none of that name, the user signs in at a provider, or the store cannot be read.
    pub async fn known_with_password(&self, name: &str) -> Result<UserRecord, UserError> {
        let user = self.known(name).await?;
        with_password(&user, "password and second factor are kept there")?;
        Ok(user)
    }

    /// Makes a user, and returns the password if it was made here.
    ///
    /// # Errors
    /// If a field cannot be as it was given, the name is taken, or the store fails.
    pub async fn add_user(&self, new: NewUser) -> Result<(UserRecord, Option<String>), UserError> {
        let name = user_name(&new.name)?;
        let tags = tags(&new.tags)?;
        check_role(new.role, &tags)?;
        let (password_hash, made) = self.hash_new(new.password).await?;
        let user = UserRecord {
            name: name.clone(),
            password_hash,
            role: new.role,
            tags,
            disabled: false,
            created_at: UnixMicros::now(),
            last_login: None,
            totp_secret: None,
            totp_pending: None,
            issuer: None,
        };
        done(self.store.add_user(user.clone()).await?, &name)?;
        Ok((user, made))
    }

    /// Changes a user's role, tags, or whether the user is kept out. It counts from the next request on.
    ///
    /// # Errors
    /// If the user is unknown, no administrator would be left, or the store fails.
    pub async fn change_user(&self, name: &str, mut change: UserChange) -> Result<UserRecord, UserError> {
        let user = self.known(name).await?;
        if change.role.is_some() || change.tags.is_some() {
            with_password(&user, "what a user may do follows from the groups there; change those")?;
        }
        if let Some(given) = &change.tags {
            change.tags = Some(tags(given)?);
        }
        let after = change.tags.as_ref().unwrap_or(&user.tags);
        check_role(change.role.unwrap_or(user.role), after)?;
        done(self.store.change_user(user.name, change).await?, name)?;
        self.known(name).await
    }

    /// Removes a user with every session and API token.
    ///
    /// # Errors
    /// If the user is unknown, no administrator would be left, or the store fails.
    pub async fn remove_user(&self, name: &str) -> Result<(), UserError> {
        done(self.store.remove_user(name.to_owned()).await?, name)
    }

    /// Gives a user a new password, and returns it if it was made here. It ends every session of the user's but
    /// `keep`; API tokens stay.
    ///
    /// # Errors
    /// If the password will not do, the user is unknown, or the store fails.
    pub async fn set_password(
        &self,
        name: &str,
        password: Option<String>,
        keep: Option<[u8; 32]>,
    ) -> Result<Option<String>, UserError> {
        self.known_with_password(name).await?;
        let (hash, made) = self.hash_new(password).await?;
        if self.store.set_password(name.to_owned(), hash, keep).await? {
            Ok(made)
        } else {
            Err(UserError::Unknown(name.to_owned()))
        }
    }

    async fn hash_new(&self, password: Option<String>) -> Result<(String, Option<String>), UserError> {
        let (password, made) = match password {
            Some(password) => (password, None),
            None => {
                let made = password::generate();
                (made.clone(), Some(made))
            }
        };
        if password.chars().count() < SHORTEST_PASSWORD || password.len() > LONGEST_PASSWORD {
            return Err(UserError::Password);
        }
        Ok((self.hasher.hash(password).await?, made))
    }
}

/// Tags as instances have them: sorted, without doubles. An empty one is no tag, and left out it might leave none,
/// which would mean everything.
pub(super) fn tags(given: &[String]) -> Result<Vec<String>, UserError> {
    let mut tags: Vec<_> = given.iter().map(|tag| tag.trim().to_owned()).collect();
    tags.sort();
    tags.dedup();
    let fits = |tag: &String| {
        !tag.is_empty() && tag.chars().count() <= LONGEST_TAG && !tag.contains(char::is_control)
    };
    if tags.len() > MAX_TAGS || !tags.iter().all(fits) {
        let problem = "give at most 16 tags of 1 to 32 characters, as the instances have them";
        return Err(UserError::Invalid { field: "tags", problem });
    }
    Ok(tags)
}

fn user_name(text: &str) -> Result<String, UserError> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-@+".contains(c);
    let first = text.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    if !first || text.len() > LONGEST_NAME || !text.chars().all(fits) {
        let problem =
            "a user name has 1 to 64 small letters, digits or . _ - @ +, and begins with a letter or digit";
        return Err(UserError::Invalid { field: "name", problem });
    }
    if text == GUEST {
        let problem = "`guest` is what guests of the demo mode are called; choose another name";
        return Err(UserError::Invalid { field: "name", problem });
    }
    Ok(text.to_owned())
}

/// Refuses by name what is not ours to change of a user who signs in at a provider.
fn with_password(user: &UserRecord, instead: &'static str) -> Result<(), UserError> {
    match &user.issuer {
        None => Ok(()),
        Some(issuer) => Err(UserError::External { name: user.name.clone(), issuer: issuer.clone(), instead }),
    }
}

fn check_role(role: Role, tags: &[String]) -> Result<(), UserError> {
    match role {
        Role::Guest => {
            let problem = "guests have no accounts; the roles are: admin operator viewer";
            Err(UserError::Invalid { field: "role", problem })
        }
        Role::Admin if !tags.is_empty() => Err(UserError::AdminTags),
        _ => Ok(()),
    }
}

fn done(write: UserWrite, name: &str) -> Result<(), UserError> {
    match write {
        UserWrite::Done => Ok(()),
        UserWrite::Unknown => Err(UserError::Unknown(name.to_owned())),
        UserWrite::Taken => Err(UserError::Taken(name.to_owned())),
        UserWrite::TooMany => Err(UserError::TooMany),
        UserWrite::LastAdmin => Err(UserError::LastAdmin),
    }
}
