//! Sessions over links in memory: real TLS and WebSocket, paused time.

mod endings;
mod flow;
mod liveness;

use std::time::Duration;

use tokio::io::DuplexStream;
use tokio::task::JoinHandle;

use super::{Heartbeat, Session, SessionEnd, open};
use crate::link::{Link, memory};
use crate::message::ids::CommandId;
use crate::message::progress::{LogStream, Progress, ProgressLine};
use crate::message::time::UnixMicros;
use crate::message::to_agent::ToAgent;
use crate::message::to_controller::ToController;

type AgentSession = Session<ToController, ToAgent>;
type ControllerSession = Session<ToAgent, ToController>;
type Pump = JoinHandle<SessionEnd>;

/// Both ends of one session, their pumps running.
struct Both {
    agent: AgentSession,
    controller: ControllerSession,
    agent_pump: Pump,
    controller_pump: Pump,
}

async fn both() -> Both {
    let (dialled, accepted) = memory::pair().await;
    let (agent, agent_pump) = open(dialled, Heartbeat::Send, || true);
    let (controller, controller_pump) = open(accepted, Heartbeat::Expect, || true);
    Both {
        agent,
        controller,
        agent_pump: tokio::spawn(agent_pump),
        controller_pump: tokio::spawn(controller_pump),
    }
}

/// A controller's session, and the bare link of an agent that does as a test pleases.
async fn with_bare_agent() -> (ControllerSession, Pump, Link<DuplexStream>) {
    let (bare, accepted) = memory::pair().await;
    let (session, pump) = open(accepted, Heartbeat::Expect, || true);
    (session, tokio::spawn(pump), bare)
}

fn probe(nonce: u64) -> ToAgent {
    ToAgent::Probe { nonce }
}

/// A message of about `size` bytes.
fn progress(line: u64, size: usize) -> ToController {
    let entry = Progress::Log { stream: LogStream::Stdout, service: None, text: "x".repeat(size) };
    let line = ProgressLine { command: CommandId(uuid::Uuid::nil()), line, at: UnixMicros(0), entry };
    ToController::Progress { lines: vec![line] }
}

fn line_of(message: &ToController) -> u64 {
    match message {
        ToController::Progress { lines } => lines[0].line,
        other => panic!("not progress: {other:?}"),
    }
}

/// Lets paused time pass while everything else runs.
async fn pass(duration: Duration) {
    let mut interval = tokio::time::interval(duration);
    interval.tick().await;
    interval.tick().await;
}
