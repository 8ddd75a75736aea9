//! The Roadstead controller: registry of instances, durable events, commands, HTTP API and web UI.

pub mod accounts;
pub mod admission;
pub mod audit;
pub mod commands;
pub mod dial_allow;
pub mod enrolment;
pub mod events;
pub mod fleet;
pub mod http;
pub mod model;
pub mod probes;
pub mod registry;
pub mod store;
