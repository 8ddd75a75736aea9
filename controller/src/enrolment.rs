//! Registering, changing and removing instances; making and revoking join tokens.

use std::sync::Arc;
use std::time::Duration;

use roadstead_protocol::join_token::JoinToken;
use roadstead_protocol::message::codec::EncodeError;
use roadstead_protocol::message::ids::{InstanceId, PeerKey, TokenId};
use roadstead_protocol::message::time::UnixMicros;
use sha2::{Digest as _, Sha256};

use crate::dial_allow::{DialAllow, DialRefused, ResolveError};
use crate::fleet::Fleet;
use crate::model::{Direction, InstanceRecord, JoinTokenRecord};
use crate::registry::Registry;
use crate::store::instances::Conflict;
use crate::store::{Store, StoreError};

pub mod fields;
pub mod id;

use fields::InvalidField;

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

/// Registering and removing instances; cheap to clone.
#[derive(Clone)]
pub struct Enrolment {
    store: Store,
    fleet: Fleet,
    registry: Registry,
    terms: Arc<Terms>,
}

struct Terms {
    controller_key: PeerKey,
    agent_urls: Vec<String>,
    dial_allow: DialAllow,
}

/// An instance to register.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewInstance {
    /// Name, 1 to 64 characters, unique regardless of case.
    pub name: String,
    /// Where the controller dials the agent (`wss://host:port`); none if the agent dials.
    pub url: Option<String>,
    /// Free text, at most 500 characters.
    pub description: String,
    /// Environment label, at most 32 characters.
    pub environment: Option<String>,
    /// At most 16 tags of at most 32 characters.
    pub tags: Vec<String>,
    /// How long its join token lives; none for [`DEFAULT_TOKEN_TTL`].
    pub token_ttl: Option<Duration>,
}

/// A change of an instance: what is none stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceChange {
    /// New name.
    pub name: Option<String>,
    /// New address; `Some(None)` if the agent is to dial from now on.
    pub url: Option<Option<String>>,
    /// New description.
    pub description: Option<String>,
    /// New environment label, or none.
    pub environment: Option<Option<String>>,
    /// New tags.
    pub tags: Option<Vec<String>>,
}

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

/// Why an enrolment was refused. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The caller gave a value that cannot be.
    #[error(transparent)]
    Invalid(#[from] InvalidField),
    /// The address may not be dialled.
    #[error("{0}.")]
    Dial(#[from] DialRefused),
    /// Another instance has the name.
    #[error("An instance is named `{0}` already. Choose another name.")]
    NameTaken(String),
    /// Another instance has the address.
    #[error("An instance with the address {0} is registered already. Change or remove that one.")]
    UrlTaken(String),
    /// No such instance.
    #[error("There is no instance `{0}`. It may have been removed; list the instances.")]
    UnknownInstance(InstanceId),
    /// No such token.
    #[error("There is no join token {0}. It may have been revoked, or it expired long ago; list the tokens.")]
    UnknownToken(TokenId),
    /// The instance has the other direction.
    #[error("`{name}` is {}. Make a token of that direction, or change the instance's address.", match direction {
        Direction::Inbound => "dialled by the controller (inbound)",
        Direction::Outbound => "to dial the controller (outbound)",
    })]
    WrongDirection {
        /// The instance.
        name: String,
        /// The direction it has.
        direction: Direction,
    },
    /// The operator has not said where agents reach the controller.
    #[error(
        "The controller does not know its own address for agents. Set ROADSTEAD_AGENT_URL, for example to wss://controller.example.org:8081."
    )]
    NoAgentUrl,
    /// The operator's addresses are too many or too long.
    #[error("The token cannot be made: {0}. Shorten ROADSTEAD_AGENT_URL.")]
    TokenText(#[from] EncodeError),
    /// The store failed.
    #[error("It could not be stored: {0}. Look at the controller's log and disk, then try again.")]
    Store(#[from] StoreError),
}

impl Enrolment {
    /// Enrolment for a controller with this key, which agents reach at `agent_urls` (`wss://host:port`, best first).
    #[must_use]
    pub fn new(
        store: Store,
        fleet: Fleet,
        registry: Registry,
        controller_key: PeerKey,
        agent_urls: Vec<String>,
        dial_allow: DialAllow,
    ) -> Self {
        let terms = Arc::new(Terms { controller_key, agent_urls, dial_allow });
        Self { store, fleet, registry, terms }
    }

    /// Registers an instance and makes the token its agent joins with.
    ///
    /// # Errors
    /// If a field is invalid, name or address are taken, or the store fails.
    pub async fn register(&self, new: NewInstance) -> Result<(InstanceRecord, IssuedToken), EnrolError> {
        let now = UnixMicros::now();
        let url = self.url(new.url.as_deref()).await?;
        let mut record = InstanceRecord {
            id: url.as_deref().map_or_else(id::random, id::of_url),
            name: fields::name(&new.name)?,
            url,
            description: fields::description(&new.description)?,
            environment: fields::environment(new.environment.as_deref())?,
            tags: fields::tags(&new.tags)?,
            key: None,
            created_at: now,
            last_seen: None,
            agent_version: None,
            policy: None,
            abilities: Vec::new(),
        };
        let ttl = new.token_ttl.unwrap_or(DEFAULT_TOKEN_TTL);
        let mut token = self.make_token(Some(record.id.clone()), direction(&record), ttl, 1, now)?;
        let mut stored = self.insert(&record, &token).await?;
        if stored == Err(Conflict::Id) {
            // The instance that the id was derived for has moved to another address and keeps its id.
            record.id = id::random();
            token.record.instance = Some(record.id.clone());
            stored = self.insert(&record, &token).await?;
        }
        stored.map_err(|conflict| conflict_error(conflict, &record))?;
        self.fleet.upsert_record(record.clone());
        Ok((record, token))
    }

    /// Changes what people say of an instance. A new address ends the present link.
    ///
    /// # Errors
    /// If a field is invalid, name or address are taken, there is no such instance, or the store fails.
    pub async fn change(
        &self,
        instance: &InstanceId,
        change: InstanceChange,
    ) -> Result<InstanceRecord, EnrolError> {
        let name = change.name.as_deref().map(fields::name).transpose()?;
        let description = change.description.as_deref().map(fields::description).transpose()?;
        let environment = change.environment.map(|text| fields::environment(text.as_deref())).transpose()?;
        let tags = change.tags.as_deref().map(fields::tags).transpose()?;
        let url = match &change.url {
            Some(url) => Some(self.url(url.as_deref()).await?),
            None => None,
        };
        let before = self.store.instance(instance.clone()).await?;
        let before = before.ok_or_else(|| EnrolError::UnknownInstance(instance.clone()))?;
        let wished = InstanceRecord {
            name: name.unwrap_or(before.name),
            url: url.unwrap_or_else(|| before.url.clone()),
            description: description.unwrap_or(before.description),
            environment: environment.unwrap_or(before.environment),
            tags: tags.unwrap_or(before.tags),
            ..before
        };
        let moved = wished.url != before.url;
        let stored = self
            .store
            .update_instance(instance.clone(), {
                let wished = wished.clone();
                // Only these: the rest may have changed since it was read.
                move |record| {
                    record.name = wished.name;
                    record.url = wished.url;
                    record.description = wished.description;
                    record.environment = wished.environment;
                    record.tags = wished.tags;
                }
            })
            .await?
            .ok_or_else(|| EnrolError::UnknownInstance(instance.clone()))?;
        let record = stored.map_err(|conflict| conflict_error(conflict, &wished))?;
        self.fleet.upsert_record(record.clone());
        if moved {
            self.end_session(instance);
        }
        Ok(record)
    }

    /// Removes an instance: its link ends at once, and its key is refused by name from then on. The host itself is
    /// not touched.
    ///
    /// # Errors
    /// If there is no such instance or the store fails.
    pub async fn remove(&self, instance: &InstanceId) -> Result<InstanceRecord, EnrolError> {
        let removed = self.store.remove_instance(instance.clone(), UnixMicros::now()).await?;
        let record = removed.ok_or_else(|| EnrolError::UnknownInstance(instance.clone()))?;
        // In this order: a session that begins in between finds no host to feed, and ends.
        self.fleet.remove(instance);
        self.end_session(instance);
        Ok(record)
    }

    /// Makes a join token: for one instance, or for whichever agent comes with it. A token for an instance that has
    /// joined already lets its reinstalled agent take its place.
    ///
    /// # Errors
    /// If lifetime or uses are out of bounds, the instance is unknown or dialled the other way, or the store fails.
    pub async fn issue_token(
        &self,
        for_instance: Option<InstanceId>,
        direction: Direction,
        ttl: Duration,
        uses: u32,
    ) -> Result<IssuedToken, EnrolError> {
        let now = UnixMicros::now();
        if let Some(instance) = &for_instance {
            self.check_token_target(instance, direction, uses).await?;
        }
        let token = self.make_token(for_instance, direction, ttl, uses, now)?;
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

    fn make_token(
        &self,
        instance: Option<InstanceId>,
        direction: Direction,
        ttl: Duration,
        uses: u32,
        now: UnixMicros,
    ) -> Result<IssuedToken, EnrolError> {
        if !(MIN_TOKEN_TTL..=MAX_TOKEN_TTL).contains(&ttl) {
            let problem =
                "A token lives at least a minute and at most 30 days. Choose a lifetime in between.";
            return Err(InvalidField::new("ttl", problem).into());
        }
        if !(1..=MAX_TOKEN_USES).contains(&uses) {
            let problem = format!("A token has 1 to {MAX_TOKEN_USES} uses. Choose a number in between.");
            return Err(InvalidField::new("uses", problem).into());
        }
        let addresses = match direction {
            Direction::Inbound => Vec::new(),
            Direction::Outbound if self.terms.agent_urls.is_empty() => return Err(EnrolError::NoAgentUrl),
            Direction::Outbound => self.terms.agent_urls.clone(),
        };
        let token = JoinToken {
            addresses,
            controller: self.terms.controller_key,
            id: TokenId::generate(),
            secret: rand::random(),
            expires_at: now.plus(ttl),
        };
        let record = JoinTokenRecord {
            id: token.id,
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

    async fn insert(
        &self,
        record: &InstanceRecord,
        token: &IssuedToken,
    ) -> Result<Result<(), Conflict>, StoreError> {
        self.store.insert_instance_with_token(record.clone(), token.record.clone()).await
    }

    /// An address in its normal form, if the controller may dial it. A name that leads nowhere yet is taken: it is
    /// looked at again whenever it is dialled.
    async fn url(&self, text: Option<&str>) -> Result<Option<String>, EnrolError> {
        let Some(text) = text else { return Ok(None) };
        let address = fields::url(text)?;
        match self.terms.dial_allow.resolve(address.host(), address.port()).await {
            Ok(_) | Err(ResolveError::Unresolved { .. }) => Ok(Some(address.to_string())),
            Err(ResolveError::Refused(refused)) => Err(refused.into()),
        }
    }

    fn end_session(&self, instance: &InstanceId) {
        if let Some(agent) = self.registry.agent(instance) {
            agent.end();
        }
    }
}

/// Who dials, by what is registered.
#[must_use]
pub const fn direction(record: &InstanceRecord) -> Direction {
    if record.url.is_some() { Direction::Inbound } else { Direction::Outbound }
}

fn conflict_error(conflict: Conflict, record: &InstanceRecord) -> EnrolError {
    match (conflict, &record.url) {
        (Conflict::Url, Some(url)) => EnrolError::UrlTaken(url.clone()),
        (Conflict::Name, _) => EnrolError::NameTaken(record.name.clone()),
        // Ids and keys are not people's to choose: these cannot come from a request.
        (Conflict::Url | Conflict::Id | Conflict::Key, _) => StoreError::Corrupt("instances").into(),
    }
}
