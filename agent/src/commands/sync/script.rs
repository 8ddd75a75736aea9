//! The `script` strategy: one executable that the host's owner configured, called with the project and the services.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use roadstead_protocol::message::command::Outcome;
use roadstead_protocol::message::progress::{Step, StepState};

use super::outcome;
use super::plan::Project;
use super::pulls::Source;
use super::{aftermath, exit_words};
use crate::commands::program::{Program, ProgramError};
use crate::commands::verify::Expectation;
use crate::commands::{Context, failed, invalid};
use crate::engine::Engine;

pub(super) async fn run<E: Engine>(
    context: &Context<E>,
    project: &Project,
    script: &Path,
    expectation: Expectation,
) -> Outcome {
    let odd = project.services.iter().find(|service| service.name.starts_with('-'));
    if let Some(service) = odd {
        return invalid(format!(
            "{:?} is no name of a service: a script would take it for an option",
            service.name
        ));
    }
    let mut argv = vec![script.into(), project.name.clone().into()];
    let services = project.services.iter().filter(|service| service.protected.is_none());
    argv.extend(services.map(|service| service.name.clone().into()));
    let mut env: Vec<_> =
        context.options.docker_env.iter().map(|(name, value)| (name.into(), value.into())).collect();
    env.push(("ROADSTEAD_PROJECT".into(), project.name.clone().into()));
    let program = Program { argv, directory: script.parent().map(Path::to_path_buf), env };
    context.journal.step(Step::Script, None, StepState::Started, &script.display().to_string());
    let ended = program.stream(&context.journal, &context.halt, Duration::ZERO).await;
    let trouble = match &ended {
        Ok(ended) if ended.status.success() => None,
        Ok(ended) => Some(exit_words("the script", ended)),
        Err(error) => Some(error.to_string()),
    };
    let state = if trouble.is_none() { StepState::Done } else { StepState::Failed };
    context.journal.step(Step::Script, None, state, trouble.as_deref().unwrap_or("ended with code 0"));

    // Which image is current is what the script left behind: it pulls, or builds, as its owner likes.
    let mut local = BTreeMap::new();
    for service in &project.services {
        let image = context.engine.image(&service.image).await.ok().flatten();
        let unknown = || Source::Leave(format!("there is no image `{}` on this host", service.image));
        local.insert(service.name.clone(), image.map_or_else(unknown, |image| Source::Ready(image.id)));
    }
    let looked =
        aftermath::look(context, project, |service| local.get(&service.name).cloned(), expectation).await;
    let looked = looked.map(|services| services.into_iter().map(outcome::not_left).collect());
    match (looked, trouble) {
        (Ok(services), _) if matches!(ended, Err(ProgramError::Halted(_))) => outcome::cancelled(services),
        (Ok(services), None) => outcome::end(context.halted(), services),
        (Ok(services), Some(trouble)) => outcome::broken(&trouble, services),
        (Err(error), None) => {
            failed(format!("the script ended well, but what runs now is not known: {error}"))
        }
        (Err(error), Some(trouble)) => failed(format!("{trouble}; what runs now is not known: {error}")),
    }
}
