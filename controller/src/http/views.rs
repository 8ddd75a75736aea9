//! What the API shows, as plain types made from the controller's records and the time they are shown at.

pub mod command;
pub mod container;
pub mod details;
pub mod event;
pub mod instance;
pub mod lifecycle;
pub mod load;
pub mod project;
pub mod rollout;
pub mod row;
mod status;
