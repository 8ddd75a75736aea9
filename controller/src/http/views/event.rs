//! An event as the API shows it.

use roadstead_protocol::message::event::EventKind;
use roadstead_protocol::message::time::UnixMicros;
use serde::Serialize;

use crate::events::kind;
use crate::http::time::{Time, age_seconds};
use crate::model::EventRecord;

/// One event of the log.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct EventView {
    /// Its place in the log, ascending in order of arrival.
    pub id: i64,
    /// Whose event.
    pub instance: String,
    /// Which kind of event, as the filter `kind` takes it.
    pub kind: &'static str,
    /// When it happened, by the agent's account.
    pub at: Time,
    /// How long ago that is, in seconds.
    pub age_seconds: f64,
    /// When the controller stored it.
    pub received_at: Time,
    /// What happened.
    pub what: EventKind,
}

impl EventView {
    /// The view of `event` at `now`.
    #[must_use]
    pub fn new(event: &EventRecord, now: UnixMicros) -> Self {
        Self {
            id: event.id,
            instance: event.instance.to_string(),
            kind: kind(&event.what),
            at: Time(event.at),
            age_seconds: age_seconds(event.at, now),
            received_at: Time(event.received_at),
            what: event.what.clone(),
        }
    }
}
