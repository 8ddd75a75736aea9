//! The `engine` strategy: replace the containers whose image changed, one after another, old ones kept until the
//! new ones are verified.

use roadstead_protocol::message::command::{Outcome, ServiceOutcome, ServiceResult};
use roadstead_protocol::message::container::Container;

use super::plan::{Project, Service};
use super::pulls::{Pulls, Source, pull_all};
use super::{aftermath, outcome};
use crate::commands::Context;
use crate::commands::container::state_word;
use crate::commands::replace::{Replaced, Replacement, ailment, ran_once, runs};
use crate::commands::verify::{Course, Expectation};
use crate::engine::Engine;

pub(super) async fn run<E: Engine>(
    context: &Context<E>,
    project: &Project,
    expectation: Expectation,
) -> Outcome {
    let pulls = pull_all(context, &project.services).await;
    let untouched = |pulls: &Pulls| project.services.iter().map(|service| pulls.untouched(service)).collect();
    if pulls.halted || context.halted() {
        return outcome::cancelled(untouched(&pulls));
    }
    if pulls.failed() {
        context.journal.note(None, "an image could not be pulled: no container was touched");
        return outcome::conclude(untouched(&pulls));
    }
    let mut outcomes = Vec::new();
    let mut over = false;
    for service in &project.services {
        over |= context.halted();
        let done =
            if over { pulls.untouched(service) } else { update(context, &pulls, service, expectation).await };
        // What depends on a service that failed had better stay as it is.
        over |= matches!(done.result, ServiceResult::Failed | ServiceResult::RolledBack);
        outcomes.push(done);
    }
    outcome::end(context.halted(), outcomes)
}

/// Updates one service, container by container.
async fn update<E: Engine>(
    context: &Context<E>,
    pulls: &Pulls,
    service: &Service,
    expectation: Expectation,
) -> ServiceOutcome {
    let Some(Source::Ready(wanted)) = pulls.sources.get(&service.name) else {
        let untouched = pulls.untouched(service);
        note(context, service, untouched.reason.as_deref());
        return untouched;
    };
    let stale = |container: &&Container| container.image_id != *wanted;
    let (replaceable, left): (Vec<_>, Vec<_>) =
        service.containers.iter().filter(stale).partition(|container| runs(container) || ran_once(container));
    let left: Vec<_> = left.into_iter().map(left_alone).collect();
    let blank = outcome::blank(service);
    let own: Vec<_> = service.containers.iter().filter(|one| context.is_own_work(one)).collect();
    if replaceable.is_empty() && left.is_empty() && !own.is_empty() {
        return aftermath::verified(context, service, &own, blank, expectation).await;
    }
    if replaceable.is_empty() {
        let (result, reason) = if let Some(ailment) = service.containers.iter().find_map(ailment) {
            (ServiceResult::Failed, Some(ailment))
        } else if left.is_empty() {
            (ServiceResult::AlreadyCurrent, not_running(service))
        } else {
            (ServiceResult::Outdated, Some(left.join("; ")))
        };
        note(context, service, reason.as_deref());
        return ServiceOutcome { result, reason, ..blank };
    }
    let mut done = 0;
    let mut last = Replaced::Halted;
    for old in &replaceable {
        let expectation = Expectation { course: Course::after(ran_once(old)), ..expectation };
        let replacement = Replacement { service: &service.name, image: &service.image, old, expectation };
        last = if context.halted() { Replaced::Halted } else { replacement.run(context).await };
        if !matches!(last, Replaced::Done(_)) {
            break;
        }
        done += 1;
    }
    let after = now_running(context, replaceable.first().copied()).await;
    let mut outcome = outcome::replaced(ServiceOutcome { after, ..blank }, last);
    if done > 0 && done < replaceable.len() {
        let reason = outcome.reason.take().unwrap_or_else(|| "cancelled".to_owned());
        outcome.reason = Some(format!("{done} of {} containers were updated; {reason}", replaceable.len()));
    } else if !left.is_empty() && outcome.reason.is_none() {
        outcome.reason = Some(left.join("; "));
    }
    outcome
}

async fn now_running<E: Engine>(context: &Context<E>, old: Option<&Container>) -> Option<String> {
    let now = context.engine.container(&old?.name).await.ok().flatten();
    now.map(|container| container.image_id)
}

fn note<E: Engine>(context: &Context<E>, service: &Service, text: Option<&str>) {
    if let Some(text) = text {
        context.journal.note(Some(&service.name), text);
    }
}

fn left_alone(container: &Container) -> String {
    format!(
        "{} is {}, so it was left as it is; its newer image is pulled, `reinstall` puts it to use",
        container.name,
        state_word(container.state)
    )
}

fn not_running(service: &Service) -> Option<String> {
    let idle = service.containers.iter().filter(|container| !runs(container));
    let idle: Vec<_> =
        idle.map(|container| format!("{} is {}", container.name, state_word(container.state))).collect();
    (!idle.is_empty()).then(|| format!("{}; it was left so", idle.join("; ")))
}
