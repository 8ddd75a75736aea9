//! Whether the policy and the containers' own protection allow a sync: asked for every service before the first image
//! is pulled.

use roadstead_protocol::message::command::{OrderRefusal, Outcome, SyncWork};
use roadstead_protocol::message::policy::Verb;

use super::Way;
use super::plan::{Project, Service};
use crate::commands::Context;
use crate::commands::protection::{self, may_recreate};
use crate::engine::Engine;
use crate::policy::PolicyRefusal;

/// Checks what the sync would pull and create. What a script does is its owner's business: it is called for the
/// projects that the policy names, and told of no protected service.
///
/// # Errors
/// The outcome of a sync that is not allowed; nothing has been touched then.
pub(super) async fn check<E: Engine>(
    context: &Context<E>,
    way: &Way,
    project: &Project,
    work: &SyncWork,
) -> Result<(), Outcome> {
    unprotected(project, work)?;
    let changing = || project.services.iter().filter(|service| service.may_change());
    if matches!(way, Way::Script(_)) {
        return Ok(());
    }
    for service in changing().filter(|service| service.leave.is_none()) {
        if let Some(image) = service.pullable() {
            context.policy.check_image(Verb::Sync, image).map_err(refused)?;
        }
    }
    match way {
        Way::Script(_) => Ok(()),
        Way::Compose(compose) => {
            let mut reaches = compose.reaches(project, work.services.is_empty());
            reaches.try_for_each(|(name, reach)| {
                context.policy.check_reach(Verb::Sync, name, reach).map_err(refused)
            })
        }
        Way::Engine => {
            for container in changing().flat_map(|service| &service.containers) {
                may_recreate(context, Verb::Sync, container).await?;
            }
            Ok(())
        }
    }
}

/// A protected service that is asked for by name is a refusal, and so is a project of nothing else; others are synced
/// around it.
fn unprotected(project: &Project, work: &SyncWork) -> Result<(), Outcome> {
    let protected = |service: &Service| service.protected.clone();
    let named = !work.services.is_empty();
    let nothing_left = project.services.iter().all(|service| service.protected.is_some());
    match project.services.iter().find_map(protected).filter(|_| named || nothing_left) {
        Some(container) => {
            let rule = Some(protection::reason(&container));
            Err(Outcome::Refused { refusal: OrderRefusal::Policy { verb: Verb::Sync, rule } })
        }
        None => Ok(()),
    }
}

fn refused(refusal: PolicyRefusal) -> Outcome {
    Outcome::Refused { refusal: refusal.into() }
}
