//! Reading the configuration again while the controller runs: what can change live does, and the rest is named.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;

use crate::config::Config;
use crate::enrolment::Enrolment;
use crate::enrolment::declared::Applied;
use crate::rotation::Rotation;

/// Reads the configuration from where the program's arguments say.
pub type Configure = dyn Fn() -> anyhow::Result<Config> + Send + Sync;

/// What runs by the configuration; a clone is another handle.
#[derive(Clone)]
pub struct Reload {
    inner: Arc<Inner>,
}

struct Inner {
    configure: Box<Configure>,
    enrolment: Enrolment,
    rotation: Rotation,
    /// What join tokens name if the configuration does not say.
    own_address: String,
    running: Mutex<BTreeMap<&'static str, Fingerprint>>,
}

type Fingerprint = [u8; 32];

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Settings that changed and count from now on.
    pub applied: Vec<&'static str>,
    /// Settings that changed and count from the next start.
    pub needs_restart: Vec<&'static str>,
    /// The declared agents.
    pub agents: Applied,
}

/// Why nothing was taken over.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The configuration cannot be used.
    #[error("the new configuration cannot be used, and the old one goes on: {0}")]
    Configuration(String),
    /// The store.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
}

impl Reload {
    /// For a controller that runs by `config`, and reads it again by `configure`.
    #[must_use]
    pub fn new(
        config: &Config,
        configure: Box<Configure>,
        enrolment: Enrolment,
        rotation: Rotation,
        own_address: String,
    ) -> Self {
        let running = fingerprints(config).into_iter().map(|(name, print, _)| (name, print)).collect();
        let inner = Inner { configure, enrolment, rotation, own_address, running: Mutex::new(running) };
        Self { inner: Arc::new(inner) }
    }

    /// Reads the configuration again and takes over what can change live. Doing so twice changes nothing twice.
    ///
    /// # Errors
    /// If it cannot be used; then nothing of it is taken over.
    pub async fn reload(&self) -> Result<Reloaded, ReloadError> {
        let inner = &self.inner;
        // One at a time, so that the last one read is the one that counts.
        let mut running = inner.running.lock().await;
        let config = (inner.configure)().map_err(|error| ReloadError::Configuration(format!("{error:#}")))?;
        let mut reloaded =
            Reloaded { agents: inner.enrolment.apply_declared(&config.agents).await?, ..Reloaded::default() };
        let urls = match &*config.agent_urls {
            [] => vec![inner.own_address.clone()],
            urls => urls.iter().map(ToString::to_string).collect(),
        };
        inner.enrolment.set_addresses(urls, config.dial_allow.clone());
        inner.rotation.set_days(config.rotate_keys_days);
        for (name, print, live) in fingerprints(&config) {
            if running.get(name) == Some(&print) {
                continue;
            }
            if live {
                running.insert(name, print);
                reloaded.applied.push(name);
            } else {
                reloaded.needs_restart.push(name);
            }
        }
        Ok(reloaded)
    }
}

/// Each setting with a digest of its value, and whether it can change live.
fn fingerprints(config: &Config) -> Vec<(&'static str, Fingerprint, bool)> {
    let print = |value: &dyn std::fmt::Debug| -> Fingerprint { Sha256::digest(format!("{value:?}")).into() };
    let agents: Vec<_> = config
        .agents
        .iter()
        .map(|agent| (&agent.name, &agent.url, &agent.secret, &agent.tags, &agent.environment))
        .collect();
    let oidc = config.oidc.as_ref().map(|oidc| {
        let provider = (&oidc.issuer, &oidc.client_id, &oidc.client_secret, &oidc.ca_file, &oidc.label);
        (provider, &oidc.scopes, &oidc.groups_claim, &oidc.groups, oidc.default_role)
    });
    vec![
        ("oidc", print(&oidc), false),
        ("public-url", print(&config.public_url), false),
        ("agents", print(&agents), true),
        ("agent-url", print(&config.agent_urls), true),
        ("dial-allow", print(&config.dial_allow), true),
        ("trusted-proxies", print(&config.trusted_proxies), false),
        ("metrics-open", print(&config.metrics_open), false),
        ("rotate-keys-days", print(&config.rotate_keys_days), true),
        ("audit-days", print(&config.audit_age), false),
        ("password", print(&config.password), false),
        ("listen", print(&config.listen), false),
        ("tls-cert", print(&config.tls), false),
        ("agent-listen", print(&config.agent_listen), false),
        ("data-dir", print(&config.data_dir), false),
        ("local-agent", print(&config.local_agent), false),
        ("instance-name", print(&config.name), false),
        ("environment", print(&config.environment), false),
        ("demo-mode", print(&config.demo_mode), false),
    ]
}
