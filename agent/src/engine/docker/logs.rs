//! The end of a container's log.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};
use hyper::Method;

use super::wire::Wire;
use crate::engine::EngineError;

/// Longest line returned, in bytes.
const MAX_LINE: usize = 4 * 1024;

/// Most lines that may be asked for.
const MAX_LINES: usize = 10_000;

/// The last `lines` lines of `container`, whose name was checked. With `tty` its output is one plain stream, else
/// every piece of it has a header.
pub(super) async fn tail(
    wire: &Wire,
    container: &str,
    lines: usize,
    tty: bool,
) -> Result<Vec<String>, EngineError> {
    let lines = lines.min(MAX_LINES);
    let path = format!("/containers/{container}/logs?stdout=1&stderr=1&tail={lines}");
    let mut answer = wire.open(Method::GET, &path, Bytes::new()).await?;
    let mut tail = Tail::new(lines);
    let mut framed = Framed::default();
    while let Some(data) = answer.chunk().await {
        let data = data?;
        if tty {
            tail.add(0, &data);
        } else {
            framed.add(&data, &mut tail);
        }
    }
    Ok(tail.finish())
}

/// The last lines of what is added, of at most two streams, in the order in which they end.
struct Tail {
    lines: VecDeque<String>,
    limit: usize,
    /// The unfinished line of each stream, and whether more of it was cut off already.
    unfinished: [Vec<u8>; 2],
}

impl Tail {
    fn new(limit: usize) -> Self {
        Self { lines: VecDeque::new(), limit, unfinished: [Vec::new(), Vec::new()] }
    }

    fn add(&mut self, stream: usize, data: &[u8]) {
        for piece in data.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = match piece {
                [text @ .., b'\n'] => (text, true),
                text => (text, false),
            };
            let line = &mut self.unfinished[stream];
            // Room for a character that the cut would split.
            let room = (MAX_LINE + 4).saturating_sub(line.len());
            line.extend_from_slice(&text[..text.len().min(room)]);
            if ends {
                self.end_line(stream);
            }
        }
    }

    fn end_line(&mut self, stream: usize) {
        let line = std::mem::take(&mut self.unfinished[stream]);
        let mut text = String::from_utf8_lossy(&line).into_owned();
        text.truncate(text.trim_end_matches('\r').len());
        text.truncate(text.floor_char_boundary(MAX_LINE));
        self.lines.push_back(text);
        if self.lines.len() > self.limit {
            self.lines.pop_front();
        }
    }

    fn finish(mut self) -> Vec<String> {
        for stream in 0..self.unfinished.len() {
            if !self.unfinished[stream].is_empty() {
                self.end_line(stream);
            }
        }
        self.lines.into()
    }
}

/// Output of a container without a terminal: pieces, each after eight bytes that name its stream and length.
#[derive(Default)]
struct Framed {
    header: BytesMut,
    stream: usize,
    /// Bytes of the current piece that are still to come.
    rest: usize,
}

impl Framed {
    fn add(&mut self, mut data: &[u8], tail: &mut Tail) {
        while !data.is_empty() {
            if self.rest == 0 {
                let wanted = (8 - self.header.len()).min(data.len());
                self.header.extend_from_slice(&data[..wanted]);
                data = &data[wanted..];
                if self.header.len() == 8 {
                    self.stream = usize::from(self.header.get_u8() == 2);
                    self.header.advance(3);
                    self.rest = self.header.get_u32() as usize;
                    self.header.clear();
                }
            } else {
                let (piece, more) = data.split_at(self.rest.min(data.len()));
                tail.add(self.stream, piece);
                self.rest -= piece.len();
                data = more;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use roadstead_protocol::fuzz::{fuzz, mutated};

    use super::*;

    fn piece(stream: u8, text: &str) -> Vec<u8> {
        let mut piece = vec![stream, 0, 0, 0];
        piece.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
        piece.extend(text.as_bytes());
        piece
    }

    #[test]
    fn streams_are_told_apart_however_the_bytes_arrive() {
        let mut bytes = piece(1, "one ");
        bytes.extend(piece(2, "error\n"));
        bytes.extend(piece(1, ""));
        bytes.extend(piece(1, "line\ntwo\nthree"));
        for step in 1..bytes.len() {
            let (mut framed, mut tail) = (Framed::default(), Tail::new(10));
            bytes.chunks(step).for_each(|chunk| framed.add(chunk, &mut tail));
            assert_eq!(tail.finish(), ["error", "one line", "two", "three"], "in steps of {step}");
        }
    }

    #[test]
    fn only_the_last_lines_are_kept_and_long_ones_cut() {
        let mut tail = Tail::new(2);
        tail.add(0, b"a\nb\r\n\xff\n");
        tail.add(0, "é".repeat(MAX_LINE).as_bytes());
        let lines = tail.finish();
        assert_eq!(lines[0], "\u{fffd}");
        assert_eq!((lines.len(), lines[1].len()), (2, MAX_LINE));
        assert!(lines[1].chars().all(|character| character == 'é'));
    }

    #[test]
    fn fuzz_framed_output() {
        let sample = [piece(1, "first\n"), piece(2, "oops\r\n"), piece(1, "unfinished")].concat();
        let words = vec![vec![1, 0, 0, 0], vec![0xff; 4], vec![0; 8], b"\n".to_vec(), vec![b'x'; 70_000]];
        let inputs = (mutated(vec![sample], words, 256 * 1024), 1_usize..100);
        fuzz("framed output", &inputs, |(bytes, chunk)| {
            let (mut framed, mut tail) = (Framed::default(), Tail::new(5));
            bytes.chunks(chunk).for_each(|chunk| framed.add(chunk, &mut tail));
            let lines = tail.finish();
            assert!(lines.len() <= 5 && lines.iter().all(|line| line.len() <= MAX_LINE), "{}", lines.len());
            !lines.is_empty()
        });
    }
}
