//! After a program has done the restarting: what really became of each service.

use roadstead_protocol::message::command::{ServiceOutcome, ServiceResult};
use roadstead_protocol::message::container::Container;

use super::plan::{Project, Service};
use super::pulls::{Source, runs_only};
use super::{members, outcome};
use crate::commands::Context;
use crate::commands::replace::{ailment, ran_once, runs};
use crate::commands::verify::{Course, Expectation, Verdict, verify};
use crate::engine::{Engine, EngineError};

/// Looks at every service again and verifies those that the program touched.
///
/// `source` is what the service's image should be now.
pub(super) async fn look<E: Engine>(
    context: &Context<E>,
    before: &Project,
    source: impl Fn(&Service) -> Option<Source>,
    expectation: Expectation,
) -> Result<Vec<ServiceOutcome>, EngineError> {
    let containers = members::containers(context, &before.name).await?;
    let now = Project::find(&containers, &before.name, None).unwrap_or_else(|_| Project {
        name: before.name.clone(),
        services: Vec::new(),
        containers: Vec::new(),
    });
    let mut outcomes = Vec::new();
    for service in &before.services {
        if !service.may_change() {
            outcomes.push(outcome::untouchable(service));
            continue;
        }
        let blank = outcome::blank(service);
        let Some(after) = now.services.iter().find(|after| after.name == service.name) else {
            outcomes.push(missing(service, blank));
            continue;
        };
        let blank = ServiceOutcome { after: after.running_image(), image: after.image.clone(), ..blank };
        let touched = |now: &&Container| was_touched(service, now) || context.is_own_work(now);
        let touched: Vec<_> = after.containers.iter().filter(touched).collect();
        let source = source(service);
        let outcome = if touched.is_empty() {
            untouched(after, source, blank)
        } else {
            with_its_image(after, source, verified(context, service, &touched, blank, expectation).await)
        };
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

fn was_touched(before: &Service, now: &Container) -> bool {
    let same = before.containers.iter().find(|container| container.id == now.id);
    same.is_none_or(|same| same.started_at != now.started_at)
}

fn missing(service: &Service, blank: ServiceOutcome) -> ServiceOutcome {
    if service.containers.is_empty() {
        return blank;
    }
    let reason = Some("it has no container any more".to_owned());
    ServiceOutcome { after: None, result: ServiceResult::Failed, reason, ..blank }
}

/// What runs was verified; whether it is what it should be is another matter.
fn with_its_image(now: &Service, source: Option<Source>, outcome: ServiceOutcome) -> ServiceOutcome {
    let up = matches!(outcome.result, ServiceResult::Updated | ServiceResult::Restarted);
    match source {
        Some(Source::Ready(id)) if up && !runs_only(now, &id) => {
            let reason = Some(format!("its image is {id} now, and it runs another one"));
            ServiceOutcome { result: ServiceResult::Outdated, reason, ..outcome }
        }
        _ => outcome,
    }
}

fn untouched(now: &Service, source: Option<Source>, blank: ServiceOutcome) -> ServiceOutcome {
    let (result, reason) = match source {
        Some(Source::Ready(id)) if runs_only(now, &id) => match now.containers.iter().find_map(ailment) {
            Some(ailment) => (ServiceResult::Failed, Some(ailment)),
            None => {
                let idle = now.containers.iter().find(|container| !runs(container) && !ran_once(container));
                let left = idle.map(|idle| format!("{} is not running; it was left so", idle.name));
                (ServiceResult::AlreadyCurrent, left)
            }
        },
        Some(Source::Ready(id)) => (
            ServiceResult::Outdated,
            Some(format!("its image is {id} now, but its container was left as it was")),
        ),
        Some(Source::Leave(reason)) => (ServiceResult::CannotCheck, Some(reason)),
        Some(Source::Failed(reason)) => (ServiceResult::Failed, Some(reason)),
        None => (ServiceResult::NotReached, None),
    };
    ServiceOutcome { result, reason, ..blank }
}

/// Verifies what was restarted of a service.
pub(super) async fn verified<E: Engine>(
    context: &Context<E>,
    before: &Service,
    touched: &[&Container],
    blank: ServiceOutcome,
    expectation: Expectation,
) -> ServiceOutcome {
    // A service that never ran before, or ran once, may have its work done by now.
    let course = match before.containers.as_slice() {
        [] => Course::MayEnd,
        containers => Course::after(containers.iter().all(ran_once)),
    };
    let expectation = Expectation { course, ..expectation };
    for container in touched {
        match verify(context, &before.name, container.id.as_str(), expectation).await {
            Verdict::Up => {}
            Verdict::Down { reason, log_tail } => {
                return ServiceOutcome {
                    result: ServiceResult::Failed,
                    reason: Some(reason),
                    log_tail,
                    ..blank
                };
            }
            Verdict::Halted => {
                let reason =
                    Some("it was restarted, but the command was cancelled before it was verified".to_owned());
                return ServiceOutcome { result: ServiceResult::Failed, reason, ..blank };
            }
        }
    }
    let changed = touched.iter().any(|now| {
        let other = before.containers.iter().all(|old| old.image_id != now.image_id);
        // Made before the agent was restarted: what ran before that is not known any more.
        let made = context.resumed_from.is_some_and(|began| now.created_at >= began);
        before.containers.is_empty() || other || made
    });
    let result = if changed { ServiceResult::Updated } else { ServiceResult::Restarted };
    ServiceOutcome { result, ..blank }
}
