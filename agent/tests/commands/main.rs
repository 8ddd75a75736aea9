//! Commands against the fake engine, under paused time.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod container_commands;
mod engine_strategy;
mod executor;
mod interrupted;
mod limits;
mod programs;
mod restarted;
mod support;
