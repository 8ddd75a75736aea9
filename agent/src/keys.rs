//! The agent's keys, and those by which it knows its controller, while either are being replaced.
//!
//! A new key of the agent's is made beside the present one (`identity-next`), said to the controller over a session,
//! and shown once the controller has filed it; the one before is kept (`identity-previous`) for a controller that was
//! restored from a backup and has never heard of the new one. Whatever dies in between, one key that the controller
//! knows is always on disk.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use roadstead_protocol::link::identity::{Identity, IdentityError};
use roadstead_protocol::link::tls::Trust;
use roadstead_protocol::message::ids::{InstanceId, PeerKey};
use tokio::sync::watch;

use crate::membership::{Membership, MembershipError};

#[cfg(test)]
mod tests;

const PRESENT: &str = "identity";
const NEXT: &str = "identity-next";
const PREVIOUS: &str = "identity-previous";

/// Keys of the controller's that count no longer and are remembered, so that tokens that name them are known for its.
const FORMER: usize = 8;

/// The agent's keys and its controller's.
pub struct Keys {
    directory: PathBuf,
    state: Mutex<State>,
    /// Counts changes that concern how links are made.
    changes: watch::Sender<u64>,
}

struct State {
    present: Identity,
    next: Option<Identity>,
    previous: Option<Identity>,
    attempt: Attempt,
    /// Newest first, one or two.
    controller: Vec<PeerKey>,
    membership: Option<Membership>,
}

/// With what to try, where the controller knows the present key no more and there is a previous one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Attempt {
    /// With the present key alone.
    Present,
    /// With the previous key.
    Previous,
    /// With the present key and a join token, if there is one.
    Token,
}

/// As whom to listen, and whom to let in.
pub struct Door {
    /// The newest identity.
    pub identity: Identity,
    /// The one before, for who expects that.
    pub earlier: Option<Identity>,
    /// The controller's keys.
    pub trust: Trust,
}

/// A key or the membership cannot be read or written. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A key.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The membership.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// A folder of keys.
    #[error("{path}: {error}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

impl Keys {
    /// The keys in `directory`; at the first start a new one. `controller` is whom the agent is to belong to.
    ///
    /// # Errors
    /// If they cannot be read or made.
    pub fn open(
        directory: &Path,
        controller: PeerKey,
        membership: Option<Membership>,
    ) -> Result<Self, KeysError> {
        finish_replacing(directory)?;
        let controller = match &membership {
            Some(known) if known.controller == controller => known.trusted(),
            _ => vec![controller],
        };
        let state = State {
            present: Identity::load_or_create(&directory.join(PRESENT))?,
            next: Identity::load(&directory.join(NEXT))?,
            previous: Identity::load(&directory.join(PREVIOUS))?,
            attempt: Attempt::Present,
            controller,
            membership,
        };
        Ok(Self { directory: directory.to_owned(), state: Mutex::new(state), changes: watch::Sender::new(0) })
    }

    /// The identity to dial with.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let state = self.state();
        state
            .previous
            .as_ref()
            .filter(|_| state.attempt == Attempt::Previous)
            .unwrap_or(&state.present)
            .clone()
    }

    /// Which controllers to believe.
    #[must_use]
    pub fn trust(&self) -> Trust {
        self.state().trust()
    }

    /// The controller's newest key.
    #[must_use]
    pub fn controller(&self) -> Option<PeerKey> {
        self.state().controller.first().copied()
    }

    /// As whom to listen.
    #[must_use]
    pub fn door(&self) -> Door {
        let state = self.state();
        Door { identity: state.present.clone(), earlier: state.previous.clone(), trust: state.trust() }
    }

    /// Tells when [`door`](Self::door) has changed.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Whether a token that names this controller key is for the controller that the agent belongs to.
    #[must_use]
    pub fn is_controllers(&self, key: PeerKey) -> bool {
        let state = self.state();
        state.controller.contains(&key) || state.membership.as_ref().is_some_and(|known| known.is_same(key))
    }

    /// The controller does not know the key that was shown. Whether there is another to try at once.
    pub fn refused(&self) -> bool {
        let mut state = self.state();
        state.attempt = match state.attempt {
            Attempt::Present if state.previous.is_some() => Attempt::Previous,
            Attempt::Previous => Attempt::Token,
            Attempt::Present | Attempt::Token => Attempt::Present,
        };
        state.attempt != Attempt::Present
    }

    /// Whether to show a join token. An agent with a previous key shows that first: a token could make it another
    /// instance.
    #[must_use]
    pub fn shows_token(&self) -> bool {
        let state = self.state();
        state.previous.is_none() || state.attempt == Attempt::Token
    }

    /// Remembers what a welcome said.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub fn welcomed(&self, instance: &InstanceId, addresses: Vec<String>) -> Result<(), KeysError> {
        let mut state = self.state();
        let Some(&newest) = state.controller.first() else { return Ok(()) };
        let known = state.membership.as_ref().filter(|known| known.is_same(newest));
        let membership = Membership {
            controller: newest,
            instance: instance.clone(),
            addresses,
            earlier: state.controller.get(1).copied(),
            former: known.map(|known| known.former.clone()).unwrap_or_default(),
        };
        self.save(&mut state, membership)
    }

    /// The key to say to a controller that was shown `shown`: one that it has yet to file.
    #[must_use]
    pub fn unfiled(&self, shown: PeerKey) -> Option<PeerKey> {
        let state = self.state();
        let newest = state.next.as_ref().unwrap_or(&state.present);
        let (identity, name) = state.shown_as(shown)?;
        (identity.key() != newest.key()).then(|| name(newest))
    }

    /// The key to say to a controller that was shown `shown` and wants another: a new one, unless it has one yet to
    /// file. None for a link on which no key of ours was shown.
    ///
    /// # Errors
    /// If none can be made.
    pub fn replace(&self, shown: PeerKey) -> Result<Option<PeerKey>, KeysError> {
        if let Some(unfiled) = self.unfiled(shown) {
            return Ok(Some(unfiled));
        }
        let mut state = self.state();
        state.next = Some(Identity::load_or_create(&self.directory.join(NEXT))?);
        drop(state);
        Ok(self.unfiled(shown))
    }

    /// A controller that was shown `shown` has filed `key`: it is the one to show from now on. Whether that is another,
    /// so that the link has to be made again.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub fn filed(&self, key: PeerKey, shown: PeerKey) -> Result<bool, KeysError> {
        let mut state = self.state();
        let is = |identity: &Identity| identity.key() == key || identity.secret().filed() == key;
        if is(&state.present) {
            state.attempt = Attempt::Present;
            return Ok(key != shown);
        }
        if !state.next.as_ref().is_some_and(is) {
            return Ok(false);
        }
        take_up_next(&self.directory)?;
        if let Some(next) = state.next.take() {
            state.previous = Some(std::mem::replace(&mut state.present, next));
        }
        state.attempt = Attempt::Present;
        drop(state);
        self.changes.send_modify(|changes| *changes += 1);
        Ok(true)
    }

    /// The controller says by which keys it may be known from now on. False if that cannot be: it named none, or not
    /// the one that it has `proven` on this link. A web server that took the link has proven none. Whoever controls
    /// that must not decide what a later, direct link trusts: nothing is written down then, and all is well.
    ///
    /// # Errors
    /// If the disk does not take it; then nothing has changed.
    pub fn learn(&self, proven: Option<PeerKey>, keys: &[PeerKey]) -> Result<bool, KeysError> {
        let Some(proven) = proven else { return Ok(true) };
        if !keys.contains(&proven) {
            return Ok(false);
        }
        let mut state = self.state();
        let (Some(mut known), Some((newest, rest))) = (state.membership.clone(), keys.split_first()) else {
            return Ok(false);
        };
        for former in known.trusted().into_iter().filter(|key| !keys.contains(key)) {
            known.former.push(former);
        }
        let surplus = known.former.len().saturating_sub(FORMER);
        known.former.drain(..surplus);
        known.controller = *newest;
        known.earlier = rest.first().copied();
        let trusted = known.trusted();
        self.save(&mut state, known)?;
        state.controller = trusted;
        drop(state);
        self.changes.send_modify(|changes| *changes += 1);
        Ok(true)
    }

    fn save(&self, state: &mut State, membership: Membership) -> Result<(), KeysError> {
        if state.membership.as_ref() != Some(&membership) {
            membership.save(&self.directory)?;
            state.membership = Some(membership);
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How an identity is named to a controller: by its key, or by what its secret is filed as.
type Naming = fn(&Identity) -> PeerKey;

impl State {
    fn trust(&self) -> Trust {
        match *self.controller {
            [newest, earlier, ..] => Trust::Either(newest, earlier),
            [only] => Trust::Only(only),
            // There is always one; if there were none, nobody would be believed.
            [] => Trust::Only(PeerKey([0; 32])),
        }
    }

    fn shown_as(&self, shown: PeerKey) -> Option<(&Identity, Naming)> {
        let by_key: Naming = Identity::key;
        let by_secret: Naming = |identity| identity.secret().filed();
        let all = || std::iter::once(&self.present).chain(&self.previous).chain(&self.next);
        [by_key, by_secret]
            .into_iter()
            .find_map(|name| all().find(|identity| name(identity) == shown).map(|identity| (identity, name)))
    }
}

/// Makes the next key the present one, and that the previous one.
fn take_up_next(directory: &Path) -> Result<(), KeysError> {
    let previous = directory.join(PREVIOUS);
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| KeysError::Folder { path, error }
    };
    if previous.exists() {
        fs::remove_dir_all(&previous).map_err(failed(&previous))?;
    }
    let present = directory.join(PRESENT);
    fs::rename(&present, &previous).map_err(failed(&present))?;
    finish_replacing(directory)
}

/// What [`take_up_next`] may have left half done.
fn finish_replacing(directory: &Path) -> Result<(), KeysError> {
    let (present, next) = (directory.join(PRESENT), directory.join(NEXT));
    if !present.exists() && next.exists() && directory.join(PREVIOUS).exists() {
        let moved = fs::rename(&next, &present).and_then(|()| fs::File::open(directory)?.sync_all());
        moved.map_err(|error| KeysError::Folder { path: next, error })?;
    }
    Ok(())
}
