//! The picture of a host: engine, containers, figures, policy.

use roadstead_protocol::message::container::{Container, ContainerHealth, ContainerState, Figures, Port};
use roadstead_protocol::message::ids::ContainerId;
use roadstead_protocol::message::inspection::{
    ContainerDetails, HealthEntry, Inspection, MountDetails, NetworkDetails, Setting,
};
use roadstead_protocol::message::policy::{Limits, Policy, Verb};
use roadstead_protocol::message::snapshot::{Change, Engine, EngineState, SnapshotPart};
use roadstead_protocol::message::time::UnixMicros;
use roadstead_protocol::message::to_controller::ToController;

use super::{AT, every, text};

pub fn container_id() -> ContainerId {
    ContainerId::try_from("0123456789ab".repeat(5) + "cdef").unwrap()
}

pub fn snapshot() -> ToController {
    let part = SnapshotPart { engine: engine(), containers: vec![container(), bare_container()], last: true };
    ToController::Snapshot(part)
}

pub fn messages() -> Vec<(String, ToController)> {
    let upsert = |container| Change::Upsert { container: Box::new(container) };
    let states = container_states().into_iter().map(|(name, state)| {
        (format!("change/upsert/state/{name}"), upsert(Container { state, ..bare_container() }))
    });
    let healths = container_healths().into_iter().map(|(name, health)| {
        (format!("change/upsert/health/{name}"), upsert(Container { health, ..bare_container() }))
    });
    let engines = engine_states().into_iter().map(|(name, state)| {
        (format!("change/engine/{name}"), Change::Engine { engine: Engine { state, ..engine() } })
    });
    states
        .chain(healths)
        .chain(engines)
        .map(|(name, change)| (name, ToController::Change { change }))
        .chain(changes())
        .chain(policies())
        .chain(inspections())
        .collect()
}

pub fn changes() -> Vec<(String, ToController)> {
    let changes = every!(Change {
        "upsert" Change::Upsert { .. } => Change::Upsert { container: Box::new(container()) },
        "remove" Change::Remove { .. } => Change::Remove { id: container_id() },
        "engine" Change::Engine { .. } => Change::Engine { engine: engine() },
    } never sent: Change::Unknown);
    changes
        .into_iter()
        .map(|(name, change)| (format!("change/{name}"), ToController::Change { change }))
        .collect()
}

pub fn figures() -> ToController {
    let first = Figures {
        container: container_id(),
        at: AT,
        cpu_percent: None,
        memory_bytes: 0,
        memory_limit_bytes: None,
        network_rx_bytes: 0,
        network_tx_bytes: 0,
        block_read_bytes: 0,
        block_write_bytes: 0,
    };
    let later = Figures {
        cpu_percent: Some(162.5),
        memory_bytes: u64::MAX,
        memory_limit_bytes: Some(1 << 33),
        network_rx_bytes: 1,
        network_tx_bytes: 128,
        block_read_bytes: 1 << 16,
        block_write_bytes: 1 << 32,
        ..first.clone()
    };
    ToController::Figures { samples: vec![first, later] }
}

pub fn probed() -> ToController {
    ToController::Probed { nonce: u64::MAX, engine: engine(), engine_micros: 1234 }
}

pub fn policies() -> Vec<(String, ToController)> {
    let policy = |allow| ToController::Policy { policy: Policy { allow, limits: Limits::default() } };
    // Those there were when the frame was frozen.
    let all = verbs().into_iter().map(|(_, verb)| verb).filter(|verb| *verb != Verb::ViewEnv).collect();
    let mut policies = vec![(text("policy/all"), policy(all)), (text("policy/none"), policy([].into()))];
    let single = verbs().into_iter().map(|(name, verb)| (format!("policy/{name}"), policy([verb].into())));
    policies.extend(single);
    let limits = Limits {
        projects: Some(vec![text("shop"), text("blog-*")]),
        registries: Some(vec![text("registry.example:5000")]),
        host_paths: Some(Vec::new()),
        no_privileged: true,
    };
    let limited = Policy { limits, ..Policy::of([Verb::View]) };
    policies.push((text("policy/limited"), ToController::Policy { policy: limited }));
    policies
}

pub fn inspections() -> Vec<(String, ToController)> {
    let setting = |name: &str, value: Option<&str>| Setting { name: text(name), value: value.map(text) };
    let details = ContainerDetails {
        id: container_id(),
        env: vec![setting("TZ", Some("UTC")), setting("DB_PASSWORD", None)],
        labels: vec![setting("team", Some("red"))],
        entrypoint: vec![text("/app")],
        command: vec![text("--serve")],
        working_dir: text("/srv"),
        user: text("app"),
        hostname: text("web"),
        mounts: vec![MountDetails {
            kind: text("bind"),
            source: text("/srv"),
            target: text("/data"),
            read_only: true,
        }],
        networks: vec![NetworkDetails {
            name: text("shop_default"),
            addresses: vec![text("172.18.0.2")],
            gateway: text("172.18.0.1"),
            mac: text("02:42:ac:12:00:02"),
            aliases: vec![text("www")],
        }],
        restart_policy: text("on-failure"),
        restart_retries: 3,
        memory_limit_bytes: Some(1 << 33),
        cpu_limit_thousandths: Some(1500),
        process_limit: Some(100),
        privileges: vec![text("capability SYS_ADMIN")],
        health_check: vec![text("CMD"), text("/check")],
        health_log: vec![HealthEntry { at: AT, exit_code: 1, output: text("no") }],
        image_id: text("sha256:aa"),
        image_digests: vec![text("web@sha256:bb")],
        truncated: true,
    };
    let found = every!(Inspection {
        "found" Inspection::Found(_) => Inspection::Found(Box::new(details)),
        "missing" Inspection::Missing => Inspection::Missing,
        "failed" Inspection::Failed { .. } => Inspection::Failed { reason: text("the engine is away") },
    } never sent: Inspection::Unknown);
    let answer = |found| ToController::Inspected { nonce: u64::MAX, found };
    found.into_iter().map(|(name, found)| (format!("inspected/{name}"), answer(found))).collect()
}

pub fn verbs() -> Vec<(&'static str, Verb)> {
    every!(Verb {
        "view" Verb::View => Verb::View,
        "logs" Verb::Logs => Verb::Logs,
        "stats" Verb::Stats => Verb::Stats,
        "sync" Verb::Sync => Verb::Sync,
        "lifecycle" Verb::Lifecycle => Verb::Lifecycle,
        "deploy" Verb::Deploy => Verb::Deploy,
        "exec" Verb::Exec => Verb::Exec,
        "remove" Verb::Remove => Verb::Remove,
        "prune" Verb::Prune => Verb::Prune,
        "docker-api" Verb::DockerApi => Verb::DockerApi,
        "view-env" Verb::ViewEnv => Verb::ViewEnv,
    } never sent: Verb::Unknown)
}

fn engine() -> Engine {
    Engine {
        state: EngineState::Reachable,
        since: AT,
        version: Some(text("20.10.24+dfsg1")),
        api_version: Some(text("1.41")),
        os: Some(text("Debian GNU/Linux 12 (bookworm)")),
        cpus: Some(8),
        memory_bytes: Some(16 << 30),
    }
}

fn engine_states() -> Vec<(&'static str, EngineState)> {
    every!(EngineState {
        "reachable" EngineState::Reachable => EngineState::Reachable,
        "unreachable" EngineState::Unreachable { .. } => {
            EngineState::Unreachable { reason: text("no such socket") }
        },
    } never sent: EngineState::Unknown)
}

fn container() -> Container {
    let published =
        Port { private: 80, protocol: text("tcp"), host_ip: Some(text("0.0.0.0")), public: Some(u16::MAX) };
    let exposed = Port { private: 53, protocol: text("udp"), host_ip: None, public: None };
    Container {
        name: text("shop-web-1"),
        command: text("serve --port=80"),
        state: ContainerState::Exited,
        health: ContainerHealth::Unhealthy,
        started_at: Some(AT),
        finished_at: Some(UnixMicros(-1)),
        exit_code: Some(-1),
        oom_killed: true,
        ports: vec![exposed, published],
        networks: vec![text("shop_default")],
        mounts: vec![text("/srv/data"), text("shop_db")],
        labels: [
            (text("com.docker.compose.project"), text("shop")),
            (text("com.docker.compose.service"), text("web")),
        ]
        .into(),
        labels_truncated: true,
        restart_policy: text("on-failure"),
        ..bare_container()
    }
}

fn bare_container() -> Container {
    Container {
        id: container_id(),
        name: text("web"),
        image: text("web:1"),
        image_id: text("sha256:aa"),
        command: text(""),
        created_at: UnixMicros(0),
        state: ContainerState::Created,
        health: ContainerHealth::None,
        started_at: None,
        finished_at: None,
        exit_code: None,
        oom_killed: false,
        ports: Vec::new(),
        networks: Vec::new(),
        mounts: Vec::new(),
        labels: [].into(),
        labels_truncated: false,
        restart_policy: text("no"),
    }
}

fn container_states() -> Vec<(&'static str, ContainerState)> {
    every!(ContainerState {
        "created" ContainerState::Created => ContainerState::Created,
        "running" ContainerState::Running => ContainerState::Running,
        "paused" ContainerState::Paused => ContainerState::Paused,
        "restarting" ContainerState::Restarting => ContainerState::Restarting,
        "removing" ContainerState::Removing => ContainerState::Removing,
        "exited" ContainerState::Exited => ContainerState::Exited,
        "dead" ContainerState::Dead => ContainerState::Dead,
    } never sent: ContainerState::Unknown)
}

fn container_healths() -> Vec<(&'static str, ContainerHealth)> {
    every!(ContainerHealth {
        "none" ContainerHealth::None => ContainerHealth::None,
        "starting" ContainerHealth::Starting => ContainerHealth::Starting,
        "healthy" ContainerHealth::Healthy => ContainerHealth::Healthy,
        "unhealthy" ContainerHealth::Unhealthy => ContainerHealth::Unhealthy,
    } never sent: ContainerHealth::Unknown)
}
