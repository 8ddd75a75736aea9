//! What a join token makes of a stranger: decided from values alone.

use roadstead_protocol::message::hello::{Hello, Refusal};
use roadstead_protocol::message::ids::{InstanceId, PeerKey};
use roadstead_protocol::message::time::UnixMicros;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::enrolment::fields::{self, InvalidField};
use crate::enrolment::id;
use crate::model::{Direction, InstanceRecord, JoinTokenRecord, MemberTerms};
use crate::store::instances::Former;
use crate::store::join_tokens::{Binding, TokenFacts, give};

/// A stranger that brought a join token.
pub(super) struct Newcomer {
    secret: [u8; 32],
    direction: Direction,
    dialled: Option<InstanceId>,
    now: UnixMicros,
    /// What it becomes if the token is for no instance in particular.
    record: InstanceRecord,
    spare_id: InstanceId,
}

impl Newcomer {
    /// Refuses a Hello whose fields could not be registered.
    pub(super) fn new(
        peer: PeerKey,
        hello: &Hello,
        secret: [u8; 32],
        direction: Direction,
        dialled: Option<InstanceId>,
        now: UnixMicros,
    ) -> Result<Self, Refusal> {
        let malformed = |error: InvalidField| Refusal::Malformed { reason: error.to_string() };
        let record = InstanceRecord {
            id: id::of_key(&peer),
            name: fields::name(&hello.name).map_err(malformed)?,
            url: None,
            description: String::new(),
            environment: fields::environment(hello.environment.as_deref()).map_err(malformed)?,
            tags: fields::tags(&hello.tags).map_err(malformed)?,
            key: Some(peer),
            created_at: now,
            last_seen: None,
            agent_version: None,
            policy: None,
            abilities: Vec::new(),
            terms: MemberTerms::default(),
        };
        Ok(Self { secret, direction, dialled, now, record, spare_id: id::random() })
    }
}

/// What the token makes of the newcomer. Whoever does not know the secret learns nothing about the token. A removed
/// key is told that it was removed, whatever is wrong with its token: most likely it still has its old one.
pub(super) fn decide(facts: &TokenFacts, mut newcomer: Newcomer) -> Result<Binding, Refusal> {
    let token =
        valid(facts.token.as_ref(), &newcomer).map_err(|refusal| facts.former.map_or(refusal, former))?;
    let grants = token.grants.clone();
    match (&token.instance, &newcomer.dialled, &facts.target) {
        // For one instance: it joins, or rejoins with a new key after a reinstallation.
        (Some(instance), None, Some(_)) => Ok(Binding::Existing(instance.clone(), grants)),
        (Some(instance), Some(dialled), Some(_)) if instance == dialled => {
            Ok(Binding::Existing(instance.clone(), grants))
        }
        // For any, and the controller dialled an instance that nobody has joined as yet.
        (None, Some(dialled), Some(target)) if target.key.is_none() => {
            Ok(Binding::Existing(dialled.clone(), grants))
        }
        (None, None, _) => {
            give(&mut newcomer.record, grants);
            Ok(Binding::New { record: Box::new(newcomer.record), spare_id: newcomer.spare_id })
        }
        _ => Err(Refusal::TokenMismatch),
    }
}

/// How a key that counts no longer is refused.
pub(super) const fn former(why: Former) -> Refusal {
    match why {
        Former::Removed => Refusal::Removed,
        Former::Replaced => Refusal::Replaced,
    }
}

/// Whether this is the token's secret.
pub(super) fn is_secret(token: &JoinTokenRecord, secret: &[u8; 32]) -> bool {
    let hash: [u8; 32] = Sha256::digest(secret).into();
    hash.ct_eq(&token.secret_hash).into()
}

fn valid<'a>(
    token: Option<&'a JoinTokenRecord>,
    newcomer: &Newcomer,
) -> Result<&'a JoinTokenRecord, Refusal> {
    let token = token.ok_or(Refusal::TokenUnknown)?;
    if !is_secret(token, &newcomer.secret) {
        return Err(Refusal::TokenUnknown);
    }
    if token.uses_left == 0 {
        return Err(Refusal::TokenUsed);
    }
    if token.expires_at <= newcomer.now {
        return Err(Refusal::TokenExpired);
    }
    if token.direction != newcomer.direction {
        return Err(Refusal::TokenMismatch);
    }
    Ok(token)
}
