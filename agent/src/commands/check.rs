//! The `check` command: whether a project's images are current, without changing anything.

use roadstead_protocol::message::command::{Outcome, ServiceOutcome, ServiceResult};

use super::sync::plan::{Project, Service};
use super::sync::{members, outcome};
use super::{Context, failed, invalid};
use crate::engine::Engine;

pub(super) async fn run<E: Engine>(context: &Context<E>, project: &str) -> Outcome {
    let containers = match members::containers(context, project).await {
        Ok(containers) => containers,
        Err(error) => return failed(error),
    };
    let project = match Project::find(&containers, project, None) {
        Ok(project) => project,
        Err(reason) => return invalid(reason),
    };
    context.journal.plan(None, "asks the registries, changes nothing", &project.planned());
    let mut services = Vec::new();
    for service in &project.services {
        if context.halted() {
            services.push(outcome::not_reached(service));
            continue;
        }
        services.push(look(context, service).await);
    }
    if context.halted() {
        return Outcome::Cancelled { summary: "nothing was changed".to_owned(), services };
    }
    outcome::conclude(services)
}

async fn look<E: Engine>(context: &Context<E>, service: &Service) -> ServiceOutcome {
    let (result, reason) = compare(context, service).await;
    if let Some(reason) = &reason {
        context.journal.note(Some(&service.name), reason);
    }
    let running = service.running_image();
    ServiceOutcome { before: running.clone(), after: running, result, reason, ..outcome::blank(service) }
}

async fn compare<E: Engine>(context: &Context<E>, service: &Service) -> (ServiceResult, Option<String>) {
    let cannot = |reason: String| (ServiceResult::CannotCheck, Some(reason));
    if service.image.contains("@sha256:") {
        return (ServiceResult::AlreadyCurrent, Some("the image is pinned by digest".to_owned()));
    }
    let Some(reference) = service.pullable() else {
        return cannot(format!(
            "it was created from `{}`, which names no image in a registry",
            service.image
        ));
    };
    let mut known = Vec::new();
    for container in &service.containers {
        match context.engine.image(&container.image_id).await {
            Ok(Some(image)) if image.repo_digests.is_empty() => {
                return cannot(
                    "the image is only on this host (built or imported here, never pulled)".to_owned(),
                );
            }
            Ok(Some(image)) => known.push(image.repo_digests),
            Ok(None) => return cannot("the image it runs is no longer on this host".to_owned()),
            Err(error) => return cannot(error.to_string()),
        }
    }
    match context.engine.registry_digest(reference).await {
        Ok(digest) => {
            let current = |digests: &Vec<String>| digests.iter().any(|known| known.ends_with(&digest));
            if known.iter().all(current) {
                (ServiceResult::AlreadyCurrent, None)
            } else {
                (ServiceResult::Outdated, Some(format!("the registry has {digest}")))
            }
        }
        Err(error) => cannot(error.to_string()),
    }
}
