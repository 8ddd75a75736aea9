//! What a lifecycle is made of: facts with a place in one total order, taken from events, commands and pictures.

use roadstead_protocol::message::command::{Outcome, Work};
use roadstead_protocol::message::container::{ContainerHealth, ContainerState};
use roadstead_protocol::message::event::EventKind;
use roadstead_protocol::message::ids::ContainerId;
use roadstead_protocol::message::time::UnixMicros;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::fleet::Kept;
use crate::model::{CommandRecord, CommandState, EventRecord};

/// Signals that do not ask a container to stop: SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD, SIGCONT, SIGWINCH.
const HARMLESS_SIGNALS: [&str; 6] = ["1", "10", "12", "17", "18", "28"];

/// Longest reason of a failed command that is kept, in bytes.
const MAX_REASON: usize = 300;

/// The place of a fact in the one order that decides: when it happened, and between facts of one time who told it and
/// in which order. When it arrived does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Moment {
    /// When it happened, by the engine's clock.
    pub at: UnixMicros,
    /// The outbox or the command that tells it.
    pub source: Uuid,
    /// The place within the source.
    pub seq: u64,
}

/// Something that happened to a container or project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// Its place in the order.
    pub moment: Moment,
    /// When the controller first heard of it: what waits are counted from where the host's clock is ahead.
    pub heard: UnixMicros,
    /// What happened.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The container was created.
    Create,
    /// It was started.
    Start,
    /// It was sent a signal that asks it to stop.
    Ask,
    /// It ended, with this exit code if that is known.
    Die(Option<i64>),
    /// The engine finished stopping it on request.
    Stop,
    /// It, or a process in it, ran out of memory.
    OutOfMemory,
    /// Its health check has not come to a result yet.
    Starting,
    /// Its health check passes.
    Healthy,
    /// Its health check fails.
    Unhealthy,
    /// It was frozen.
    Pause,
    /// It runs on.
    Unpause,
    /// It is gone.
    Destroy,
    /// The engine is about to start it again by its restart policy.
    Restarting,
    /// A command began to work on it.
    CommandStarted,
    /// The command did what was asked.
    CommandSucceeded,
    /// The command failed, and why.
    CommandFailed(String),
    /// The command ended without saying anything about its object.
    CommandOver,
}

/// What a fact is about, within one instance.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A container, by its id.
    Container(ContainerId),
    /// A container as a command named it: by name or id.
    Named(String),
    /// A compose project.
    Project(String),
}

/// The fact that a stored event tells about a container; none if it does not bear on the lifecycle.
#[must_use]
pub fn of_event(event: &EventRecord) -> Option<(Subject, Fact)> {
    let EventKind::Container { id, action, attributes, .. } = &event.what else { return None };
    let (source, seq) = event.origin.map_or((Uuid::nil(), 0), |(epoch, seq)| (epoch.0, seq.0));
    let what = match action.as_str() {
        "create" => What::Create,
        "start" => What::Start,
        "kill" if attributes.get("signal").is_some_and(|signal| HARMLESS_SIGNALS.contains(&signal)) => {
            return None;
        }
        "kill" => What::Ask,
        "die" => What::Die(attributes.get("exitCode").and_then(|code| code.parse().ok())),
        "stop" => What::Stop,
        "oom" => What::OutOfMemory,
        "health_status: starting" => What::Starting,
        "health_status: healthy" => What::Healthy,
        "health_status: unhealthy" => What::Unhealthy,
        "pause" => What::Pause,
        "unpause" => What::Unpause,
        "destroy" => What::Destroy,
        _ => return None,
    };
    let moment = Moment { at: event.at, source, seq };
    Some((Subject::Container(id.clone()), Fact { moment, heard: event.received_at, what }))
}

/// What a command in the ledger tells about what it works on. Actions on containers are told by the engine's own
/// events.
#[must_use]
pub fn of_command(record: &CommandRecord) -> Option<(Subject, Vec<Fact>)> {
    let subject = match &record.work {
        Work::Sync(sync) => Subject::Project(sync.project.clone()),
        Work::Install(install) => Subject::Named(install.name.clone()),
        Work::Reinstall { container } => Subject::Named(container.clone()),
        Work::Container { .. } | Work::Check { .. } | Work::Unknown => return None,
    };
    let fact = |at, seq, what| {
        let moment = Moment { at, source: record.id.0, seq };
        Fact { moment, heard: at, what }
    };
    let mut facts = Vec::new();
    if let Some(at) = record.started_at {
        facts.push(fact(at, 0, What::CommandStarted));
    }
    // A command ends after it began, whatever the clocks say.
    let ended_at = record.ended_at.map(|at| record.started_at.map_or(at, |started| at.max(started)));
    if let (Some(at), Some(what)) = (ended_at, end_of(record)) {
        facts.push(fact(at, 1, what));
    }
    (!facts.is_empty()).then_some((subject, facts))
}

fn end_of(record: &CommandRecord) -> Option<What> {
    let began = record.started_at.is_some();
    match (record.state, &record.outcome) {
        (_, Some(Outcome::Refused { .. })) => began.then_some(What::CommandOver),
        (CommandState::Succeeded, _) => Some(What::CommandSucceeded),
        (CommandState::Failed, Some(Outcome::Failed { reason, .. })) => Some(failed(reason)),
        (CommandState::Failed, _) if began => {
            Some(failed(record.reason.as_deref().unwrap_or("the command failed")))
        }
        (CommandState::Cancelled | CommandState::Lost, _) if began => Some(What::CommandOver),
        _ => None,
    }
}

fn failed(reason: &str) -> What {
    What::CommandFailed(reason[..reason.floor_char_boundary(MAX_REASON)].to_owned())
}

/// What a container's picture tells, as facts in the order in which they must have happened.
#[must_use]
pub fn of_picture(container: &Kept) -> Vec<Fact> {
    let mut whats = vec![(container.created_at, What::Create)];
    if let Some(at) = container.started_at {
        whats.push((at, What::Start));
        let health = match container.health {
            ContainerHealth::None | ContainerHealth::Unknown => None,
            ContainerHealth::Starting => Some(What::Starting),
            ContainerHealth::Healthy => Some(What::Healthy),
            ContainerHealth::Unhealthy => Some(What::Unhealthy),
        };
        whats.extend(health.map(|what| (at, what)));
    }
    let last = container.started_at.unwrap_or(container.created_at);
    let ended = container.finished_at.unwrap_or(last).max(last);
    match container.state {
        ContainerState::Exited | ContainerState::Dead | ContainerState::Restarting => {
            if container.oom_killed {
                whats.push((ended, What::OutOfMemory));
            } else if matches!(container.exit_code, Some(137 | 143)) {
                // Nothing but a request ends a container so, apart from want of memory.
                whats.push((ended, What::Ask));
            }
            whats.push((ended, What::Die(container.exit_code)));
            if container.state == ContainerState::Restarting {
                whats.push((ended, What::Restarting));
            }
        }
        ContainerState::Paused => whats.push((last, What::Pause)),
        ContainerState::Created
        | ContainerState::Running
        | ContainerState::Removing
        | ContainerState::Unknown => {}
    }
    let facts = whats.into_iter().zip(0..).map(|((at, what), seq)| {
        let moment = Moment { at, source: Uuid::nil(), seq };
        Fact { moment, heard: at, what }
    });
    facts.collect()
}
