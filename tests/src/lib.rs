//! The harness: private Docker engines, a registry, images, networks and the real Roadstead binaries,
//! each started by a test, each ended with it, also when it panics or is killed.
//!
//! It skips nothing: a missing component fails the test with the command that installs it.

pub mod addresses;
pub mod api;
pub mod condition;
pub mod disk_fault;
pub mod dockerd;
pub mod images;
pub mod netns;
pub mod processes;
pub mod proxy;
pub mod raw;
pub mod registry;
pub mod scratch;
pub mod simulator;
pub mod synthetic_engine;
pub mod tool;
pub mod vitals;
pub mod web_server;

pub use api::Api;
pub use condition::eventually;
pub use disk_fault::DiskFault;
pub use dockerd::{Dockerd, DockerdOptions};
pub use images::{ImageOptions, busybox_image};
pub use netns::Netns;
pub use processes::{AgentOptions, AgentProcess, ControllerOptions, ControllerProcess};
pub use proxy::Proxy;
pub use raw::RawLink;
pub use registry::Registry;
pub use simulator::Simulator;
pub use synthetic_engine::SyntheticEngine;
pub use web_server::{Make, WebServer};
