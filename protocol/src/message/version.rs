//! The protocol's version, and the rules by which it may change.
//!
//! - **Minor**: additions only. A new field has a `#[serde(default)]`; a new variant is read by older programs as
//!   `Unknown` and skipped. Programs of one major version always talk, whatever their minors. A message never takes the
//!   name of one of the other direction.
//! - **Major**: anything else. A program refuses another major version by name
//!   ([`Refusal::Version`](super::hello::Refusal::Version)), so that a person can read why.
//!
//! The bytes of every message of a released version are frozen in `protocol/tests/wire/`.

use serde::{Deserialize, Serialize};

/// The version this code speaks.
pub const CURRENT: ProtocolVersion = ProtocolVersion { major: 1, minor: 1 };

/// A protocol version as it is sent in Hello and Welcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProtocolVersion {
    /// Changes when old programs could misread new messages.
    pub major: u16,
    /// Counts additions.
    pub minor: u16,
}

impl ProtocolVersion {
    /// Whether a program of this version can hold a session with one of `other`.
    #[must_use]
    pub const fn talks_to(self, other: Self) -> bool {
        self.major == other.major
    }
}
