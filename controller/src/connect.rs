//! How agents' links become sessions: dialled in or dialled out, then served alike.

use std::sync::Arc;

use roadstead_protocol::link::identity::Identity;

use crate::admission::Admission;
use crate::commands::Commands;
use crate::dial_allow::DialAllow;
use crate::events::Events;
use crate::fleet::Fleet;
use crate::probes::Probes;
use crate::registry::Registry;

pub mod dialling;
pub mod listening;
pub mod refused;
pub mod serving;

use refused::RefusedAgents;

/// What every link needs, whoever dialled it.
#[derive(Clone)]
pub struct Front {
    /// Who the controller is.
    pub identity: Identity,
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
    pub dial_allow: Arc<DialAllow>,
}
