//! Somebody who is let in, and what lets them in.

use std::collections::BTreeSet;

use roadstead_protocol::message::ids::InstanceId;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::Role;
use crate::model::scope::{Limit, Scope};
use crate::store::api_tokens::{ApiTokenOwner, ApiTokenRecord};
use crate::store::web_sessions::WebSessionRecord;

/// What every API token begins with, so that one that leaked is found.
pub const TOKEN_PREFIX: &str = "rst_";

/// What a request shows to be let in: a secret.
#[derive(Clone)]
pub enum Credential {
    /// The session cookie's value.
    Session(String),
    /// An API token.
    Token(String),
}

/// Somebody who is let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The user's name.
    pub name: String,
    /// What may be done: by the user's role, and by the token's scope if there is one.
    pub role: Role,
    /// Which instances are seen.
    pub scope: Scope,
    /// What let them in.
    pub by: By,
}

/// What let somebody in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// A web session, by the hash of its token.
    Session([u8; 32]),
    /// An API token.
    Token {
        /// Its id.
        id: Uuid,
        /// Its name.
        name: String,
    },
}

impl Credential {
    pub(super) fn hash(&self) -> [u8; 32] {
        let (Self::Session(secret) | Self::Token(secret)) = self;
        hash_secret(secret)
    }
}

impl Person {
    pub(super) fn of_session(session: &WebSessionRecord) -> Self {
        Self {
            name: session.user.clone(),
            role: session.role,
            scope: Scope::default().within(Limit::of_tags(&session.tags)),
            by: By::Session(session.token_hash),
        }
    }

    pub(super) fn of_token(owner: &ApiTokenOwner) -> Self {
        let token = &owner.token;
        Self {
            name: token.user.clone(),
            role: owner.role.min(token.scope),
            scope: Scope::default().within(Limit::of_tags(&owner.tags)).within(limit_of(token)),
            by: By::Token { id: token.id, name: token.name.clone() },
        }
    }

    /// The name for lists and the audit log: also says by which token.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.by {
            By::Session(_) => self.name.clone(),
            By::Token { name, .. } => format!("{} (token {name})", self.name),
        }
    }

    /// The hash of the web session's token; none for an API token.
    #[must_use]
    pub const fn session(&self) -> Option<[u8; 32]> {
        match &self.by {
            By::Session(hash) => Some(*hash),
            By::Token { .. } => None,
        }
    }
}

fn limit_of(token: &ApiTokenRecord) -> Limit {
    let instances: BTreeSet<InstanceId> = token.instances.iter().filter_map(|id| id.parse().ok()).collect();
    let mut tags = token.tags.clone();
    if instances.len() < token.instances.len() {
        // What was stored is no id: it fits nothing, but it is a limit all the same. No tag is empty.
        tags.push(String::new());
    }
    Limit { instances, ..Limit::of_tags(&tags) }
}

/// What is kept of a secret that was made with enough randomness to need no salt.
pub(super) fn hash_secret(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}
