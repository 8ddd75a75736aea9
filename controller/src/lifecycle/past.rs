//! What the containers of a host were in a stretch of time: from the event log, which goes further back than the
//! histories that are kept in memory.

use std::collections::BTreeMap;
use std::time::Duration;

use roadstead_protocol::message::event::EventKind;
use roadstead_protocol::message::ids::ContainerId;
use roadstead_protocol::message::time::UnixMicros;

use super::fact::{self, Fact, Moment, Subject, What};
use super::history::History;
use super::machine::{Machine, Span, Status};
use super::{Lifecycles, picture};
use crate::fleet::Host;
use crate::store::StoreError;
use crate::store::events::EventFilter;

/// Events about containers that are read for one answer, the newest.
pub const MAX_EVENTS: usize = 10_000;

/// What happened so long before the stretch is read too: it says what a container was when the stretch began.
const BEFORE: Duration = Duration::from_secs(24 * 3600);

/// The label and attribute that names a compose project.
const PROJECT: &str = "com.docker.compose.project";

/// What one container was.
#[derive(Clone, Debug, PartialEq)]
pub struct Life {
    /// Whose life.
    pub container: ContainerId,
    /// Its name, as last heard.
    pub name: String,
    /// Its compose project.
    pub project: Option<String>,
    /// What it was, oldest first.
    pub spans: Vec<Span>,
    /// Whether it is in the host's picture now.
    pub present: bool,
}

/// What the containers of a host were.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Past {
    /// Those of a project together, by name.
    pub lives: Vec<Life>,
    /// Whether there were more events than are read for one answer: the oldest spans may be missing.
    pub shortened: bool,
}

impl Life {
    /// Whether there is anything to tell of the time from `since` on: not of what was gone by then.
    fn reaches_into(&self, since: UnixMicros) -> bool {
        let gone = |span: &Span| span.lifecycle.status == Status::Removed && span.lifecycle.since <= since;
        !self.spans.is_empty() && (self.present || !self.spans.iter().all(gone))
    }
}

#[derive(Default)]
struct Heard {
    name: String,
    project: Option<String>,
    facts: BTreeMap<Moment, Fact>,
}

impl Lifecycles {
    /// What the containers of `host` were from `since` to `now`; of `only`, if one is named.
    ///
    /// # Errors
    /// If the event log cannot be read.
    pub async fn past(
        &self,
        host: &Host,
        only: Option<&ContainerId>,
        since: UnixMicros,
        now: UnixMicros,
    ) -> Result<Past, StoreError> {
        let filter = EventFilter {
            instances: None,
            instance: Some(host.record.id.clone()),
            container: only.cloned(),
            kind: Some("container".to_owned()),
            since: Some(since.minus(BEFORE)),
        };
        let events = self.inner.store.events_before(filter, None, MAX_EVENTS + 1).await?;
        let shortened = events.len() > MAX_EVENTS;
        let mut heard: BTreeMap<ContainerId, Heard> = BTreeMap::new();
        // Oldest first, so that the newest name stays.
        for event in events.iter().rev() {
            let EventKind::Container { id, name, attributes, .. } = &event.what else { continue };
            let Some((_, fact)) = fact::of_event(event) else { continue };
            let of = heard.entry(id.clone()).or_default();
            name.as_str().clone_into(&mut of.name);
            of.project = attributes.get(PROJECT).map(str::to_owned).or(of.project.take());
            of.facts.entry(fact.moment).or_insert(fact);
        }
        for id in host.containers.keys().filter(|id| only.is_none_or(|only| only == *id)) {
            heard.entry(id.clone()).or_default();
        }
        let lives = heard.into_iter().map(|(id, of)| self.life(host, id, of, since, now));
        let mut lives: Vec<_> = lives.filter(|life| life.reaches_into(since)).collect();
        lives.sort_by(|one, other| {
            let key = |life: &Life| (life.project.is_none(), life.project.clone(), life.name.clone());
            key(one).cmp(&key(other))
        });
        Ok(Past { lives, shortened })
    }

    fn life(&self, host: &Host, id: ContainerId, heard: Heard, since: UnixMicros, now: UnixMicros) -> Life {
        let Heard { mut name, mut project, mut facts } = heard;
        let book = self.lock();
        let container = host.containers.get(&id);
        let told = match container {
            Some(container) => book.told(&host.record.id, container),
            None => {
                book.history(&host.record.id, &Subject::Container(id.clone())).cloned().unwrap_or_default()
            }
        };
        drop(book);
        for fact in told.facts() {
            facts.entry(fact.moment).or_insert_with(|| fact.clone());
        }
        let machine = machine(&facts, &told);
        let spans = match container {
            Some(container) => {
                name = container.name.to_string();
                project = container.compose_project().map(str::to_owned);
                // Where the log does not lead to what the picture shows, the picture has the last word.
                if picture::explains(&machine, container) {
                    machine.spans(now)
                } else {
                    picture::spans(&told, container, now)
                }
            }
            None => machine.spans(now),
        };
        let spans = spans.into_iter().filter(|span| span.until.is_none_or(|until| until > since)).collect();
        Life { container: id, name, project, spans, present: container.is_some() }
    }
}

fn machine(facts: &BTreeMap<Moment, Fact>, told: &History) -> Machine {
    let checks = |fact: &Fact| matches!(fact.what, What::Starting | What::Healthy | What::Unhealthy);
    let mut machine = Machine::new(told.checked() || facts.values().any(checks));
    for fact in facts.values() {
        machine.see(fact);
    }
    machine
}
