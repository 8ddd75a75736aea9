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
    /// See the values of environment variables and labels that look like secrets.
    ViewEnv,
    /// A verb of a newer version.
    #[serde(other)]
    Unknown,
}

impl Verb {
    /// Every verb this version knows.
    pub const ALL: [Self; 11] = [
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
        Self::ViewEnv,
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
            Self::ViewEnv => "view-env",
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
    "`{0}` is not a verb; the verbs are: view logs stats sync lifecycle deploy exec remove prune docker-api view-env"
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
    /// What the allowed verbs may be used for.
    #[serde(default, skip_serializing_if = "Limits::is_none")]
    pub limits: Limits,
}

/// What allowed verbs are limited to. None of a list means no limit, an empty list means nothing at all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Limits {
    /// Compose projects that may be synced; `*` at the end of one stands for any rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projects: Option<Vec<String>>,
    /// Where images may come from: a registry (`ghcr.io`) or a path in one (`ghcr.io/acme`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registries: Option<Vec<String>>,
    /// Folders and files of the host that may be mounted, with what is below them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_paths: Option<Vec<String>>,
    /// No container may be created with more of the host than a plain one has.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_privileged: bool,
}

impl Limits {
    /// Whether there is no limit.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl Policy {
    /// These verbs, without limits.
    #[must_use]
    pub fn of(allow: impl IntoIterator<Item = Verb>) -> Self {
        Self { allow: allow.into_iter().collect(), limits: Limits::default() }
    }

    /// Whether `verb` is allowed.
    #[must_use]
    pub fn allows(&self, verb: Verb) -> bool {
        verb != Verb::Unknown && self.allow.contains(&verb)
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::of([Verb::View, Verb::Logs, Verb::Stats, Verb::Sync, Verb::Lifecycle])
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
        Ok(Self::of(allow))
    }
}
