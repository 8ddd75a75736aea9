//! Where the picture of a host has the last word: events tell how a container came to be as it is, but some are from
//! before there was an agent, and some are lost with a full outbox.

use roadstead_protocol::message::container::{ContainerHealth, ContainerState};
use roadstead_protocol::message::time::UnixMicros;

use super::fact;
use super::history::History;
use super::machine::{Lifecycle, Machine, Run, Span, Status};
use super::transitions::Phase;
use crate::fleet::Kept;

/// A container's machine: by what was told of it where that explains the picture, else with what the picture shows,
/// and by the picture alone if even that does not explain it (a clock was set back).
fn explained(told: &History, container: &Kept) -> Machine {
    let machine = Machine::after(told);
    if explains(&machine, container) {
        return machine;
    }
    let shown = fact::of_picture(container);
    let machine = Machine::after(&told.with(&shown));
    if explains(&machine, container) {
        return machine;
    }
    Machine::after(&shown.into_iter().collect())
}

/// How the container is at `now`, and when time alone may change that.
pub(super) fn lifecycle(
    told: &History,
    container: &Kept,
    now: UnixMicros,
) -> (Lifecycle, Option<UnixMicros>) {
    let machine = explained(told, container);
    let due = machine.due();
    // The picture alone always tells at least that it was created.
    let unknown = Lifecycle { status: Status::Installing, reason: None, since: container.created_at };
    (machine.at(now).unwrap_or(unknown), due)
}

/// Its life as far as it is known.
pub(super) fn spans(told: &History, container: &Kept, now: UnixMicros) -> Vec<Span> {
    explained(told, container).spans(now)
}

pub(super) fn explains(machine: &Machine, container: &Kept) -> bool {
    let phase = machine.phase;
    let running = match container.health {
        _ if phase == Phase::Paused => false,
        ContainerHealth::Healthy => matches!(phase, Phase::Ready),
        ContainerHealth::Unhealthy => matches!(phase, Phase::Failed),
        ContainerHealth::Starting => machine.is_checked() && phase != Phase::Ready,
        ContainerHealth::None | ContainerHealth::Unknown => true,
    };
    match container.state {
        _ if matches!(phase, Phase::Unknown | Phase::Removed) => false,
        ContainerState::Running => machine.run == Run::Up && (machine.is_commanded() || running),
        ContainerState::Paused => phase == Phase::Paused,
        ContainerState::Created => machine.run == Run::NeverStarted,
        ContainerState::Restarting => machine.run == Run::Down && phase == Phase::Failed,
        ContainerState::Exited | ContainerState::Dead => machine.run == Run::Down,
        ContainerState::Removing | ContainerState::Unknown => true,
    }
}
