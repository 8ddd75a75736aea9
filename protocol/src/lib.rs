//! What a Roadstead agent and controller say to each other ([`message`], pure types and codec), and how two
//! programs hold a line between them ([`link`]).

#[cfg(unix)]
pub mod arguments;
#[cfg(feature = "test-util")]
pub mod fuzz;
pub mod join_token;
pub mod link;
pub mod masking;
pub mod message;
pub mod queue;
