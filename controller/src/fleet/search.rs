//! Finds containers among those of all hosts, in an order that stands while they change: by instance, then by id.

use std::fmt;
use std::ops::Bound;
use std::str::FromStr;
use std::sync::Arc;

use roadstead_protocol::message::container::{ContainerHealth, ContainerState};
use roadstead_protocol::message::ids::{ContainerId, InstanceId};

use super::{Fleet, Host, Kept};
use crate::model::scope::Scope;

/// Hosts that are looked through before others get their turn.
const HOSTS_AT_ONCE: usize = 16;

/// Words that are looked for; further ones narrow nothing.
const MAX_WORDS: usize = 16;

/// Which containers to find; what is left out fits every one.
#[derive(Clone, Debug, Default)]
pub struct ContainerFilter {
    /// Only this instance's.
    pub instance: Option<InstanceId>,
    /// Only those of this compose project.
    pub project: Option<String>,
    /// Only those in this state.
    pub state: Option<ContainerState>,
    /// Only those whose health check says this.
    pub health: Option<ContainerHealth>,
    /// See [`with_text`](Self::with_text).
    pub(crate) words: Vec<String>,
}

/// The place of a container in the order: `instance/container` as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerPlace {
    instance: InstanceId,
    container: ContainerId,
}

/// Containers of one host that fit.
pub struct Found {
    /// The host.
    pub host: Arc<Host>,
    /// Where its containers that fit are among all of its.
    places: Vec<usize>,
}

/// A page of what was found.
pub struct FoundPage {
    /// By instance; none is empty.
    pub found: Vec<Found>,
    /// The last container of the page, if others follow.
    pub next: Option<ContainerPlace>,
}

/// A walk through the containers of all hosts, some hosts at a step: nothing is held between steps but the place.
pub struct Search {
    fleet: Fleet,
    filter: ContainerFilter,
    scope: Scope,
    next: Next,
    /// What is looked through of one container, kept for its room.
    text: String,
}

/// Where a walk goes on.
enum Next {
    First,
    /// With the containers after this one.
    Within(ContainerPlace),
    /// With the hosts after this one.
    After(InstanceId),
    Nowhere,
}

impl ContainerFilter {
    /// Narrowed to containers in which each word of `text` is somewhere: in the name, the image, the compose project or
    /// service, the id, or the name of the host, whatever the case.
    #[must_use]
    pub fn with_text(mut self, text: &str) -> Self {
        self.words = text.to_lowercase().split_whitespace().take(MAX_WORDS).map(str::to_owned).collect();
        self
    }

    fn fits(&self, host: &Host, container: &Kept, text: &mut String) -> bool {
        if self.state.is_some_and(|state| state != container.state)
            || self.health.is_some_and(|health| health != container.health)
            || self.project.as_deref().is_some_and(|project| container.compose_project() != Some(project))
        {
            return false;
        }
        if self.words.is_empty() {
            return true;
        }
        text.clear();
        let (project, service) = (container.compose_project(), container.compose_service());
        let parts = [&*host.record.name, &*container.name, &*container.image, container.id.as_str()];
        for part in parts.into_iter().chain(project).chain(service) {
            text.push_str(part);
            text.push('\n');
        }
        if text.is_ascii() {
            text.make_ascii_lowercase();
        } else {
            *text = text.to_lowercase();
        }
        self.words.iter().all(|word| text.contains(word.as_str()))
    }
}

impl Search {
    /// Begins with the containers that come after `after` in the order. Only hosts that `scope` holds are looked at.
    #[must_use]
    pub fn new(fleet: Fleet, filter: ContainerFilter, scope: Scope, after: Option<ContainerPlace>) -> Self {
        let next = after.map_or(Next::First, Next::Within);
        Self { fleet, filter, scope, next, text: String::new() }
    }

    /// The next `limit` containers that fit.
    pub async fn page(mut self, limit: usize) -> FoundPage {
        let (mut found, mut count) = (Vec::new(), 0);
        // One more tells whether there is another page.
        while let Some(some) = self.step(limit + 1 - count) {
            count += some.iter().map(|one| one.places.len()).sum::<usize>();
            found.extend(some);
            if count > limit {
                break;
            }
            tokio::task::yield_now().await;
        }
        if count <= limit {
            return FoundPage { found, next: None };
        }
        if let Some(last) = found.last_mut() {
            last.places.pop();
        }
        found.retain(|one| !one.places.is_empty());
        let next = found.last().and_then(Found::end);
        FoundPage { found, next }
    }

    /// Looks through some hosts more and gives at most `most` containers that fit, often fewer, or none; nothing when
    /// all were looked at.
    pub fn step(&mut self, most: usize) -> Option<Vec<Found>> {
        let only = self.filter.instance.clone();
        let (from, mut after) = match std::mem::replace(&mut self.next, Next::Nowhere) {
            Next::First => (only.clone().map_or(Bound::Unbounded, Bound::Included), None),
            Next::Within(place) => (Bound::Included(place.instance.clone()), Some(place)),
            Next::After(instance) => (Bound::Excluded(instance), None),
            Next::Nowhere => return None,
        };
        let hosts = self.fleet.hosts_from(from.as_ref(), HOSTS_AT_ONCE);
        let whole = hosts.len() == HOSTS_AT_ONCE;
        let (mut found, mut room, mut last) = (Vec::new(), most, None);
        for host in hosts {
            let id = &host.record.id;
            if only.as_ref().is_some_and(|only| only != id) {
                return Some(found);
            }
            last = Some(id.clone());
            let after = after.take().filter(|place| place.instance == *id);
            if !self.scope.holds(&host.record) {
                continue;
            }
            let (filter, text) = (&self.filter, &mut self.text);
            let first = after.map_or(0, |place| host.containers.place_after(&place.container));
            let rest = host.containers.values().enumerate().skip(first);
            let fitting = rest.filter(|(_, one)| filter.fits(&host, one, text)).take(room);
            let places: Vec<_> = fitting.map(|(place, _)| place).collect();
            room -= places.len();
            let fitting = Found { host, places };
            let end = fitting.end();
            if end.is_some() {
                found.push(fitting);
            }
            if room == 0 {
                self.next = end.map_or(Next::Nowhere, Next::Within);
                return Some(found);
            }
        }
        self.next = last.filter(|_| whole).map_or(Next::Nowhere, Next::After);
        Some(found)
    }
}

impl Found {
    /// Its containers that fit, by id.
    pub fn containers(&self) -> impl DoubleEndedIterator<Item = &Kept> {
        let all = self.host.containers.values().as_slice();
        self.places.iter().map(|place| &*all[*place])
    }

    fn end(&self) -> Option<ContainerPlace> {
        let last = self.containers().next_back()?;
        Some(ContainerPlace { instance: self.host.record.id.clone(), container: last.id.clone() })
    }
}

impl fmt::Display for ContainerPlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.instance, self.container)
    }
}

impl FromStr for ContainerPlace {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once('/').and_then(|(instance, container)| {
            Some(Self { instance: instance.parse().ok()?, container: container.parse().ok()? })
        });
        parts.ok_or("This is no cursor; take `next` of the page before as it is.")
    }
}
