//! Agents that the configuration file declares, for people who keep their fleet in a repository.

use std::collections::HashSet;
use std::path::PathBuf;

use serde::Deserialize;

use super::{ConfigError, read, value};

/// Fewest characters of a secret: 256 bits as base64 have 43, as hexadecimal 64.
const SHORTEST_SECRET: usize = 32;

/// One `[[agents]]` as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DeclaredSettings {
    /// Its name.
    pub name: String,
    /// Where the controller dials it (wss://host:port); left out, it dials.
    pub url: Option<String>,
    /// File with the secret that it joins with.
    pub secret_file: PathBuf,
    /// Its tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Its environment label.
    pub environment: Option<String>,
}

/// A declared agent.
#[derive(Clone, PartialEq, Eq)]
pub struct DeclaredAgent {
    /// Its name.
    pub name: String,
    /// Where the controller dials it; none if it dials.
    pub url: Option<String>,
    /// The secret that its join token follows from.
    pub secret: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its environment label.
    pub environment: Option<String>,
}

impl std::fmt::Debug for DeclaredAgent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeclaredAgent")
            .field("name", &self.name)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// Reads the secrets.
///
/// # Errors
/// If one cannot be read or is too short, or two have one name.
pub(super) fn resolve(agents: Vec<DeclaredSettings>) -> Result<Vec<DeclaredAgent>, ConfigError> {
    let mut names = HashSet::new();
    let mut resolved = Vec::new();
    for DeclaredSettings { name, url, secret_file, tags, environment } in agents {
        if !names.insert(name.trim().to_lowercase()) {
            return Err(value("agents", format!("two are named `{name}`; give each a name of its own")));
        }
        let secret = read(&secret_file)?.trim().to_owned();
        if secret.chars().count() < SHORTEST_SECRET {
            let problem = format!(
                "the secret of `{name}` in {} has fewer than {SHORTEST_SECRET} characters; make one with: \
                 openssl rand -base64 32",
                secret_file.display()
            );
            return Err(value("agents", problem));
        }
        resolved.push(DeclaredAgent { name, url, secret, tags, environment });
    }
    Ok(resolved)
}

#[cfg(test)]
mod tests {
    use crate::config::Settings;

    fn settings(text: &str) -> Result<Settings, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn an_agent_is_declared_with_its_secret_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("nas.secret");
        let text = format!(
            "[[agents]]\nname = 'nas'\nurl = 'wss://nas:8082'\nsecret-file = '{}'\ntags = ['home']\n",
            file.display()
        );
        std::fs::write(&file, "short\n").unwrap();
        let error = settings(&text).unwrap().resolve().err().unwrap().to_string();
        assert!(error.contains("nas") && error.contains("openssl rand"), "{error}");
        std::fs::write(&file, format!("{}\n", "x".repeat(43))).unwrap();
        let agents = settings(&text).unwrap().resolve().unwrap().agents;
        assert_eq!((agents[0].name.as_str(), agents[0].secret.len()), ("nas", 43));
        assert!(!format!("{agents:?}").contains("xxx"));
        let twice = format!("{text}{}", text.replace("'nas'", "'NAS'"));
        assert!(settings(&twice).unwrap().resolve().err().unwrap().to_string().contains("two are named"));
    }

    #[test]
    fn an_unknown_key_of_an_agent_is_an_error() {
        assert!(settings("[[agents]]\nname = 'x'\nsecret = 'inline'").is_err());
    }
}
