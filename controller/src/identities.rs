//! Who the controller is: its key, and while agents learn a new one, the key that this replaces.
//!
//! Both count until every agent is known to know the new one. They are kept in the store, so that a backup of it is a
//! backup of the controller, and so that a change of key happens wholly or not at all.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use roadstead_protocol::link::identity::{Identity, IdentityError, IdentityText};
use roadstead_protocol::message::ids::PeerKey;
use roadstead_protocol::message::time::UnixMicros;
use tokio::sync::watch;

use crate::store::identities::StoredIdentity;
use crate::store::{Store, StoreError};

/// How long the earlier key counts at least: a controller that is restored from a backup of yesterday must still be
/// believed.
const OVERLAP: Duration = Duration::from_secs(7 * 24 * 3600);

/// The controller's identities; a clone is another handle on the same.
#[derive(Clone)]
pub struct Identities {
    store: Store,
    ring: Arc<watch::Sender<Ring>>,
}

/// The identities that count.
#[derive(Clone, Debug)]
pub struct Ring {
    /// The newest.
    pub newest: Identity,
    /// The one that it replaces, while that still counts.
    pub earlier: Option<Identity>,
    /// Since when the newest is there.
    pub since: UnixMicros,
}

impl Ring {
    /// The keys that count, newest first.
    #[must_use]
    pub fn keys(&self) -> Vec<PeerKey> {
        std::iter::once(&self.newest).chain(&self.earlier).map(Identity::key).collect()
    }

    /// Whom to be to an agent that was told of `known` keys: the newest that it knows, and then any other.
    #[must_use]
    pub fn for_agent(&self, known: Option<&[PeerKey]>) -> Vec<Identity> {
        let mut order: Vec<Identity> = std::iter::once(&self.newest).chain(&self.earlier).cloned().collect();
        if known.is_none_or(|known| !known.contains(&self.newest.key())) {
            order.reverse();
        }
        order
    }
}

/// Why the controller's identity cannot be used or replaced.
#[derive(Debug, thiserror::Error)]
pub enum IdentitiesError {
    /// The identity itself.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The last replacement is not over.
    #[error(
        "the key that was replaced last still counts: {waiting} agents do not know the new one yet, and it counts for \
         at least 7 days; a further key has to wait until it does not"
    )]
    UnderWay {
        /// Agents that have not confirmed the newest key.
        waiting: usize,
    },
}

impl Identities {
    /// The identities in `store`; at the first start the one in `directory`, where earlier versions kept it, or else a
    /// new one.
    ///
    /// # Errors
    /// If they cannot be read or made.
    pub async fn load(store: &Store, directory: &Path) -> Result<Self, IdentitiesError> {
        let mut stored = store.identities().await?;
        if stored.is_empty() {
            let text = match IdentityText::read(directory)? {
                Some(text) => text,
                None => IdentityText::generate()?,
            };
            let key = text.parse("identity")?.key();
            let first = stored_as(key, text, UnixMicros::now());
            store.add_identity(first.clone()).await?;
            stored.push(first);
        }
        let newest = stored.remove(0);
        let ring = Ring {
            newest: identity_of(&newest)?,
            earlier: stored.first().map(identity_of).transpose()?,
            since: newest.made_at,
        };
        Ok(Self { store: store.clone(), ring: Arc::new(watch::Sender::new(ring)) })
    }

    /// The identities that count now.
    #[must_use]
    pub fn ring(&self) -> Ring {
        self.ring.borrow().clone()
    }

    /// Tells of every change.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Ring> {
        self.ring.subscribe()
    }

    /// Makes a new key. The present one goes on counting.
    ///
    /// # Errors
    /// If an earlier key counts still, or the new one cannot be made or stored; then nothing has changed.
    pub async fn replace(&self) -> Result<Ring, IdentitiesError> {
        let ring = self.ring();
        if ring.earlier.is_some() {
            let waiting = self.store.agents_that_do_not_know(ring.newest.key()).await?;
            return Err(IdentitiesError::UnderWay { waiting });
        }
        let text = IdentityText::generate()?;
        let newest = text.parse("a new key")?;
        // Never older than what it replaces, whatever the clock says.
        let since = UnixMicros::now().max(ring.since.plus(Duration::from_micros(1)));
        self.store.add_identity(stored_as(newest.key(), text, since)).await?;
        let ring = Ring { newest, earlier: Some(ring.newest), since };
        self.ring.send_replace(ring.clone());
        Ok(ring)
    }

    /// Lets go of the earlier key if nobody needs it any more. Whether it did.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn let_go(&self, now: UnixMicros) -> Result<bool, StoreError> {
        let ring = self.ring();
        let Some(earlier) = &ring.earlier else { return Ok(false) };
        if now.since(ring.since) < OVERLAP
            || self.store.agents_that_do_not_know(ring.newest.key()).await? > 0
            || self.store.has_token_from_before(ring.since, now).await?
        {
            return Ok(false);
        }
        self.store.remove_identity(earlier.key()).await?;
        self.ring.send_replace(Ring { earlier: None, ..ring });
        Ok(true)
    }
}

fn stored_as(key: PeerKey, text: IdentityText, made_at: UnixMicros) -> StoredIdentity {
    StoredIdentity { key, secret: text.key, certificate: text.certificate, made_at }
}

fn identity_of(stored: &StoredIdentity) -> Result<Identity, IdentityError> {
    let text = IdentityText { key: stored.secret.clone(), certificate: stored.certificate.clone() };
    text.parse("the controller's database (identities)")
}
