//! Answers that are one JSON text per line, and may go on for ever.

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};

use super::errors;
use super::wire::Answer;
use crate::engine::EngineError;

/// Longest line that is read, in bytes. An event carries the labels of its container.
const MAX_LINE: usize = 1024 * 1024;

/// The lines of `answer`; an error ends them. Dropping the stream closes the connection.
pub(super) fn lines(answer: Answer) -> BoxStream<'static, Result<Bytes, EngineError>> {
    let lines = Lines { answer: Some(answer), read: BytesMut::new() };
    stream::unfold(lines, |mut lines| async move { Some((lines.next().await?, lines)) }).boxed()
}

struct Lines {
    /// None after a failure, which is told once.
    answer: Option<Answer>,
    read: BytesMut,
}

impl Lines {
    async fn next(&mut self) -> Option<Result<Bytes, EngineError>> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                return Some(Ok(self.read.split_to(end + 1).freeze()));
            }
            let failure = match self.answer.as_mut()?.chunk().await? {
                Ok(data) if self.read.len() + data.len() <= MAX_LINE => {
                    self.read.extend_from_slice(&data);
                    continue;
                }
                Ok(_) => errors::unreadable("a line longer than 1 MiB"),
                Err(error) => error,
            };
            self.answer = None;
            self.read.clear();
            return Some(Err(failure));
        }
    }
}
