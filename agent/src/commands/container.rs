//! The `container` command: start, stop, restart, kill, pause, unpause, remove.

use std::time::Duration;

use roadstead_protocol::message::command::{ContainerAction, OrderRefusal, Outcome};
use roadstead_protocol::message::container::ContainerState;
use roadstead_protocol::message::policy::Verb;
use roadstead_protocol::message::progress::Step;

use super::target::{action_word, existing};
use super::verify::how_it_ended;
use super::{Context, cancelled_untouched, failed, invalid, protection};
use crate::engine::{Engine, EngineError};

/// How long a started container is looked at, so that one that ends at once is not called running.
const GLANCE: Duration = Duration::from_secs(1);

pub(super) async fn run<E: Engine>(
    context: &Context<E>,
    container: &str,
    action: ContainerAction,
) -> Outcome {
    if action == ContainerAction::Unknown {
        return Outcome::Refused { refusal: OrderRefusal::Unsupported };
    }
    let verb = if action == ContainerAction::Remove { Verb::Remove } else { Verb::Lifecycle };
    let found = match existing(context.engine.as_ref(), container).await {
        Ok(found) => found,
        Err(outcome) => return outcome,
    };
    if context.engine.own_container().await.as_ref() == Some(&found.id) && action != ContainerAction::Start {
        let name = &found.name;
        return invalid(format!(
            "`{name}` runs this agent, which would not live to report: do it on the host"
        ));
    }
    let harmless = matches!(action, ContainerAction::Start | ContainerAction::Unpause);
    if !harmless && protection::is_on(&found) {
        return protection::refused(verb, &found);
    }
    if context.halted() {
        return cancelled_untouched(Vec::new());
    }
    let id = found.id.as_str();
    let word = action_word(action);
    let acted = async {
        match action {
            ContainerAction::Remove => context.engine.remove(id, false).await,
            action => context.engine.act(id, action).await,
        }
    };
    if let Err(error) = context.step(Step::Act, &found.name, word, acted).await {
        return failed(error);
    }
    match action {
        ContainerAction::Start | ContainerAction::Restart => glance(context, id, &found.name).await,
        ContainerAction::Remove => succeeded(format!("{} was removed", found.name)),
        _ => stand(context, id, &found.name).await,
    }
}

/// Looks whether it still runs a moment later.
async fn glance<E: Engine>(context: &Context<E>, id: &str, name: &str) -> Outcome {
    tokio::time::sleep(GLANCE).await;
    match context.engine.container(id).await {
        Ok(Some(seen)) if seen.state == ContainerState::Exited && seen.exit_code == Some(0) => {
            succeeded(format!("{name} was started, and it ended with code 0"))
        }
        Ok(Some(seen))
            if matches!(
                seen.state,
                ContainerState::Exited | ContainerState::Restarting | ContainerState::Dead
            ) =>
        {
            failed(format!("{name} was started, but {}", how_it_ended(&seen)))
        }
        Ok(None) => succeeded(format!("{name} was started, ended and was removed, as it was created to be")),
        Ok(Some(_)) => succeeded(format!("{name} is running")),
        Err(error) => unclear(name, &error),
    }
}

/// Says what the engine says after the action.
async fn stand<E: Engine>(context: &Context<E>, id: &str, name: &str) -> Outcome {
    match context.engine.container(id).await {
        Ok(Some(seen)) => succeeded(format!("{name} is {}", state_word(seen.state))),
        Ok(None) => succeeded(format!("{name} ended and was removed, as it was created to be")),
        Err(error) => unclear(name, &error),
    }
}

/// The engine took the action and then would not say what came of it.
fn unclear(name: &str, error: &EngineError) -> Outcome {
    failed(format!("the engine took the action, but what {name} does now is not known: {error}"))
}

fn succeeded(summary: String) -> Outcome {
    Outcome::Succeeded { summary, services: Vec::new() }
}

/// A state in words.
pub(super) const fn state_word(state: ContainerState) -> &'static str {
    match state {
        ContainerState::Created => "created, not started",
        ContainerState::Running => "running",
        ContainerState::Paused => "paused",
        ContainerState::Restarting => "restarting again and again",
        ContainerState::Removing => "being removed",
        ContainerState::Exited => "stopped",
        ContainerState::Dead => "dead",
        ContainerState::Unknown => "in a state this agent does not know",
    }
}
