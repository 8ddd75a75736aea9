//! The messages: plain serde types, one enum per direction, and the codec that bounds them. No I/O here.

pub mod codec;
pub mod command;
pub mod container;
pub mod event;
pub mod hello;
pub mod ids;
pub mod policy;
pub mod progress;
pub mod snapshot;
pub mod time;
pub mod to_agent;
pub mod to_controller;
pub mod version;
