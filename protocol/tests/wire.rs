//! The bytes of every message of every released protocol version.
//!
//! The table of a version (`wire/v1.txt`: a name and hexadecimal bytes a line) is frozen: programs in the field write
//! and read exactly this. A line is never changed; a new message or variant adds lines. `ROADSTEAD_BLESS=1 cargo test
//! -p roadstead-protocol --test wire` writes the table anew, and the diff then has to show additions only.
//!
//! When a minor version adds a *field*, the values no longer encode to the old bytes: copy the table to `v1_1.txt`, let
//! that one be compared in both directions and the old one by decoding only. Whoever adds a field without
//! `#[serde(default)]` finds out because the old table no longer decodes.
#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is a failure")]

#[path = "wire/evolution.rs"]
mod evolution;
#[path = "wire/table.rs"]
mod table;
#[path = "wire/tree.rs"]
mod tree;
#[path = "wire/v1.rs"]
mod v1;
