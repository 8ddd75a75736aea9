//! What a person may do, as one word.

use std::str::FromStr;

/// A person's role; each may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Looks, without an account, in demo mode alone.
    Guest,
    /// Looks.
    Viewer,
    /// Changes instances and runs commands.
    Operator,
    /// Sees the audit log as well, and manages users.
    Admin,
}

/// Text that is not a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a role; the roles are: admin operator viewer guest")]
pub struct UnknownRole;

impl Role {
    /// Every role, from the least to the most.
    pub const ALL: [Self; 4] = [Self::Guest, Self::Viewer, Self::Operator, Self::Admin];

    /// The word used in storage, API and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// Whether the role may register, change and remove instances and run commands.
    #[must_use]
    pub const fn changes(self) -> bool {
        matches!(self, Self::Operator | Self::Admin)
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(UnknownRole)
    }
}
