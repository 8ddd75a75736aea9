//! Commands and their logs.

use roadstead_protocol::message::ids::InstanceId;

use crate::model::CommandState;

/// Which commands to list; the default is all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandFilter {
    /// Only this instance's.
    pub instance: Option<InstanceId>,
    /// Only those in this state.
    pub state: Option<CommandState>,
    /// Only those that have not ended.
    pub unfinished: bool,
}
