//! The first half of a sync by compose or by the engine: every image is pulled before any container is touched.

use std::collections::BTreeMap;

use roadstead_protocol::message::command::{ServiceOutcome, ServiceResult};

use super::outcome;
use super::plan::Service;
use crate::commands::Context;
use crate::commands::pull::{PullError, pull};
use crate::engine::{Engine, EngineError};

/// Where the image of a service stands after pulling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// It is current and has this id.
    Ready(String),
    /// It cannot be checked, and why; the service stays as it is.
    Leave(String),
    /// It could not be pulled, and why.
    Failed(String),
}

/// What pulling the images of some services came to, by service.
pub(super) struct Pulls {
    pub sources: BTreeMap<String, Source>,
    /// Told to stop while pulling; services without a source were not reached.
    pub halted: bool,
}

impl Pulls {
    /// Whether an image could not be pulled, so that nothing is to be touched.
    pub fn failed(&self) -> bool {
        self.sources.values().any(|source| matches!(source, Source::Failed(_)))
    }

    /// What can be said of a service if nothing more happens to it.
    pub fn untouched(&self, service: &Service) -> ServiceOutcome {
        let blank = outcome::blank(service);
        if !service.may_change() {
            return outcome::untouchable(service);
        }
        let (result, reason) = match self.sources.get(&service.name) {
            Some(Source::Failed(reason)) => (ServiceResult::Failed, Some(reason.clone())),
            Some(Source::Leave(reason)) => (ServiceResult::CannotCheck, Some(reason.clone())),
            Some(Source::Ready(id)) if runs_only(service, id) => (ServiceResult::AlreadyCurrent, None),
            Some(Source::Ready(_)) => {
                (ServiceResult::NotReached, Some("its newer image is pulled but not in use".to_owned()))
            }
            None => (ServiceResult::NotReached, None),
        };
        ServiceOutcome { result, reason, ..blank }
    }
}

/// Whether every container of the service runs that image.
pub(super) fn runs_only(service: &Service, image_id: &str) -> bool {
    !service.containers.is_empty()
        && service.containers.iter().all(|container| container.image_id == image_id)
}

/// Pulls the image of each service once. Goes on after a failure, so that every problem is named, unless it would
/// hit the other images too.
pub(super) async fn pull_all<E: Engine>(context: &Context<E>, services: &[Service]) -> Pulls {
    let mut sources = BTreeMap::new();
    let mut by_image: BTreeMap<&str, Source> = BTreeMap::new();
    let mut halted = false;
    for service in services.iter().filter(|service| service.may_change()) {
        let Some(reference) = service.pullable().filter(|_| service.leave.is_none()) else {
            sources.insert(service.name.clone(), Source::Leave(unpullable(service)));
            continue;
        };
        if let Some(known) = by_image.get(reference) {
            sources.insert(service.name.clone(), known.clone());
            continue;
        }
        let mut hopeless = false;
        let source = match pull(context, &service.name, reference).await {
            Ok(id) => Source::Ready(id),
            Err(error @ PullError::LocalOnly(_)) => Source::Leave(error.to_string()),
            Err(PullError::Halted) => {
                halted = true;
                break;
            }
            Err(PullError::Engine(error)) => {
                hopeless = matches!(error, EngineError::DiskFull(_) | EngineError::Unreachable(_));
                Source::Failed(format!("cannot pull {reference}: {error}"))
            }
        };
        by_image.insert(reference, source.clone());
        sources.insert(service.name.clone(), source);
        if hopeless {
            break;
        }
    }
    Pulls { sources, halted }
}

fn unpullable(service: &Service) -> String {
    let nameless = || format!("it was created from `{}`, which names no image in a registry", service.image);
    service.leave.clone().unwrap_or_else(nameless)
}
