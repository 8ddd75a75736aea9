//! From what came of each service to the outcome of the whole. Pure.

use roadstead_protocol::message::command::{Outcome, ServiceOutcome, ServiceResult};

use super::plan::Service;
use crate::commands::protection;
use crate::commands::replace::Replaced;

/// A service before anything is known of it.
pub(in crate::commands) fn blank(service: &Service) -> ServiceOutcome {
    let before = service.running_image();
    ServiceOutcome {
        service: service.name.clone(),
        image: service.image.clone(),
        after: before.clone(),
        before,
        result: ServiceResult::NotReached,
        reason: None,
        log_tail: Vec::new(),
    }
}

/// A service that the command did not come to.
pub(in crate::commands) fn not_reached(service: &Service) -> ServiceOutcome {
    blank(service)
}

/// A service that no command may change.
pub(super) fn untouchable(service: &Service) -> ServiceOutcome {
    let own = || "it runs this agent, which does not replace itself; update it on the host".to_owned();
    let reason = service.protected.as_deref().map_or_else(own, protection::reason);
    ServiceOutcome { result: ServiceResult::CannotCheck, reason: Some(reason), ..blank(service) }
}

/// A program was to update every service: one that it left with its old image was not.
pub(super) fn not_left(service: ServiceOutcome) -> ServiceOutcome {
    if service.result == ServiceResult::Outdated {
        return ServiceOutcome { result: ServiceResult::Failed, ..service };
    }
    service
}

/// What replacing its container made of a service; `before` and `after` are set already.
pub(in crate::commands) fn replaced(outcome: ServiceOutcome, replaced: Replaced) -> ServiceOutcome {
    let (result, reason, log_tail) = match replaced {
        Replaced::Done(_) if outcome.before == outcome.after => (ServiceResult::Restarted, None, Vec::new()),
        Replaced::Done(_) => (ServiceResult::Updated, None, Vec::new()),
        Replaced::Halted => (ServiceResult::NotReached, None, Vec::new()),
        Replaced::Untouched { reason } => (ServiceResult::Failed, Some(reason), Vec::new()),
        Replaced::RolledBack { reason, log_tail } => (ServiceResult::RolledBack, Some(reason), log_tail),
        Replaced::Stuck { reason, log_tail } => (ServiceResult::Failed, Some(reason), log_tail),
    };
    ServiceOutcome { result, reason, log_tail, ..outcome }
}

/// The outcome of a command that came to its end.
pub(in crate::commands) fn conclude(services: Vec<ServiceOutcome>) -> Outcome {
    let failing: Vec<_> =
        services.iter().filter(|service| is_failure(service.result)).map(describe).collect();
    if failing.is_empty() {
        Outcome::Succeeded { summary: summary(&services), services }
    } else {
        Outcome::Failed { reason: failing.join("; "), services }
    }
}

/// The outcome of a command that was told to stop.
pub(in crate::commands) fn cancelled(services: Vec<ServiceOutcome>) -> Outcome {
    Outcome::Cancelled { summary: summary(&services), services }
}

/// The outcome of a command that went through its services; `halted` if it was told to stop meanwhile.
pub(in crate::commands) fn end(halted: bool, services: Vec<ServiceOutcome>) -> Outcome {
    let cut_short =
        |service: &ServiceOutcome| is_failure(service.result) || service.result == ServiceResult::NotReached;
    if halted && services.iter().any(cut_short) { cancelled(services) } else { conclude(services) }
}

/// The outcome of a command whose own step failed, whatever became of the services.
pub(super) fn broken(reason: &str, services: Vec<ServiceOutcome>) -> Outcome {
    let mut reasons = vec![reason.to_owned()];
    reasons.extend(services.iter().filter(|service| is_failure(service.result)).map(describe));
    Outcome::Failed { reason: reasons.join("; "), services }
}

const fn is_failure(result: ServiceResult) -> bool {
    matches!(result, ServiceResult::Failed | ServiceResult::RolledBack)
}

fn describe(service: &ServiceOutcome) -> String {
    let back = if service.result == ServiceResult::RolledBack { " (rolled back)" } else { "" };
    format!("{}: {}{back}", service.service, service.reason.as_deref().unwrap_or("failed"))
}

/// `updated web; db already current`.
fn summary(services: &[ServiceOutcome]) -> String {
    if !services.is_empty() && services.iter().all(|s| s.result == ServiceResult::AlreadyCurrent) {
        return "already current: nothing changed".to_owned();
    }
    let mut parts = Vec::new();
    for (result, before, after) in [
        (ServiceResult::Updated, "updated ", ""),
        (ServiceResult::Restarted, "restarted ", ""),
        (ServiceResult::AlreadyCurrent, "", " already current"),
        (ServiceResult::Outdated, "newer image for ", ""),
        (ServiceResult::RolledBack, "rolled back ", ""),
        (ServiceResult::Failed, "failed ", ""),
        (ServiceResult::CannotCheck, "cannot check ", ""),
        (ServiceResult::NotReached, "", " not reached"),
    ] {
        let names = services.iter().filter(|service| service.result == result);
        let names: Vec<_> = names.map(|service| service.service.as_str()).collect();
        if !names.is_empty() {
            parts.push(format!("{before}{}{after}", names.join(", ")));
        }
    }
    if parts.is_empty() { "there was nothing to do".to_owned() } else { parts.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str, result: ServiceResult) -> ServiceOutcome {
        ServiceOutcome { result, reason: Some("why".to_owned()), ..blank(&Service::new(name)) }
    }

    #[test]
    fn different_facts_have_different_words() {
        use ServiceResult::{AlreadyCurrent, CannotCheck, NotReached, Updated};
        let said = |results: &[(&str, ServiceResult)]| {
            summary(&results.iter().map(|(name, result)| service(name, *result)).collect::<Vec<_>>())
        };
        assert_eq!(said(&[("web", Updated), ("db", AlreadyCurrent)]), "updated web; db already current");
        assert_eq!(said(&[("web", AlreadyCurrent)]), "already current: nothing changed");
        assert_eq!(
            said(&[("agent", CannotCheck), ("db", AlreadyCurrent), ("web", NotReached)]),
            "db already current; cannot check agent; web not reached"
        );
    }

    #[test]
    fn a_failure_names_every_failing_service_and_why() {
        let services = vec![
            service("db", ServiceResult::Updated),
            service("web", ServiceResult::RolledBack),
            service("api", ServiceResult::Failed),
        ];
        let Outcome::Failed { reason, .. } = conclude(services) else { panic!("a failure") };
        assert_eq!(reason, "web: why (rolled back); api: why");
    }
}
