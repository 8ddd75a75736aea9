//! Scenarios on real parts: each reads as a sentence, awaits conditions, and leaves nothing behind.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests, where a panic is a failure")]

mod clock_steps;
mod copied_outbox;
mod disk_faults;
mod engine;
mod fleet;
mod harness;
mod hostile;
mod hostile_agent;
mod hostile_controller;
mod images;
mod interrupted;
mod joining;
mod keys;
mod limits;
mod local_agent;
mod many;
mod own_controller;
mod private_registry;
mod problems;
mod recovery;
mod secrets;
mod site;
mod strangers;
mod sync;
mod sync_through_api;
mod truth;
mod upgrade;
mod web_server;
