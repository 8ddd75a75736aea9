//! Why somebody was not let in, or something about users was not done.

use std::time::Duration;

use super::password::HashError;
use super::users::{LONGEST_PASSWORD, SHORTEST_PASSWORD};
use crate::store::StoreError;
use crate::store::api_tokens::TOKENS_PER_USER;
use crate::store::users::MAX_USERS;

/// Why somebody was not logged in.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// Name or password is wrong; which of the two is not told.
    #[error("user name or password is wrong")]
    Wrong,
    /// The password is right; the account has a second factor, and no code came along.
    #[error("the code of the second factor is missing")]
    CodeMissing,
    /// The password is right and the code is not, or was used before.
    #[error("the code is wrong, or was used before")]
    WrongCode,
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

/// Why somebody whom a provider vouches for was not let in.
#[derive(Debug, thiserror::Error)]
pub enum ExternalError {
    /// An administrator keeps the user out.
    #[error("`{0}` is kept out here; an administrator can let you in again")]
    KeptOut(String),
    /// The user would no longer be administrator, and is the last one.
    #[error(
        "`{0}` is the last administrator here, and has no group at the provider that makes one; make somebody else \
         administrator first, or put that group back"
    )]
    LastAdmin(String),
    /// There are too many users.
    #[error("there are too many users here already; an administrator has to remove one first")]
    TooMany,
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

/// Why something about a user, a session or an API token was not done.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// A field cannot be as it was given.
    #[error("{problem}")]
    Invalid {
        /// Which, by its name in the API.
        field: &'static str,
        /// What is wrong and what would be right.
        problem: &'static str,
    },
    /// The password is too short or too long.
    #[error("a password has at least {SHORTEST_PASSWORD} characters and at most {LONGEST_PASSWORD} bytes")]
    Password,
    /// There is no such user.
    #[error("there is no user `{0}`; GET /api/users lists those there are")]
    Unknown(String),
    /// The name is taken.
    #[error("there is a user `{0}` already; choose another name, or change that user")]
    Taken(String),
    /// There are too many users.
    #[error("there are {MAX_USERS} users already; remove one first")]
    TooMany,
    /// No administrator would be left.
    #[error("this is the last administrator who may sign in; make somebody else administrator first")]
    LastAdmin,
    /// An administrator with limits would be none.
    #[error(
        "an administrator sees every instance: leave the tags out, or choose the role operator or viewer"
    )]
    AdminTags,
    /// The user signs in at a provider, where such things are kept.
    #[error("`{name}` signs in at {issuer}: {instead}")]
    External {
        /// The user.
        name: String,
        /// The provider.
        issuer: String,
        /// What holds instead.
        instead: &'static str,
    },
    /// The second factor is on already, or not at all.
    #[error("{0}")]
    SecondFactor(&'static str),
    /// The user has a token of that name.
    #[error("there is a token `{0}` already; choose another name, or revoke that one")]
    TokenTaken(String),
    /// The user has too many tokens.
    #[error("there are {TOKENS_PER_USER} tokens already; revoke one first")]
    TooManyTokens,
    /// The token would be allowed more than who makes it.
    #[error("a token may not do more than who makes it; choose a smaller scope")]
    TokenTooMuch,
    /// Password or code is wrong, or there were too many attempts.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// Hashing failed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
