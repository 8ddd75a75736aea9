//! Mending what an interrupted replacement left behind: an agent or a host that died half way.

use roadstead_protocol::message::command::Outcome;
use roadstead_protocol::message::container::Container;
use roadstead_protocol::message::policy::Verb;
use roadstead_protocol::message::progress::{Step, StepState};

use super::replace::{NEW_MARK, OLD_MARK, base_name, put_back};
use super::verify::{Expectation, Verdict, verify};
use super::{Context, failed, protection};
use crate::engine::{Engine, EngineError};

/// Mends every leftover among `containers` for a command of this verb. Returns whether there was any, so that the
/// caller looks again.
///
/// # Errors
/// The outcome of the command: a leftover, or what has its place, is protected, and nothing is touched then; or the
/// engine fails.
pub(super) async fn heal<E: Engine>(
    context: &Context<E>,
    verb: Verb,
    containers: &[Container],
    expectation: Expectation,
) -> Result<bool, Outcome> {
    if let Some(container) = protected(containers) {
        return Err(protection::refused(verb, container));
    }
    mend(context, containers, expectation).await.map_err(|error| {
        failed(format!("what an interrupted replacement left behind could not be mended: {error}"))
    })
}

/// A protected container that mending would stop, rename or remove: anybody may name a container like a leftover.
fn protected(containers: &[Container]) -> Option<&Container> {
    let mended: Vec<_> =
        containers.iter().map(|other| other.name.as_str()).filter(|name| is_leftover(name)).collect();
    let concerned = |name: &str| mended.iter().any(|leftover| base_name(leftover) == base_name(name));
    containers.iter().find(|container| protection::is_on(container) && concerned(&container.name))
}

fn is_leftover(name: &str) -> bool {
    base_name(name) != name
}

async fn mend<E: Engine>(
    context: &Context<E>,
    containers: &[Container],
    expectation: Expectation,
) -> Result<bool, EngineError> {
    let mut healed = false;
    for old in containers.iter().filter(|container| container.name.contains(OLD_MARK)) {
        healed = true;
        let name = base_name(&old.name);
        match containers.iter().find(|other| other.name == name) {
            Some(successor) => settle(context, old, successor, expectation).await?,
            None => restore(context, containers, old).await?,
        }
    }
    for new in containers.iter().filter(|container| container.name.contains(NEW_MARK)) {
        healed = true;
        let name = base_name(&new.name);
        say(context, name, StepState::Started, "removing a new container that never took over");
        let old = containers.iter().find(|other| other.name == name);
        match old.filter(|old| stopped_for(old, Some(new))) {
            Some(old) => put_back(context, old, Some(&new.id), true).await?,
            None => context.engine.remove(new.id.as_str(), true).await.or_else(gone_is_fine)?,
        }
        say(context, name, StepState::Done, "");
    }
    Ok(healed)
}

/// The successor has the name: it stays if it is up, and makes room if it is not.
async fn settle<E: Engine>(
    context: &Context<E>,
    old: &Container,
    successor: &Container,
    expectation: Expectation,
) -> Result<(), EngineError> {
    let name = &successor.name;
    say(context, name, StepState::Started, "an interrupted replacement was found: is the new container up?");
    match verify(context, name, successor.id.as_str(), expectation).await {
        Verdict::Up => {
            context.engine.remove(old.id.as_str(), true).await.or_else(gone_is_fine)?;
            say(context, name, StepState::Done, "the new container is up; the old one was removed");
        }
        Verdict::Down { reason, .. } => {
            put_back(context, old, Some(&successor.id), stopped_for(old, Some(successor))).await?;
            say(context, name, StepState::Done, &format!("the old container is back: {reason}"));
        }
        Verdict::Halted => {}
    }
    Ok(())
}

/// Nobody has the name: the old one takes it back.
async fn restore<E: Engine>(
    context: &Context<E>,
    containers: &[Container],
    old: &Container,
) -> Result<(), EngineError> {
    let name = base_name(&old.name);
    let is_new = |other: &&Container| other.name.contains(NEW_MARK) && base_name(&other.name) == name;
    let new = containers.iter().find(is_new);
    say(context, name, StepState::Started, "an interrupted replacement was found");
    put_back(context, old, new.map(|new| &new.id), stopped_for(old, new)).await?;
    say(context, name, StepState::Done, "the old container is back");
    Ok(())
}

/// Whether `old` ended because `new` was to take its place, not long before.
fn stopped_for(old: &Container, new: Option<&Container>) -> bool {
    new.is_none_or(|new| old.finished_at.is_some_and(|finished| finished >= new.created_at))
}

fn gone_is_fine(error: EngineError) -> Result<(), EngineError> {
    if matches!(error, EngineError::NotFound(_)) { Ok(()) } else { Err(error) }
}

fn say<E: Engine>(context: &Context<E>, name: &str, state: StepState, detail: &str) {
    context.journal.step(Step::Cleanup, Some(name), state, detail);
}
