//! The messages: plain serde types, one enum per direction, and the codec that bounds them. No I/O here.

pub mod attributes;
pub mod codec;
pub mod command;
pub mod container;
pub mod event;
pub mod hello;
pub mod ids;
pub mod inspection;
pub mod policy;
pub mod printable;
pub mod progress;
pub mod snapshot;
mod tagged;
pub mod time;
pub mod to_agent;
pub mod to_controller;
pub mod version;

/// A message that travels in one direction of a session.
pub trait Directed: serde::Serialize + serde::de::DeserializeOwned + Send + 'static {
    /// What travels in the other direction. No message has the name of one of these.
    type Opposite: Directed;

    /// Whether this is a message of a newer version, to be skipped.
    fn is_unknown(&self) -> bool;
}
