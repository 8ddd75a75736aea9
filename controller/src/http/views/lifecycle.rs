//! A lifecycle as the API shows it.

use roadstead_protocol::message::time::UnixMicros;
use serde::Serialize;

use crate::http::time::Time;
use crate::lifecycle::past::Past;
use crate::lifecycle::{Lifecycle, Reason, Span};

/// Where a container or project is in its life.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct LifecycleView {
    /// `installing`, `ready`, `failed`, `stopped` or `removed`.
    pub status: &'static str,
    /// Why, for a person to read; always there for `failed`.
    pub reason: Option<String>,
    /// The kind of reason: `exit`, `out_of_memory`, `unhealthy`, `restart_loop`, `command` or `paused`.
    pub cause: Option<&'static str>,
    /// Since when, by the engine's clock.
    pub since: Time,
}

/// A stretch of a container's life.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct SpanView {
    /// `installing`, `ready`, `failed`, `stopped` or `removed`.
    pub status: &'static str,
    /// Why, for a person to read.
    pub reason: Option<String>,
    /// The kind of reason, as in a lifecycle.
    pub cause: Option<&'static str>,
    /// From when.
    pub from: Time,
    /// Until when; none for the present one.
    pub until: Option<Time>,
}

/// The life of a container.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct SpansView {
    /// On which instance.
    pub instance: String,
    /// Whole id of the container.
    pub full_id: String,
    /// The stretches, oldest first.
    pub spans: Vec<SpanView>,
    /// Whether what was before is left out; the event log may still have it.
    pub shortened: bool,
    /// When this was true.
    pub at: Time,
}

/// What the containers of an instance were.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct LivesView {
    /// Of which instance.
    pub instance: String,
    /// From when.
    pub since: Time,
    /// Until when.
    pub at: Time,
    /// The containers: those of a project together, by name.
    pub containers: Vec<LifeView>,
    /// Whether there were more events than are read for one answer: the oldest spans may be missing.
    pub shortened: bool,
}

/// What one container was.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct LifeView {
    /// Its whole id.
    pub full_id: String,
    /// Its name, as last heard.
    pub name: String,
    /// Its compose project.
    pub project: Option<String>,
    /// Whether it is there now.
    pub present: bool,
    /// What it was, oldest first.
    pub spans: Vec<SpanView>,
}

impl LivesView {
    /// The view of `past`, from `since` to `now`.
    #[must_use]
    pub fn new(instance: String, past: &Past, since: UnixMicros, now: UnixMicros) -> Self {
        let containers = past.lives.iter().map(|life| LifeView {
            full_id: life.container.to_string(),
            name: life.name.clone(),
            project: life.project.clone(),
            present: life.present,
            spans: life.spans.iter().map(SpanView::new).collect(),
        });
        let containers = containers.collect();
        Self { instance, since: Time(since), at: Time(now), containers, shortened: past.shortened }
    }
}

impl SpanView {
    /// The view of `span`.
    #[must_use]
    pub fn new(span: &Span) -> Self {
        let LifecycleView { status, reason, cause, since } = LifecycleView::new(&span.lifecycle);
        Self { status, reason, cause, from: since, until: span.until.map(Time) }
    }
}

impl LifecycleView {
    /// The view of `lifecycle`.
    #[must_use]
    pub fn new(lifecycle: &Lifecycle) -> Self {
        Self {
            status: lifecycle.status.as_str(),
            reason: lifecycle.reason.as_ref().map(in_words),
            cause: lifecycle.reason.as_ref().map(cause),
            since: Time(lifecycle.since),
        }
    }
}

impl SpansView {
    /// The view of `spans` at `now`.
    #[must_use]
    pub fn new(instance: String, full_id: String, spans: &[Span], shortened: bool, now: UnixMicros) -> Self {
        let spans = spans.iter().map(SpanView::new).collect();
        Self { instance, full_id, spans, shortened, at: Time(now) }
    }
}

fn in_words(reason: &Reason) -> String {
    match reason {
        Reason::Exit(code) => format!("ended with exit code {code}"),
        Reason::OutOfMemory => "ran out of memory".to_owned(),
        Reason::Unhealthy => "its health check fails".to_owned(),
        Reason::RestartLoop(Some(code)) => {
            format!("ends again and again soon after it starts, last with exit code {code}")
        }
        Reason::RestartLoop(None) => "ends again and again soon after it starts".to_owned(),
        Reason::Command(why) => why.clone(),
        Reason::Paused => "paused".to_owned(),
        Reason::Member(name, reason) => format!("{name}: {}", in_words(reason)),
    }
}

fn cause(reason: &Reason) -> &'static str {
    match reason {
        Reason::Exit(_) => "exit",
        Reason::OutOfMemory => "out_of_memory",
        Reason::Unhealthy => "unhealthy",
        Reason::RestartLoop(_) => "restart_loop",
        Reason::Command(_) => "command",
        Reason::Paused => "paused",
        Reason::Member(_, reason) => cause(reason),
    }
}
