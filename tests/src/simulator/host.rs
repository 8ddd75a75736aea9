//! A made-up host: an engine and containers as one finds them, and what happens to them.

use std::collections::BTreeMap;
use std::time::Duration;

use roadstead_protocol::message::container::{Container, ContainerHealth, ContainerState, Figures, Port};
use roadstead_protocol::message::event::EventKind;
use roadstead_protocol::message::ids::ContainerId;
use roadstead_protocol::message::snapshot::{Change, Engine, EngineState};
use roadstead_protocol::message::time::UnixMicros;

/// Services of a project, each with its image and the port it listens on, if it does.
const SERVICES: [(&str, &str, Option<u16>); 10] = [
    ("web", "nginx:1.27", Some(80)),
    ("api", "registry.example/shop/api:4.12.0", Some(8080)),
    ("db", "postgres:16", Some(5432)),
    ("cache", "redis:7.4", Some(6379)),
    ("worker", "registry.example/shop/worker:4.12.0", None),
    ("proxy", "traefik:v3.2", Some(443)),
    ("queue", "rabbitmq:4.0", Some(5672)),
    ("mail", "registry.example/tools/mailer:2.3.1", None),
    ("search", "opensearchproject/opensearch:2.18.0", Some(9200)),
    ("backup", "registry.example/tools/backup:1.9.4", None),
];

/// Projects on a host, in turns.
const PROJECTS: [&str; 4] = ["shop", "intranet", "monitoring", "wiki"];

/// How long before the start of the simulator everything on the hosts began.
const AGE: Duration = Duration::from_secs(9 * 24 * 3600);

/// A made-up host. Containers are made when they are asked for: what is kept of each is what changes.
#[derive(Debug)]
pub(super) struct Host {
    number: usize,
    since: UnixMicros,
    slots: Vec<Slot>,
    /// The container that something happens to next.
    turn: usize,
}

/// The place of a container, which may be replaced.
#[derive(Debug, Clone, Copy)]
struct Slot {
    generation: u32,
    running: bool,
    changed: UnixMicros,
}

/// What happened: events to tell for good, and changes of the picture.
#[derive(Debug, Default)]
pub(super) struct Happenings {
    pub(super) events: Vec<EventKind>,
    pub(super) changes: Vec<Change>,
}

/// The name of host `number`.
pub(super) fn name(number: usize) -> String {
    format!("sim-{number:05}")
}

impl Host {
    pub(super) fn new(number: usize, containers: usize) -> Self {
        let since = UnixMicros::now().minus(AGE);
        let slot = Slot { generation: 0, running: true, changed: since };
        Self { number, since, slots: vec![slot; containers], turn: number }
    }

    pub(super) fn engine(&self) -> Engine {
        Engine {
            state: EngineState::Reachable,
            since: self.since,
            version: Some("27.3.1".to_owned()),
            api_version: Some("1.47".to_owned()),
            os: Some("Debian GNU/Linux 12 (bookworm)".to_owned()),
            cpus: Some(4),
            memory_bytes: Some(8 << 30),
        }
    }

    pub(super) fn containers(&self) -> impl Iterator<Item = Container> {
        (0..self.slots.len()).map(|place| self.container(place))
    }

    /// Figures of all running containers now.
    pub(super) fn figures(&self) -> Vec<Figures> {
        let at = UnixMicros::now();
        let running = self.slots.iter().enumerate().filter(|(_, slot)| slot.running);
        running.map(|(place, _)| self.figures_of(place, at)).collect()
    }

    /// A container stops or starts again, each in its turn.
    pub(super) fn stop_or_start(&mut self) -> Happenings {
        let Some(place) = self.next() else { return Happenings::default() };
        let slot = &mut self.slots[place];
        slot.running = !slot.running;
        slot.changed = UnixMicros::now();
        let action = if slot.running { "start" } else { "die" };
        let container = Box::new(self.container(place));
        Happenings { events: vec![self.event(place, action)], changes: vec![Change::Upsert { container }] }
    }

    /// A container is replaced by a new one, each in its turn.
    pub(super) fn replace(&mut self) -> Happenings {
        let Some(place) = self.next() else { return Happenings::default() };
        let gone = Change::Remove { id: self.id(place) };
        let mut events = vec![self.event(place, "die"), self.event(place, "destroy")];
        let slot = &mut self.slots[place];
        *slot = Slot { generation: slot.generation + 1, running: true, changed: UnixMicros::now() };
        events.extend([self.event(place, "create"), self.event(place, "start")]);
        let come = Change::Upsert { container: Box::new(self.container(place)) };
        Happenings { events, changes: vec![gone, come] }
    }

    /// What a container says again and again without changing: for storms.
    pub(super) fn say(&mut self) -> EventKind {
        match self.next() {
            Some(place) => self.event(place, "exec_start: /bin/healthcheck"),
            None => EventKind::Engine {
                object: "image".to_owned(),
                id: "nginx:1.27".to_owned(),
                action: "pull".to_owned(),
            },
        }
    }

    fn next(&mut self) -> Option<usize> {
        self.turn = (self.turn + 1).checked_rem(self.slots.len())?;
        Some(self.turn)
    }

    fn event(&self, place: usize, action: &str) -> EventKind {
        let (project, service, image) = self.role(place);
        let labels = [("com.docker.compose.project", project), ("com.docker.compose.service", service)];
        let exit_code = (action == "die").then_some(("exitCode", "0"));
        EventKind::Container {
            id: self.id(place),
            name: format!("{project}-{service}-1").into(),
            image: image.into(),
            action: action.into(),
            attributes: labels.into_iter().chain(exit_code).collect(),
            inferred: false,
        }
    }

    fn container(&self, place: usize) -> Container {
        let slot = self.slots[place];
        let (project, service, image) = self.role(place);
        let private = SERVICES[place % SERVICES.len()].2;
        let port = |private| Port {
            private,
            protocol: "tcp".to_owned(),
            host_ip: Some("0.0.0.0".to_owned()),
            public: Some(20_000 + u16::try_from(place % 10_000).unwrap_or(0)),
        };
        let label = |name: &str, value: &str| (format!("com.docker.compose.{name}"), value.to_owned());
        Container {
            id: self.id(place),
            name: format!("{project}-{service}-1"),
            image: image.to_owned(),
            image_id: format!("sha256:{}", hexadecimal(place % SERVICES.len(), 0, 1)),
            command: format!("/docker-entrypoint.sh {service}"),
            created_at: if slot.generation == 0 { self.since } else { slot.changed },
            state: if slot.running { ContainerState::Running } else { ContainerState::Exited },
            health: ContainerHealth::None,
            started_at: Some(if slot.running { slot.changed } else { self.since }),
            finished_at: (!slot.running).then_some(slot.changed),
            exit_code: (!slot.running).then_some(0),
            oom_killed: false,
            ports: private.map(port).into_iter().collect(),
            networks: vec![format!("{project}_default")],
            mounts: vec![format!("{project}_{service}")],
            labels: BTreeMap::from([
                label("project", project),
                label("service", service),
                label("container-number", "1"),
                label("project.working_dir", &format!("/srv/{project}")),
                label("project.config_files", &format!("/srv/{project}/compose.yml")),
                label("config-hash", &hexadecimal(place, 7, 2)),
            ]),
            labels_truncated: false,
            restart_policy: "unless-stopped".to_owned(),
        }
    }

    fn figures_of(&self, place: usize, at: UnixMicros) -> Figures {
        let wave = f64::from(u32::try_from((self.number + place) % 17).unwrap_or(0)) + rand::random::<f64>();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
        let megabytes = (64.0 + 8.0 * wave) as u64;
        let served = at.since(self.since).as_secs() * 100;
        Figures {
            container: self.id(place),
            at,
            cpu_percent: Some((wave * 10.0).round() / 10.0),
            memory_bytes: megabytes << 20,
            memory_limit_bytes: Some(1 << 30),
            network_rx_bytes: served * 3,
            network_tx_bytes: served * 5,
            block_read_bytes: 40 << 20,
            block_write_bytes: served,
        }
    }

    fn role(&self, place: usize) -> (&'static str, &'static str, &'static str) {
        let (service, image, _) = SERVICES[place % SERVICES.len()];
        (PROJECTS[place / SERVICES.len() % PROJECTS.len()], service, image)
    }

    #[expect(clippy::expect_used, reason = "64 hexadecimal digits are an id")]
    fn id(&self, place: usize) -> ContainerId {
        let digits = hexadecimal(place, self.slots[place].generation, self.number + 3);
        digits.try_into().expect("an id")
    }
}

/// 64 hexadecimal digits that look random and are the same again for the same numbers.
fn hexadecimal(place: usize, generation: u32, salt: usize) -> String {
    let mut state = ((salt as u64) << 40) ^ ((place as u64) << 20) ^ u64::from(generation);
    let mut digits = String::with_capacity(64);
    for _ in 0..4 {
        // SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        digits.push_str(&format!("{:016x}", mixed ^ (mixed >> 31)));
    }
    digits
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_containers_of_the_fleet_are_the_same() {
        let all = (0..50).flat_map(|number| Host::new(number, 50).containers().collect::<Vec<_>>());
        assert_eq!(all.map(|one| one.id).collect::<BTreeSet<_>>().len(), 2500);
    }

    #[test]
    fn what_happens_shows_in_the_picture() {
        let mut host = Host::new(1, 3);
        let happened = host.stop_or_start();
        assert_eq!((happened.events.len(), happened.changes.len()), (1, 1));
        assert_eq!(host.containers().filter(|one| one.state == ContainerState::Exited).count(), 1);
        assert_eq!(host.figures().len(), 2);
        let before: BTreeSet<_> = host.containers().map(|one| one.id).collect();
        let replaced = host.replace();
        assert_eq!((replaced.events.len(), replaced.changes.len()), (4, 2));
        assert_eq!(host.containers().filter(|one| !before.contains(&one.id)).count(), 1);
    }

    #[test]
    fn an_empty_host_has_storms_all_the_same() {
        let mut host = Host::new(0, 0);
        assert!(host.stop_or_start().events.is_empty() && host.figures().is_empty());
        assert!(matches!(host.say(), EventKind::Engine { .. }));
    }
}
