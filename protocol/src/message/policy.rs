//! What an agent's owner allows: held and enforced by the agent, shown by the controller.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One kind of thing that can be done to a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// See containers and events.
    View,
    /// Read container logs.
    Logs,
    /// Sample container figures.
    Stats,
    /// Pull a project's images, restart what changed.
    Sync,
    /// Start, stop, restart, kill, pause, unpause.
    Lifecycle,
    /// Create containers: install and reinstall.
    Deploy,
    /// Run commands inside containers.
    Exec,
    /// Remove containers.
    Remove,
    /// Remove unused images and volumes.
    Prune,
    /// Use the engine's API directly.
    DockerApi,
    /// A verb of a newer version.
    #[serde(other)]
    Unknown,
}

impl Verb {
    /// Every verb this version knows.
    pub const ALL: [Self; 10] = [
        Self::View,
        Self::Logs,
        Self::Stats,
        Self::Sync,
        Self::Lifecycle,
        Self::Deploy,
        Self::Exec,
        Self::Remove,
        Self::Prune,
        Self::DockerApi,
    ];

    /// The verb as it is written in configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Logs => "logs",
            Self::Stats => "stats",
            Self::Sync => "sync",
            Self::Lifecycle => "lifecycle",
            Self::Deploy => "deploy",
            Self::Exec => "exec",
            Self::Remove => "remove",
            Self::Prune => "prune",
            Self::DockerApi => "docker-api",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word in a list of verbs that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a verb; the verbs are: view logs stats sync lifecycle deploy exec remove prune docker-api"
)]
pub struct UnknownVerb(pub String);

impl FromStr for Verb {
    type Err = UnknownVerb;

    fn from_str(text: &str) -> Result<Self, UnknownVerb> {
        Self::ALL.into_iter().find(|verb| verb.as_str() == text).ok_or_else(|| UnknownVerb(text.to_owned()))
    }
}

/// The verbs an agent's owner allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// What is allowed; everything else is refused by the agent.
    pub allow: BTreeSet<Verb>,
}

impl Policy {
    /// Whether `verb` is allowed.
    #[must_use]
    pub fn allows(&self, verb: Verb) -> bool {
        verb != Verb::Unknown && self.allow.contains(&verb)
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self { allow: BTreeSet::from([Verb::View, Verb::Logs, Verb::Stats, Verb::Sync, Verb::Lifecycle]) }
    }
}

impl FromStr for Policy {
    type Err = UnknownVerb;

    /// Reads verbs separated by commas or white space; `all` stands for every verb.
    fn from_str(text: &str) -> Result<Self, UnknownVerb> {
        let mut allow = BTreeSet::new();
        for word in text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty()) {
            if word == "all" {
                allow.extend(Verb::ALL);
            } else {
                allow.insert(word.parse()?);
            }
        }
        Ok(Self { allow })
    }
}
