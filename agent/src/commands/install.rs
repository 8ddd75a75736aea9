//! The `install` command: pull, create, start, wait until it is up. What does not come up is removed again.

use std::time::Duration;

use roadstead_protocol::message::command::{
    ContainerAction, InstallWork, Outcome, ServiceOutcome, ServiceResult, Work,
};
use roadstead_protocol::message::ids::ContainerId;
use roadstead_protocol::message::progress::{PlannedService, Step};

use super::pull::{PullError, pull};
use super::verify::{Course, Expectation, Verdict, verify};
use super::{Context, cancelled_untouched, failed, invalid};
use crate::engine::{Engine, EngineError};

pub(super) async fn run<E: Engine>(context: &Context<E>, work: &InstallWork) -> Outcome {
    let name = work.name.as_str();
    match context.engine.container(name).await {
        Ok(None) | Err(EngineError::NotFound(_)) => {}
        Ok(Some(_)) => {
            return invalid(format!(
                "there is a container `{name}` already: reinstall it, or remove it first"
            ));
        }
        Err(error) => return failed(error),
    }
    let planned = PlannedService { service: name.to_owned(), image: work.image.clone(), current: None };
    context.journal.plan(None, "pull, create, start, verify", &[planned]);
    let image = match pull(context, name, &work.image).await {
        Ok(image) => image,
        Err(PullError::LocalOnly(_)) => work.image.clone(),
        Err(PullError::Halted) => return cancelled_untouched(Vec::new()),
        Err(PullError::Engine(error)) => {
            return failed(format!("{name}: cannot pull {}: {error}", work.image));
        }
    };
    if context.halted() {
        return cancelled_untouched(Vec::new());
    }
    // The pull may have taken long, and what a path leads to may be another than it was.
    if let Err(refusal) = context.policy.check_work(&Work::Install(work.clone())) {
        return Outcome::Refused { refusal: refusal.into() };
    }
    let created = context.engine.create(work);
    let id = match context.step(Step::Create, name, &work.image, created).await {
        Ok(id) => id,
        Err(error) => return failed(format!("{name}: {error}")),
    };
    let started = context.engine.act(id.as_str(), ContainerAction::Start);
    if let Err(error) = context.step(Step::Start, name, "", started).await {
        return undo(context, work, &id, error.to_string(), Vec::new()).await;
    }
    let expectation = Expectation {
        window: Duration::from_secs(work.verify_secs.into()),
        settle: context.options.settle,
        course: match work.restart_policy.as_deref() {
            None | Some("" | "no") => Course::MayEnd,
            Some(_) => Course::Runs,
        },
    };
    match verify(context, name, id.as_str(), expectation).await {
        Verdict::Up => {
            let now = context.engine.container(id.as_str()).await.ok().flatten();
            let after = now.map_or(image, |container| container.image_id);
            let done = service(work, Some(after), ServiceResult::Updated, None, Vec::new());
            Outcome::Succeeded { summary: format!("{name} was installed"), services: vec![done] }
        }
        Verdict::Down { reason, log_tail } => undo(context, work, &id, reason, log_tail).await,
        Verdict::Halted => {
            let removed = context.engine.remove(id.as_str(), true);
            match context.step(Step::Cleanup, name, "removing it again", removed).await {
                Ok(()) => {
                    Outcome::Cancelled { summary: format!("{name} was removed again"), services: Vec::new() }
                }
                Err(error) => failed(format!("cancelled, but {name} could not be removed again: {error}")),
            }
        }
    }
}

/// Removes what did not come up, so that the next attempt finds the name free.
async fn undo<E: Engine>(
    context: &Context<E>,
    work: &InstallWork,
    id: &ContainerId,
    reason: String,
    log_tail: Vec<String>,
) -> Outcome {
    let removed = context.engine.remove(id.as_str(), true);
    let removed = context.step(Step::Cleanup, &work.name, "removing what did not come up", removed).await;
    let rest = removed.err().map_or_else(String::new, |error| format!("; it could not be removed: {error}"));
    let reason = format!("{}: {reason}{rest}", work.name);
    let failing = service(work, None, ServiceResult::Failed, Some(reason.clone()), log_tail);
    Outcome::Failed { reason, services: vec![failing] }
}

fn service(
    work: &InstallWork,
    after: Option<String>,
    result: ServiceResult,
    reason: Option<String>,
    log_tail: Vec<String>,
) -> ServiceOutcome {
    let (service, image) = (work.name.clone(), work.image.clone());
    ServiceOutcome { service, image, before: None, after, result, reason, log_tail }
}
