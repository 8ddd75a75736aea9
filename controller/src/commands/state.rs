//! How a command goes from issued to its end: pure transitions, nothing sent and nothing stored here.
//!
//! | input | issued | sent | running |
//! |---|---|---|---|
//! | connected | → sent, send; expired → failed | enquire, and cancel if asked | as sent |
//! | not sent | – | → issued | – |
//! | standing running | → running | → running | – |
//! | standing ended | – | doubt until the outcome arrives | as sent |
//! | standing never seen, same memory | – | send again; order declined → issued; cancel asked → cancelled | doubt |
//! | standing never seen, other memory | – | doubt | doubt |
//! | progressed | → running | → running | – |
//! | ended | → its outcome | → its outcome | → its outcome |
//! | cancel asked | → cancelled | noted, cancel | noted, cancel |
//! | outbox drained | – | doubt “never seen” → lost | as sent |
//! | doubt lasted | – | any doubt → lost | as sent |
//! | silent | – | enquire, and cancel if asked | as sent |
//! | expired | → failed | – | – |
//! | away too long | – | → lost | → lost |
//! | removed | → cancelled | → lost | → lost |
//!
//! A final state takes no input at all. Two rules carry the rest:
//!
//! - **At most once.** An order is stored as sent before it is given to a session. It is sent again only when the very
//!   memory that it was sent to says that it never saw it, in answer to a question that this order did not overtake.
//!   A memory is named by the boot that it goes back to: an agent with its ledger on disk keeps one over restarts.
//!   Said in answer to the order itself, it means that the agent takes no orders now; the tick tries again.
//! - **Lost is concluded last.** An agent that restarted does not know what it ran before, but its outbox may: so an
//!   unknown command is lost only when the outbox has been read as far as it went at Hello, where serving tells of
//!   that, or else ten minutes later. An agent that says “ended” may be about to tell how: its doubt ends by time
//!   alone.

use roadstead_protocol::masking;
use roadstead_protocol::message::command::{Outcome, Standing, Work};
use roadstead_protocol::message::ids::BootId;
use roadstead_protocol::message::time::UnixMicros;

use self::timing::expires_at;
use self::words::{in_words, refusal_in_words};
use super::clock::Step;
use crate::model::{CommandRecord, CommandState};

mod answers;
#[cfg(test)]
mod tests;
mod timing;
mod words;

pub use answers::{Answers, Heard};
pub use timing::{
    ANSWER_WITHIN, AWAY_FOR, DOUBT_FOR, OVERDUE_AFTER, Presence, REMIND_EVERY, SEND_WITHIN, due,
};

/// A command with what is known of it beside its record; the rest is rebuilt after a restart by asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracked {
    /// As stored.
    pub record: CommandRecord,
    /// When its agent was last sent the order or an enquiry.
    pub asked_at: UnixMicros,
    /// Whether the agent has answered since.
    pub answered: bool,
    /// The agent's answer puts its end in doubt.
    pub doubt: Option<Doubt>,
    /// By how much the clock was set since the record's times were taken.
    pub(super) clock_set: Step,
}

/// Something that an agent's answer put in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// What.
    pub what: Doubted,
    /// Since when.
    pub since: UnixMicros,
}

/// What is in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubted {
    /// The agent does not know the command, though it may have run there.
    NeverSeen,
    /// The agent says that it ended; how has not arrived.
    OutcomeMissing,
}

/// What happens to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Its agent has a session.
    Connected {
        /// The boot that the agent's memory of commands goes back to.
        boot: BootId,
    },
    /// The session did not take the order: it certainly was not sent.
    NotSent,
    /// The agent answered an order or an enquiry.
    Standing {
        /// The boot that the agent's memory of commands goes back to.
        boot: BootId,
        /// Its answer.
        standing: Standing,
        /// Whether the outbox has been read as far as it went at Hello.
        drained: bool,
        /// Where the answer stands to the order.
        heard: Heard,
    },
    /// A line of its log arrived, so it runs.
    Progressed {
        /// The line's time, by the agent's clock.
        at: UnixMicros,
    },
    /// The outbox told how it ended.
    Ended {
        /// When, by the agent's clock.
        at: UnixMicros,
        /// How.
        outcome: Outcome,
    },
    /// Somebody wants it cancelled.
    CancelAsked {
        /// Who.
        by: String,
    },
    /// The outbox has been read as far as it went at Hello.
    OutboxDrained,
    /// It has waited as long as it may.
    Expired,
    /// Its agent owes an answer, or should have ended it by now.
    Silent,
    /// A doubt has lasted as long as it may.
    DoubtLasted,
    /// Its agent has been away as long as it may.
    AwayTooLong,
    /// Its instance was removed.
    Removed,
    /// Less may be asked of its instance than when it was issued.
    BeyondCeiling {
        /// The verbs that are left.
        ceiling: String,
    },
}

/// What is to be told to the agent, after the new state is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send the order.
    Send,
    /// Ask what became of it.
    Enquire,
    /// Ask for it to be stopped.
    Cancel,
}

impl Tracked {
    /// A command as it was issued or loaded: nothing is owed yet.
    #[must_use]
    pub const fn new(record: CommandRecord, now: UnixMicros) -> Self {
        Self { record, asked_at: now, answered: true, doubt: None, clock_set: Step::NONE }
    }

    /// Keeps what is left of its time when the clock is set.
    pub(super) fn clock_was_set(&mut self, step: Step) {
        self.asked_at = step.after(self.asked_at);
        if let Some(doubt) = &mut self.doubt {
            doubt.since = step.after(doubt.since);
        }
        self.clock_set = self.clock_set.and(step);
    }

    fn ask(&mut self, now: UnixMicros) {
        self.asked_at = now;
        self.answered = false;
    }

    fn end(&mut self, state: CommandState, at: UnixMicros, reason: Option<String>) {
        self.record.state = state;
        self.record.ended_at = Some(at);
        self.record.reason = reason;
        self.doubt = None;
        // Given to the container and not to whoever reads the ledger; needed no more.
        if let Work::Install(install) = &mut self.record.work {
            masking::mask_install(install);
        }
    }

    fn lose(&mut self, now: UnixMicros, why: &str) {
        self.end(CommandState::Lost, now, Some(format!("{why}; what became of the command cannot be known")));
    }
}

/// Applies one input.
#[must_use]
pub fn step(mut tracked: Tracked, input: Input, now: UnixMicros) -> (Tracked, Vec<Effect>) {
    let effects = match tracked.record.state {
        CommandState::Issued => step_issued(&mut tracked, input, now),
        CommandState::Sent | CommandState::Running => step_out(&mut tracked, input, now),
        CommandState::Succeeded | CommandState::Failed | CommandState::Cancelled | CommandState::Lost => {
            Vec::new()
        }
    };
    (tracked, effects)
}

fn step_issued(tracked: &mut Tracked, input: Input, now: UnixMicros) -> Vec<Effect> {
    match input {
        Input::Connected { .. } | Input::Expired if now >= expires_at(tracked) => {
            let waited = expires_at(tracked).since(tracked.clock_set.after(tracked.record.issued_at));
            let reason = format!(
                "not begun: the agent did not come back, or took no order, within {}",
                in_words(waited)
            );
            tracked.end(CommandState::Failed, now, Some(reason));
        }
        Input::Connected { boot } => {
            tracked.record.state = CommandState::Sent;
            return send(tracked, boot, now);
        }
        Input::Standing { boot, standing: Standing::Running { since }, .. } => {
            run(tracked, Some(boot), since)
        }
        Input::Progressed { at } => run(tracked, None, at),
        Input::Ended { at, outcome } => conclude(tracked, at, outcome),
        Input::CancelAsked { by } => {
            tracked.record.cancel_requested = true;
            tracked.end(
                CommandState::Cancelled,
                now,
                Some(format!("cancelled by {by} before the agent was given it")),
            );
        }
        Input::Removed => {
            let reason = "the instance was removed before its agent was given the command";
            tracked.end(CommandState::Cancelled, now, Some(reason.to_owned()));
        }
        Input::BeyondCeiling { ceiling } => {
            let verb = tracked.record.work.verb();
            let reason =
                format!("not begun: `{verb}` may not be asked of the instance any more, only: {ceiling}");
            tracked.end(CommandState::Failed, now, Some(reason));
        }
        Input::Standing { .. }
        | Input::NotSent
        | Input::OutboxDrained
        | Input::Expired
        | Input::Silent
        | Input::DoubtLasted
        | Input::AwayTooLong => {}
    }
    Vec::new()
}

fn step_out(tracked: &mut Tracked, input: Input, now: UnixMicros) -> Vec<Effect> {
    match input {
        Input::Connected { .. } | Input::Silent => {
            if matches!(input, Input::Connected { .. }) {
                tracked.doubt = None;
            }
            tracked.ask(now);
            let cancel = tracked.record.cancel_requested.then_some(Effect::Cancel);
            return [Effect::Enquire].into_iter().chain(cancel).collect();
        }
        Input::NotSent if tracked.record.state == CommandState::Sent => put_back(tracked),
        Input::Standing { boot, standing: Standing::NeverSeen, drained, heard } => {
            tracked.answered = true;
            return never_seen(tracked, boot, drained, heard, now);
        }
        Input::Standing { boot, standing, .. } => {
            tracked.answered = true;
            heed(tracked, boot, &standing, now);
        }
        Input::Progressed { at } => run(tracked, None, at),
        Input::Ended { at, outcome } => conclude(tracked, at, outcome),
        Input::CancelAsked { .. } => {
            tracked.record.cancel_requested = true;
            return vec![Effect::Cancel];
        }
        Input::OutboxDrained if tracked.doubt.is_some_and(|doubt| doubt.what == Doubted::NeverSeen) => {
            tracked.lose(now, FORGOTTEN);
        }
        Input::DoubtLasted => match tracked.doubt.map(|doubt| doubt.what) {
            Some(Doubted::NeverSeen) => tracked.lose(now, FORGOTTEN),
            Some(Doubted::OutcomeMissing) => tracked.lose(now, "the agent says that it ended, but not how"),
            None => {}
        },
        Input::AwayTooLong => tracked.lose(now, "the agent has been away for more than 24 hours"),
        Input::Removed => tracked.lose(now, "the instance was removed while the command was out"),
        Input::NotSent | Input::OutboxDrained | Input::Expired | Input::BeyondCeiling { .. } => {}
    }
    Vec::new()
}

const FORGOTTEN: &str =
    "the agent restarted without its memory while the command was out and does not know it";

/// What it means that the agent's memory has never heard of the command.
fn never_seen(
    tracked: &mut Tracked,
    boot: BootId,
    drained: bool,
    heard: Heard,
    now: UnixMicros,
) -> Vec<Effect> {
    let order_missed = tracked.record.state == CommandState::Sent && tracked.record.boot == Some(boot);
    if order_missed && heard == Heard::BeforeOrder {
        return Vec::new();
    }
    if order_missed && tracked.record.cancel_requested {
        let reason = "cancelled before the agent began it";
        tracked.end(CommandState::Cancelled, now, Some(reason.to_owned()));
    } else if order_missed && heard == Heard::AfterOrder {
        put_back(tracked);
    } else if order_missed {
        return send(tracked, boot, now);
    } else if drained {
        tracked.lose(now, FORGOTTEN);
    } else {
        doubt(tracked, Doubted::NeverSeen, now);
    }
    Vec::new()
}

fn heed(tracked: &mut Tracked, boot: BootId, standing: &Standing, now: UnixMicros) {
    match standing {
        Standing::Running { since } => {
            tracked.doubt = None;
            run(tracked, Some(boot), *since);
        }
        Standing::Ended => doubt(tracked, Doubted::OutcomeMissing, now),
        Standing::NeverSeen | Standing::Unknown => {}
    }
}

fn send(tracked: &mut Tracked, boot: BootId, now: UnixMicros) -> Vec<Effect> {
    tracked.record.boot = Some(boot);
    tracked.record.sent_at = Some(now);
    tracked.doubt = None;
    tracked.ask(now);
    vec![Effect::Send]
}

/// The agent certainly does not have the order.
fn put_back(tracked: &mut Tracked) {
    tracked.record.state = CommandState::Issued;
    tracked.record.boot = None;
    tracked.record.sent_at = None;
    tracked.answered = true;
}

fn run(tracked: &mut Tracked, boot: Option<BootId>, since: UnixMicros) {
    let record = &mut tracked.record;
    record.state = CommandState::Running;
    record.started_at.get_or_insert(since);
    record.boot = boot.or(record.boot);
}

fn doubt(tracked: &mut Tracked, what: Doubted, now: UnixMicros) {
    if tracked.doubt.is_none_or(|doubt| doubt.what != what) {
        tracked.doubt = Some(Doubt { what, since: now });
    }
}

fn conclude(tracked: &mut Tracked, at: UnixMicros, outcome: Outcome) {
    let (state, reason) = match &outcome {
        Outcome::Succeeded { .. } => (CommandState::Succeeded, None),
        Outcome::Failed { .. } => (CommandState::Failed, None),
        Outcome::Cancelled { .. } => (CommandState::Cancelled, None),
        Outcome::Refused { refusal } => (CommandState::Failed, Some(refusal_in_words(refusal))),
        Outcome::Unknown => {
            let reason = "the agent told an outcome that this controller is too old to read; upgrade it";
            (CommandState::Lost, Some(reason.to_owned()))
        }
    };
    tracked.end(state, at, reason);
    tracked.record.outcome = Some(outcome);
}
