//! An instance as the API shows it.

use std::sync::Arc;

use roadstead_protocol::message::container::{ContainerHealth, ContainerState};
use roadstead_protocol::message::policy::Limits;
use roadstead_protocol::message::snapshot::{Engine, EngineState};
use roadstead_protocol::message::time::UnixMicros;
use serde::Serialize;

use super::load::{LoadView, projects};
use crate::fleet::{Health, Host, Kept, LinkState, LinkStatus, health};
use crate::http::time::{Time, age_seconds};
use crate::model::Ceiling;

/// One registered Docker host.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct InstanceView {
    /// Its id, stable for as long as it is registered.
    pub id: String,
    /// Its name, unique regardless of case.
    pub name: String,
    /// Where the controller dials its agent; none if the agent dials.
    pub url: Option<String>,
    /// Free text.
    pub description: String,
    /// Environment label.
    pub environment: Option<String>,
    /// Tags, sorted.
    pub tags: Vec<String>,
    /// Version of its agent, as last heard.
    pub version: Option<String>,
    /// How it is.
    pub health: HealthView,
    /// Why it is so, in a sentence.
    pub health_reason: String,
    /// How its agent is connected.
    pub link: LinkView,
    /// Its Docker engine, as last heard; none if never heard of.
    pub engine: Option<EngineView>,
    /// When it was registered.
    pub created_at: Time,
    /// Last successful contact; none if there never was one.
    pub last_seen: Option<Time>,
    /// Age of the last successful contact, in seconds.
    pub last_seen_age_seconds: Option<f64>,
    /// The verbs that its owner allows, as last heard.
    pub policy: Option<Vec<&'static str>>,
    /// The most that may be asked of it here, whatever its owner allows; none for no such limit.
    pub ceiling: Option<Vec<&'static str>>,
    /// Whether the controller's configuration file declares it; then it is changed and removed there.
    pub declared: bool,
    /// What those verbs are limited to, as last heard; none if unlimited.
    pub policy_limits: Option<Limits>,
    /// What its agent is able to do on this host (`compose`, `script`, …), as last heard.
    pub abilities: Vec<String>,
    /// Fingerprint of its agent's key, once it has joined.
    pub key: Option<String>,
    /// When that key was first shown, as far as that was noted.
    pub key_since: Option<Time>,
    /// The key that its agent will show next, while it is being replaced.
    pub next_key: Option<String>,
    /// How many containers it has in each state.
    pub containers: ContainerCounts,
    /// What its running containers use together; none before the first figures.
    pub load: Option<LoadView>,
    /// The compose projects that its containers belong to, by name; the first 100.
    pub projects: Vec<String>,
    /// Whether the host may differ from what is shown by now.
    pub stale: bool,
    /// The moment that containers and counts are from; none before the first picture.
    pub as_of: Option<Time>,
    /// Age of that, in seconds.
    pub as_of_age_seconds: Option<f64>,
    /// Round trip of the last check over the link, in milliseconds.
    pub latency_ms: Option<f64>,
}

/// How an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthView {
    /// The link is up and the engine answers.
    Healthy,
    /// The link is lost, or the engine does not answer.
    Unhealthy,
    /// It cannot be told.
    Unknown,
}

/// How an agent is connected.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct LinkView {
    /// The state.
    pub state: LinkStateView,
    /// Since when.
    pub since: Time,
    /// For how long, in seconds.
    pub age_seconds: f64,
    /// Who dialled: `outbound` (the agent) or `inbound` (the controller); none before the first link.
    pub direction: Option<&'static str>,
    /// The peer's address of the present or last link.
    pub remote: Option<String>,
    /// Why it is as it is, where there is something to say.
    pub reason: Option<String>,
}

/// Whether an agent is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LinkStateView {
    /// Connected, with heartbeats on time.
    Live,
    /// Connected, but a heartbeat is missing.
    Late,
    /// No longer connected.
    Lost,
    /// Never connected.
    Never,
}

/// A Docker engine, as last heard.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct EngineView {
    /// Whether it answers its agent.
    pub reachable: bool,
    /// Why it does not.
    pub reason: Option<String>,
    /// Since when it is so.
    pub since: Time,
    /// Its version.
    pub version: Option<String>,
    /// Newest API version it speaks.
    pub api_version: Option<String>,
    /// The host's operating system.
    pub os: Option<String>,
    /// Number of processors of the host.
    pub cpus: Option<u32>,
    /// Memory of the host, in bytes.
    pub memory_bytes: Option<u64>,
}

/// How many containers a host has in each state, and of how many the health check fails (`unhealthy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[expect(missing_docs, reason = "the names are the states")]
pub struct ContainerCounts {
    pub total: usize,
    pub created: usize,
    pub running: usize,
    pub paused: usize,
    pub restarting: usize,
    pub removing: usize,
    pub exited: usize,
    pub dead: usize,
    pub unknown: usize,
    pub unhealthy: usize,
}

impl InstanceView {
    /// The view of `host` at `now`.
    #[must_use]
    pub fn new(host: &Host, now: UnixMicros) -> Self {
        let record = &host.record;
        let (health, health_reason) = health(host);
        let as_of = as_of(host, now);
        let policy = record.policy.as_ref().map(|policy| policy.allow.iter().map(|v| v.as_str()).collect());
        Self {
            id: record.id.to_string(),
            name: record.name.clone(),
            url: record.url.clone(),
            description: record.description.clone(),
            environment: record.environment.clone(),
            tags: record.tags.clone(),
            version: record.agent_version.clone(),
            health: health.into(),
            health_reason,
            link: LinkView::new(&host.link, now),
            engine: host.engine.as_ref().map(EngineView::new),
            created_at: Time(record.created_at),
            last_seen: record.last_seen.map(Time),
            last_seen_age_seconds: record.last_seen.map(|at| age_seconds(at, now)),
            policy,
            policy_limits: record
                .policy
                .as_ref()
                .map(|policy| policy.limits.clone())
                .filter(|it| !it.is_none()),
            abilities: record.abilities.clone(),
            key: record.key.map(|key| key.to_string()),
            key_since: record.terms.key_since.map(Time),
            next_key: record.terms.next_key.map(|key| key.to_string()),
            ceiling: record.terms.ceiling.as_ref().map(Ceiling::words),
            declared: record.terms.declared,
            containers: ContainerCounts::new(host),
            load: LoadView::new(host, now),
            projects: projects(host),
            stale: host.stale,
            as_of: as_of.map(Time),
            as_of_age_seconds: as_of.map(|at| age_seconds(at, now)),
            latency_ms: host.round_trip.map(|time| time.as_secs_f64() * 1000.0),
        }
    }
}

/// The moment that a host's picture is true for: now while it is followed, else the last contact that it was.
#[must_use]
pub fn as_of(host: &Host, now: UnixMicros) -> Option<UnixMicros> {
    let synced_at = host.synced_at?;
    match host.link.state {
        _ if !host.stale => Some(now),
        // Connected again, and the new picture still to come.
        LinkState::Live => Some(synced_at),
        _ => Some(host.record.last_seen.map_or(synced_at, |seen| seen.max(synced_at)).min(now)),
    }
}

impl LinkView {
    /// The view of `link` at `now`.
    #[must_use]
    pub fn new(link: &LinkStatus, now: UnixMicros) -> Self {
        Self {
            state: link.state.into(),
            since: Time(link.since),
            age_seconds: age_seconds(link.since, now),
            direction: link.direction.map(crate::model::Direction::as_str),
            remote: link.remote.clone(),
            reason: link.reason.clone(),
        }
    }
}

impl EngineView {
    /// The view of `engine`.
    #[must_use]
    pub fn new(engine: &Engine) -> Self {
        let (reachable, reason) = match &engine.state {
            EngineState::Reachable => (true, None),
            EngineState::Unreachable { reason } => (false, Some(reason.clone())),
            EngineState::Unknown => {
                (false, Some("the agent is newer than the controller and says more than it knows".to_owned()))
            }
        };
        Self {
            reachable,
            reason,
            since: Time(engine.since),
            version: engine.version.clone(),
            api_version: engine.api_version.clone(),
            os: engine.os.clone(),
            cpus: engine.cpus,
            memory_bytes: engine.memory_bytes,
        }
    }
}

impl ContainerCounts {
    fn new(host: &Host) -> Self {
        let failing = |one: &&Arc<Kept>| one.health == ContainerHealth::Unhealthy;
        let unhealthy = host.containers.values().filter(failing).count();
        let mut counts = Self { total: host.containers.len(), unhealthy, ..Self::default() };
        for (state, count) in host.counts() {
            let place = match state {
                ContainerState::Created => &mut counts.created,
                ContainerState::Running => &mut counts.running,
                ContainerState::Paused => &mut counts.paused,
                ContainerState::Restarting => &mut counts.restarting,
                ContainerState::Removing => &mut counts.removing,
                ContainerState::Exited => &mut counts.exited,
                ContainerState::Dead => &mut counts.dead,
                ContainerState::Unknown => &mut counts.unknown,
            };
            *place = count;
        }
        counts
    }
}

impl From<Health> for HealthView {
    fn from(health: Health) -> Self {
        match health {
            Health::Healthy => Self::Healthy,
            Health::Unhealthy => Self::Unhealthy,
            Health::Unknown => Self::Unknown,
        }
    }
}

impl From<LinkState> for LinkStateView {
    fn from(state: LinkState) -> Self {
        match state {
            LinkState::Live => Self::Live,
            LinkState::Late => Self::Late,
            LinkState::Lost | LinkState::Awaited => Self::Lost,
            LinkState::Never => Self::Never,
        }
    }
}
