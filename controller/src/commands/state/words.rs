//! Reasons in words, for the record of a command.

use std::time::Duration;

use roadstead_protocol::message::command::OrderRefusal;

pub(super) fn refusal_in_words(refusal: &OrderRefusal) -> String {
    match refusal {
        OrderRefusal::Policy { verb, rule: None } => {
            format!("refused: the agent's policy does not allow `{verb}`")
        }
        OrderRefusal::Policy { verb, rule: Some(rule) } => {
            format!("refused: the agent's policy does not allow this `{verb}`: {rule}")
        }
        OrderRefusal::Busy { running } => {
            format!("refused: command {running} changes the same project or container")
        }
        OrderRefusal::TooMany { limit } => {
            format!("refused: the agent runs {limit} commands, as many as it may")
        }
        OrderRefusal::Invalid { reason } => format!("refused: {reason}"),
        OrderRefusal::Unsupported => {
            "refused: the agent is too old to know this command; upgrade it".to_owned()
        }
        OrderRefusal::Unknown => {
            "refused for a reason that this controller is too old to know; upgrade it".to_owned()
        }
    }
}

pub(super) fn in_words(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds >= 7200 && seconds.is_multiple_of(3600) => format!("{} hours", seconds / 3600),
        seconds if seconds >= 120 && seconds.is_multiple_of(60) => format!("{} minutes", seconds / 60),
        seconds => format!("{seconds} seconds"),
    }
}
