//! Values and stores for this crate's tests.

use std::collections::BTreeMap;

use roadstead_protocol::message::container::{Container, ContainerHealth, ContainerState};
use roadstead_protocol::message::hello::Hello;
use roadstead_protocol::message::ids::{BootId, ContainerId, Epoch, EventSeq, InstanceId, SessionId};
use roadstead_protocol::message::policy::Policy;
use roadstead_protocol::message::snapshot::{Engine, EngineState};
use roadstead_protocol::message::time::UnixMicros;
use roadstead_protocol::message::to_agent::ToAgent;
use roadstead_protocol::message::version;
use roadstead_protocol::queue::{Incoming, queue};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::fleet::{Kept, Pool};
use crate::model::{InstanceRecord, MemberTerms};
use crate::registry::AgentHandle;
use crate::store::Store;

/// A store in a folder that goes with the second value.
pub(crate) fn store() -> (Store, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    (Store::open(directory.path()).unwrap(), directory)
}

pub(crate) fn instance(id: &str) -> InstanceId {
    id.parse().unwrap()
}

pub(crate) fn record(id: &str) -> InstanceRecord {
    InstanceRecord {
        id: instance(id),
        name: id.to_owned(),
        url: None,
        description: String::new(),
        environment: None,
        tags: Vec::new(),
        key: None,
        created_at: UnixMicros(1),
        last_seen: None,
        agent_version: None,
        policy: None,
        abilities: Vec::new(),
        terms: MemberTerms::default(),
    }
}

pub(crate) fn container_id(number: u32) -> ContainerId {
    format!("{number:064x}").parse().unwrap()
}

pub(crate) fn container(number: u32, state: ContainerState) -> Container {
    Container {
        id: container_id(number),
        name: format!("c{number}"),
        image: "busybox".to_owned(),
        image_id: "sha256:1".to_owned(),
        command: String::new(),
        created_at: UnixMicros(1),
        state,
        health: ContainerHealth::None,
        started_at: None,
        finished_at: None,
        exit_code: None,
        oom_killed: false,
        ports: Vec::new(),
        networks: Vec::new(),
        mounts: Vec::new(),
        labels: BTreeMap::new(),
        labels_truncated: false,
        restart_policy: "no".to_owned(),
    }
}

/// The container as the fleet keeps it.
pub(crate) fn kept(container: Container) -> Kept {
    Pool::default().keep(container)
}

pub(crate) fn engine() -> Engine {
    Engine {
        state: EngineState::Reachable,
        since: UnixMicros(1),
        version: Some("20.10.24".to_owned()),
        api_version: Some("1.41".to_owned()),
        os: None,
        cpus: None,
        memory_bytes: None,
    }
}

pub(crate) fn hello(name: &str) -> Hello {
    Hello {
        protocol: version::CURRENT,
        agent_version: "0.1.0".to_owned(),
        boot: BootId::generate(),
        join: None,
        name: name.to_owned(),
        environment: None,
        tags: Vec::new(),
        policy: Policy::default(),
        abilities: Vec::new(),
        epoch: Epoch::generate(),
        last_event: EventSeq(0),
        remembers_since: None,
    }
}

/// A connected agent: its handle, what it is sent, and the token that ends its session.
pub(crate) fn agent(boot: BootId) -> (AgentHandle, Incoming<ToAgent>, CancellationToken) {
    let (messages, sent) = queue(16);
    let end = CancellationToken::new();
    (AgentHandle::new(SessionId::generate(), boot, messages, end.clone(), end.clone()), sent, end)
}
