//! The Roadstead agent: runs beside one Docker engine, tells the controller about it, and does what its owner
//! allows.

pub mod commands;
pub mod engine;
pub mod executor;
pub mod figures;
pub mod inventory;
pub mod outbox;
pub mod policy;
pub mod watcher;
