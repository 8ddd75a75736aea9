//! The Roadstead controller: registry of instances, durable events, commands, HTTP API and web UI.

pub mod accounts;
pub mod admission;
pub mod audit;
pub mod cli;
pub mod commands;
pub mod config;
pub mod connect;
pub mod controller;
pub mod dial_allow;
pub mod enrolment;
pub mod events;
#[cfg(test)]
mod fixtures;
pub mod fleet;
pub mod http;
pub mod identities;
pub mod lifecycle;
pub mod log;
pub mod model;
pub mod networks;
pub mod oidc;
pub mod probes;
pub mod registry;
pub mod relayed;
pub mod reload;
pub mod rollouts;
pub mod rotation;
pub mod store;
pub mod supervised;
pub mod web_url;
