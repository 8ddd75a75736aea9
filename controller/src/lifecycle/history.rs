//! The newest facts about one container or project, whatever order they came in: the same set of facts always makes
//! the same history.

use roadstead_protocol::message::time::UnixMicros;
use serde::{Deserialize, Serialize};

use super::fact::{Fact, What};

/// Facts kept about one subject: enough for the last few runs of a container. Of what is older only is kept whether
/// there ever was a health check.
pub const MAX_FACTS: usize = 32;

/// The newest facts about one subject, in their order.
///
/// It is saved as MessagePack without names, in half the bytes and read in half the time; until December 2026 with them,
/// and both are read. So fields are added last, here as in [`Fact`] and what that consists of, and with a default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    facts: Vec<Fact>,
    /// Whether a health check was ever heard of.
    #[serde(default)]
    checked: bool,
    /// Whether older facts were dropped.
    #[serde(default)]
    shortened: bool,
}

impl History {
    /// Takes a fact in. Returns whether anything changed: a fact that is known, or older than everything that is
    /// kept, changes nothing.
    pub fn add(&mut self, fact: Fact) -> bool {
        let before = self.checked;
        self.checked |= matches!(fact.what, What::Starting | What::Healthy | What::Unhealthy);
        let place = match self.facts.binary_search_by_key(&fact.moment, |known| known.moment) {
            Ok(known) => {
                let earlier = fact.heard < self.facts[known].heard;
                self.facts[known].heard = self.facts[known].heard.min(fact.heard);
                return earlier || self.checked != before;
            }
            Err(place) => place,
        };
        if self.facts.len() == MAX_FACTS {
            let shortened_before = std::mem::replace(&mut self.shortened, true);
            if place == 0 {
                return !shortened_before || self.checked != before;
            }
            self.facts.remove(0);
            self.facts.insert(place - 1, fact);
        } else {
            self.facts.insert(place, fact);
        }
        true
    }

    /// This history with more facts.
    #[must_use]
    pub fn with<'a>(&self, more: impl IntoIterator<Item = &'a Fact>) -> Self {
        let mut all = self.clone();
        for fact in more {
            all.add(fact.clone());
        }
        all
    }

    /// The facts, oldest first.
    #[must_use]
    pub fn facts(&self) -> &[Fact] {
        &self.facts
    }

    /// Whether a health check was ever heard of.
    #[must_use]
    pub const fn checked(&self) -> bool {
        self.checked
    }

    /// Whether older facts were dropped.
    #[must_use]
    pub const fn shortened(&self) -> bool {
        self.shortened
    }

    /// When the newest fact was heard of.
    #[must_use]
    pub fn last_heard(&self) -> Option<UnixMicros> {
        self.facts.iter().map(|fact| fact.heard).max()
    }

    /// When the container was last created or started.
    #[must_use]
    pub fn last_begun(&self) -> Option<UnixMicros> {
        let mut begun = self.facts.iter().rev();
        begun.find(|fact| matches!(fact.what, What::Create | What::Start)).map(|fact| fact.moment.at)
    }
}

impl FromIterator<Fact> for History {
    fn from_iter<I: IntoIterator<Item = Fact>>(facts: I) -> Self {
        let mut history = Self::default();
        for fact in facts {
            history.add(fact);
        }
        history
    }
}

#[cfg(test)]
mod tests {
    use roadstead_protocol::message::codec;
    use uuid::Uuid;

    use super::super::fact::Moment;
    use super::*;

    #[test]
    fn histories_are_read_with_names_and_without() {
        let whats = [What::Create, What::Start, What::Die(Some(-1)), What::CommandFailed("why".to_owned())];
        let fact = |(seq, what)| Fact {
            moment: Moment { at: UnixMicros(7), source: Uuid::from_u128(3), seq },
            heard: UnixMicros(8),
            what,
        };
        let history: History = (1_u64..).zip(whats).map(fact).collect();
        let (named, bare) = (codec::encode(&history, 4096).unwrap(), rmp_serde::to_vec(&history).unwrap());
        assert!(bare.len() * 3 < named.len() * 2, "{} and {} bytes", bare.len(), named.len());
        for bytes in [named, bare] {
            assert_eq!(codec::decode::<History>(&bytes, 4096).unwrap(), history);
        }
    }
}
