//! Why somebody could not sign in at the provider, by who has to act.

/// Longest text of a provider's that is repeated, in characters.
const LONGEST: usize = 200;

/// Why somebody could not sign in at the provider.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OidcError {
    /// The operator's: the authorities that the provider is verified by.
    #[error("ROADSTEAD_OIDC_CA_FILE: {0}")]
    Authorities(String),
    /// The operator's, or the network's: the provider does not answer.
    #[error(
        "the provider does not answer at {at}: {reason}; try again, and if that does not help, tell an administrator to \
         look whether ROADSTEAD_OIDC_ISSUER is right and this controller can reach it; passwords go on working meanwhile"
    )]
    Unreachable {
        /// Where it was asked.
        at: String,
        /// What happened.
        reason: String,
    },
    /// The operator's: the provider and this controller are not set up for each other.
    #[error("the provider and this controller do not fit together: {0}")]
    Unfit(String),
    /// The provider's, or a forger's: what it says does not hold.
    #[error(
        "the provider's answer cannot be trusted: {0}; sign in again, and tell an administrator if that does not help"
    )]
    Untrue(String),
    /// The person's: the provider did not let them in.
    #[error("the provider did not sign you in: {0}")]
    Denied(String),
    /// The person's: the sign-in was not begun in this browser, took too long, or was finished before.
    #[error(
        "this sign-in took too long, was finished before, or was begun in another browser; begin it again from the \
         sign-in page"
    )]
    NotBegun,
    /// Too many sign-ins wait to be finished.
    #[error("too many sign-ins are under way; try again in a minute")]
    TooMany,
}

impl OidcError {
    pub(super) fn untrue(what: impl Into<String>) -> Self {
        Self::Untrue(what.into())
    }

    /// What a provider sends people back with instead of a code.
    pub(super) fn denied(error: &str, description: Option<&str>) -> Self {
        Self::Denied(said(error, description))
    }
}

/// An error of a provider's, as it may be repeated.
pub(super) fn said(error: &str, description: Option<&str>) -> String {
    let clean = |text: &str| -> String {
        text.chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect()
    };
    match description.map(clean).filter(|text| !text.trim().is_empty()) {
        Some(description) => format!("{} ({description})", clean(error)),
        None => clean(error),
    }
}
