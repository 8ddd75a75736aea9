//! API tokens: what programs show instead of a password. Never more than their user may do.

use std::time::Duration;

use roadstead_protocol::message::ids::InstanceId;
use roadstead_protocol::message::time::UnixMicros;
use uuid::Uuid;

use super::error::UserError;
use super::person::{Person, TOKEN_PREFIX, hash_secret};
use super::{Accounts, new_secret, users};
use crate::model::role::Role;
use crate::store::StoreError;
use crate::store::api_tokens::{ApiTokenRecord, ApiTokenWrite};

/// Longest name of a token, in characters, and most instances it may name.
const LONGEST_NAME: usize = 64;
const MAX_INSTANCES: usize = 100;

/// Longest life of a token that ends.
const LONGEST_LIFE: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

/// An API token to make.
#[derive(Clone, Debug)]
pub struct NewApiToken {
    /// Name, unique among the user's.
    pub name: String,
    /// The most it may do.
    pub scope: Role,
    /// It sees and acts on instances with one of these tags, and
    pub tags: Vec<String>,
    /// these instances; both empty for all of the user's.
    pub instances: Vec<InstanceId>,
    /// How long it lives; none for until it is revoked.
    pub life: Option<Duration>,
}

impl Accounts {
    /// Makes a token for `person`, and returns it: this once.
    ///
    /// # Errors
    /// If a field cannot be as it was given, or the store fails.
    pub async fn add_token(
        &self,
        person: &Person,
        new: NewApiToken,
    ) -> Result<(ApiTokenRecord, String), UserError> {
        let name = new.name.trim();
        if name.is_empty() || name.chars().count() > LONGEST_NAME || name.contains(char::is_control) {
            return Err(invalid("name", "a token's name has 1 to 64 characters"));
        }
        if new.instances.len() > MAX_INSTANCES {
            return Err(invalid("instances", "name at most 100 instances, or limit the token by tags"));
        }
        if new.life.is_some_and(|life| life.is_zero() || life > LONGEST_LIFE) {
            return Err(invalid(
                "ttl",
                "a token lives from one second to ten years; leave `ttl` out for ever",
            ));
        }
        if new.scope > person.role {
            return Err(UserError::TokenTooMuch);
        }
        let tags = users::tags(&new.tags)?;
        if new.scope == Role::Admin && !(tags.is_empty() && new.instances.is_empty()) {
            return Err(UserError::AdminTags);
        }
        let token = format!("{TOKEN_PREFIX}{}", new_secret());
        let now = UnixMicros::now();
        let record = ApiTokenRecord {
            id: Uuid::now_v7(),
            user: person.name.clone(),
            name: name.to_owned(),
            secret_hash: hash_secret(&token),
            scope: new.scope,
            tags,
            instances: new.instances.iter().map(ToString::to_string).collect(),
            created_at: now,
            expires_at: new.life.map(|life| now.plus(life)),
            last_used: None,
            last_address: None,
        };
        match self.store.add_api_token(record.clone()).await? {
            ApiTokenWrite::Done => Ok((record, token)),
            ApiTokenWrite::Taken => Err(UserError::TokenTaken(name.to_owned())),
            ApiTokenWrite::TooMany => Err(UserError::TooManyTokens),
        }
    }

    /// The tokens of a user, or everybody's.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn tokens(&self, user: Option<&str>) -> Result<Vec<ApiTokenRecord>, StoreError> {
        self.store.api_tokens(user.map(str::to_owned)).await
    }

    /// Revokes a token, if it is `user`'s (none: whoever's). Returns whose it was, and its name.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub async fn revoke_token(
        &self,
        id: Uuid,
        user: Option<&str>,
    ) -> Result<Option<(String, String)>, StoreError> {
        self.store.remove_api_token(id, user.map(str::to_owned)).await
    }
}

const fn invalid(field: &'static str, problem: &'static str) -> UserError {
    UserError::Invalid { field, problem }
}
