//! Events of every kind.

use roadstead_protocol::message::event::{Event, EventBatch, EventKind, Fork};
use roadstead_protocol::message::ids::{EventSeq, Print};
use roadstead_protocol::message::policy::Verb;
use roadstead_protocol::message::time::UnixMicros;
use roadstead_protocol::message::to_controller::ToController;

use super::{AT, command, commands, epoch, every, hosts, text};

/// One event of each kind in one batch.
pub fn of_all_kinds() -> ToController {
    let events = (1..).zip(kinds()).map(|(seq, (_, what))| Event { seq: EventSeq(seq), at: AT, what });
    ToController::Events(EventBatch::plain(epoch(), events.collect()))
}

pub fn messages() -> Vec<(String, ToController)> {
    let kinds = kinds().into_iter().map(|(name, kind)| (name.to_owned(), kind));
    let ends = commands::outcomes().into_iter().map(|(name, outcome)| {
        (format!("command_ended/{name}"), EventKind::CommandEnded { command: command(), outcome })
    });
    let refusals = hosts::verbs().into_iter().map(|(name, verb)| {
        (
            format!("refused/{name}"),
            EventKind::Refused { command: command(), verb, what: text(""), rule: None },
        )
    });
    let mut messages: Vec<_> = kinds
        .chain(ends)
        .chain(refusals)
        .map(|(name, what)| (format!("events/{name}"), batch(EventSeq(1), AT, what)))
        .collect();
    let (what, rule) = (text("sync of project x"), Some(text("not among projects shop")));
    let limited = EventKind::Refused { command: command(), verb: Verb::Sync, what, rule };
    messages.push((text("events/refused/limited"), batch(EventSeq(1), AT, limited)));
    // The ends of the number ranges.
    let start = || EventKind::AgentStarted { version: text("0.1.0") };
    messages.push((text("events/latest"), batch(EventSeq(u64::MAX), UnixMicros(i64::MAX), start())));
    messages.push((text("events/earliest"), batch(EventSeq(0), UnixMicros(i64::MIN), start())));
    let events = vec![Event { seq: EventSeq(8), at: AT, what: start() }];
    let printed = EventBatch { print: Some(Print(u32::MAX)), ..EventBatch::plain(epoch(), events) };
    messages.push((text("events/printed"), ToController::Events(printed.clone())));
    let fork = Some(Fork { after: EventSeq(7), up_to: EventSeq(u64::MAX) });
    messages.push((text("events/forked"), ToController::Events(EventBatch { fork, ..printed })));
    messages
}

fn batch(seq: EventSeq, at: UnixMicros, what: EventKind) -> ToController {
    ToController::Events(EventBatch::plain(epoch(), vec![Event { seq, at, what }]))
}

fn kinds() -> Vec<(&'static str, EventKind)> {
    every!(EventKind {
        "container" EventKind::Container { .. } => EventKind::Container {
            id: hosts::container_id(),
            name: text("web"),
            image: text("web:1"),
            action: text("die"),
            attributes: [(text("exitCode"), text("137")), (text("signal"), text("9"))].into(),
            inferred: true,
        },
        "engine" EventKind::Engine { .. } => {
            EventKind::Engine { object: text("volume"), id: text("data"), action: text("destroy") }
        },
        "engine_lost" EventKind::EngineLost { .. } => EventKind::EngineLost { reason: text("no such socket") },
        "engine_found" EventKind::EngineFound { .. } => EventKind::EngineFound { version: text("20.10.24") },
        "agent_started" EventKind::AgentStarted { .. } => EventKind::AgentStarted { version: text("0.1.0") },
        "command_ended" EventKind::CommandEnded { .. } => {
            EventKind::CommandEnded { command: command(), outcome: commands::outcomes().remove(0).1 }
        },
        "refused" EventKind::Refused { .. } => {
            EventKind::Refused { command: command(), verb: Verb::Exec, what: text("run a shell in web"), rule: None }
        },
        "gap" EventKind::Gap { .. } => EventKind::Gap {
            from: EventSeq(1),
            to: EventSeq(u64::MAX),
            count: u64::MAX,
            reason: text("the outbox was full"),
        },
    } never sent: EventKind::Unknown)
}
