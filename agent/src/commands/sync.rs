//! The `sync` command: pull a compose project's images, restart what changed, verify it. Says how before it begins.

mod aftermath;
mod compose;
mod engine;
pub(super) mod members;
pub(super) mod outcome;
mod permission;
pub(super) mod plan;
mod pulls;
mod script;

use std::path::PathBuf;
use std::time::Duration;

use roadstead_protocol::message::command::{OrderRefusal, Outcome, Strategy, SyncWork};
use roadstead_protocol::message::policy::Verb;

use super::heal::heal;
use super::program::{Ended, is_executable};
use super::verify::{Course, Expectation};
use super::{Context, failed, invalid, protection};
use crate::engine::Engine;
use compose::Compose;
use plan::Project;

/// How a sync is going to be done, with what it needs for that.
enum Way {
    Script(PathBuf),
    Compose(Box<Compose>),
    Engine,
}

pub(super) async fn run<E: Engine>(context: &Context<E>, work: &SyncWork) -> Outcome {
    let mut project = match find(context, work).await {
        Ok(project) => project,
        Err(outcome) => return outcome,
    };
    // Where a sync was interrupted, a service may have leftovers alone, and comes back when they are mended.
    if !project.has_leftovers()
        && let Err(reason) = project.select(&work.services)
    {
        return invalid(reason);
    }
    let (way, why) = match choose(context, &project, work.strategy).await {
        Ok(chosen) => chosen,
        Err(outcome) => return outcome,
    };
    way.refine(&mut project, work);
    if let Err(outcome) = permission::check(context, &way, &project, work).await {
        return outcome;
    }
    announce(context, &way, &why, &project);
    let expectation = Expectation {
        window: Duration::from_secs(work.verify_secs.into()),
        settle: context.options.settle,
        course: Course::Runs,
    };
    if project.has_leftovers() {
        // Mended before anything is compared, or a half-replaced service would be taken for the real one.
        if let Err(outcome) = heal(context, Verb::Sync, &project.containers, expectation).await {
            return outcome;
        }
        project = match find(context, work).await {
            Ok(project) => project,
            Err(outcome) => return outcome,
        };
        if let Err(reason) = project.select(&work.services) {
            return invalid(reason);
        }
        way.refine(&mut project, work);
        if let Err(outcome) = permission::check(context, &way, &project, work).await {
            return outcome;
        }
    }
    match way {
        Way::Script(script) => script::run(context, &project, &script, expectation).await,
        Way::Compose(compose) => compose.run(context, &project, !work.services.is_empty(), expectation).await,
        Way::Engine => engine::run(context, &project, expectation).await,
    }
}

async fn find<E: Engine>(context: &Context<E>, work: &SyncWork) -> Result<Project, Outcome> {
    let containers = members::containers(context, &work.project).await.map_err(failed)?;
    let own = context.engine.own_container().await;
    Project::find(&containers, &work.project, own.as_ref()).map_err(invalid)
}

/// The way asked for, or the best there is, and why.
async fn choose<E: Engine>(
    context: &Context<E>,
    project: &Project,
    asked: Option<Strategy>,
) -> Result<(Way, String), Outcome> {
    let script = context.options.sync_script.as_ref();
    match asked {
        Some(Strategy::Script) => {
            let Some(script) = script else {
                return Err(invalid("no script is configured on this host (ROADSTEAD_SYNC_SCRIPT)"));
            };
            usable(script.clone()).map(|script| (Way::Script(script), "asked for".to_owned()))
        }
        Some(Strategy::Compose) => match Compose::prepare(context, project).await {
            Ok(compose) if compose.unset_variables().is_empty() => {
                let why = format!("asked for; {}", compose.why());
                Ok((Way::Compose(Box::new(compose)), why))
            }
            // Nobody wants a service with a blank password, and who asks may not know.
            Ok(compose) => Err(invalid(format!(
                "compose would not know the variables {}, and recreate services without them; put them into the \
                 project's .env file, or sync by engine",
                compose.unset_variables().join(", ")
            ))),
            Err(reason) => Err(invalid(format!("a sync by compose is not possible: {reason}"))),
        },
        Some(Strategy::Engine) => Ok((Way::Engine, "asked for".to_owned())),
        Some(Strategy::Unknown) => Err(Outcome::Refused { refusal: OrderRefusal::Unsupported }),
        None => match script {
            Some(script) => {
                let why = "a script is configured on this host".to_owned();
                usable(script.clone()).map(|script| (Way::Script(script), why))
            }
            None => Ok(compose_or_engine(context, project).await),
        },
    }
}

async fn compose_or_engine<E: Engine>(context: &Context<E>, project: &Project) -> (Way, String) {
    match Compose::prepare(context, project).await {
        Ok(compose) if compose.unset_variables().is_empty() => {
            let why = compose.why();
            (Way::Compose(Box::new(compose)), why)
        }
        // Whoever started the project had them set; compose would recreate its services with blanks.
        Ok(compose) => {
            let names = compose.unset_variables().join(", ");
            (Way::Engine, format!("compose would not know the variables {names}"))
        }
        Err(reason) => (Way::Engine, format!("compose is not possible: {reason}")),
    }
}

fn usable(script: PathBuf) -> Result<PathBuf, Outcome> {
    if is_executable(&script) {
        return Ok(script);
    }
    Err(invalid(format!("the configured script {} is not an executable file", script.display())))
}

/// Says how the sync will be done, before it changes anything.
fn announce<E: Engine>(context: &Context<E>, way: &Way, why: &str, project: &Project) {
    let mut why = why.to_owned();
    if project.has_leftovers() {
        why.push_str("; an interrupted sync left containers behind, which are mended first");
    }
    if let Some(own) = project.own_service() {
        why.push_str(&match way {
            Way::Script(_) => format!("; the script must leave {} alone, it runs this agent", own.name),
            _ => format!("; {} is left out, it runs this agent", own.name),
        });
    }
    for service in &project.services {
        if let Some(container) = &service.protected {
            why.push_str(&format!("; {} is left out, {}", service.name, protection::reason(container)));
        }
    }
    context.journal.plan(Some(way.strategy()), &why, &project.planned());
}

impl Way {
    const fn strategy(&self) -> Strategy {
        match self {
            Self::Script(_) => Strategy::Script,
            Self::Compose(_) => Strategy::Compose,
            Self::Engine => Strategy::Engine,
        }
    }

    /// Puts into the project what only compose knows of it.
    fn refine(&self, project: &mut Project, work: &SyncWork) {
        let Self::Compose(compose) = self else { return };
        compose.refine(project);
        if work.services.is_empty() && project.own_service().is_none() {
            compose.extend(project);
        }
    }
}

/// How a program ended, and the last of what it said.
fn exit_words(what: &str, ended: &Ended) -> String {
    let how =
        ended.status.code().map_or_else(|| "was killed".to_owned(), |code| format!("ended with code {code}"));
    let last: Vec<_> = ended.last.iter().rev().take(3).rev().map(String::as_str).collect();
    if last.is_empty() { format!("{what} {how}") } else { format!("{what} {how}: {}", last.join(" | ")) }
}
