//! What the fake engine holds, and what time makes of it.

use std::collections::BTreeMap;
use std::time::Duration;

use roadstead_protocol::message::container::{Container, ContainerHealth, ContainerState, Figures};
use roadstead_protocol::message::event::EventKind;
use roadstead_protocol::message::ids::ContainerId;
use roadstead_protocol::message::time::UnixMicros;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::engine::{EngineError, EngineEvent, EngineInfo, Image};
use crate::policy::Reach;

/// Events a reader may be behind before its stream ends.
pub(super) const SUBSCRIBER_ROOM: usize = 4096;

/// Pause between two runs of a container that its restart policy starts again.
const RESTART_PAUSE: Duration = Duration::from_millis(500);

/// An image as the fake registry has it.
#[derive(Clone, Debug, Default)]
pub struct RegistryImage {
    /// Digest of its configuration: the image id once pulled.
    pub id: String,
    /// Short ids and sizes in bytes of its layers.
    pub layers: Vec<(String, u64)>,
}

impl RegistryImage {
    /// An image of one layer of 3,000 bytes.
    #[must_use]
    pub fn simple(id: &str) -> Self {
        Self { id: id.to_owned(), layers: vec![("aaaaaaaaaaaa".to_owned(), 3_000)] }
    }
}

/// How the containers of an image behave once started. The default runs for ever and has no health check.
#[derive(Clone, Debug, Default)]
pub struct Behaviour {
    /// Ends that long after its start, with this code; its restart policy may start it again.
    pub exits: Option<(Duration, i64)>,
    /// Whether that end is for want of memory.
    pub out_of_memory: bool,
    /// Has a health check that says healthy that long after the start.
    pub healthy_after: Option<Duration>,
    /// Has a health check that says unhealthy that long after the start.
    pub unhealthy_after: Option<Duration>,
    /// What it logs when it starts.
    pub log: Vec<String>,
}

type Reached = watch::Sender<bool>;
type Opened = watch::Receiver<bool>;

#[derive(Clone)]
pub(super) struct Held {
    pub container: Container,
    /// When it was started, for behaviour that depends on time.
    pub started: Option<(Instant, UnixMicros)>,
    pub behaviour: Behaviour,
    pub log: Vec<String>,
}

pub(super) struct Model {
    start: Instant,
    epoch: UnixMicros,
    pub containers: BTreeMap<String, Held>,
    pub images: BTreeMap<String, Image>,
    pub registry: BTreeMap<String, RegistryImage>,
    pub behaviours: BTreeMap<String, Behaviour>,
    pub failures: Vec<(String, usize, EngineError)>,
    pub panics: Vec<String>,
    pub holds: Vec<(String, Reached, Opened)>,
    pub calls: Vec<String>,
    pub history: Vec<EngineEvent>,
    /// What is yet to be told, while it is behind.
    pub behind: Option<Vec<EngineEvent>>,
    pub subscribers: Vec<mpsc::Sender<Result<EngineEvent, EngineError>>>,
    pub away: Option<String>,
    pub info: EngineInfo,
    pub figures: BTreeMap<String, Figures>,
    pub inspections: BTreeMap<String, (Reach, Vec<(String, String)>)>,
    pub samplings: u64,
    /// Whether figures can be had without asking the engine.
    pub readable: bool,
    /// How often each call was made, by its first word.
    pub asked: BTreeMap<String, u64>,
    pub own: Option<ContainerId>,
    made: u64,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            epoch: UnixMicros::now(),
            containers: BTreeMap::new(),
            images: BTreeMap::new(),
            registry: BTreeMap::new(),
            behaviours: BTreeMap::new(),
            failures: Vec::new(),
            panics: Vec::new(),
            holds: Vec::new(),
            calls: Vec::new(),
            history: Vec::new(),
            behind: None,
            subscribers: Vec::new(),
            away: None,
            info: EngineInfo {
                version: "20.10.24".to_owned(),
                api_version: "1.41".to_owned(),
                os: "Fake GNU/Linux".to_owned(),
                cpus: 2,
                memory_bytes: 2 << 30,
            },
            figures: BTreeMap::new(),
            asked: BTreeMap::new(),
            inspections: BTreeMap::new(),
            samplings: 0,
            readable: true,
            own: None,
            made: 0,
        }
    }
}

impl Model {
    pub fn now(&self) -> Instant {
        Instant::now()
    }

    pub fn time(&self) -> UnixMicros {
        self.epoch.plus(self.now().saturating_duration_since(self.start))
    }

    /// A running container with an id of its own; not inserted.
    pub fn blank(&mut self, name: &str, image: &str, image_id: &str) -> Container {
        self.made += 1;
        let id = format!("{:012x}{:052x}", self.made, 0xfa_u32);
        Container {
            id: ContainerId::try_from(id).expect("64 hexadecimal characters"),
            name: name.to_owned(),
            image: image.to_owned(),
            image_id: image_id.to_owned(),
            command: String::new(),
            created_at: self.time(),
            state: ContainerState::Running,
            health: ContainerHealth::None,
            started_at: Some(self.time()),
            finished_at: None,
            exit_code: None,
            oom_killed: false,
            ports: Vec::new(),
            networks: vec!["bridge".to_owned()],
            mounts: Vec::new(),
            labels: BTreeMap::new(),
            labels_truncated: false,
            restart_policy: "no".to_owned(),
        }
    }

    pub fn insert(&mut self, container: Container) -> String {
        let id = container.id.as_str().to_owned();
        let behaviour = self.behaviours.get(&container.image_id).cloned().unwrap_or_default();
        let held = Held { container, started: None, behaviour, log: Vec::new() };
        self.containers.insert(id.clone(), held);
        id
    }

    /// Full id of a container given by name, id or the beginning of an id.
    pub fn find(&self, container: &str) -> Option<String> {
        let by_name = self.containers.iter().find(|(_, held)| held.container.name == container);
        let by_id =
            || self.containers.iter().find(|(id, _)| container.len() >= 12 && id.starts_with(container));
        by_name.or_else(by_id).map(|(id, _)| id.clone())
    }

    pub fn observe_all(&self) -> Vec<Container> {
        let now = self.now();
        self.containers.values().map(|held| held.observe(now)).collect()
    }

    pub fn tell(&mut self, id: &str, action: &str) {
        let Some(held) = self.containers.get(id) else { return };
        let container = held.observe(self.now());
        let mut attributes = Vec::new();
        if let (Some(project), Some(service)) = (container.compose_project(), container.compose_service()) {
            attributes.push(("com.docker.compose.project", project.to_owned()));
            attributes.push(("com.docker.compose.service", service.to_owned()));
        }
        if let (true, Some(code)) = (action == "die", container.exit_code) {
            attributes.push(("exitCode", code.to_string()));
        }
        let what = EventKind::Container {
            id: container.id.clone(),
            name: container.name.into(),
            image: container.image.into(),
            action: action.into(),
            attributes: attributes.into_iter().collect(),
            inferred: false,
        };
        self.emit(EngineEvent { at: self.time(), what: Some(what), container: Some(container.id) });
    }

    pub fn emit(&mut self, event: EngineEvent) {
        self.history.push(event.clone());
        match &mut self.behind {
            Some(behind) => behind.push(event),
            None => self.deliver(&event),
        }
    }

    pub fn catch_up(&mut self) {
        let behind = self.behind.take().unwrap_or_default();
        behind.iter().for_each(|event| self.deliver(event));
    }

    fn deliver(&mut self, event: &EngineEvent) {
        self.subscribers.retain(|subscriber| subscriber.try_send(Ok(event.clone())).is_ok());
    }

    pub fn go_away(&mut self, reason: &str) {
        self.away = Some(reason.to_owned());
        let error = EngineError::Unreachable(reason.to_owned());
        for subscriber in self.subscribers.drain(..) {
            let _ = subscriber.try_send(Err(error.clone()));
        }
    }

    pub fn holds_of(&self, line: &str) -> Vec<(Reached, Opened)> {
        let matching = self.holds.iter().filter(|(text, ..)| line.contains(text.as_str()));
        matching.map(|(_, reached, opened)| (reached.clone(), opened.clone())).collect()
    }

    pub fn failure_of(&mut self, line: &str) -> Result<(), EngineError> {
        if let Some(reason) = &self.away {
            return Err(EngineError::Unreachable(reason.clone()));
        }
        for (text, times, error) in &mut self.failures {
            if *times > 0 && line.contains(text.as_str()) {
                *times -= 1;
                return Err(error.clone());
            }
        }
        Ok(())
    }
}

impl Held {
    /// The container as the engine would show it at `now`.
    pub fn observe(&self, now: Instant) -> Container {
        let mut container = self.container.clone();
        let (Some((started, at)), ContainerState::Running) = (self.started, container.state) else {
            return container;
        };
        let mut run = now.saturating_duration_since(started);
        if let Some((life, code)) = self.behaviour.exits {
            let again = matches!(container.restart_policy.as_str(), "always" | "unless-stopped")
                || (container.restart_policy == "on-failure" && code != 0);
            let cycle = life + RESTART_PAUSE;
            let runs = if again { run.as_micros() / cycle.as_micros() } else { 0 };
            let before = cycle.saturating_mul(u32::try_from(runs).unwrap_or(u32::MAX));
            run = run.saturating_sub(before);
            container.started_at = Some(at.plus(before));
            if run >= life {
                container.state = if again { ContainerState::Restarting } else { ContainerState::Exited };
                container.exit_code = Some(code);
                container.oom_killed = self.behaviour.out_of_memory;
                container.finished_at = Some(at.plus(before + life));
                container.health = ContainerHealth::None;
                return container;
            }
        }
        container.health = self.behaviour.health(run);
        container
    }
}

impl Behaviour {
    fn health(&self, run: Duration) -> ContainerHealth {
        if self.healthy_after.is_none() && self.unhealthy_after.is_none() {
            return ContainerHealth::None;
        }
        if self.unhealthy_after.is_some_and(|after| run >= after) {
            ContainerHealth::Unhealthy
        } else if self.healthy_after.is_some_and(|after| run >= after) {
            ContainerHealth::Healthy
        } else {
            ContainerHealth::Starting
        }
    }
}

/// The repository part of an image reference: no tag, no digest.
pub(super) fn repository(reference: &str) -> &str {
    let name = reference.split_once('@').map_or(reference, |(name, _)| name);
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}
