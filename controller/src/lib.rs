//! The Roadstead controller: registry of instances, durable events, commands, HTTP API and web UI.

pub mod accounts;
pub mod audit;
pub mod commands;
pub mod model;
pub mod registry;
pub mod store;
