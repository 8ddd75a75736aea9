//! Whether an instance is well: derived from the real link and the real engine, never remembered.

use roadstead_protocol::message::snapshot::EngineState;

use super::{Host, LinkState};

/// Whether an instance is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Health {
    /// Its agent is connected and its engine answers.
    Healthy,
    /// Its agent is gone or its engine does not answer.
    Unhealthy,
    /// Nothing is known yet.
    Unknown,
}

impl Health {
    /// The word used in API and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Unknown => "unknown",
        }
    }
}

/// Whether `host` is well, and why, in a sentence. Its containers play no part: they are counted by state.
#[must_use]
pub fn health(host: &Host) -> (Health, String) {
    let reason = host.link.reason.as_deref();
    match host.link.state {
        LinkState::Never => (Health::Unknown, with_reason("The agent has never connected", reason)),
        LinkState::Awaited => {
            (Health::Unknown, "The controller was restarted and awaits the agent.".to_owned())
        }
        LinkState::Lost => (Health::Unhealthy, with_reason("The link to the agent is lost", reason)),
        LinkState::Live | LinkState::Late => match reason {
            Some(reason) => (Health::Unhealthy, sentence(reason)),
            None => connected(host),
        },
    }
}

fn connected(host: &Host) -> (Health, String) {
    let late = host.link.state == LinkState::Late;
    match host.engine.as_ref().map(|engine| &engine.state) {
        // Just connected: what was known of the engine is from an earlier session.
        _ if host.stale && !late => {
            (Health::Unknown, "The agent has connected; its picture is on its way.".to_owned())
        }
        None => (Health::Unknown, "The agent has not told about its engine yet.".to_owned()),
        Some(EngineState::Unreachable { reason }) => {
            (Health::Unhealthy, with_reason("The Docker engine does not answer", Some(bare(reason))))
        }
        Some(EngineState::Unknown) => {
            (Health::Unknown, "The agent reports an engine state of a newer version.".to_owned())
        }
        Some(EngineState::Reachable) if late => (
            Health::Healthy,
            "The engine answered when last heard of; the agent's heartbeat is late.".to_owned(),
        ),
        Some(EngineState::Reachable) => {
            (Health::Healthy, "The agent is connected and the engine answers.".to_owned())
        }
    }
}

/// Why an engine does not answer, without saying again that it does not: agents begin their reason with it.
pub(crate) fn bare(reason: &str) -> &str {
    reason.strip_prefix("the Docker engine does not answer: ").unwrap_or(reason)
}

fn with_reason(what: &str, reason: Option<&str>) -> String {
    match reason {
        Some(reason) => format!("{what}: {}", sentence(reason)),
        None => format!("{what}."),
    }
}

fn sentence(text: &str) -> String {
    let text = text.trim_end();
    if text.ends_with(['.', '!', '?', '…']) { text.to_owned() } else { format!("{text}.") }
}
