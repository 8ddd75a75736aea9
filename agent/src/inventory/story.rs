//! What the recorded events tell about each container, and which events are missing from that to explain how the
//! container is now. Pure.
//!
//! Events are lost now and then: an engine keeps only a few for those who were away, and none over its own restart.
//! So the events told so far are folded into a [`Story`] per container, and whenever the containers are listed after
//! a gap, whatever the stories do not explain becomes an event that was inferred.

use std::collections::BTreeMap;

use roadstead_protocol::message::container::{Container, ContainerHealth, ContainerState};
use roadstead_protocol::message::event::EventKind;
use roadstead_protocol::message::ids::ContainerId;
use roadstead_protocol::message::time::UnixMicros;
use serde::{Deserialize, Serialize};

/// Labels that inferred events carry, as told ones do.
const KEPT_LABELS: [&str; 2] = ["com.docker.compose.project", "com.docker.compose.service"];

/// Actions after which a container's phase is known whatever came before.
const TELLS_A_PHASE: [&str; 5] = ["create", "start", "die", "pause", "unpause"];

const HEALTH: &str = "health_status: ";

/// What the events told of one container come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Story {
    name: String,
    image: String,
    labels: BTreeMap<String, String>,
    phase: Phase,
    /// When its last told run began. None right after a start was told: the engine tells the exact time elsewhere.
    started_at: Option<UnixMicros>,
    /// When its last told run ended. None right after that was told.
    finished_at: Option<UnixMicros>,
    health: ContainerHealth,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Phase {
    Created,
    Running,
    Paused,
    Stopped,
}

/// The stories of all containers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stories {
    stories: BTreeMap<ContainerId, Story>,
    /// Whether there was ever a list to begin with.
    begun: bool,
}

impl Stories {
    /// Takes an event into account. Repeats of the last few events, all of them and in order, change nothing.
    pub fn tell(&mut self, event: &EventKind) {
        let EventKind::Container { id, name, image, action, attributes, .. } = event else { return };
        if action == "destroy" {
            self.stories.remove(id);
            return;
        }
        if !self.stories.contains_key(id) && !TELLS_A_PHASE.contains(&action.as_str()) {
            return;
        }
        let story = self.stories.entry(id.clone()).or_insert_with(|| Story {
            name: name.to_string(),
            image: image.to_string(),
            labels: kept(|key| attributes.get(key)),
            phase: Phase::Created,
            started_at: None,
            finished_at: None,
            health: ContainerHealth::None,
        });
        match action.as_str() {
            "create" => story.phase = Phase::Created,
            "start" => {
                (story.phase, story.started_at) = (Phase::Running, None);
                story.health = ContainerHealth::None;
            }
            "unpause" => story.phase = Phase::Running,
            "pause" => story.phase = Phase::Paused,
            "die" => (story.phase, story.finished_at) = (Phase::Stopped, None),
            "rename" => name.as_str().clone_into(&mut story.name),
            _ => match action.strip_prefix(HEALTH) {
                Some("healthy") => story.health = ContainerHealth::Healthy,
                Some("unhealthy") => story.health = ContainerHealth::Unhealthy,
                _ => {}
            },
        }
    }

    /// Fills in the times that events leave open, once the container has been looked at.
    pub fn date(&mut self, now: &Container) {
        let Some(story) = self.stories.get_mut(&now.id) else { return };
        if phase(now.state) == Some(story.phase) {
            story.started_at = story.started_at.or(now.started_at);
            if story.phase == Phase::Stopped {
                story.finished_at = story.finished_at.or(now.finished_at);
            }
        }
    }

    /// The containers there is a story of.
    pub fn ids(&self) -> impl Iterator<Item = &ContainerId> {
        self.stories.keys()
    }

    /// Whether there is anything to compare with: the very first list explains itself.
    #[must_use]
    pub fn begun(&self) -> bool {
        self.begun
    }

    /// From here on, what a list shows and no event told is worth an event.
    pub fn begin(&mut self) {
        self.begun = true;
    }

    /// The events missing between what was told of a container and how it is `now` (none: it is gone), oldest first.
    #[must_use]
    pub fn missing(&self, id: &ContainerId, now: Option<&Container>) -> Vec<EventKind> {
        let told = self.stories.get(id);
        let Some(now) = now else {
            return told.cloned().map(|story| story.event_of_loss(id)).unwrap_or_default();
        };
        let missing = match told {
            Some(story) => story.missing(now),
            None if self.begun => missing_from_the_beginning(now),
            None => Vec::new(),
        };
        let story = self.as_it_is(now);
        missing.into_iter().map(|(action, exit_code)| story.event(id, action, exit_code)).collect()
    }

    /// What is [`missing`](Self::missing); afterwards the story explains it.
    pub fn infer(&mut self, id: &ContainerId, now: Option<&Container>) -> Vec<EventKind> {
        let missing = self.missing(id, now);
        match now {
            Some(now) => self.stories.insert(id.clone(), self.as_it_is(now)),
            None => self.stories.remove(id),
        };
        missing
    }

    /// The story that explains a container as it is.
    fn as_it_is(&self, now: &Container) -> Story {
        let told = self.stories.get(&now.id).map(|story| story.phase);
        let phase = phase(now.state).or(told).unwrap_or(Phase::Stopped);
        Story {
            name: now.name.clone(),
            image: now.image.clone(),
            labels: kept(|key| now.labels.get(key).map(String::as_str)),
            phase,
            started_at: now.started_at,
            finished_at: now.finished_at,
            health: now.health,
        }
    }
}

/// An action, with the exit code where one belongs to it.
type Missing = (String, Option<i64>);

impl Story {
    fn missing(&self, now: &Container) -> Vec<Missing> {
        let mut missing = Vec::new();
        if self.name != now.name {
            missing.push(("rename".to_owned(), None));
        }
        let (start, die) = (("start".to_owned(), None), ("die".to_owned(), now.exit_code));
        let differs = |told: Option<UnixMicros>, now| told.is_some() && told != now;
        let mut runs = matches!(self.phase, Phase::Running | Phase::Paused);
        match phase(now.state) {
            Some(Phase::Running | Phase::Paused) if runs && differs(self.started_at, now.started_at) => {
                // The code of the run in between is not to be had any more.
                missing.extend([("die".to_owned(), None), start]);
            }
            Some(Phase::Running | Phase::Paused) if !runs => {
                missing.push(start);
                runs = true;
            }
            Some(Phase::Stopped) if runs => missing.push(die),
            Some(Phase::Stopped) if self.phase == Phase::Created && now.started_at.is_some() => {
                missing.extend([start, die]);
            }
            Some(Phase::Stopped) if differs(self.finished_at, now.finished_at) => {
                missing.extend([start, die])
            }
            _ => {}
        }
        match (self.phase, phase(now.state)) {
            (before, Some(Phase::Paused)) if before != Phase::Paused => {
                missing.push(("pause".to_owned(), None))
            }
            (Phase::Paused, Some(Phase::Running)) if runs => missing.push(("unpause".to_owned(), None)),
            _ => {}
        }
        let health = match now.health {
            ContainerHealth::Healthy => "healthy",
            ContainerHealth::Unhealthy => "unhealthy",
            _ => return missing,
        };
        if self.health != now.health {
            missing.push((format!("{HEALTH}{health}"), None));
        }
        missing
    }

    fn event_of_loss(self, id: &ContainerId) -> Vec<EventKind> {
        let ran = matches!(self.phase, Phase::Running | Phase::Paused);
        let actions = if ran { &["die", "destroy"][..] } else { &["destroy"] };
        actions.iter().map(|action| self.event(id, (*action).to_owned(), None)).collect()
    }

    fn event(&self, id: &ContainerId, action: String, exit_code: Option<i64>) -> EventKind {
        let exit_code = exit_code.map(|code| code.to_string());
        let labels = self.labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        EventKind::Container {
            id: id.clone(),
            name: (&self.name).into(),
            image: (&self.image).into(),
            action: action.into(),
            attributes: labels.chain(exit_code.as_deref().map(|code| ("exitCode", code))).collect(),
            inferred: true,
        }
    }
}

fn missing_from_the_beginning(now: &Container) -> Vec<Missing> {
    let unborn = Story {
        name: now.name.clone(),
        image: now.image.clone(),
        labels: BTreeMap::new(),
        phase: Phase::Created,
        started_at: None,
        finished_at: None,
        health: ContainerHealth::None,
    };
    let mut missing = vec![("create".to_owned(), None)];
    missing.extend(unborn.missing(now));
    missing
}

/// The phase that a state of the engine belongs to; none if it tells nothing.
fn phase(state: ContainerState) -> Option<Phase> {
    match state {
        ContainerState::Created => Some(Phase::Created),
        ContainerState::Running => Some(Phase::Running),
        ContainerState::Paused => Some(Phase::Paused),
        // Between two runs: the end of one was told, the start of the next will be.
        ContainerState::Restarting | ContainerState::Exited | ContainerState::Dead => Some(Phase::Stopped),
        ContainerState::Removing | ContainerState::Unknown => None,
    }
}

fn kept<'a>(label: impl Fn(&str) -> Option<&'a str>) -> BTreeMap<String, String> {
    let one = |key: &str| Some((key.to_owned(), label(key)?.to_owned()));
    KEPT_LABELS.iter().filter_map(|key| one(key)).collect()
}

#[cfg(test)]
mod tests;
