//! The containers of one engine as they are now, and what changes from one moment to the next. Pure.

pub mod story;

use std::collections::BTreeMap;
use std::sync::Arc;

use roadstead_protocol::message::container::{Container, ContainerState};
use roadstead_protocol::message::ids::ContainerId;
use roadstead_protocol::message::snapshot::{Change, Engine};
use roadstead_protocol::message::time::UnixMicros;

/// One difference between two moments.
#[derive(Clone, Debug, PartialEq)]
pub enum Difference {
    /// A container appeared or changed.
    Upsert(Arc<Container>),
    /// A container is gone.
    Remove(ContainerId),
    /// The engine came, went or was upgraded.
    Engine(Engine),
}

impl From<&Difference> for Change {
    fn from(difference: &Difference) -> Self {
        match difference {
            Difference::Upsert(container) => Self::Upsert { container: Box::new((**container).clone()) },
            Difference::Remove(id) => Self::Remove { id: id.clone() },
            Difference::Engine(engine) => Self::Engine { engine: engine.clone() },
        }
    }
}

/// Every container of one engine.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    containers: BTreeMap<ContainerId, Arc<Container>>,
}

impl Inventory {
    /// Every container, ordered by id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Container>> {
        self.containers.values()
    }

    /// One container.
    #[must_use]
    pub fn one(&self, id: &ContainerId) -> Option<&Arc<Container>> {
        self.containers.get(id)
    }

    /// The containers that use processor time.
    #[must_use]
    pub fn running(&self) -> Vec<ContainerId> {
        let runs = |container: &&Arc<Container>| container.state == ContainerState::Running;
        self.iter().filter(runs).map(|container| container.id.clone()).collect()
    }

    /// Takes over a whole list; what is not in it is gone.
    pub fn replace(&mut self, list: Vec<Container>) -> Vec<Difference> {
        let mut gone = std::mem::take(&mut self.containers);
        let mut differences = Vec::new();
        for container in list {
            match gone.remove(&container.id) {
                Some(known) if *known == container => {
                    self.containers.insert(container.id.clone(), known);
                }
                _ => differences.extend(self.upsert(container)),
            }
        }
        differences.extend(gone.into_keys().map(Difference::Remove));
        differences
    }

    /// Takes over one container; none if nothing changed.
    pub fn upsert(&mut self, container: Container) -> Option<Difference> {
        if self.containers.get(&container.id).is_some_and(|known| **known == container) {
            return None;
        }
        let container = Arc::new(container);
        self.containers.insert(container.id.clone(), Arc::clone(&container));
        Some(Difference::Upsert(container))
    }

    /// Takes over that a container's process ended at `at`, as an event tells; none if it does not run, or only since
    /// then. The engine holds back its answer about a container until it has cleaned up after it, some tens of
    /// milliseconds later.
    pub fn ended(&mut self, id: &ContainerId, at: UnixMicros, exit_code: Option<i64>) -> Option<Difference> {
        let known = self.containers.get(id)?;
        let runs = matches!(known.state, ContainerState::Running | ContainerState::Paused);
        if !runs || known.started_at.is_none_or(|started| at <= started) {
            return None;
        }
        let state = ContainerState::Exited;
        self.upsert(Container { state, finished_at: Some(at), exit_code, ..Container::clone(known) })
    }

    /// Forgets a container; none if it was not known.
    pub fn remove(&mut self, id: &ContainerId) -> Option<Difference> {
        self.containers.remove(id).map(|container| Difference::Remove(container.id.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fake::FakeEngine;

    fn shape(differences: &[Difference]) -> Vec<String> {
        let shown = |difference: &Difference| match difference {
            Difference::Upsert(container) => format!("+{}", container.name),
            Difference::Remove(id) => format!("-{}", id.short()),
            Difference::Engine(_) => "engine".to_owned(),
        };
        differences.iter().map(shown).collect()
    }

    #[tokio::test]
    async fn a_list_tells_what_appeared_changed_and_went() {
        let engine = FakeEngine::new();
        let [a, b, c] = ["a", "b", "c"].map(|name| engine.sample(name, "app:1"));
        let mut inventory = Inventory::default();
        assert_eq!(shape(&inventory.replace(vec![a.clone(), b.clone()])), ["+a", "+b"]);
        assert_eq!(shape(&inventory.replace(vec![a.clone(), b.clone()])), [""; 0]);
        let mut stopped = b.clone();
        stopped.state = ContainerState::Exited;
        let gone = format!("-{}", a.id.short());
        assert_eq!(shape(&inventory.replace(vec![c.clone(), stopped])), ["+c", "+b", &gone]);
        assert_eq!(inventory.running(), std::slice::from_ref(&c.id));
        assert_eq!(inventory.upsert(c.clone()), None);
        assert!(inventory.remove(&a.id).is_none());
        assert!(inventory.remove(&b.id).is_some());
        assert_eq!(inventory.iter().count(), 1);
    }

    #[tokio::test]
    async fn an_end_that_an_event_tells_is_taken_over_once_and_never_from_before_a_start() {
        let container = FakeEngine::new().sample("a", "app:1");
        let started = container.started_at.unwrap();
        let later = UnixMicros(started.0 + 1);
        let mut inventory = Inventory::default();
        assert_eq!(inventory.ended(&container.id, later, Some(3)), None, "nobody knows it");
        inventory.upsert(container.clone());
        assert_eq!(inventory.ended(&container.id, started, Some(3)), None, "the run before ended");
        let Some(Difference::Upsert(ended)) = inventory.ended(&container.id, later, Some(3)) else {
            panic!()
        };
        assert_eq!(
            (ended.state, ended.finished_at, ended.exit_code),
            (ContainerState::Exited, Some(later), Some(3))
        );
        assert_eq!(inventory.ended(&container.id, later, Some(3)), None, "it does not run");
        assert!(inventory.running().is_empty());
    }
}
