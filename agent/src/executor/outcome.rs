//! How a command's outcome is put when it did not come to its own end.

use std::any::Any;
use std::time::Duration;

use roadstead_protocol::message::command::Outcome;

use super::table::Why;

/// Says why a command was told to stop, where that was not asked for.
pub(super) fn explain(outcome: Outcome, why: Option<Why>, deadline: Duration) -> Outcome {
    match (outcome, why) {
        (Outcome::Cancelled { summary, services }, Some(Why::Deadline)) => {
            let reason = format!("the deadline of {} s passed; by then: {summary}", deadline.as_secs());
            Outcome::Failed { reason, services }
        }
        (Outcome::Cancelled { summary, services }, Some(Why::Closing)) => {
            Outcome::Cancelled { summary: format!("the agent was stopped; by then: {summary}"), services }
        }
        (outcome, _) => outcome,
    }
}

/// The end of a command that did not come to a safe point.
pub(super) fn given_up(why: &str) -> Outcome {
    failed(format!("{why} and the command was given up where it stood: look at what runs on the host"))
}

/// A failure before anything was done.
pub(super) const fn failed(reason: String) -> Outcome {
    Outcome::Failed { reason, services: Vec::new() }
}

/// What a panic said.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

/// The outcome in one word, for the agent's log.
pub(super) const fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded { .. } => "succeeded",
        Outcome::Failed { .. } => "failed",
        Outcome::Cancelled { .. } => "cancelled",
        Outcome::Refused { .. } => "refused",
        Outcome::Unknown => "unknown",
    }
}
