//! The controller's configuration: flag over environment over file over default, parsed once into types.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use roadstead_protocol::link::address::ControllerAddress;
use serde::Deserialize;

use crate::dial_allow::DialAllow;
use crate::networks::Networks;
use crate::web_url::WebUrl;

pub mod declared;
pub mod oidc;
mod secret;

pub use declared::{DeclaredAgent, DeclaredSettings};
pub use oidc::{OidcConfig, OidcSettings};
pub use secret::Secret;

/// What may be set, as written: on the command line, in the environment, or in a TOML file under the same names.
#[derive(Args, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Settings {
    /// Password of the user admin; without one, a password is made at the first start and printed once.
    /// As a flag it stays in the shell's history, and other users of this host can read it until the program has begun.
    #[arg(long, env = "ROADSTEAD_PASSWORD", hide_env_values = true, value_name = "PASSWORD")]
    pub password: Option<Secret>,

    /// File that holds the password.
    #[arg(long, env = "ROADSTEAD_PASSWORD_FILE", value_name = "FILE")]
    pub password_file: Option<PathBuf>,

    /// Where the API and web UI listen [default: 127.0.0.1:8080]
    #[arg(long, env = "ROADSTEAD_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,

    /// Certificate chain for API and web UI (PEM); without it they speak plain HTTP.
    #[arg(long, env = "ROADSTEAD_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// Key of the certificate (PEM).
    #[arg(long, env = "ROADSTEAD_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// Where people reach API and web UI (`https://roadstead.example.org`); needed to sign in at a provider.
    #[arg(long, env = "ROADSTEAD_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<String>,

    /// Where agents dial in [default: 0.0.0.0:8081]
    #[arg(long, env = "ROADSTEAD_AGENT_LISTEN", value_name = "ADDRESS")]
    pub agent_listen: Option<SocketAddr>,

    /// Addresses that join tokens name (wss://host:port, or wss://host/agent through a web server), separated by commas [default: this host's own address]
    #[arg(long, env = "ROADSTEAD_AGENT_URL", value_name = "URLS")]
    pub agent_url: Option<String>,

    /// Where the controller keeps its database and key [default: /var/lib/roadstead]
    #[arg(long, env = "ROADSTEAD_DATA_DIR", value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,

    /// Whether to run an agent for this host's engine: auto does if the agent's program lies beside this one
    /// [default: auto]
    #[arg(long, env = "ROADSTEAD_LOCAL_AGENT", value_name = "WHETHER")]
    pub local_agent: Option<LocalAgent>,

    /// Name of this host [default: the host's name]
    #[arg(long, env = "ROADSTEAD_INSTANCE_NAME", value_name = "NAME")]
    pub instance_name: Option<String>,

    /// Environment label of this host, such as production.
    #[arg(long, env = "ROADSTEAD_ENVIRONMENT", value_name = "LABEL")]
    pub environment: Option<String>,

    /// Let guests look without signing in.
    #[arg(long, env = "ROADSTEAD_DEMO_MODE", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub demo_mode: Option<bool>,

    /// Let anybody who reaches the web address read /metrics without signing in.
    #[arg(long, env = "ROADSTEAD_METRICS_OPEN", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub metrics_open: Option<bool>,

    /// Networks of the proxies in front, separated by commas: who is behind one is told by its X-Forwarded-For and
    /// X-Forwarded-Proto.
    #[arg(long, env = "ROADSTEAD_TRUSTED_PROXIES", value_name = "NETWORKS")]
    pub trusted_proxies: Option<String>,

    /// Networks that inbound agents may lie in although they are loopback, link-local or the controller's own,
    /// separated by commas (10.0.0.0/8).
    #[arg(long, env = "ROADSTEAD_DIAL_ALLOW", value_name = "NETWORKS")]
    pub dial_allow: Option<String>,

    /// Keys of agents and of the controller that are older than so many days are replaced; 0 for never [default: 0]
    #[arg(long, env = "ROADSTEAD_ROTATE_KEYS_DAYS", value_name = "DAYS")]
    pub rotate_keys_days: Option<u32>,

    /// Agents that this file declares.
    #[arg(skip)]
    pub agents: Vec<DeclaredSettings>,

    /// The provider that people may sign in at.
    #[command(flatten)]
    pub oidc: OidcSettings,

    /// How many days entries of the audit log are kept; 0 keeps them, up to 200,000 of them [default: 400]
    #[arg(long, env = "ROADSTEAD_AUDIT_DAYS", value_name = "DAYS")]
    pub audit_days: Option<u32>,
}

/// Whether the controller runs an agent for its own host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LocalAgent {
    /// If the agent's program lies beside the controller's.
    #[default]
    Auto,
    /// Yes; not finding the program is an error.
    On,
    /// No.
    Off,
}

/// The configuration, checked.
pub struct Config {
    /// Password of the user admin, if the operator set one.
    pub password: Option<String>,
    /// Where API and web UI listen.
    pub listen: SocketAddr,
    /// Certificate and key for them.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Where agents dial in.
    pub agent_listen: SocketAddr,
    /// Addresses that join tokens name; empty means this host's own.
    pub agent_urls: Vec<ControllerAddress>,
    /// Where everything durable lies.
    pub data_dir: PathBuf,
    /// Whether to run an agent for this host.
    pub local_agent: LocalAgent,
    /// Name of this host.
    pub name: String,
    /// Environment label of this host.
    pub environment: Option<String>,
    /// Whether guests may look.
    pub demo_mode: bool,
    /// Whether anybody may read the metrics.
    pub metrics_open: bool,
    /// Networks whose proxies are believed.
    pub trusted_proxies: Networks,
    /// Networks that may be dialled although they are close by.
    pub dial_allow: DialAllow,
    /// The age in days at which keys are replaced; 0 for never.
    pub rotate_keys_days: u32,
    /// Agents that the file declares.
    pub agents: Vec<DeclaredAgent>,
    /// How long entries of the audit log are kept; none: as long as there is room.
    pub audit_age: Option<Duration>,
    /// Where people reach API and web UI, if the operator says so.
    pub public_url: Option<WebUrl>,
    /// The provider that people may sign in at.
    pub oidc: Option<OidcConfig>,
}

/// A configuration that cannot be used. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that is named cannot be read.
    #[error("{path}: {error}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The file is not TOML or has an unknown key.
    #[error("{path}, line {line}: {problem}")]
    Parse {
        /// Which.
        path: PathBuf,
        /// Where.
        line: usize,
        /// What is wrong, without the line itself: it may hold a secret.
        problem: String,
    },
    /// A value cannot be used.
    #[error("{name}: {problem}")]
    Value {
        /// The name it is set under.
        name: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

/// Shortest password the operator may set, in characters.
const SHORTEST_PASSWORD: usize = 8;

/// How long entries of the audit log are kept by default: a year and a month, so that a yearly look finds them all.
const AUDIT_DAYS: u32 = 400;

impl Settings {
    /// Reads settings from a TOML file.
    ///
    /// # Errors
    /// If it cannot be read, is not TOML, or has an unknown key.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let text = read(path)?;
        toml::from_str(&text).map_err(|error: toml::de::Error| {
            let at = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = at.matches('\n').count() + 1;
            ConfigError::Parse { path: path.to_owned(), line, problem: error.message().to_owned() }
        })
    }

    /// These settings, with `file`'s where these are silent.
    #[must_use]
    pub fn over(self, file: Self) -> Self {
        // An empty password, as compose files pass on for a variable that is not set, is none.
        let [near, far] = [self.password, file.password].map(|given| given.filter(|text| !text.0.is_empty()));
        Self {
            // A password given directly on a nearer level wins over a file named on a farther one.
            password_file: if near.is_some() { None } else { self.password_file.or(file.password_file) },
            password: near.or(far),
            listen: self.listen.or(file.listen),
            tls_cert: self.tls_cert.or(file.tls_cert),
            tls_key: self.tls_key.or(file.tls_key),
            public_url: self.public_url.or(file.public_url),
            agent_listen: self.agent_listen.or(file.agent_listen),
            agent_url: self.agent_url.or(file.agent_url),
            data_dir: self.data_dir.or(file.data_dir),
            local_agent: self.local_agent.or(file.local_agent),
            instance_name: self.instance_name.or(file.instance_name),
            environment: self.environment.or(file.environment),
            demo_mode: self.demo_mode.or(file.demo_mode),
            metrics_open: self.metrics_open.or(file.metrics_open),
            trusted_proxies: self.trusted_proxies.or(file.trusted_proxies),
            dial_allow: self.dial_allow.or(file.dial_allow),
            rotate_keys_days: self.rotate_keys_days.or(file.rotate_keys_days),
            agents: if self.agents.is_empty() { file.agents } else { self.agents },
            oidc: self.oidc.over(file.oidc),
            audit_days: self.audit_days.or(file.audit_days),
        }
    }

    /// Checks everything and fills in the defaults.
    ///
    /// # Errors
    /// The first thing that cannot be used, by the name it is set under.
    pub fn resolve(self) -> Result<Config, ConfigError> {
        let password = match (&self.password_file, self.password) {
            (Some(path), _) => Some(read(path)?.trim_end_matches(['\n', '\r']).to_owned()),
            (None, given) => given.map(|Secret(text)| text).filter(|text| !text.is_empty()),
        };
        if password.as_ref().is_some_and(|password| password.chars().count() < SHORTEST_PASSWORD) {
            return Err(value(
                "ROADSTEAD_PASSWORD",
                format!("at least {SHORTEST_PASSWORD} characters, please"),
            ));
        }
        let tls = match (self.tls_cert, self.tls_key) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            _ => {
                return Err(value(
                    "ROADSTEAD_TLS_CERT",
                    "needs ROADSTEAD_TLS_KEY beside it, and the reverse",
                ));
            }
        };
        let agent_urls = self
            .agent_url
            .unwrap_or_default()
            .split(',')
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(|text| {
                text.parse::<ControllerAddress>().map_err(|error| value("ROADSTEAD_AGENT_URL", error))
            })
            .collect::<Result<_, _>>()?;
        let public_url = self.public_url.as_deref().map(str::trim).filter(|text| !text.is_empty());
        let public_url = public_url.map(public).transpose()?;
        Ok(Config {
            password,
            oidc: self.oidc.resolve(public_url.as_ref())?,
            public_url,
            listen: self.listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8080))),
            tls,
            agent_listen: self.agent_listen.unwrap_or(SocketAddr::from(([0, 0, 0, 0], 8081))),
            agent_urls,
            data_dir: self.data_dir.unwrap_or_else(|| "/var/lib/roadstead".into()),
            local_agent: self.local_agent.unwrap_or_default(),
            name: self.instance_name.filter(|name| !name.trim().is_empty()).unwrap_or_else(host_name),
            environment: self.environment.filter(|label| !label.is_empty()),
            demo_mode: self.demo_mode.unwrap_or(false),
            metrics_open: self.metrics_open.unwrap_or(false),
            trusted_proxies: self
                .trusted_proxies
                .unwrap_or_default()
                .parse()
                .map_err(|error| value("ROADSTEAD_TRUSTED_PROXIES", error))?,
            dial_allow: self
                .dial_allow
                .unwrap_or_default()
                .parse()
                .map_err(|error| value("ROADSTEAD_DIAL_ALLOW", error))?,
            rotate_keys_days: self.rotate_keys_days.unwrap_or(0),
            agents: declared::resolve(self.agents)?,
            audit_age: Some(self.audit_days.unwrap_or(AUDIT_DAYS))
                .filter(|days| *days > 0)
                .map(|days| Duration::from_secs(u64::from(days) * 86_400)),
        })
    }
}

/// Pages and API are at the root of their host.
fn public(text: &str) -> Result<WebUrl, ConfigError> {
    let url: WebUrl = text.parse().map_err(|error| value("ROADSTEAD_PUBLIC_URL", error))?;
    if url.path() == "/" {
        Ok(url)
    } else {
        Err(value("ROADSTEAD_PUBLIC_URL", "leave out what follows the host"))
    }
}

fn value(name: &'static str, problem: impl ToString) -> ConfigError {
    ConfigError::Value { name, problem: problem.to_string() }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|error| ConfigError::Read { path: path.to_owned(), error })
}

fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_owned())
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "this-host".to_owned())
}

#[cfg(test)]
mod tests;
