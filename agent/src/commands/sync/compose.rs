//! The `compose` strategy: images are pulled through the engine, restarting is left to the project's own compose
//! program and files.

mod config;
mod tool;
mod yaml;

use std::time::Duration;

use roadstead_protocol::message::command::Outcome;
use roadstead_protocol::message::container::Container;
use roadstead_protocol::message::progress::{Step, StepState};

use super::outcome;
use super::plan::{Project, Service};
use super::pulls::pull_all;
use super::{aftermath, exit_words};
use crate::commands::program::ProgramError;
use crate::commands::verify::Expectation;
use crate::commands::{Context, failed};
use crate::engine::{Engine, Image};
use crate::policy::Reach;
pub(super) use tool::Tool;

/// How long `up` may go on after a cancel: recreating a container is no safe point, and is over soon.
const UP_GRACE: Duration = Duration::from_secs(30);

/// A project, and how its own compose program reads its files.
pub(super) struct Compose {
    tool: Tool,
    config: config::Config,
}

impl Compose {
    /// The compose program for this project, and what it makes of the files.
    ///
    /// # Errors
    /// If this cannot be done here, with the reason.
    pub async fn prepare<E: Engine>(context: &Context<E>, project: &Project) -> Result<Self, String> {
        let image = match project.told_by() {
            Some(container) => image_of(context, container).await?,
            None => Image::default(),
        };
        let tool = Tool::find(&context.options, project, &image.labels).await?;
        let config = config::read(&tool).await?;
        Ok(Self { tool, config })
    }

    /// Variables that the project's files want and nobody set.
    pub fn unset_variables(&self) -> &[String] {
        &self.config.unset
    }

    /// What the services that `up` may create have of the host, by name. `whole` if all of the project are meant.
    pub fn reaches<'a>(
        &'a self,
        project: &'a Project,
        whole: bool,
    ) -> impl Iterator<Item = (&'a str, &'a Reach)> {
        let meant = move |name: &str, written: &config::Written| {
            let known = project.services.iter().find(|service| service.name == *name);
            known.map_or(whole && !written.optional, Service::may_change)
        };
        let services = self.config.services.iter().filter(move |(name, written)| meant(name, written));
        services.map(|(name, written)| (name.as_str(), &written.reach))
    }

    /// Why compose is a good choice, for the plan.
    pub fn why(&self) -> String {
        format!("{} is here and reads the project's files", self.tool.describe())
    }

    /// Fills in what only the files know: images that are to run, services that compose would not update.
    pub fn refine(&self, project: &mut Project) {
        for service in &mut project.services {
            let Some(written) = self.config.services.get(&service.name) else {
                let reason = "the project's files do not name it, or only in a profile that is not active";
                service.leave = Some(reason.to_owned());
                continue;
            };
            if written.built {
                service.leave = Some("its image is built on this host, not pulled".to_owned());
            }
            if let Some(image) = &written.image {
                service.image.clone_from(image);
            }
        }
    }

    /// Adds the services that are in the files and that compose is going to create.
    pub fn extend(&self, project: &mut Project) {
        for (name, written) in &self.config.services {
            let known = project.services.iter().any(|service| service.name == *name);
            if let (false, false, false, Some(image)) =
                (known, written.built, written.optional, &written.image)
            {
                project.services.push(Service { image: image.clone(), ..Service::new(name) });
            }
        }
    }

    /// Syncs the services of `project`. `subset` if others of the project are to be left alone.
    pub async fn run<E: Engine>(
        &self,
        context: &Context<E>,
        project: &Project,
        subset: bool,
        expectation: Expectation,
    ) -> Outcome {
        let pulls = pull_all(context, &project.services).await;
        let untouched = || project.services.iter().map(|service| pulls.untouched(service)).collect();
        if pulls.halted || context.halted() {
            return outcome::cancelled(untouched());
        }
        if pulls.failed() {
            context.journal.note(None, "an image could not be pulled: no container was touched");
            return outcome::conclude(untouched());
        }
        let trouble = match self.up(context, project, subset).await {
            Ok(trouble) => trouble,
            Err(ProgramError::Halted(reason)) => Some(reason),
            Err(error) => return outcome::broken(&error.to_string(), untouched()),
        };
        let source = |service: &Service| pulls.sources.get(&service.name).cloned();
        let looked = aftermath::look(context, project, source, expectation).await;
        match looked.map(|services| services.into_iter().map(outcome::not_left).collect()) {
            Ok(services) if context.halted() => outcome::end(true, services),
            Ok(services) => match trouble {
                Some(trouble) => outcome::broken(&trouble, services),
                None => outcome::conclude(services),
            },
            Err(error) => failed(format!("compose ran, but what runs now is not known: {error}")),
        }
    }

    /// Lets compose recreate what changed. Returns what went wrong, in words.
    async fn up<E: Engine>(
        &self,
        context: &Context<E>,
        project: &Project,
        subset: bool,
    ) -> Result<Option<String>, ProgramError> {
        let written = |service: &&Service| self.config.services.get(&service.name);
        // A service in a profile is updated only by name.
        let optional = project.services.iter().any(|service| written(&service).is_some_and(|w| w.optional));
        let named = subset || optional || !project.services.iter().all(Service::may_change);
        let services = project.services.iter().filter(|service| named && service.may_change());
        let services: Vec<_> = services.filter(|s| written(s).is_some()).map(|s| s.name.as_str()).collect();
        if named && services.is_empty() {
            context.journal.step(Step::Compose, None, StepState::Skipped, "no service is left to update");
            return Ok(None);
        }
        let program = self.tool.up(&services);
        context.journal.step(Step::Compose, None, StepState::Started, &self.tool.describe());
        let ended = program.stream(&context.journal, &context.halt, UP_GRACE).await;
        let trouble = match &ended {
            Ok(ended) if ended.status.success() => None,
            Ok(ended) => Some(exit_words("compose", ended)),
            Err(error) => Some(error.to_string()),
        };
        let state = if trouble.is_none() { StepState::Done } else { StepState::Failed };
        context.journal.step(Step::Compose, None, state, trouble.as_deref().unwrap_or_default());
        ended.map(|_| trouble)
    }
}

/// The image that a container was made from.
async fn image_of<E: Engine>(context: &Context<E>, container: &Container) -> Result<Image, String> {
    let image = context.engine.image(&container.image_id).await.map_err(|error| error.to_string())?;
    let missing =
        || format!("{} says where the files are, but its image is not here any more", container.name);
    image.ok_or_else(missing)
}
