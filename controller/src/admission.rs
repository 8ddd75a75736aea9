//! Who may become a session: the same for both dial directions.
//!
//! TLS has proven that the peer holds a key. A known key is its instance. An unknown one needs a join token, which
//! binds the key to an instance; a key that was removed is refused by name until it brings one.

use std::sync::Arc;
use std::time::Duration;

use rand::Rng as _;
use roadstead_protocol::message::hello::{Hello, JoinProof, Refusal};
use roadstead_protocol::message::ids::{InstanceId, PeerKey, TokenId};
use roadstead_protocol::message::policy::Policy;
use roadstead_protocol::message::time::UnixMicros;
use roadstead_protocol::message::version;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::audit::{Audit, AuditResult, Entry};
use crate::fleet::Fleet;
use crate::model::{Direction, InstanceRecord};
use crate::registry::Registry;
use crate::store::audit::AuditEntry;
use crate::store::{Store, StoreError};

mod clones;
mod redemption;
#[cfg(test)]
mod tests;

use clones::Clones;
use redemption::Newcomer;

/// Admissions worked on at once; further agents wait for their turn. How many can wait the listener decides.
const AT_ONCE: usize = 64;

/// How long an agent waits for its turn before it is told to come back: it listens for ten seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// When those come back, in milliseconds: spread out, so that they do not come together again.
const RETRY_AFTER_MS: std::ops::Range<u32> = 500..3000;

/// Most abilities an agent may name, and the longest name, in characters.
const MAX_ABILITIES: usize = 32;
const MAX_ABILITY: usize = 64;

/// Keys of the controller's that an agent may be told of at once.
const MAX_CONTROLLER_KEYS: usize = 2;
/// Most entries of one list of a policy that are kept, and the longest, in bytes.
const MAX_LIMITS: usize = 256;
const MAX_LIMIT: usize = 512;

/// Longest version of an agent that is kept, in characters.
const MAX_VERSION: usize = 64;

/// Decides who may become a session; cheap to clone.
#[derive(Clone)]
pub struct Admission {
    store: Store,
    fleet: Fleet,
    registry: Registry,
    pace: Arc<Semaphore>,
    clones: Arc<Clones>,
    audit: Audit,
}

/// Whom to expect at a dialled instance's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// The keys of its agent, the one that it should show first; none if nobody has joined yet.
    pub keys: Vec<PeerKey>,
    /// Whether a token waits for its reinstalled agent, which has a key that nobody knows yet.
    pub others_too: bool,
}

impl Admission {
    /// Admission to the fleet.
    #[must_use]
    pub fn new(store: Store, fleet: Fleet, registry: Registry) -> Self {
        let pace = Arc::new(Semaphore::new(AT_ONCE));
        let audit = Audit::new(store.clone());
        Self { store, fleet, registry, pace, clones: Arc::default(), audit }
    }

    /// Decides about the peer with this proven key and Hello, and records what it tells of itself. `dialled` is the
    /// instance that the controller meant to reach, if it dialled.
    ///
    /// # Errors
    /// Why the peer may not become a session, as it is to be told.
    pub async fn admit(
        &self,
        peer: PeerKey,
        hello: &Hello,
        direction: Direction,
        dialled: Option<&InstanceId>,
    ) -> Result<InstanceRecord, Refusal> {
        if !version::CURRENT.talks_to(hello.protocol) {
            return Err(Refusal::Version { controller: version::CURRENT });
        }
        let Ok(_place) = timeout(PATIENCE, self.pace.acquire()).await else {
            return Err(Refusal::Busy { retry_after_ms: rand::rng().random_range(RETRY_AFTER_MS) });
        };
        let record = match self.store.instance_by_key(peer).await.map_err(internal)? {
            Some(member) if member.key == Some(peer) => member,
            // Filed without proof that the agent has it: only a peer that claims to be that instance takes it up.
            Some(member) if hello.join.is_none() && dialled.is_none_or(|dialled| *dialled == member.id) => {
                self.take_up_key(member, peer).await?
            }
            _ => self.join(peer, hello, direction, dialled).await?,
        };
        if dialled.is_some_and(|dialled| *dialled != record.id) {
            return Err(Refusal::TokenMismatch);
        }
        self.refuse_clone(&record.id, hello)?;
        self.note_hello(record, hello).await
    }

    /// The keys that the agent at a dialled instance's address is known by.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn pinned_keys(&self, dialled: &InstanceId) -> Result<Pinned, StoreError> {
        let others_too = self.store.has_open_join_token(dialled.clone(), UnixMicros::now()).await?;
        let record = self.store.instance(dialled.clone()).await?;
        let keys = record.map(|record| record.terms.next_key.into_iter().chain(record.key).collect());
        Ok(Pinned { keys: keys.unwrap_or_default(), others_too })
    }

    /// Files the key that an admitted agent made for itself. Whether it may show it from now on.
    ///
    /// # Errors
    /// If it could not be stored.
    pub async fn next_key(&self, instance: &InstanceId, key: PeerKey) -> Result<bool, StoreError> {
        let filed = self.store.file_next_key(instance.clone(), key).await?;
        if filed {
            self.fleet.refresh_record(&self.store, instance).await?;
        } else {
            tracing::warn!(%instance, %key, "an agent's new key is or was another's; not filed");
        }
        Ok(filed)
    }

    /// Records which keys of the controller's an admitted agent has written down.
    ///
    /// # Errors
    /// If it could not be stored.
    pub async fn controller_known(
        &self,
        instance: &InstanceId,
        mut keys: Vec<PeerKey>,
    ) -> Result<(), StoreError> {
        keys.truncate(MAX_CONTROLLER_KEYS);
        let change = move |record: &mut InstanceRecord| record.terms.controller_keys = Some(keys);
        self.store.update_instance(instance.clone(), change).await?;
        self.fleet.refresh_record(&self.store, instance).await
    }

    /// An agent has proven the key that was filed as its next one: the one before counts no longer.
    async fn take_up_key(&self, member: InstanceRecord, key: PeerKey) -> Result<InstanceRecord, Refusal> {
        let taken = self.store.take_up_key(member.id, key, UnixMicros::now()).await.map_err(internal)?;
        let record = taken.ok_or(Refusal::Replaced)?;
        tracing::info!(instance = %record.id, %key, "an agent has taken up its new key");
        self.audit.write(vec![written_down(key, "agent.new-key", &record.name, &record.id)]).await;
        self.fleet.refresh_record(&self.store, &record.id).await.map_err(internal)?;
        Ok(record)
    }

    /// Records the policy that an admitted agent's owner changed.
    ///
    /// # Errors
    /// If it could not be stored.
    pub async fn policy_changed(&self, instance: &InstanceId, policy: Policy) -> Result<(), StoreError> {
        // What it answers does not matter: removed meanwhile is fine, and a policy conflicts with no other instance.
        let change = move |record: &mut InstanceRecord| record.policy = Some(bounded(policy));
        self.store.update_instance(instance.clone(), change).await?;
        self.fleet.refresh_record(&self.store, instance).await
    }

    async fn join(
        &self,
        peer: PeerKey,
        hello: &Hello,
        direction: Direction,
        dialled: Option<&InstanceId>,
    ) -> Result<InstanceRecord, Refusal> {
        let Some(JoinProof { token, secret }) = hello.join.clone() else {
            let former = self.store.former_key(peer).await.map_err(internal)?;
            return Err(former.map_or(Refusal::NotRegistered, redemption::former));
        };
        let now = UnixMicros::now();
        let (dialled, told, name) = (dialled.cloned(), Told::new(hello), hello.name.clone());
        let newcomer = Newcomer::new(peer, hello, secret, direction, dialled.clone(), now)?;
        let record = self
            .store
            .redeem_join_token(
                (token, peer),
                dialled,
                now,
                move |facts| redemption::decide(facts, newcomer),
                move |record| told.enter(record),
                move |record| written_down(peer, "agent.join", &name, &record.id),
            )
            .await
            .map_err(internal)?;
        let record = match record {
            Ok(record) => record,
            Err(refusal) => {
                self.tell_waiting(token, &secret, &refusal).await;
                return Err(refusal);
            }
        };
        tracing::info!(instance = %record.id, name = %record.name, key = %peer, "an agent joined");
        self.fleet.refresh_record(&self.store, &record.id).await.map_err(internal)?;
        // The key that the instance had until now, if it had one, is revoked.
        if let Some(earlier) = self.registry.agent(&record.id) {
            earlier.end();
        }
        Ok(record)
    }

    /// Somebody may be waiting for the instance that a refused token is for: they learn there why nothing comes. Only
    /// whoever knows the token's secret can have that said.
    async fn tell_waiting(&self, token: TokenId, secret: &[u8; 32], refusal: &Refusal) {
        if !matches!(refusal, Refusal::TokenExpired | Refusal::TokenUsed | Refusal::TokenMismatch) {
            return;
        }
        let Ok(tokens) = self.store.join_tokens().await else { return };
        let meant = tokens.into_iter().find(|one| one.id == token && redemption::is_secret(one, secret));
        if let Some(instance) = meant.and_then(|one| one.instance) {
            self.fleet.dial_failed(&instance, &format!("an agent came with its join token: {refusal}"));
        }
    }

    fn refuse_clone(&self, instance: &InstanceId, hello: &Hello) -> Result<(), Refusal> {
        let connected = self.registry.agent(instance).map(|agent| agent.boot);
        if self.clones.admits(instance, hello.boot, connected) {
            return Ok(());
        }
        let refusal = Refusal::ClonedIdentity;
        tracing::warn!(%instance, boot = %hello.boot, "two machines use one agent's identity; give one of them a data directory of its own");
        self.fleet.clone_refused(instance, &refusal.to_string());
        Err(refusal)
    }

    /// Stores what an agent tells of itself, if that is news.
    async fn note_hello(&self, record: InstanceRecord, hello: &Hello) -> Result<InstanceRecord, Refusal> {
        let told = Told::new(hello);
        let mut now = record.clone();
        told.clone().enter(&mut now);
        if now == record {
            return Ok(record);
        }
        let stored = self
            .store
            .update_instance(record.id, move |record| told.enter(record))
            .await
            .map_err(internal)?;
        // None: removed since it was looked up.
        let record = stored.ok_or(Refusal::Removed)?.map_err(|_| Refusal::Internal)?;
        self.fleet.refresh_record(&self.store, &record.id).await.map_err(internal)?;
        Ok(record)
    }
}

/// What an agent tells of itself, as it is kept.
#[derive(Clone)]
struct Told {
    agent_version: String,
    policy: Policy,
    abilities: Vec<String>,
}

impl Told {
    fn new(hello: &Hello) -> Self {
        Self {
            agent_version: hello.agent_version.chars().take(MAX_VERSION).collect(),
            policy: bounded(hello.policy.clone()),
            abilities: abilities(hello),
        }
    }

    fn enter(self, record: &mut InstanceRecord) {
        record.agent_version = Some(self.agent_version);
        record.policy = Some(self.policy);
        record.abilities = self.abilities;
    }
}

/// What the audit log says of an agent that was let in. Refusals are written down by whoever knows where it called from.
fn written_down(key: PeerKey, what: &'static str, name: &str, instance: &InstanceId) -> AuditEntry {
    let (who, detail) = (format!("agent {name}"), format!("key {key}"));
    let entry = Entry {
        who: &who,
        address: None,
        what,
        target: Some(instance.as_str()),
        result: AuditResult::Done,
        detail: Some(&detail),
    };
    entry.to_store()
}

/// The policy as it is kept and shown, however much an agent says.
fn bounded(mut policy: Policy) -> Policy {
    let limits = &mut policy.limits;
    for list in [&mut limits.projects, &mut limits.registries, &mut limits.host_paths].into_iter().flatten() {
        list.truncate(MAX_LIMITS);
        for entry in list {
            entry.truncate(entry.floor_char_boundary(MAX_LIMIT));
        }
    }
    policy
}

fn abilities(hello: &Hello) -> Vec<String> {
    let fits = |ability: &&String| ability.chars().count() <= MAX_ABILITY;
    hello.abilities.iter().filter(fits).take(MAX_ABILITIES).cloned().collect()
}

fn internal(error: StoreError) -> Refusal {
    tracing::error!(%error, "cannot look up an agent; look at the controller's disk");
    Refusal::Internal
}
