//! Agents that the configuration file declares: registered, changed and let in as it says, as often as it is read.
//!
//! A declared agent joins with a token that follows from the secret in its file, so that it can be made again at any
//! time. It can be used once: a new secret in the file lets a reinstalled host join again.

use roadstead_protocol::join_token::JoinToken;
use roadstead_protocol::message::ids::TokenId;
use roadstead_protocol::message::time::UnixMicros;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::error::conflict_error;
use super::{EnrolError, Enrolment, direction, fields, id};
use crate::config::DeclaredAgent;
use crate::model::{Direction, Grants, InstanceRecord, JoinTokenRecord, MemberTerms};
use crate::store::StoreError;
use crate::store::instances::Conflict;

/// When the token of a declared agent ends: never, as far as dates go (9999-12-31).
const NEVER: UnixMicros = UnixMicros(253_402_214_400_000_000);

/// What came of reading the declarations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Registered just now.
    pub registered: Vec<String>,
    /// Changed just now.
    pub changed: Vec<String>,
    /// As they were.
    pub unchanged: Vec<String>,
    /// No longer declared: they stay, and can be removed like any other.
    pub released: Vec<String>,
    /// Those that cannot be as declared, and why.
    pub failed: Vec<(String, String)>,
}

enum Did {
    Registered,
    Changed,
    Nothing,
}

impl Enrolment {
    /// Makes the registered instances what `agents` says; those of which it says nothing are left alone.
    ///
    /// # Errors
    /// If the store fails. What is wrong with one declaration is in the answer and keeps back no other.
    pub async fn apply_declared(&self, agents: &[DeclaredAgent]) -> Result<Applied, StoreError> {
        let mut applied = Applied::default();
        for agent in agents {
            match self.apply_one(agent).await {
                Ok(Did::Registered) => applied.registered.push(agent.name.clone()),
                Ok(Did::Changed) => applied.changed.push(agent.name.clone()),
                Ok(Did::Nothing) => applied.unchanged.push(agent.name.clone()),
                Err(EnrolError::Store(error)) => return Err(error),
                Err(error) => applied.failed.push((agent.name.clone(), error.to_string())),
            }
        }
        for record in self.store.instances().await? {
            let declared = |agent: &DeclaredAgent| same_name(&agent.name, &record.name);
            if record.terms.declared && !agents.iter().any(declared) {
                self.store.update_instance(record.id.clone(), |record| record.terms.declared = false).await?;
                self.store.delete_join_tokens_of(record.id.clone(), NEVER, None).await?;
                self.fleet.refresh_record(&self.store, &record.id).await?;
                applied.released.push(record.name);
            }
        }
        Ok(applied)
    }

    /// The join token of a declared agent.
    ///
    /// # Errors
    /// If the controller does not know its own address for agents.
    pub fn declared_token(&self, agent: &DeclaredAgent) -> Result<String, EnrolError> {
        let direction = if agent.url.is_some() { Direction::Inbound } else { Direction::Outbound };
        Ok(self.token_of(agent, direction)?.to_text()?)
    }

    fn token_of(&self, agent: &DeclaredAgent, direction: Direction) -> Result<JoinToken, EnrolError> {
        let of = |what: &[u8]| -> [u8; 32] {
            Sha256::new().chain_update(what).chain_update(agent.secret.as_bytes()).finalize().into()
        };
        let id: [u8; 32] = of(b"roadstead declared agent, token id 1\0");
        let id = TokenId(Uuid::from_slice(&id[..16]).unwrap_or_default());
        self.token_text(direction, id, of(b"roadstead declared agent, token secret 1\0"), NEVER)
    }

    async fn apply_one(&self, agent: &DeclaredAgent) -> Result<Did, EnrolError> {
        let wished = self.wished(agent).await?;
        let known = self.store.instances().await?;
        let known = known.into_iter().find(|record| same_name(&record.name, &wished.name));
        let (record, did) = match known {
            None => (self.insert_declared(wished).await?, Did::Registered),
            Some(known) => self.change_declared(known, wished).await?,
        };
        self.keep_token(agent, &record).await?;
        self.fleet.refresh_record(&self.store, &record.id).await?;
        Ok(did)
    }

    async fn wished(&self, agent: &DeclaredAgent) -> Result<InstanceRecord, EnrolError> {
        let url = self.url(agent.url.as_deref()).await?;
        Ok(InstanceRecord {
            id: url.as_deref().map_or_else(id::random, id::of_url),
            name: fields::name(&agent.name)?,
            url,
            description: String::new(),
            environment: fields::environment(agent.environment.as_deref())?,
            tags: fields::tags(&agent.tags)?,
            key: None,
            created_at: UnixMicros::now(),
            last_seen: None,
            agent_version: None,
            policy: None,
            abilities: Vec::new(),
            terms: MemberTerms { declared: true, ..MemberTerms::default() },
        })
    }

    async fn insert_declared(&self, mut record: InstanceRecord) -> Result<InstanceRecord, EnrolError> {
        let mut stored = self.store.insert_instance(record.clone()).await?;
        if stored == Err(Conflict::Id) {
            record.id = id::random();
            stored = self.store.insert_instance(record.clone()).await?;
        }
        stored.map_err(|conflict| conflict_error(conflict, &record))?;
        Ok(record)
    }

    async fn change_declared(
        &self,
        known: InstanceRecord,
        wished: InstanceRecord,
    ) -> Result<(InstanceRecord, Did), EnrolError> {
        let mut new = known.clone();
        take_over(&mut new, &wished);
        if new == known {
            return Ok((known, Did::Nothing));
        }
        let stored = self.store.update_instance(known.id.clone(), {
            let wished = wished.clone();
            move |record| take_over(record, &wished)
        });
        let stored = stored.await?.ok_or_else(|| EnrolError::UnknownInstance(known.id.clone()))?;
        let record = stored.map_err(|conflict| conflict_error(conflict, &wished))?;
        if record.url != known.url {
            self.end_session(&record.id);
        }
        Ok((record, Did::Changed))
    }

    /// The token that follows from the secret is there, used or not, and none that followed from an earlier one.
    async fn keep_token(&self, agent: &DeclaredAgent, record: &InstanceRecord) -> Result<(), EnrolError> {
        let token = self.token_of(agent, direction(record))?;
        self.store.delete_join_tokens_of(record.id.clone(), NEVER, Some(token.id)).await?;
        let known = self.store.join_tokens().await?.into_iter().find(|known| known.id == token.id);
        match known {
            Some(known) if known.instance.as_ref() == Some(&record.id) => return Ok(()),
            Some(_) => {
                let problem = "Another agent has the same secret. Give each a secret of its own.";
                return Err(fields::InvalidField::new("secret-file", problem).into());
            }
            None => {}
        }
        let stored = JoinTokenRecord {
            id: token.id,
            name: Some(record.name.clone()),
            grants: Grants::default(),
            secret_hash: Sha256::digest(token.secret).into(),
            instance: Some(record.id.clone()),
            direction: direction(record),
            created_at: UnixMicros::now(),
            expires_at: NEVER,
            uses_left: 1,
            used_at: None,
        };
        Ok(self.store.insert_join_token(stored).await?)
    }
}

/// What a declaration decides about.
fn take_over(record: &mut InstanceRecord, wished: &InstanceRecord) {
    record.name.clone_from(&wished.name);
    record.url.clone_from(&wished.url);
    record.environment.clone_from(&wished.environment);
    record.tags.clone_from(&wished.tags);
    record.terms.declared = true;
}

fn same_name(one: &str, other: &str) -> bool {
    one.trim().eq_ignore_ascii_case(other.trim())
}
