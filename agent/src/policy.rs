//! The owner's policy as it stands now, and the check every order passes first.

use roadstead_protocol::message::policy::{Policy, Verb};
use tokio::sync::watch;

/// The policy in force. Only the agent's own configuration replaces it; nothing a controller says can.
#[derive(Debug)]
pub struct PolicyCell {
    current: watch::Sender<Policy>,
}

/// The policy does not allow a verb. The host's owner can.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the owner of this host does not allow `{verb}` (allowed: {allowed}); to allow it, add it to ROADSTEAD_ALLOW there"
)]
pub struct PolicyRefusal {
    /// What would be needed.
    pub verb: Verb,
    /// What is allowed, in words.
    pub allowed: String,
}

impl PolicyCell {
    /// Puts `policy` in force.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self { current: watch::Sender::new(policy) }
    }

    /// The policy in force.
    #[must_use]
    pub fn current(&self) -> Policy {
        self.current.borrow().clone()
    }

    /// Puts another policy in force. Commands that run already go on.
    pub fn replace(&self, policy: Policy) {
        self.current.send_replace(policy);
    }

    /// Tells of every replacement.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Policy> {
        self.current.subscribe()
    }

    /// Whether `verb` is allowed now.
    ///
    /// # Errors
    /// If it is not; the text says who can change that and how.
    pub fn check(&self, verb: Verb) -> Result<(), PolicyRefusal> {
        let policy = self.current.borrow();
        if policy.allows(verb) {
            return Ok(());
        }
        let allowed: Vec<_> = policy.allow.iter().map(|verb| verb.as_str()).collect();
        let allowed = if allowed.is_empty() { "nothing".to_owned() } else { allowed.join(" ") };
        Err(PolicyRefusal { verb, allowed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_verb_what_is_allowed_and_where_to_change_it() {
        let cell = PolicyCell::new("view,logs".parse().unwrap());
        assert_eq!(cell.check(Verb::View), Ok(()));
        let text = cell.check(Verb::Sync).unwrap_err().to_string();
        for part in ["`sync`", "view logs", "ROADSTEAD_ALLOW"] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn a_verb_of_a_newer_version_is_never_allowed() {
        let cell = PolicyCell::new("all".parse().unwrap());
        assert!(cell.check(Verb::Unknown).is_err());
    }

    #[test]
    fn replacing_the_policy_counts_at_once_and_is_told() {
        let cell = PolicyCell::new(Policy::default());
        let mut told = cell.subscribe();
        cell.replace("view".parse().unwrap());
        assert!(cell.check(Verb::Sync).is_err());
        assert!(told.has_changed().unwrap());
        assert_eq!(*told.borrow_and_update(), cell.current());
    }
}
