//! Containers that nothing may stop, restart, pause, recreate or remove, and those that may not be made like they are.

use roadstead_protocol::message::command::{OrderRefusal, Outcome};
use roadstead_protocol::message::container::Container;
use roadstead_protocol::message::policy::Verb;

use super::{Context, failed};
use crate::engine::Engine;

/// The label by which the owner of a container protects it. It narrows the policy and never widens it.
const LABEL: &str = "roadstead.protect";

/// Whether a container is protected. Whatever is not plainly a no is a yes.
pub(super) fn is_on(container: &Container) -> bool {
    let no = |value: &String| {
        ["", "false", "no", "0", "off"].contains(&value.trim().to_ascii_lowercase().as_str())
    };
    container.labels.get(LABEL).is_some_and(|value| !no(value))
}

/// Why the container of that name is left as it is.
pub(super) fn reason(name: &str) -> String {
    format!("{name} is protected by its label {LABEL}")
}

/// The refusal of a command that would touch a protected container.
pub(super) fn refused(verb: Verb, container: &Container) -> Outcome {
    let rule = Some(reason(&container.name));
    Outcome::Refused { refusal: OrderRefusal::Policy { verb, rule } }
}

/// Whether a container may be created from the image of `container`, with what that has of its host.
///
/// # Errors
/// The outcome of a command that the policy does not allow.
pub(super) async fn may_recreate<E: Engine>(
    context: &Context<E>,
    verb: Verb,
    container: &Container,
) -> Result<(), Outcome> {
    let refused = |refusal: crate::policy::PolicyRefusal| Outcome::Refused { refusal: refusal.into() };
    // One created from a bare id is recreated from that id, and nothing is pulled.
    if !container.image.starts_with("sha256:") {
        context.policy.check_image(verb, &container.image).map_err(refused)?;
    }
    if !context.policy.limits_reach() {
        return Ok(());
    }
    let inspected = context.engine.inspect(container.id.as_str()).await.map_err(failed)?;
    // One that is gone meanwhile is not recreated either.
    let Some(inspected) = inspected else { return Ok(()) };
    context.policy.check_reach(verb, &container.name, &inspected.reach).map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fake::FakeEngine;

    #[test]
    fn whatever_is_not_plainly_a_no_protects() {
        let mut container = FakeEngine::new().sample("db", "db:1");
        assert!(!is_on(&container));
        for (value, protects) in [
            ("true", true),
            ("TRUE", true),
            ("1", true),
            ("yes", true),
            ("ture", true),
            ("false", false),
            ("No", false),
            ("0", false),
            ("", false),
        ] {
            container.labels.insert(LABEL.to_owned(), value.to_owned());
            assert_eq!(is_on(&container), protects, "{value:?}");
        }
    }
}
