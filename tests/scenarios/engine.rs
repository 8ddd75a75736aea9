//! The agent's view of real engines, and what it does to them.

mod changing;
mod events;
mod looking;
mod pulling;
mod reaching;

use std::time::Duration;

use roadstead_agent::engine::docker::DockerEngine;
use roadstead_agent::engine::{EngineError, EngineView};
use roadstead_protocol::message::container::Container;
use roadstead_tests::Dockerd;
use serde_json::Value;

/// How long anything here may take to come about.
const SOON: Duration = Duration::from_secs(20);

/// What the agent has of `engine`.
fn agent_of(engine: &Dockerd) -> DockerEngine {
    match DockerEngine::connect(Some(&engine.host()), None) {
        Ok(agent) => agent,
        Err(error) => panic!("{error}"),
    }
}

/// The container called `name`, as the agent sees it.
async fn seen(agent: &DockerEngine, name: &str) -> Container {
    match agent.container(name).await {
        Ok(Some(container)) => container,
        other => panic!("{name}: {other:?}"),
    }
}

/// What `docker inspect` says of one thing.
async fn inspected(engine: &Dockerd, name: &str) -> Value {
    let text = engine.docker(["inspect", name]).await;
    match serde_json::from_str::<Vec<Value>>(&text).map(|mut all| all.pop()) {
        Ok(Some(inspection)) => inspection,
        other => panic!("docker inspect {name}: {other:?}"),
    }
}

/// The name of an error's kind, and its text.
fn kind(error: &EngineError) -> (&'static str, String) {
    let kind = match error {
        EngineError::Unreachable(_) => "unreachable",
        EngineError::NotFound(_) => "not found",
        EngineError::Conflict(_) => "conflict",
        EngineError::Registry(_) => "registry",
        EngineError::DiskFull(_) => "disk full",
        EngineError::Refused(_) => "refused",
        EngineError::TimedOut(_) => "timed out",
    };
    (kind, error.to_string())
}
