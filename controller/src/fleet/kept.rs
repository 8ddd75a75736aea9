//! A container as the fleet keeps it. Ten thousand hosts run much the same things: texts, lists and sets of labels that are
//! the same are there once for all of them.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use roadstead_protocol::message::container::{Container, ContainerHealth, ContainerState, Port};
use roadstead_protocol::message::ids::ContainerId;
use roadstead_protocol::message::time::UnixMicros;

/// A [`Container`] as the fleet keeps it, with the same fields.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of a container")]
pub struct Kept {
    pub id: ContainerId,
    pub name: Arc<str>,
    pub image: Arc<str>,
    pub image_id: Arc<str>,
    pub command: Arc<str>,
    pub created_at: UnixMicros,
    pub state: ContainerState,
    pub health: ContainerHealth,
    pub started_at: Option<UnixMicros>,
    pub finished_at: Option<UnixMicros>,
    pub exit_code: Option<i64>,
    pub oom_killed: bool,
    pub ports: Arc<[Port]>,
    pub networks: Texts,
    pub mounts: Texts,
    /// In order of their names.
    pub labels: Labels,
    pub labels_truncated: bool,
    pub restart_policy: Arc<str>,
}

type Texts = Arc<[Arc<str>]>;
type Labels = Arc<[(Arc<str>, Arc<str>)]>;

impl Kept {
    /// The value of a label.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        let place = self.labels.binary_search_by(|(known, _)| (**known).cmp(name)).ok()?;
        Some(&self.labels[place].1)
    }

    /// The compose project it belongs to, by the label both compose generations set.
    #[must_use]
    pub fn compose_project(&self) -> Option<&str> {
        self.label("com.docker.compose.project")
    }

    /// The compose service it is an instance of.
    #[must_use]
    pub fn compose_service(&self) -> Option<&str> {
        self.label("com.docker.compose.service")
    }

    /// The container as an agent tells it.
    #[must_use]
    pub fn to_container(&self) -> Container {
        let texts = |texts: &Texts| texts.iter().map(|text| text.to_string()).collect();
        Container {
            id: self.id.clone(),
            name: self.name.to_string(),
            image: self.image.to_string(),
            image_id: self.image_id.to_string(),
            command: self.command.to_string(),
            created_at: self.created_at,
            state: self.state,
            health: self.health,
            started_at: self.started_at,
            finished_at: self.finished_at,
            exit_code: self.exit_code,
            oom_killed: self.oom_killed,
            ports: self.ports.to_vec(),
            networks: texts(&self.networks),
            mounts: texts(&self.mounts),
            labels: self.labels.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
            labels_truncated: self.labels_truncated,
            restart_policy: self.restart_policy.to_string(),
        }
    }

    /// Whether it is this container, in this state.
    pub(super) fn is(&self, other: &Container) -> bool {
        let same = |ours: &Texts, theirs: &[String]| ours.iter().map(|text| &**text).eq(theirs);
        let labels = self.labels.iter().map(|(name, value)| (&**name, &**value));
        self.id == other.id
            && *self.name == *other.name
            && *self.image == *other.image
            && *self.image_id == *other.image_id
            && *self.command == *other.command
            && self.created_at == other.created_at
            && self.state == other.state
            && self.health == other.health
            && self.started_at == other.started_at
            && self.finished_at == other.finished_at
            && self.exit_code == other.exit_code
            && self.oom_killed == other.oom_killed
            && *self.ports == *other.ports
            && same(&self.networks, &other.networks)
            && same(&self.mounts, &other.mounts)
            && labels.eq(other.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())))
            && self.labels_truncated == other.labels_truncated
            && *self.restart_policy == *other.restart_policy
    }
}

/// What containers share.
#[derive(Debug, Default)]
pub(crate) struct Pool(Mutex<Sets>);

/// The same, while nobody else keeps anything.
#[derive(Debug, Default)]
pub(super) struct Sets {
    texts: Shared<str>,
    lists: Shared<[Arc<str>]>,
    ports: Shared<[Port]>,
    labels: Shared<[(Arc<str>, Arc<str>)]>,
}

impl Pool {
    /// The container as it is kept.
    pub(crate) fn keep(&self, container: Container) -> Kept {
        let sets = &mut *self.lock();
        Kept {
            name: sets.texts.share(container.name),
            image: sets.texts.share(container.image),
            image_id: sets.texts.share(container.image_id),
            command: sets.texts.share(container.command),
            ports: sets.ports(container.ports),
            networks: sets.texts(container.networks),
            mounts: sets.texts(container.mounts),
            labels: {
                let labels = container.labels.into_iter();
                let labels: Vec<_> =
                    labels.map(|(name, value)| (sets.texts.share(name), sets.texts.share(value))).collect();
                sets.labels(labels)
            },
            restart_policy: sets.texts.share(container.restart_policy),
            id: container.id,
            created_at: container.created_at,
            state: container.state,
            health: container.health,
            started_at: container.started_at,
            finished_at: container.finished_at,
            exit_code: container.exit_code,
            oom_killed: container.oom_killed,
            labels_truncated: container.labels_truncated,
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Sets> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sets {
    pub(super) fn text(&mut self, text: &str) -> Arc<str> {
        self.texts.share(text)
    }

    fn texts(&mut self, texts: Vec<String>) -> Texts {
        let texts: Vec<_> = texts.into_iter().map(|text| self.texts.share(text)).collect();
        self.list(texts)
    }

    pub(super) fn list(&mut self, texts: Vec<Arc<str>>) -> Texts {
        self.lists.share(texts)
    }

    pub(super) fn ports(&mut self, ports: Vec<Port>) -> Arc<[Port]> {
        self.ports.share(ports)
    }

    pub(super) fn labels(&mut self, labels: Vec<(Arc<str>, Arc<str>)>) -> Labels {
        self.labels.share(labels)
    }
}

/// Values that are there once, for as long as somebody has them.
#[derive(Debug)]
struct Shared<T: ?Sized> {
    known: HashSet<Arc<T>>,
    /// How many there may be before those that nobody has any more make room.
    sweep_at: usize,
}

/// Values that are never worth a sweep.
const FEW: usize = 1024;

impl<T: ?Sized> Default for Shared<T> {
    fn default() -> Self {
        Self { known: HashSet::new(), sweep_at: FEW }
    }
}

impl<T: ?Sized + Eq + Hash> Shared<T> {
    fn share<V: Borrow<T> + Into<Arc<T>>>(&mut self, value: V) -> Arc<T> {
        let like: &T = value.borrow();
        if let Some(known) = self.known.get(like) {
            return Arc::clone(known);
        }
        if self.known.len() >= self.sweep_at {
            self.known.retain(|one| Arc::strong_count(one) > 1);
            self.sweep_at = (self.known.len() * 2).max(FEW);
        }
        let shared: Arc<T> = value.into();
        self.known.insert(Arc::clone(&shared));
        shared
    }
}

/// The containers of a host, in order of their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Containers(Vec<Arc<Kept>>);

impl Containers {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, id: &ContainerId) -> Option<&Arc<Kept>> {
        self.place(id).ok().map(|place| &self.0[place])
    }

    /// Whether this is one of them.
    #[must_use]
    pub fn contains_key(&self, id: &ContainerId) -> bool {
        self.place(id).is_ok()
    }

    /// Their ids.
    pub fn keys(&self) -> impl Iterator<Item = &ContainerId> {
        self.0.iter().map(|one| &one.id)
    }

    /// All of them.
    pub fn values(&self) -> std::slice::Iter<'_, Arc<Kept>> {
        self.0.iter()
    }

    /// The place of the first that follows this id.
    pub(super) fn place_after(&self, id: &ContainerId) -> usize {
        self.place(id).map_or_else(|place| place, |place| place + 1)
    }

    pub(super) fn insert(&mut self, container: Arc<Kept>) {
        match self.place(&container.id) {
            Ok(place) => self.0[place] = container,
            Err(place) => self.0.insert(place, container),
        }
    }

    pub(super) fn remove(&mut self, id: &ContainerId) {
        if let Ok(place) = self.place(id) {
            self.0.remove(place);
        }
    }

    fn place(&self, id: &ContainerId) -> Result<usize, usize> {
        self.0.binary_search_by(|one| one.id.cmp(id))
    }
}

impl FromIterator<Arc<Kept>> for Containers {
    fn from_iter<I: IntoIterator<Item = Arc<Kept>>>(containers: I) -> Self {
        let mut all: Vec<_> = containers.into_iter().collect();
        all.sort_by(|one, other| one.id.cmp(&other.id));
        all.dedup_by(|later, earlier| later.id == earlier.id);
        all.shrink_to_fit();
        Self(all)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::fixtures::container;

    fn labelled(number: u32, unlike: &str) -> Container {
        let labels = [("com.docker.compose.project", "shop"), ("unlike", unlike)];
        Container {
            labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            networks: vec!["shop_default".to_owned()],
            ports: vec![Port { private: 80, protocol: "tcp".to_owned(), host_ip: None, public: None }],
            ..container(number, ContainerState::Running)
        }
    }

    #[test]
    fn what_is_the_same_is_there_once_and_nothing_is_lost() {
        let pool = Pool::default();
        let (one, two, other) =
            (pool.keep(labelled(1, "a")), pool.keep(labelled(2, "a")), pool.keep(labelled(3, "b")));
        assert!(Arc::ptr_eq(&one.labels, &two.labels) && Arc::ptr_eq(&one.networks, &other.networks));
        assert!(Arc::ptr_eq(&one.ports, &two.ports) && Arc::ptr_eq(&one.labels[0].1, &other.labels[0].1));
        assert_ne!(one.labels, other.labels);
        assert_eq!(other.to_container(), labelled(3, "b"));
        assert!(other.is(&labelled(3, "b")) && !other.is(&labelled(3, "a")));
        assert_eq!(
            (one.compose_project(), one.label("unlike"), one.label("x")),
            (Some("shop"), Some("a"), None)
        );
        let fewer = Container { labels: BTreeMap::new(), ..labelled(3, "b") };
        assert!(!other.is(&fewer) && !pool.keep(fewer).is(&labelled(3, "b")));
    }

    #[test]
    fn what_nobody_has_any_more_makes_room() {
        let pool = Pool::default();
        let kept = pool.keep(labelled(0, "stays"));
        for number in 0..10_000 {
            pool.keep(labelled(number, &format!("goes {number}")));
        }
        let sets = pool.0.lock().unwrap();
        assert!(sets.texts.known.len() <= 2 * FEW && sets.labels.known.len() <= 2 * FEW);
        assert!(sets.labels.known.contains(&kept.labels));
    }
}
