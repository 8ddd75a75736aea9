//! Replacing one container by one of another image: the old one is kept, stopped, until the new one is verified,
//! and put back where it is not.

use roadstead_protocol::message::command::ContainerAction;
use roadstead_protocol::message::container::{Container, ContainerHealth, ContainerState};
use roadstead_protocol::message::ids::ContainerId;
use roadstead_protocol::message::progress::{Step, StepState};

use super::Context;
use super::verify::{Expectation, Verdict, verify};
use crate::engine::{Engine, EngineError};

/// In the name of a container that is about to take another's place.
pub(super) const NEW_MARK: &str = "_roadstead_new_";

/// In the name of a container that gave its place up, until its successor is verified.
pub(super) const OLD_MARK: &str = "_roadstead_old_";

/// One container to replace.
pub(super) struct Replacement<'a> {
    /// What it is called in reports: its service, or its name.
    pub service: &'a str,
    /// Reference of the image the new one is to run.
    pub image: &'a str,
    /// The container as it is.
    pub old: &'a Container,
    /// What to expect of the new one.
    pub expectation: Expectation,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Replaced {
    /// The new one runs and was verified.
    Done(ContainerId),
    /// Nothing was changed, because the command was told to stop.
    Halted,
    /// The old one was never touched.
    Untouched {
        /// Why.
        reason: String,
    },
    /// The new one did not come up; the old one is back.
    RolledBack {
        /// Why.
        reason: String,
        /// The last lines the new one logged.
        log_tail: Vec<String>,
    },
    /// The new one did not come up, and the old one could not be put back.
    Stuck {
        /// Why, and what to do.
        reason: String,
        /// The last lines the new one logged.
        log_tail: Vec<String>,
    },
}

/// What is not as it should be, and what the new one said.
struct Trouble {
    reason: String,
    log_tail: Vec<String>,
}

impl From<EngineError> for Trouble {
    fn from(error: EngineError) -> Self {
        Self { reason: error.to_string(), log_tail: Vec::new() }
    }
}

/// Whether a container is running or about to, so that its successor should be.
pub(super) const fn runs(container: &Container) -> bool {
    matches!(container.state, ContainerState::Running | ContainerState::Restarting)
}

/// What a container suffers from that is meant to run and does not, or not well, in words: whatever its image, its service
/// is not up.
pub(super) fn ailment(container: &Container) -> Option<String> {
    let name = &container.name;
    match (container.state, container.health) {
        (ContainerState::Restarting, _) => {
            Some(format!("its image is current, but {name} ends and is started again and again"))
        }
        (ContainerState::Running, ContainerHealth::Unhealthy) => {
            Some(format!("its image is current, but the health check of {name} fails"))
        }
        _ => None,
    }
}

/// Whether a container did its work and ended, and is not meant to run on.
pub(super) fn ran_once(container: &Container) -> bool {
    container.state == ContainerState::Exited
        && container.exit_code == Some(0)
        && matches!(container.restart_policy.as_str(), "" | "no")
}

impl Replacement<'_> {
    /// Replaces the container. Safe points: before the old one is stopped (nothing has changed then), and while the
    /// new one is being verified (the old one is put back then).
    pub async fn run<E: Engine>(&self, context: &Context<E>) -> Replaced {
        let old = self.old;
        let new_name = new_name(&old.name, old);
        let detail = format!("a new container for {}", old.name);
        let engine = &context.engine;
        let created = engine.create_like(old.id.as_str(), &new_name, self.image);
        let new = match context.step(Step::Create, self.service, &detail, created).await {
            Ok(new) => new,
            Err(error) => return Replaced::Untouched { reason: error.to_string() },
        };
        if context.halted() {
            self.discard(context, &new).await;
            return Replaced::Halted;
        }
        match self.swap(context, &new).await {
            Ok(()) => {
                let removed = engine.remove(old.id.as_str(), false);
                // What could not be removed now is removed by the next sync.
                let _ =
                    context.step(Step::Cleanup, self.service, "removing the old container", removed).await;
                Replaced::Done(new)
            }
            Err(trouble) => self.roll_back(context, &new, trouble).await,
        }
    }

    /// Stops the old, lets the new take its name, starts and verifies it.
    async fn swap<E: Engine>(&self, context: &Context<E>, new: &ContainerId) -> Result<(), Trouble> {
        let (engine, old) = (&context.engine, self.old);
        if runs(old) {
            // The container's own grace period applies.
            let stopped = engine.act(old.id.as_str(), ContainerAction::Stop);
            context.step(Step::Stop, self.service, &format!("stopping {}", old.name), stopped).await?;
        }
        engine.rename(old.id.as_str(), &old_name(old)).await?;
        // An engine that starts again would start the old one beside the new, on the same volumes, though it was stopped:
        // only `unless-stopped` remembers that.
        if matches!(old.restart_policy.as_str(), "always" | "on-failure") {
            engine.restart_as(old.id.as_str(), None).await?;
        }
        engine.rename(new.as_str(), &old.name).await?;
        let started = engine.act(new.as_str(), ContainerAction::Start);
        context.step(Step::Start, self.service, &format!("starting {}", old.name), started).await?;
        match verify(context, self.service, new.as_str(), self.expectation).await {
            Verdict::Up => Ok(()),
            Verdict::Down { reason, log_tail } => Err(Trouble { reason, log_tail }),
            Verdict::Halted => {
                Err(Trouble { reason: "cancelled before it was verified".to_owned(), log_tail: Vec::new() })
            }
        }
    }

    async fn roll_back<E: Engine>(
        &self,
        context: &Context<E>,
        new: &ContainerId,
        trouble: Trouble,
    ) -> Replaced {
        context.journal.step(Step::Rollback, Some(self.service), StepState::Started, &trouble.reason);
        let Trouble { reason, log_tail } = trouble;
        match put_back(context, self.old, Some(new), runs(self.old)).await {
            Ok(()) => {
                let detail = format!("{} is the old container again", self.old.name);
                context.journal.step(Step::Rollback, Some(self.service), StepState::Done, &detail);
                Replaced::RolledBack { reason, log_tail }
            }
            Err(error) => {
                let name = &self.old.name;
                let reason = format!(
                    "{reason}; and the old container could not be put back ({error}): look for `{name}` and \
                     `{}` on the host, the next sync tries again",
                    old_name(self.old)
                );
                context.journal.step(Step::Rollback, Some(self.service), StepState::Failed, &reason);
                Replaced::Stuck { reason, log_tail }
            }
        }
    }

    async fn discard<E: Engine>(&self, context: &Context<E>, new: &ContainerId) {
        let removed = context.engine.remove(new.as_str(), true);
        // A leftover is removed by the next sync.
        let _ = context.step(Step::Cleanup, self.service, "removing the new container", removed).await;
    }
}

/// Removes the new container and gives the old one its name, and its work, back. Does each part that is still to
/// be done, so that it may be repeated.
pub(super) async fn put_back<E: Engine>(
    context: &Context<E>,
    old: &Container,
    new: Option<&ContainerId>,
    start: bool,
) -> Result<(), EngineError> {
    let engine = &context.engine;
    let current = engine.container(old.id.as_str()).await?;
    if let Some(new) = new {
        // From the new one, as long as there is one: after an interruption nobody else knows the old one's policy.
        let successor = engine.container(new.as_str()).await?;
        if let (Some(successor), Some(current)) = (successor, &current)
            && successor.restart_policy != current.restart_policy
        {
            engine.restart_as(old.id.as_str(), Some(new.as_str())).await?;
        }
        match engine.remove(new.as_str(), true).await {
            Ok(()) | Err(EngineError::NotFound(_)) => {}
            // It steps aside, and the next sync removes it: what matters is that the old one runs.
            Err(error) => {
                context.journal.note(None, &format!("the new container could not be removed: {error}"));
                step_aside(context, old, new).await?;
            }
        }
    }
    let name = base_name(&old.name);
    let current =
        current.ok_or_else(|| EngineError::NotFound(format!("the old container {name} is gone")))?;
    if current.name != name {
        engine.rename(old.id.as_str(), name).await?;
    }
    if start {
        engine.act(old.id.as_str(), ContainerAction::Start).await?;
    }
    Ok(())
}

/// Stops a new container, as far as that goes, and takes it the name that the old one is to have.
async fn step_aside<E: Engine>(
    context: &Context<E>,
    old: &Container,
    new: &ContainerId,
) -> Result<(), EngineError> {
    let engine = &context.engine;
    let Some(there) = engine.container(new.as_str()).await? else { return Ok(()) };
    if runs(&there) {
        let _ = engine.act(new.as_str(), ContainerAction::Kill).await;
    }
    if there.name.contains(NEW_MARK) {
        return Ok(());
    }
    engine.rename(new.as_str(), &new_name(base_name(&old.name), old)).await
}

fn new_name(name: &str, old: &Container) -> String {
    format!("{name}{NEW_MARK}{}", old.id.short())
}

fn old_name(old: &Container) -> String {
    format!("{}{OLD_MARK}{}", old.name, old.id.short())
}

/// A container's name without the marks of a replacement.
pub(super) fn base_name(name: &str) -> &str {
    let end = [NEW_MARK, OLD_MARK].iter().filter_map(|mark| name.find(mark)).min();
    end.map_or(name, |end| &name[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_come_off_names() {
        assert_eq!(base_name("shop_web_1_roadstead_old_0123456789ab"), "shop_web_1");
        assert_eq!(base_name("shop_web_1_roadstead_new_0123456789ab"), "shop_web_1");
        assert_eq!(base_name("shop_web_1"), "shop_web_1");
    }
}
