//! A container as the fleet keeps it. Ten thousand hosts run much the same things: texts, lists and sets of labels that are
//! the same are there once for all of them.

use std::sync::Arc;

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

pub(super) type Texts = Arc<[Arc<str>]>;
pub(super) type Labels = Arc<[(Arc<str>, Arc<str>)]>;

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
