//! Scenarios on real parts: each reads as a sentence, awaits conditions, and leaves nothing behind.

mod engine;
mod fleet;
mod harness;
mod images;
mod local_agent;
mod private_registry;
mod recovery;
mod site;
mod sync;
mod truth;
