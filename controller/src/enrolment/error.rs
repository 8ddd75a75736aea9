//! Why an enrolment is refused.

use roadstead_protocol::message::codec::EncodeError;
use roadstead_protocol::message::ids::{InstanceId, TokenId};

use super::fields::InvalidField;
use crate::dial_allow::DialRefused;
use crate::model::{Direction, InstanceRecord};
use crate::store::StoreError;
use crate::store::instances::Conflict;

/// Why an enrolment was refused. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The caller gave a value that cannot be.
    #[error(transparent)]
    Invalid(#[from] InvalidField),
    /// The address may not be dialled.
    #[error("{0}.")]
    Dial(#[from] DialRefused),
    /// Another instance has the name.
    #[error("An instance is named `{0}` already. Choose another name.")]
    NameTaken(String),
    /// Another instance has the address.
    #[error("An instance with the address {0} is registered already. Change or remove that one.")]
    UrlTaken(String),
    /// The configuration file decides about the instance.
    #[error(
        "`{0}` is declared in the controller's configuration file, which decides about its name, address, tags, \
         environment and whether it is there. Change [[agents]] there, then reload the configuration."
    )]
    Declared(String),
    /// No such instance.
    #[error("There is no instance `{0}`. It may have been removed; list the instances.")]
    UnknownInstance(InstanceId),
    /// No such token.
    #[error("There is no join token {0}. It may have been revoked, or it expired long ago; list the tokens.")]
    UnknownToken(TokenId),
    /// The instance has the other direction.
    #[error("`{name}` is {}. Make a token of that direction, or change the instance's address.", match direction {
        Direction::Inbound => "dialled by the controller (inbound)",
        Direction::Outbound => "to dial the controller (outbound)",
    })]
    WrongDirection {
        /// The instance.
        name: String,
        /// The direction it has.
        direction: Direction,
    },
    /// The operator has not said where agents reach the controller.
    #[error(
        "The controller does not know its own address for agents. Set ROADSTEAD_AGENT_URL, for example to wss://controller.example.org:8081."
    )]
    NoAgentUrl,
    /// The operator's addresses are too many or too long.
    #[error("The token cannot be made: {0}. Shorten ROADSTEAD_AGENT_URL.")]
    TokenText(#[from] EncodeError),
    /// The store failed.
    #[error("It could not be stored: {0}. Look at the controller's log and disk, then try again.")]
    Store(#[from] StoreError),
}

pub(super) fn conflict_error(conflict: Conflict, record: &InstanceRecord) -> EnrolError {
    match (conflict, &record.url) {
        (Conflict::Url, Some(url)) => EnrolError::UrlTaken(url.clone()),
        (Conflict::Name, _) => EnrolError::NameTaken(record.name.clone()),
        // Ids and keys are not people's to choose: these cannot come from a request.
        (Conflict::Url | Conflict::Id | Conflict::Key, _) => StoreError::Corrupt("instances").into(),
    }
}
