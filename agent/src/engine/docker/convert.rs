//! From the engine's inspection of a container to the container of the picture. Pure.
//!
//! Only the fields that are needed are read, and none of them must be there: a field of a newer engine must not make
//! a container invisible.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use roadstead_protocol::message::container::{Container, ContainerHealth, ContainerState, Port};
use roadstead_protocol::message::ids::ContainerId;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::times;

/// Labels of one container beyond this many bytes are left out, largest first.
const MAX_LABELS: usize = 8 * 1024;
/// Longest command line that is kept, in bytes.
const MAX_COMMAND: usize = 4 * 1024;
/// Most ports that are kept: a published range has one entry per port, and a container must fit in one message.
const MAX_PORTS: usize = 400;
/// Most mounts and most networks that are kept.
const MAX_NAMES: usize = 100;

/// What is read of an inspection.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Inspection {
    pub(super) id: String,
    created: String,
    path: String,
    args: Nullable<Vec<String>>,
    pub(super) state: State,
    image: String,
    name: String,
    pub(super) config: Config,
    host_config: HostConfig,
    mounts: Nullable<Vec<Mount>>,
    network_settings: NetworkSettings,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct State {
    pub(super) status: String,
    exit_code: i64,
    #[serde(rename = "OOMKilled")]
    oom_killed: bool,
    started_at: String,
    finished_at: String,
    health: Option<Health>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Health {
    status: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Config {
    pub(super) hostname: String,
    pub(super) tty: bool,
    image: String,
    labels: Nullable<BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct HostConfig {
    restart_policy: RestartPolicy,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct RestartPolicy {
    name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Mount {
    name: String,
    source: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct NetworkSettings {
    ports: Nullable<HashMap<String, Option<Vec<Binding>>>>,
    networks: Nullable<HashMap<String, Value>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Binding {
    host_ip: String,
    host_port: String,
}

/// A collection that the engine writes as `null` when it is empty.
#[derive(Debug, Default)]
struct Nullable<T>(T);

impl<'de, T: DeserializeOwned + Default> Deserialize<'de> for Nullable<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(|value: Option<T>| Self(value.unwrap_or_default()))
    }
}

/// The container of the picture; none if the engine gave no proper id.
pub(super) fn container(inspection: Inspection) -> Option<Container> {
    let id = ContainerId::try_from(inspection.id.clone()).ok()?;
    let state = word(&inspection.state.status);
    let started_at = times::parse(&inspection.state.started_at);
    let runs = matches!(state, ContainerState::Running | ContainerState::Paused);
    let ended = !runs && started_at.is_some();
    let command = command_line(&inspection.path, &inspection.args.0);
    let (labels, labels_truncated) = fitting(inspection.config.labels.0, MAX_LABELS);
    let policy = inspection.host_config.restart_policy.name;
    let names = |names: BTreeSet<String>| names.into_iter().take(MAX_NAMES).collect();
    Some(Container {
        id,
        name: inspection.name.trim_start_matches('/').to_owned(),
        image: inspection.config.image,
        image_id: inspection.image,
        command,
        created_at: times::parse(&inspection.created).unwrap_or_default(),
        state,
        health: health(inspection.state.health.as_ref()),
        started_at,
        finished_at: if ended { times::parse(&inspection.state.finished_at) } else { None },
        exit_code: ended.then_some(inspection.state.exit_code),
        oom_killed: inspection.state.oom_killed,
        ports: ports(&inspection.network_settings.ports.0),
        networks: names(inspection.network_settings.networks.0.into_keys().collect()),
        mounts: names(
            inspection
                .mounts
                .0
                .into_iter()
                .map(|mount| if mount.name.is_empty() { mount.source } else { mount.name })
                .collect(),
        ),
        labels,
        labels_truncated,
        restart_policy: if policy.is_empty() { "no".to_owned() } else { policy },
    })
}

fn word(status: &str) -> ContainerState {
    match status {
        "created" => ContainerState::Created,
        "running" => ContainerState::Running,
        "paused" => ContainerState::Paused,
        "restarting" => ContainerState::Restarting,
        "removing" => ContainerState::Removing,
        "exited" => ContainerState::Exited,
        "dead" => ContainerState::Dead,
        _ => ContainerState::Unknown,
    }
}

fn health(health: Option<&Health>) -> ContainerHealth {
    match health.map(|health| health.status.as_str()) {
        None | Some("" | "none") => ContainerHealth::None,
        Some("starting") => ContainerHealth::Starting,
        Some("healthy") => ContainerHealth::Healthy,
        Some("unhealthy") => ContainerHealth::Unhealthy,
        Some(_) => ContainerHealth::Unknown,
    }
}

/// The command line as `docker ps` shows it: arguments with a space in quotes.
fn command_line(path: &str, args: &[String]) -> String {
    let mut line = path.to_owned();
    for arg in args {
        line.push(' ');
        if arg.contains(' ') {
            line.push('\'');
            line.push_str(arg);
            line.push('\'');
        } else {
            line.push_str(arg);
        }
    }
    line.truncate(line.floor_char_boundary(MAX_COMMAND));
    line
}

fn ports(ports: &HashMap<String, Option<Vec<Binding>>>) -> Vec<Port> {
    let mut found = Vec::new();
    for (port, bindings) in ports {
        let (private, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
        let Ok(private) = private.parse() else { continue };
        let bare = Port { private, protocol: protocol.to_owned(), host_ip: None, public: None };
        match bindings.as_deref() {
            None | Some([]) => found.push(bare),
            Some(bindings) => found.extend(bindings.iter().map(|binding| Port {
                host_ip: Some(binding.host_ip.clone()).filter(|ip| !ip.is_empty()),
                public: binding.host_port.parse().ok(),
                ..bare.clone()
            })),
        }
    }
    found.sort();
    found.truncate(MAX_PORTS);
    found
}

/// `labels` without the largest, until all of them fit in `limit` bytes; and whether any was left out. Those that say
/// what the container belongs to go last.
fn fitting(mut labels: BTreeMap<String, String>, limit: usize) -> (BTreeMap<String, String>, bool) {
    let mut size: usize = labels.iter().map(|(key, value)| key.len() + value.len()).sum();
    if size <= limit {
        return (labels, false);
    }
    let mut by_size: Vec<(bool, usize, String)> = labels
        .iter()
        .map(|(key, value)| {
            let kept = ["com.docker.compose.", "roadstead."].iter().any(|prefix| key.starts_with(prefix));
            (kept, key.len() + value.len(), key.clone())
        })
        .collect();
    by_size.sort_by(|a, b| (a.0, b.1).cmp(&(b.0, a.1)));
    for (_, bytes, key) in by_size {
        if size <= limit {
            break;
        }
        labels.remove(&key);
        size -= bytes;
    }
    (labels, true)
}

#[cfg(test)]
mod tests;
