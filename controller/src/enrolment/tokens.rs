//! Join tokens: made here, redeemed at admission.

use std::time::Duration;

use roadstead_protocol::join_token::JoinToken;
use roadstead_protocol::message::ids::{InstanceId, TokenId};
use roadstead_protocol::message::time::UnixMicros;
use sha2::{Digest as _, Sha256};

use super::fields::{self, InvalidField};
use super::{EnrolError, Enrolment, direction};
use crate::model::{Direction, Grants, JoinTokenRecord};

/// How long a token lives if nobody says otherwise.
pub const DEFAULT_TOKEN_TTL: Duration = Duration::from_secs(3600);

/// The shortest a token may live.
const MIN_TOKEN_TTL: Duration = Duration::from_secs(60);

/// The longest a token may live.
const MAX_TOKEN_TTL: Duration = Duration::from_secs(30 * 24 * 3600);

/// The most uses of one token.
const MAX_TOKEN_USES: u32 = 1000;

/// How long an expired token stays in the list, so that its agent hears that it expired rather than never was.
const KEEP_EXPIRED: Duration = Duration::from_secs(7 * 24 * 3600);

/// A new join token.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuedToken {
    /// What is stored of it.
    pub record: JoinTokenRecord,
    /// The token itself: shown once, kept nowhere.
    pub text: String,
}

impl std::fmt::Debug for IssuedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuedToken").field("record", &self.record).field("text", &"…").finish()
    }
}

/// A join token to make.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// What it is called, to know it by; at most 64 characters.
    pub name: Option<String>,
    /// The instance it is for; none for whichever agent comes with it.
    pub instance: Option<InstanceId>,
    /// Who dials.
    pub direction: Direction,
    /// How long it lives.
    pub ttl: Duration,
    /// How often it may be used.
    pub uses: u32,
    /// What it gives to whatever joins with it.
    pub grants: Grants,
}

impl Default for NewToken {
    /// For one agent that dials within an hour.
    fn default() -> Self {
        Self {
            name: None,
            instance: None,
            direction: Direction::Outbound,
            ttl: DEFAULT_TOKEN_TTL,
            uses: 1,
            grants: Grants::default(),
        }
    }
}

impl Enrolment {
    /// Makes a join token. One for an instance that has joined already lets its reinstalled agent take its place: the
    /// instance keeps its id and history, and its earlier key is filed as replaced.
    ///
    /// # Errors
    /// If a field is out of bounds, the instance is unknown or dialled the other way, or the store fails.
    pub async fn issue_token(&self, new: NewToken) -> Result<IssuedToken, EnrolError> {
        let now = UnixMicros::now();
        if let Some(instance) = &new.instance {
            self.check_token_target(instance, new.direction, new.uses).await?;
        }
        let token = self.make_token(new, now)?;
        self.store.prune_join_tokens(now.minus(KEEP_EXPIRED)).await?;
        self.store.insert_join_token(token.record.clone()).await?;
        Ok(token)
    }

    /// Every join token, newest first, also those that were used or expired within the last week.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn tokens(&self) -> Result<Vec<JoinTokenRecord>, EnrolError> {
        Ok(self.store.join_tokens().await?)
    }

    /// Revokes a join token. Who has joined with it stays.
    ///
    /// # Errors
    /// If there is no such token or the store fails.
    pub async fn revoke_token(&self, token: TokenId) -> Result<(), EnrolError> {
        if self.store.delete_join_token(token).await? { Ok(()) } else { Err(EnrolError::UnknownToken(token)) }
    }

    async fn check_token_target(
        &self,
        instance: &InstanceId,
        wanted: Direction,
        uses: u32,
    ) -> Result<(), EnrolError> {
        let record = self.store.instance(instance.clone()).await?;
        let record = record.ok_or_else(|| EnrolError::UnknownInstance(instance.clone()))?;
        if direction(&record) != wanted {
            return Err(EnrolError::WrongDirection { direction: direction(&record), name: record.name });
        }
        if uses > 1 {
            let problem = "A token for one instance has one use. Make one for each agent.";
            return Err(InvalidField::new("uses", problem).into());
        }
        Ok(())
    }

    pub(super) fn make_token(&self, new: NewToken, now: UnixMicros) -> Result<IssuedToken, EnrolError> {
        let NewToken { name, instance, direction, ttl, uses, grants } = new;
        if !(MIN_TOKEN_TTL..=MAX_TOKEN_TTL).contains(&ttl) {
            let problem =
                "A token lives at least a minute and at most 30 days. Choose a lifetime in between.";
            return Err(InvalidField::new("ttl", problem).into());
        }
        if !(1..=MAX_TOKEN_USES).contains(&uses) {
            let problem = format!("A token has 1 to {MAX_TOKEN_USES} uses. Choose a number in between.");
            return Err(InvalidField::new("uses", problem).into());
        }
        let name = name.as_deref().map(fields::name).transpose()?;
        let grants = Grants {
            tags: fields::tags(&grants.tags)?,
            environment: fields::environment(grants.environment.as_deref())?,
            ceiling: grants.ceiling,
        };
        let token = self.token_text(direction, TokenId::generate(), rand::random(), now.plus(ttl))?;
        let record = JoinTokenRecord {
            id: token.id,
            name,
            grants,
            secret_hash: Sha256::digest(token.secret).into(),
            instance,
            direction,
            created_at: now,
            expires_at: token.expires_at,
            uses_left: uses,
            used_at: None,
        };
        Ok(IssuedToken { record, text: token.to_text()? })
    }

    /// What a token says.
    pub(super) fn token_text(
        &self,
        direction: Direction,
        id: TokenId,
        secret: [u8; 32],
        expires_at: UnixMicros,
    ) -> Result<JoinToken, EnrolError> {
        let terms = self.terms();
        let addresses = match direction {
            Direction::Inbound => Vec::new(),
            Direction::Outbound if terms.agent_urls.is_empty() => return Err(EnrolError::NoAgentUrl),
            Direction::Outbound => terms.agent_urls,
        };
        Ok(JoinToken { addresses, controller: terms.controller_key, id, secret, expires_at })
    }
}
