//! The agent's configuration: flag over environment over file over default, parsed once into types.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use roadstead_protocol::join_token::{InvalidToken, JoinToken};
use roadstead_protocol::link::address::ControllerAddress;
use serde::Deserialize;

use crate::policy::Rules;
use crate::policy::written::{PolicyError, Words};

/// What may be set, as written: on the command line, in the environment, or in a TOML file under the same names.
#[derive(Args, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Settings {
    /// Join token from the controller: all that a new agent needs.
    #[arg(long, env = "ROADSTEAD_JOIN", hide_env_values = true, value_name = "TOKEN")]
    pub join: Option<String>,

    /// File that holds the join token.
    #[arg(long, env = "ROADSTEAD_JOIN_FILE", value_name = "FILE")]
    pub join_file: Option<PathBuf>,

    /// Where the controller listens for agents, if not where the join token says (wss://host:port, or
    /// wss://host/agent through a web server).
    #[arg(long, env = "ROADSTEAD_CONTROLLER", value_name = "URL")]
    pub controller: Option<String>,

    /// Certificate authorities (PEM) that the web server in front of the controller is verified by, where the
    /// controller's address is one of a web server (wss://host/agent) [default: those that this system trusts]
    #[arg(long, env = "ROADSTEAD_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,

    /// Listen here and let the controller dial, instead of dialling it (address:port).
    #[arg(long, env = "ROADSTEAD_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,

    /// Where the agent keeps its key, its membership and what it has yet to tell [default: /var/lib/roadstead-agent]
    #[arg(long, env = "ROADSTEAD_DATA_DIR", value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,

    /// Name to suggest to the controller [default: the host's name]
    #[arg(long, env = "ROADSTEAD_INSTANCE_NAME", value_name = "NAME")]
    pub instance_name: Option<String>,

    /// Environment label, such as production.
    #[arg(long, env = "ROADSTEAD_ENVIRONMENT", value_name = "LABEL")]
    pub environment: Option<String>,

    /// Tags, separated by commas.
    #[arg(long, env = "ROADSTEAD_TAGS", value_name = "TAGS")]
    pub tags: Option<String>,

    /// What the controller may do to this host, separated by commas: view logs stats sync lifecycle deploy exec
    /// remove prune docker-api view-env, or all; view is always allowed [default: view,logs,stats,sync,lifecycle]
    #[arg(long, env = "ROADSTEAD_ALLOW", value_name = "VERBS")]
    pub allow: Option<String>,

    /// Compose projects that may be synced, separated by commas; `*` at the end stands for any rest [default: all]
    #[arg(long, env = "ROADSTEAD_ALLOW_PROJECTS", value_name = "PROJECTS")]
    pub allow_projects: Option<String>,

    /// Registries, or paths in them, that images may come from, separated by commas [default: all]
    #[arg(long, env = "ROADSTEAD_ALLOW_REGISTRIES", value_name = "REGISTRIES")]
    pub allow_registries: Option<String>,

    /// Paths of the host that containers may be created with, separated by commas [default: all]
    #[arg(long, env = "ROADSTEAD_ALLOW_HOST_PATHS", value_name = "PATHS")]
    pub allow_host_paths: Option<String>,

    /// Whether containers may be created that have more of the host than plain ones [default: true]
    #[arg(long, env = "ROADSTEAD_ALLOW_PRIVILEGED", value_name = "BOOL")]
    pub allow_privileged: Option<bool>,

    /// TOML file with all of that (allow, projects, registries, host-paths, privileged), which only root may be able
    /// to change; read again on SIGHUP.
    #[arg(long, env = "ROADSTEAD_POLICY_FILE", value_name = "FILE")]
    pub policy_file: Option<PathBuf>,

    /// Executable that syncs a project; called with the project and services as arguments, never through a shell.
    #[arg(long, env = "ROADSTEAD_SYNC_SCRIPT", value_name = "FILE")]
    pub sync_script: Option<PathBuf>,

    /// The engine: unix:///path or tcp://host:port [default: unix:///var/run/docker.sock]
    #[arg(long, env = "DOCKER_HOST", value_name = "URL")]
    pub docker_host: Option<String>,

    /// Whether the engine at tcp:// is spoken to over TLS, with the certificates of DOCKER_CERT_PATH (1 or 0).
    #[arg(long, env = "DOCKER_TLS_VERIFY", value_name = "0|1")]
    pub docker_tls_verify: Option<String>,

    /// Folder with ca.pem, cert.pem and key.pem for an engine at tcp:// [default: ~/.docker]
    #[arg(long, env = "DOCKER_CERT_PATH", value_name = "FOLDER")]
    pub docker_cert_path: Option<PathBuf>,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("join", &self.join.as_ref().map(|_| "…"))
            .field("data_dir", &self.data_dir)
            .field("listen", &self.listen)
            .finish_non_exhaustive()
    }
}

/// The configuration, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The join token, if one was given.
    pub join: Option<JoinToken>,
    /// Overrides the addresses of the token.
    pub controller: Option<ControllerAddress>,
    /// Who may vouch for a web server in front of the controller; none for whom this system trusts.
    pub ca_file: Option<PathBuf>,
    /// Set: the controller dials. Unset: the agent dials.
    pub listen: Option<SocketAddr>,
    /// Where everything durable lies.
    pub data_dir: PathBuf,
    /// Name to suggest.
    pub name: String,
    /// Environment label.
    pub environment: Option<String>,
    /// Tags, sorted, without doubles.
    pub tags: Vec<String>,
    /// What the owner allows, and where that is written.
    pub policy: Rules,
    /// The owner's sync script.
    pub sync_script: Option<PathBuf>,
    /// The engine, as `DOCKER_HOST` names it.
    pub docker_host: Option<String>,
    /// Folder with the certificates to speak to it over TLS; none for no TLS.
    pub docker_certificates: Option<PathBuf>,
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
        /// What is wrong, without the line itself: it may hold the join token.
        problem: String,
    },
    /// The join token is none.
    #[error("ROADSTEAD_JOIN: {0}")]
    Join(#[from] InvalidToken),
    /// The policy cannot be used.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The controller's address is none.
    #[error("ROADSTEAD_CONTROLLER: {0}")]
    Controller(String),
    /// The script cannot be used.
    #[error("ROADSTEAD_SYNC_SCRIPT: {path}: {problem}")]
    Script {
        /// Which.
        path: PathBuf,
        /// Why.
        problem: &'static str,
    },
}

impl Settings {
    /// Reads settings from a TOML file.
    ///
    /// # Errors
    /// If it cannot be read, is not TOML, or has an unknown key.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let text = read(path)?;
        toml::from_str(&text).map_err(|error: toml::de::Error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            ConfigError::Parse { path: path.to_owned(), line, problem: error.message().to_owned() }
        })
    }

    /// These settings, with `file`'s where these are silent.
    #[must_use]
    pub fn over(self, file: Self) -> Self {
        Self {
            // A token given directly on a nearer level wins over a file named on a farther one.
            join_file: if self.join.is_some() { None } else { self.join_file.or(file.join_file) },
            join: self.join.or(file.join),
            controller: self.controller.or(file.controller),
            ca_file: self.ca_file.or(file.ca_file),
            listen: self.listen.or(file.listen),
            data_dir: self.data_dir.or(file.data_dir),
            instance_name: self.instance_name.or(file.instance_name),
            environment: self.environment.or(file.environment),
            tags: self.tags.or(file.tags),
            allow: self.allow.or(file.allow),
            allow_projects: self.allow_projects.or(file.allow_projects),
            allow_registries: self.allow_registries.or(file.allow_registries),
            allow_host_paths: self.allow_host_paths.or(file.allow_host_paths),
            allow_privileged: self.allow_privileged.or(file.allow_privileged),
            policy_file: self.policy_file.or(file.policy_file),
            sync_script: self.sync_script.or(file.sync_script),
            docker_host: self.docker_host.or(file.docker_host),
            docker_tls_verify: self.docker_tls_verify.or(file.docker_tls_verify),
            docker_cert_path: self.docker_cert_path.or(file.docker_cert_path),
        }
    }

    /// Checks everything and fills in the defaults.
    ///
    /// # Errors
    /// The first thing that cannot be used, by the name it is set under.
    pub fn resolve(self) -> Result<Config, ConfigError> {
        let join = match (&self.join_file, self.join) {
            (Some(path), _) => Some(read(path)?),
            (None, text) => text,
        };
        let tags: std::collections::BTreeSet<String> = self
            .tags
            .unwrap_or_default()
            .split(',')
            .map(|tag| tag.trim().to_owned())
            .filter(|tag| !tag.is_empty())
            .collect();
        let controller = self
            .controller
            .filter(|text| !text.is_empty())
            .map(|text| {
                text.parse::<ControllerAddress>().map_err(|error| ConfigError::Controller(error.to_string()))
            })
            .transpose()?;
        let words = Words {
            allow: self.allow,
            projects: self.allow_projects,
            registries: self.allow_registries,
            host_paths: self.allow_host_paths,
            privileged: self.allow_privileged,
        };
        Ok(Config {
            join: join.filter(|text| !text.trim().is_empty()).map(|text| text.parse()).transpose()?,
            controller,
            ca_file: self.ca_file,
            listen: self.listen,
            data_dir: self.data_dir.unwrap_or_else(|| "/var/lib/roadstead-agent".into()),
            name: self.instance_name.filter(|name| !name.trim().is_empty()).unwrap_or_else(host_name),
            environment: self.environment.filter(|label| !label.is_empty()),
            tags: tags.into_iter().collect(),
            policy: Rules::written(self.policy_file.as_deref(), words)?,
            sync_script: self.sync_script.map(usable_script).transpose()?,
            docker_host: self.docker_host.filter(|host| !host.is_empty()),
            docker_certificates: docker_certificates(self.docker_tls_verify, self.docker_cert_path),
        })
    }
}

impl Config {
    /// Environment that makes other programs talk to the same engine.
    #[must_use]
    pub fn docker_env(&self) -> Vec<(String, String)> {
        let mut env = Vec::new();
        if let Some(host) = &self.docker_host {
            env.push(("DOCKER_HOST".to_owned(), host.clone()));
        }
        if let Some(folder) = &self.docker_certificates {
            env.push(("DOCKER_TLS_VERIFY".to_owned(), "1".to_owned()));
            env.push(("DOCKER_CERT_PATH".to_owned(), folder.display().to_string()));
        }
        env
    }
}

/// As the docker program reads them: any value but an empty one or 0 asks for TLS, and so does a folder alone here.
fn docker_certificates(verify: Option<String>, folder: Option<PathBuf>) -> Option<PathBuf> {
    match verify.as_deref() {
        Some("" | "0") => None,
        Some(_) => {
            let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
            Some(folder.unwrap_or_else(|| home.join(".docker")))
        }
        None => folder,
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|error| ConfigError::Read { path: path.to_owned(), error })
}

fn usable_script(path: PathBuf) -> Result<PathBuf, ConfigError> {
    use std::os::unix::fs::PermissionsExt as _;
    let refuse = |problem| Err(ConfigError::Script { path: path.clone(), problem });
    if !path.is_absolute() {
        return refuse("must be an absolute path");
    }
    match std::fs::metadata(&path) {
        Err(_) => refuse("cannot be found"),
        Ok(metadata) if !metadata.is_file() => refuse("is not a file"),
        Ok(metadata) if metadata.permissions().mode() & 0o111 == 0 => refuse("is not executable"),
        Ok(metadata) if metadata.permissions().mode() & 0o002 != 0 => {
            refuse("can be changed by anybody; chmod o-w it")
        }
        Ok(_) => Ok(path),
    }
}

fn host_name() -> String {
    std::fs::read_to_string("/etc/hostname")
        .or_else(|_| std::fs::read_to_string("/proc/sys/kernel/hostname"))
        .map(|name| name.trim().to_owned())
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "docker-host".to_owned())
}

#[cfg(test)]
mod tests;
