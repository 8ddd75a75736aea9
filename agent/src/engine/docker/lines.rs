//! Answers that are one JSON text per line, and may go on for ever.

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};

use super::errors;
use super::wire::Answer;
use crate::engine::EngineError;

/// Longest line that is read, in bytes. An event carries the labels of its container.
const MAX_LINE: usize = 1024 * 1024;

/// The lines of `answer`, with an error in the place of one that is too long; any other error ends them. Dropping the
/// stream closes the connection.
pub(super) fn lines(answer: Answer) -> BoxStream<'static, Result<Bytes, EngineError>> {
    let state = (Some(answer), Splitter::new(MAX_LINE));
    stream::unfold(state, |(mut answer, mut splitter)| async move {
        let line = next(&mut answer, &mut splitter).await?;
        Some((line, (answer, splitter)))
    })
    .boxed()
}

/// `answer` is none after a failure, which is told once.
async fn next(answer: &mut Option<Answer>, splitter: &mut Splitter) -> Option<Result<Bytes, EngineError>> {
    loop {
        match splitter.next() {
            Some(Ok(line)) => return Some(Ok(line)),
            Some(Err(TooLong)) => return Some(Err(errors::unreadable("a line longer than 1 MiB"))),
            None => {}
        }
        match answer.as_mut()?.chunk().await? {
            Ok(data) => splitter.push(&data),
            Err(error) => {
                *answer = None;
                return Some(Err(error));
            }
        }
    }
}

/// Cuts what comes in into lines.
struct Splitter {
    read: BytesMut,
    most: usize,
    /// The line that comes in is too long already; nothing of it is kept.
    skipping: bool,
}

#[derive(Debug, PartialEq, Eq)]
struct TooLong;

impl Splitter {
    fn new(most: usize) -> Self {
        Self { read: BytesMut::new(), most, skipping: false }
    }

    fn push(&mut self, data: &[u8]) {
        self.read.extend_from_slice(data);
    }

    /// The next line with its end, if all of it has come in.
    fn next(&mut self) -> Option<Result<Bytes, TooLong>> {
        let Some(end) = self.read.iter().position(|byte| *byte == b'\n') else {
            if self.skipping || self.read.len() > self.most {
                self.skipping = true;
                self.read = BytesMut::new();
            }
            return None;
        };
        let line = self.read.split_to(end + 1);
        let too_long = std::mem::take(&mut self.skipping) || line.len() > self.most + 1;
        Some(if too_long { Err(TooLong) } else { Ok(line.freeze()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(pieces: &[&str]) -> Vec<Result<String, TooLong>> {
        let mut splitter = Splitter::new(8);
        let mut lines = Vec::new();
        for piece in pieces {
            splitter.push(piece.as_bytes());
            lines.extend(
                std::iter::from_fn(|| splitter.next())
                    .map(|line| line.map(|line| String::from_utf8(line.to_vec()).unwrap())),
            );
            assert!(splitter.read.len() <= 8, "no more is kept");
        }
        lines
    }

    #[test]
    fn lines_are_whole_however_they_come() {
        let lines = ["one\n", "two\n", "12345678\n"].map(|line| Ok(line.to_owned()));
        assert_eq!(split(&["one\ntwo\n12345678\n"]), lines);
        assert_eq!(split(&["o", "ne", "\n", "two\n1234", "5678", "\n", "rest"]), lines);
    }

    #[test]
    fn a_line_that_is_too_long_costs_itself_alone() {
        let after = || Ok("after\n".to_owned());
        assert_eq!(split(&["123456789\nafter\n"]), [Err(TooLong), after()]);
        assert_eq!(split(&["1234567", "89", "0123456789", "\nafter\n"]), [Err(TooLong), after()]);
        assert_eq!(split(&["123456789", "\n", "after\n123456789"]), [Err(TooLong), after()]);
    }
}
