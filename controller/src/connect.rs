//! How agents' links become sessions: dialled in or dialled out, then served alike.

use std::sync::Arc;

use crate::admission::Admission;
use crate::commands::Commands;
use crate::enrolment::Enrolment;
use crate::events::Events;
use crate::fleet::Fleet;
use crate::identities::Identities;
use crate::probes::Probes;
use crate::registry::Registry;

pub mod dialling;
pub mod listening;
pub mod refused;
pub mod relaying;
pub mod serving;
mod strangers;

use refused::RefusedAgents;
pub use strangers::Strangers;

/// What every link needs, whoever dialled it.
#[derive(Clone)]
pub struct Front {
    /// Who the controller is.
    pub identities: Identities,
    /// Who may become a session.
    pub admission: Arc<Admission>,
    /// Who is connected.
    pub registry: Registry,
    /// The picture of all hosts.
    pub fleet: Fleet,
    /// The event log.
    pub events: Events,
    /// The command ledger.
    pub commands: Commands,
    /// Refusals in the audit log.
    pub refused: Arc<RefusedAgents>,
    /// Questions waiting for an answer.
    pub probes: Probes,
    /// What may be dialled.
    pub enrolment: Enrolment,
    /// Refusals in the log.
    pub strangers: Arc<Strangers>,
}
