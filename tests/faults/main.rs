//! stub
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests, where a panic is a failure")]
mod checker;
mod schedule;
