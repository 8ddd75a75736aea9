//! What the domain modules refuse, as problem documents.

use axum::http::StatusCode;
use roadstead_protocol::message::hello::Refusal;
use roadstead_protocol::message::ids::{CommandId, InstanceId};

use super::problem::Problem;
use crate::accounts::{LoginError, UserError};
use crate::commands::{CancelError, IssueError};
use crate::enrolment::EnrolError;
use crate::rollouts::{ChooseError, StartError, StopError};

/// There is no such instance.
pub fn unknown_instance(id: &InstanceId) -> Problem {
    Problem::unknown(
        "unknown-instance",
        format!(
            "There is no instance `{id}`. It may have been removed; GET /api/instances lists those there are."
        ),
    )
}

/// There is no such command.
pub fn unknown_command(id: CommandId) -> Problem {
    Problem::unknown(
        "unknown-command",
        format!("There is no command {id}, or it is too old; GET /api/commands lists those there are."),
    )
}

/// A join token that will not do.
pub fn token_refused(refusal: &Refusal) -> Problem {
    let (slug, title) = match refusal {
        Refusal::TokenExpired => ("join-token-expired", "Join token expired"),
        Refusal::TokenUsed => ("join-token-used", "Join token used"),
        Refusal::TokenMismatch => ("join-token-mismatch", "Join token for something else"),
        _ => ("join-token-unknown", "Join token unknown"),
    };
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, slug, title, sentence(&refusal.to_string()))
        .with("field", "token")
}

impl From<IssueError> for Problem {
    fn from(error: IssueError) -> Self {
        let detail = sentence(&error.to_string());
        match error {
            IssueError::AgentAway => Self::new(StatusCode::CONFLICT, "agent-away", "Agent away", detail),
            IssueError::Policy { verb } => {
                Self::new(StatusCode::FORBIDDEN, "policy", "Refused by the agent's policy", detail)
                    .with("verb", verb.as_str())
            }
            IssueError::Ceiling { verb, .. } => {
                Self::new(StatusCode::FORBIDDEN, "ceiling", "More than may be asked of this instance", detail)
                    .with("verb", verb.as_str())
            }
            IssueError::Busy { running } => {
                Self::new(StatusCode::CONFLICT, "busy", "Busy", detail).with("running", running.to_string())
            }
            IssueError::TooMany { limit } => {
                Self::new(StatusCode::CONFLICT, "too-many-commands", "Too many commands", detail)
                    .with("limit", limit)
            }
            IssueError::Invalid(_) => Self::invalid(detail),
            IssueError::Store(error) => error.into(),
        }
    }
}

impl From<CancelError> for Problem {
    fn from(error: CancelError) -> Self {
        let detail = sentence(&error.to_string());
        match error {
            CancelError::NotFound => Self::unknown("unknown-command", detail),
            CancelError::AlreadyFinal { state } => {
                Self::new(StatusCode::CONFLICT, "command-ended", "Command ended", detail)
                    .with("state", state.as_str())
            }
            CancelError::Store(error) => error.into(),
        }
    }
}

impl From<StartError> for Problem {
    fn from(error: StartError) -> Self {
        let detail = sentence(&error.to_string());
        match error {
            StartError::Choose(ChooseError::Unknown(id)) => unknown_instance(&id),
            StartError::Choose(_) => Self::invalid(detail),
            StartError::Batch(_) => Self::invalid(detail).with("field", "batch_size"),
            StartError::TooMany => {
                Self::new(StatusCode::CONFLICT, "too-many-rollouts", "Too many rollouts", detail)
            }
            StartError::Store(error) => error.into(),
        }
    }
}

impl From<StopError> for Problem {
    fn from(error: StopError) -> Self {
        let detail = sentence(&error.to_string());
        match error {
            StopError::NotFound => Self::unknown("unknown-rollout", detail),
            StopError::Ended => Self::new(StatusCode::CONFLICT, "rollout-ended", "Rollout ended", detail),
            StopError::Store(error) => error.into(),
        }
    }
}

impl From<EnrolError> for Problem {
    fn from(error: EnrolError) -> Self {
        let detail = sentence(&error.to_string());
        match error {
            EnrolError::Invalid(invalid) => Self::invalid(detail).with("field", invalid.field),
            EnrolError::Dial(_) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "address-refused", "Address refused", detail)
                    .with("field", "url")
            }
            EnrolError::NameTaken(_) => {
                Self::new(StatusCode::CONFLICT, "name-taken", "Name taken", detail).with("field", "name")
            }
            EnrolError::UrlTaken(_) => {
                Self::new(StatusCode::CONFLICT, "url-taken", "Address taken", detail).with("field", "url")
            }
            EnrolError::UnknownInstance(id) => unknown_instance(&id),
            EnrolError::UnknownToken(_) => Self::unknown("unknown-token", detail),
            EnrolError::WrongDirection { .. } => {
                Self::new(StatusCode::CONFLICT, "wrong-direction", "Wrong direction", detail)
            }
            EnrolError::Declared(_) => {
                Self::new(StatusCode::CONFLICT, "declared", "Declared in the configuration file", detail)
            }
            EnrolError::NoAgentUrl | EnrolError::TokenText(_) => {
                Self::new(StatusCode::CONFLICT, "no-agent-url", "Controller not set up", detail)
            }
            EnrolError::Store(error) => error.into(),
        }
    }
}

impl From<UserError> for Problem {
    fn from(error: UserError) -> Self {
        let detail = sentence(&error.to_string());
        let conflict = |slug, title| Self::new(StatusCode::CONFLICT, slug, title, detail.clone());
        match error {
            UserError::Invalid { field, .. } => Self::invalid(detail).with("field", field),
            UserError::Password => Self::invalid(detail).with("field", "password"),
            UserError::AdminTags => Self::invalid(detail).with("field", "tags"),
            UserError::Unknown(_) => Self::unknown("unknown-user", detail),
            UserError::Taken(_) | UserError::TokenTaken(_) => {
                conflict("name-taken", "Name taken").with("field", "name")
            }
            UserError::TooMany => conflict("too-many-users", "Too many users"),
            UserError::LastAdmin => conflict("last-admin", "Last administrator"),
            UserError::External { .. } => conflict("external-user", "Kept at the provider"),
            UserError::SecondFactor(_) => conflict("second-factor-state", "Second factor"),
            UserError::TooManyTokens => conflict("too-many-tokens", "Too many tokens"),
            UserError::TokenTooMuch => {
                Self::new(StatusCode::FORBIDDEN, "scope", "Scope too wide", detail).with("field", "scope")
            }
            // Whoever asks is logged in: 401 would tell a browser otherwise.
            UserError::Login(LoginError::Wrong | LoginError::CodeMissing | LoginError::WrongCode) => {
                Self::new(StatusCode::FORBIDDEN, "not-proven", "Not proven", detail)
            }
            UserError::Login(error) => error.into(),
            UserError::Hash(error) => LoginError::Hash(error).into(),
            UserError::Store(error) => error.into(),
        }
    }
}

/// A message as a sentence: errors begin small and end open.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}
