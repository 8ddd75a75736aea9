//! The `reinstall` command: pull a container's image and recreate it with the same configuration, changed or not.

use std::time::Duration;

use roadstead_protocol::message::command::{Outcome, ServiceOutcome, ServiceResult};
use roadstead_protocol::message::container::{Container, ContainerState};
use roadstead_protocol::message::policy::Verb;
use roadstead_protocol::message::progress::PlannedService;

use super::heal::heal;
use super::protection::may_recreate;
use super::pull::{PullError, pull};
use super::replace::{Replacement, base_name, ran_once, runs};
use super::sync::outcome;
use super::target::existing;
use super::verify::{Course, Expectation};
use super::{Context, cancelled_untouched, failed, invalid, protection};
use crate::engine::{Engine, EngineError};

/// How long the new container may take to be up.
const VERIFY: Duration = Duration::from_secs(60);

pub(super) async fn run<E: Engine>(context: &Context<E>, container: &str) -> Outcome {
    let expectation = Expectation { window: VERIFY, settle: context.options.settle, course: Course::Runs };
    let old = match find(context, container, expectation).await {
        Ok(old) => old,
        Err(outcome) => return outcome,
    };
    let name = old.name.as_str();
    if context.engine.own_container().await.as_ref() == Some(&old.id) {
        return invalid(format!(
            "`{name}` runs this agent, which would not live to finish: do it on the host"
        ));
    }
    if protection::is_on(&old) {
        return protection::refused(Verb::Deploy, &old);
    }
    if let Err(outcome) = may_recreate(context, Verb::Deploy, &old).await {
        return outcome;
    }
    if !runs(&old) && old.state != ContainerState::Exited && old.state != ContainerState::Created {
        return invalid(format!(
            "`{name}` is {}: start or unpause it first",
            super::container::state_word(old.state)
        ));
    }
    let planned = PlannedService {
        service: name.to_owned(),
        image: old.image.clone(),
        current: Some(old.image_id.clone()),
    };
    context.journal.plan(None, "pull, recreate with the same configuration, verify", &[planned]);
    let image = match source(context, &old).await {
        Ok(image) => image,
        Err(outcome) => return outcome,
    };
    if context.halted() {
        return cancelled_untouched(Vec::new());
    }
    let expectation = Expectation { course: Course::after(ran_once(&old)), ..expectation };
    let replacement = Replacement { service: name, image: &image, old: &old, expectation };
    let replaced = replacement.run(context).await;
    let after = context.engine.container(name).await.ok().flatten().map(|now| now.image_id);
    let blank = ServiceOutcome {
        service: name.to_owned(),
        image: old.image.clone(),
        before: Some(old.image_id.clone()),
        after,
        result: ServiceResult::NotReached,
        reason: None,
        log_tail: Vec::new(),
    };
    outcome::end(context.halted(), vec![outcome::replaced(blank, replaced)])
}

/// The container, after mending what an earlier, interrupted replacement of it left.
async fn find<E: Engine>(
    context: &Context<E>,
    container: &str,
    expectation: Expectation,
) -> Result<Container, Outcome> {
    let found = existing(context.engine.as_ref(), container).await?;
    let name = base_name(&found.name).to_owned();
    let all = context.engine.containers().await.map_err(failed)?;
    let same: Vec<_> = all.into_iter().filter(|other| base_name(&other.name) == name).collect();
    if heal(context, Verb::Deploy, &same, expectation).await? {
        return existing(context.engine.as_ref(), &name).await;
    }
    Ok(found)
}

/// Pulls what the new container is to run.
async fn source<E: Engine>(context: &Context<E>, old: &Container) -> Result<String, Outcome> {
    let reference = old.image.as_str();
    if reference.starts_with("sha256:") {
        context.journal.note(Some(&old.name), "it was created from an image id: there is nothing to pull");
        return Ok(reference.to_owned());
    }
    match pull(context, &old.name, reference).await {
        Ok(_) | Err(PullError::LocalOnly(_)) => Ok(reference.to_owned()),
        Err(PullError::Halted) => Err(cancelled_untouched(Vec::new())),
        Err(PullError::Engine(error @ EngineError::DiskFull(_))) => Err(failed(error)),
        Err(PullError::Engine(error)) => Err(failed(format!("cannot pull {reference}: {error}"))),
    }
}
