//! What a command changes, so that no two commands change the same thing at once.

use roadstead_protocol::message::command::{ContainerAction, Outcome, Work};
use roadstead_protocol::message::container::Container;

use super::{failed, invalid};
use crate::engine::{Engine, EngineError};

/// What a command changes: a whole project, or one container that may belong to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    project: Option<String>,
    /// Name of the container; none means the whole project.
    container: Option<String>,
}

impl Target {
    /// A whole project.
    #[must_use]
    pub fn project(name: &str) -> Self {
        Self { project: Some(name.to_owned()), container: None }
    }

    /// One container.
    #[must_use]
    pub fn container(container: &Container) -> Self {
        let project = container.compose_project().map(str::to_owned);
        Self { project, container: Some(container.name.clone()) }
    }

    /// Whether one command may not change this while another changes `other`.
    #[must_use]
    pub fn conflicts(&self, other: &Self) -> bool {
        match (&self.container, &other.container) {
            (Some(one), Some(two)) => one == two,
            _ => self.project.is_some() && self.project == other.project,
        }
    }
}

/// What `work` changes; none if it only looks.
///
/// # Errors
/// The outcome of a command whose target does not exist, or cannot be asked for.
pub async fn resolve<E: Engine>(engine: &E, work: &Work) -> Result<Option<Target>, Outcome> {
    match work {
        Work::Sync(sync) => Ok(Some(Target::project(&sync.project))),
        Work::Install(install) => {
            let project = install.labels.get("com.docker.compose.project").cloned();
            Ok(Some(Target { project, container: Some(install.name.clone()) }))
        }
        Work::Reinstall { container } | Work::Container { container, .. } => {
            Ok(Some(Target::container(&existing(engine, container).await?)))
        }
        Work::Check { .. } | Work::Unknown => Ok(None),
    }
}

/// The container of that id or name.
///
/// # Errors
/// The outcome of a command on a container that does not exist.
pub(super) async fn existing<E: Engine>(engine: &E, container: &str) -> Result<Container, Outcome> {
    match engine.container(container).await {
        Ok(Some(found)) => Ok(found),
        Ok(None) | Err(EngineError::NotFound(_)) => {
            Err(invalid(format!("there is no container `{container}` on this host")))
        }
        Err(error) => Err(failed(error)),
    }
}

/// The command in words, for events and logs: of bounded length, whatever a controller calls things.
#[must_use]
pub fn describe(work: &Work) -> String {
    let mut words = in_words(work);
    words.truncate(words.floor_char_boundary(MAX_WORDS));
    words
}

/// Longest description, in bytes.
const MAX_WORDS: usize = 300;

fn in_words(work: &Work) -> String {
    match work {
        Work::Sync(sync) if sync.services.is_empty() => format!("sync of project {}", sync.project),
        Work::Sync(sync) => format!("sync of {} in project {}", sync.services.join(", "), sync.project),
        Work::Install(install) => format!("install of {} from {}", install.name, install.image),
        Work::Reinstall { container } => format!("reinstall of {container}"),
        Work::Container { container, action } => format!("{} of {container}", action_word(*action)),
        Work::Check { project } => format!("check of project {project}"),
        Work::Unknown => "a command of a newer version".to_owned(),
    }
}

/// The action as a noun.
pub(super) const fn action_word(action: ContainerAction) -> &'static str {
    match action {
        ContainerAction::Start => "start",
        ContainerAction::Stop => "stop",
        ContainerAction::Restart => "restart",
        ContainerAction::Kill => "kill",
        ContainerAction::Pause => "pause",
        ContainerAction::Unpause => "unpause",
        ContainerAction::Remove => "removal",
        ContainerAction::Unknown => "unknown action",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fake::FakeEngine;

    #[test]
    fn a_project_excludes_its_containers_and_containers_exclude_only_themselves() {
        let engine = FakeEngine::new();
        let web = Target::container(&engine.compose_sample("shop", "web", "app:1"));
        let db = Target::container(&engine.compose_sample("shop", "db", "db:1"));
        let alone = Target::container(&engine.sample("alone", "app:1"));
        let shop = Target::project("shop");
        assert!(shop.conflicts(&shop) && shop.conflicts(&web) && web.conflicts(&shop) && web.conflicts(&web));
        assert!(!web.conflicts(&db) && !shop.conflicts(&alone) && !shop.conflicts(&Target::project("blog")));
        assert!(alone.conflicts(&alone));
    }
}
