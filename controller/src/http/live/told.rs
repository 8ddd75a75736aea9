//! What a live view tells, one type for each kind of event.

use axum::response::sse::Event;
use serde::Serialize;

use super::{LiveView, json_event};
use crate::http::views::command::{CommandView, LogLineView};
use crate::http::views::container::{ContainerView, FiguresView};
use crate::http::views::event::EventView;
use crate::http::views::instance::InstanceView;
use crate::http::views::rollout::RolloutNews;

/// One server-sent event: `event` is its name, `data` its JSON.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(tag = "event", content = "data", rename_all = "snake_case")]
pub enum LiveEvent {
    /// Everything; replaces what was told before.
    View(Box<LiveView>),
    /// An instance is new or changed; its containers are told apart.
    Instance(Box<InstanceView>),
    /// Containers of an instance changed.
    Containers(ContainersChange),
    /// Fresh figures.
    Figures(FiguresChange),
    /// An instance was removed.
    Removed(Removal),
    /// A command is new or changed.
    Command(Box<CommandView>),
    /// A command's log grew.
    Progress(ProgressChange),
    /// A rollout is new or changed.
    Rollout(Box<RolloutNews>),
    /// Something happened.
    Event(Box<EventView>),
}

/// Containers of an instance changed.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ContainersChange {
    /// Which instance.
    pub instance: String,
    /// Whether `upsert` is all there is now.
    pub whole: bool,
    /// New or changed containers.
    pub upsert: Vec<ContainerView>,
    /// Whole ids of those that are gone.
    pub remove: Vec<String>,
}

/// Fresh figures.
#[derive(Serialize, utoipa::ToSchema)]
pub struct FiguresChange {
    /// Which instance.
    pub instance: String,
    /// The newest sample of each container.
    pub samples: Vec<FiguresView>,
}

/// An instance was removed.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Removal {
    /// Which instance.
    pub instance: String,
}

/// A command's log grew.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ProgressChange {
    /// Which command.
    pub command: String,
    /// Where it runs.
    pub instance: String,
    /// The new lines.
    pub lines: Vec<LogLineView>,
}

impl LiveEvent {
    /// As it is sent: the name apart from the data.
    pub fn into_sse(self) -> Event {
        match self {
            Self::View(data) => json_event("view", &data),
            Self::Instance(data) => json_event("instance", &data),
            Self::Containers(data) => json_event("containers", &data),
            Self::Figures(data) => json_event("figures", &data),
            Self::Removed(data) => json_event("removed", &data),
            Self::Command(data) => json_event("command", &data),
            Self::Progress(data) => json_event("progress", &data),
            Self::Rollout(data) => json_event("rollout", &data),
            Self::Event(data) => json_event("event", &data),
        }
    }
}
