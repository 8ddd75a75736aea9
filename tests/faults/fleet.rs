//! The hosts of the suite: each an agent in a network of its own, on a line that can be made bad.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use roadstead_tests::synthetic_engine::{PROJECT, SERVICE, SyntheticOptions};
use roadstead_tests::vitals::Vitals;
use roadstead_tests::{AgentOptions, AgentProcess, Netns, Proxy, SyntheticEngine, eventually};
use serde_json::json;

use crate::checker::Absence;
use crate::site::Site;

/// How long an agent may take to join.
const JOIN: Duration = Duration::from_secs(60);

/// How far the script of a sync counts.
pub const COUNTS_TO: u64 = 20;

const SCRIPT: &str =
    "#!/bin/sh\nn=0\nwhile [ $n -lt 20 ]; do n=$((n + 1)); echo \"counted $n\"; sleep 0.1; done\n";

/// One host.
#[derive(Debug)]
pub struct Host {
    pub name: String,
    /// The id of its instance.
    pub id: String,
    pub agent: AgentProcess,
    pub machine: Netns,
    pub line: Proxy,
    /// The times in which nobody read its engine's events; for engines that forget.
    pub absences: Vec<Absence>,
    /// How often there was a second machine with its identity.
    pub copies: usize,
    /// What the agent's process held when it had come up.
    pub vitals: Option<Vitals>,
    /// What went wrong and should not have, in words.
    pub troubles: Vec<String>,
}

/// What all hosts need.
pub struct Yard<'a> {
    pub site: &'a Site,
    pub agents: SocketAddr,
    pub script: PathBuf,
}

/// Writes the script that syncs run.
pub fn script(folder: &Path) -> PathBuf {
    let path = folder.join("sync.sh");
    std::fs::write(&path, SCRIPT).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// An engine on which nothing runs yet.
pub fn synthetic(seed: u64, keeps: Option<usize>) -> SyntheticEngine {
    SyntheticEngine::start(SyntheticOptions { keeps, seed, ..SyntheticOptions::default() })
}

/// Runs a project to sync and containers to restart. Where every event counts, somebody has to watch already.
pub fn populate(engine: &SyntheticEngine, asked: usize) {
    engine.run("shop_web_1", &[(PROJECT, "shop"), (SERVICE, "web")]);
    for number in 0..asked {
        engine.run(&asked_name(number), &[]);
    }
}

/// The container that is restarted by one command and no other.
pub fn asked_name(number: usize) -> String {
    format!("asked-{number}")
}

impl Yard<'_> {
    /// Adds a host whose agent watches the engine at `engine` (what `DOCKER_HOST` says), and waits until it is live.
    pub async fn host(&self, name: &str, engine: String, dials: bool) -> Host {
        let machine = Netns::start().await;
        let api = self.site.api();
        let prepare = |token: &str| {
            AgentOptions::of(engine, token).on(&machine).set("ROADSTEAD_SYNC_SCRIPT", self.script.display())
        };
        let (id, agent, line) = if dials {
            let line = Proxy::start_at(machine.outside(), self.agents).await.unwrap();
            let (id, token) = api.register(&json!({ "name": name })).await;
            let options = prepare(&token).set("ROADSTEAD_CONTROLLER", format!("wss://{}", line.address()));
            (id, AgentProcess::start(options).await, line)
        } else {
            let token = self.site.inbound_token().await;
            let listen = Some(format!("{}:0", machine.inside()));
            let agent = AgentProcess::start(AgentOptions { listen, ..prepare(&token) }).await;
            let line = Proxy::start(agent.link().unwrap()).await.unwrap();
            let url = format!("wss://{}", line.address());
            let (id, _) = api.register(&json!({ "name": name, "url": url })).await;
            (id, agent, line)
        };
        eventually(&format!("{name} to join"), JOIN, async || self.site.is_back(&id).await.then_some(()))
            .await;
        let mut host = Host {
            name: name.to_owned(),
            id,
            agent,
            machine,
            line,
            absences: Vec::new(),
            copies: 0,
            vitals: None,
            troubles: Vec::new(),
        };
        host.agent.options.join = None;
        host.vitals = Vitals::of(host.agent.id()).ok();
        host
    }
}
