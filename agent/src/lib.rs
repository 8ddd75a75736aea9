//! The Roadstead agent: runs beside one Docker engine, tells the controller about it, and does what its owner
//! allows.

pub mod agent;
pub mod commands;
pub mod config;
pub mod engine;
pub mod executor;
pub mod figures;
pub mod inventory;
pub mod keys;
pub mod log;
pub mod membership;
pub mod outbox;
pub mod policy;
pub mod program;
mod record;
pub mod serving;
pub mod watcher;
