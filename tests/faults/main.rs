//! The fault suite: real programs, seeded faults, and a check that nothing is lost, doubled or untrue.
//!
//! Its short form is part of `make test`; `make faults` runs it at length. Every run prints its seed and its schedule,
//! and `ROADSTEAD_FAULTS_SEED` repeats them; see `options` for the other settings.
#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is a failure")]

mod bad_line;
mod checker;
mod faults;
mod fleet;
mod lanes;
mod leaks;
mod options;
mod orders;
mod reading;
mod real;
mod report;
mod rounds;
mod schedule;
mod site;
mod suite;
#[path = "../scenarios/truth.rs"]
mod truth;
