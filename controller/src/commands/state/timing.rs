//! What time alone brings about, and after how long.

use std::time::Duration;

use roadstead_protocol::message::ids::BootId;
use roadstead_protocol::message::time::UnixMicros;

use super::{Input, Tracked};
use crate::model::CommandState;

/// How long a command that does not queue may wait to be sent, where its session ended at that very moment.
pub const SEND_WITHIN: Duration = Duration::from_secs(60);

/// An agent that has not answered an order or an enquiry for so long is asked again.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// How far past its deadline a command is asked about, since its agent should have ended it.
pub const OVERDUE_AFTER: Duration = Duration::from_secs(5 * 60);

/// How often an agent is asked about a command that is overdue or to be cancelled.
pub const REMIND_EVERY: Duration = Duration::from_secs(60);

/// How long a doubt lasts before it becomes `lost`.
pub const DOUBT_FOR: Duration = Duration::from_secs(10 * 60);

/// How long an agent may be away before what it was given is `lost`.
pub const AWAY_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// Where a command's agent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It has a session.
    Connected {
        /// The boot that its memory of commands goes back to.
        boot: BootId,
    },
    /// It has none.
    Away {
        /// Since when, as far as this controller knows.
        since: UnixMicros,
    },
}

/// What time alone brings about.
#[must_use]
pub fn due(tracked: &Tracked, presence: Presence, now: UnixMicros) -> Option<Input> {
    let record = &tracked.record;
    match (record.state, presence) {
        (CommandState::Issued, _) if now >= expires_at(tracked) => Some(Input::Expired),
        (CommandState::Issued, Presence::Connected { boot }) => Some(Input::Connected { boot }),
        (CommandState::Sent | CommandState::Running, Presence::Away { since }) => {
            (now.since(since) >= AWAY_FOR).then_some(Input::AwayTooLong)
        }
        (CommandState::Sent | CommandState::Running, Presence::Connected { .. }) => {
            if tracked.doubt.is_some_and(|doubt| now.since(doubt.since) >= DOUBT_FOR) {
                return Some(Input::DoubtLasted);
            }
            let quiet = now.since(tracked.asked_at);
            let unanswered = !tracked.answered && quiet >= ANSWER_WITHIN;
            let should_end = record.cancel_requested || now >= overdue_at(tracked);
            (unanswered || should_end && quiet >= REMIND_EVERY).then_some(Input::Silent)
        }
        _ => None,
    }
}

/// Until when it may wait to be sent.
pub(super) fn expires_at(tracked: &Tracked) -> UnixMicros {
    let record = &tracked.record;
    tracked.clock_set.after(record.queue_until.unwrap_or_else(|| record.issued_at.plus(SEND_WITHIN)))
}

/// By the controller's own clock: the agent's may be off.
fn overdue_at(tracked: &Tracked) -> UnixMicros {
    let record = &tracked.record;
    let deadline = Duration::from_secs(u64::from(record.deadline_secs));
    let sent = tracked.clock_set.after(record.sent_at.unwrap_or(record.issued_at));
    sent.plus(deadline).plus(OVERDUE_AFTER)
}
