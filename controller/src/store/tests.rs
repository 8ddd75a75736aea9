//! The store as a whole: what damage does to it, and which way its statements take.

mod corruptions;
mod intake;
mod plans;
