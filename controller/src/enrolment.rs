//! Registering, changing and removing instances; making and revoking join tokens.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use roadstead_protocol::message::ids::{InstanceId, PeerKey};
use roadstead_protocol::message::time::UnixMicros;

use crate::dial_allow::{DialAllow, ResolveError};
use crate::fleet::Fleet;
use crate::model::{Direction, InstanceRecord, MemberTerms};
use crate::registry::Registry;
use crate::store::instances::Conflict;
use crate::store::{Store, StoreError};

pub mod declared;
mod error;
pub mod fields;
pub mod id;
mod offered;
#[cfg(test)]
mod tests;
mod tokens;

pub use error::EnrolError;
use error::conflict_error;
pub use tokens::{DEFAULT_TOKEN_TTL, IssuedToken, NewToken};

/// How long resolving an address may take, while somebody waits for the registration.
const RESOLVE: Duration = Duration::from_secs(5);

/// Registering and removing instances; cheap to clone.
#[derive(Clone)]
pub struct Enrolment {
    store: Store,
    fleet: Fleet,
    registry: Registry,
    terms: Arc<RwLock<Terms>>,
}

/// What may change while the controller runs.
#[derive(Clone)]
struct Terms {
    controller_key: PeerKey,
    agent_urls: Vec<String>,
    dial_allow: Arc<DialAllow>,
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
    /// Whether it begins without what is known of an earlier instance at its address: not everybody may see that.
    pub anew: bool,
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
        let terms = Terms { controller_key, agent_urls, dial_allow: Arc::new(dial_allow) };
        Self { store, fleet, registry, terms: Arc::new(RwLock::new(terms)) }
    }

    /// New tokens name this key of the controller from now on.
    pub fn set_controller_key(&self, key: PeerKey) {
        self.terms.write().unwrap_or_else(PoisonError::into_inner).controller_key = key;
    }

    /// New tokens name these addresses, and only these networks are dialled beside what always may be, from now on.
    pub fn set_addresses(&self, agent_urls: Vec<String>, dial_allow: DialAllow) {
        let mut terms = self.terms.write().unwrap_or_else(PoisonError::into_inner);
        terms.agent_urls = agent_urls;
        terms.dial_allow = Arc::new(dial_allow);
    }

    /// What may be dialled.
    #[must_use]
    pub fn dial_allow(&self) -> Arc<DialAllow> {
        self.terms().dial_allow
    }

    fn terms(&self) -> Terms {
        self.terms.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Registers an instance and makes the token its agent joins with.
    ///
    /// # Errors
    /// If a field is invalid, name or address are taken, or the store fails.
    pub async fn register(&self, new: NewInstance) -> Result<(InstanceRecord, IssuedToken), EnrolError> {
        let now = UnixMicros::now();
        let url = self.url(new.url.as_deref()).await?;
        let mut record = InstanceRecord {
            id: url.as_deref().filter(|_| !new.anew).map_or_else(id::random, id::of_url),
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
            terms: MemberTerms::default(),
        };
        let ttl = new.token_ttl.unwrap_or(DEFAULT_TOKEN_TTL);
        let wish = NewToken {
            instance: Some(record.id.clone()),
            direction: direction(&record),
            ttl,
            ..NewToken::default()
        };
        let mut token = self.make_token(wish, now)?;
        let mut stored = self.insert(&record, &token).await?;
        if stored == Err(Conflict::Id) {
            // The instance that the id was derived for has moved to another address and keeps its id.
            record.id = id::random();
            token.record.instance = Some(record.id.clone());
            stored = self.insert(&record, &token).await?;
        }
        stored.map_err(|conflict| conflict_error(conflict, &record))?;
        self.fleet.refresh_record(&self.store, &record.id).await?;
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
            name: name.unwrap_or_else(|| before.name.clone()),
            url: url.unwrap_or_else(|| before.url.clone()),
            description: description.unwrap_or_else(|| before.description.clone()),
            environment: environment.unwrap_or_else(|| before.environment.clone()),
            tags: tags.unwrap_or_else(|| before.tags.clone()),
            ..before.clone()
        };
        let decided = (&wished.name, &wished.url, &wished.environment, &wished.tags);
        if wished.terms.declared && decided != (&before.name, &before.url, &before.environment, &before.tags)
        {
            return Err(EnrolError::Declared(before.name));
        }
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
        self.fleet.refresh_record(&self.store, instance).await?;
        if moved {
            self.end_session(instance);
        }
        Ok(record)
    }

    /// Removes an instance: its link ends at once, and its key is refused by name from then on. The host itself is
    /// not touched.
    ///
    /// # Errors
    /// If there is no such instance, the configuration file declares it, or the store fails.
    pub async fn remove(&self, instance: &InstanceId) -> Result<InstanceRecord, EnrolError> {
        if let Some(record) = self.store.instance(instance.clone()).await?
            && record.terms.declared
        {
            return Err(EnrolError::Declared(record.name));
        }
        let removed = self.store.remove_instance(instance.clone(), UnixMicros::now()).await?;
        let record = removed.ok_or_else(|| EnrolError::UnknownInstance(instance.clone()))?;
        // In this order: a session that begins in between finds no host to feed, and ends.
        self.fleet.remove(instance).await;
        self.end_session(instance);
        Ok(record)
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
        match self.dial_allow().resolve(address.host(), address.port(), RESOLVE).await {
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
