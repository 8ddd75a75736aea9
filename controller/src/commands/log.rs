//! Which of the lines that arrive are new in a command's log: pure bookkeeping, without a hole and without a double.
//!
//! A line that is already there is skipped. A line beyond the next one is not stored: the agent is asked to send from
//! the missing line again. If it has been asked three times in vain, the hole is filled with a `Dropped` line, so that
//! the log goes on and says what it lacks. A log that is full ends in one `Dropped` line whose count grows.

use std::time::Duration;

use roadstead_protocol::message::codec;
use roadstead_protocol::message::progress::{Progress, ProgressLine};
use roadstead_protocol::message::time::UnixMicros;

use crate::model::LogLine;
use crate::store::StoreError;
use crate::store::commands::EncodedLine;

#[cfg(test)]
mod tests;

/// Lines of one log; the rest is only counted.
pub const MAX_LINES: u64 = 20_000;

/// Bytes of one log as stored; what comes after the line that reaches it is only counted.
pub const MAX_BYTES: u64 = 8 * 1024 * 1024;

/// Largest number of a line that is believed.
const MAX_NUMBER: u64 = u32::MAX as u64;

/// Largest line as stored; a larger one is counted as dropped.
const MAX_LINE: usize = 16 * 1024;

/// How long an agent has to send a missing line before it is asked again.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// How often it is asked.
const ASK_TIMES: u32 = 3;

/// How far a log has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogMark {
    /// Number of the next line.
    pub next_line: u64,
    /// Bytes stored.
    pub bytes: u64,
    /// Where the `Dropped` line of a full log stands, once there is one.
    pub dropped_at: Option<u64>,
    hole: Option<Hole>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hole {
    line: u64,
    asked_at: UnixMicros,
    asked: u32,
}

/// What came of some lines that arrived.
#[derive(Debug, Default, PartialEq)]
pub struct Taken {
    /// To be stored, replacing what has the same number.
    pub store: Vec<EncodedLine>,
    /// To be told to those who watch, once stored.
    pub tell: Vec<LogLine>,
    /// Whether to ask the agent for the lines from the mark's `next_line` on.
    pub ask: bool,
}

impl LogMark {
    /// The mark of a stored log: its size without its last line, and that line.
    #[must_use]
    pub fn of_stored(bytes_before_last: u64, last: Option<(&LogLine, u64)>) -> Self {
        let Some((last, last_bytes)) = last else { return Self::default() };
        let bytes = bytes_before_last.saturating_add(last_bytes);
        let full_before_last = last.line >= MAX_LINES || bytes_before_last >= MAX_BYTES;
        match last.entry {
            Progress::Dropped { count } if full_before_last => Self {
                next_line: last.line.saturating_add(count),
                bytes,
                dropped_at: Some(last.line),
                hole: None,
            },
            _ => Self { next_line: last.line.saturating_add(1), bytes, dropped_at: None, hole: None },
        }
    }

    /// Takes the lines that are new. The mark that is returned holds once they are stored.
    ///
    /// # Errors
    /// If a line cannot be encoded.
    pub fn take(mut self, lines: Vec<ProgressLine>, now: UnixMicros) -> Result<(Self, Taken), StoreError> {
        let mut taken = Taken::default();
        for ProgressLine { line, at, entry, .. } in lines {
            if line < self.next_line || line > MAX_NUMBER {
                continue;
            }
            if line > self.next_line && !self.fill_hole(line, at, now, &mut taken)? {
                break;
            }
            self.append(LogLine { line, at, entry }, &mut taken)?;
        }
        Ok((self, taken))
    }

    /// Returns whether the hole before `line` is closed.
    fn fill_hole(
        &mut self,
        line: u64,
        at: UnixMicros,
        now: UnixMicros,
        taken: &mut Taken,
    ) -> Result<bool, StoreError> {
        let hole = self.hole.filter(|hole| hole.line == self.next_line);
        if hole.is_some_and(|hole| now.since(hole.asked_at) < ASK_EVERY) {
            return Ok(false);
        }
        let asked = hole.map_or(0, |hole| hole.asked);
        if asked < ASK_TIMES {
            self.hole = Some(Hole { line: self.next_line, asked_at: now, asked: asked + 1 });
            taken.ask = true;
            return Ok(false);
        }
        let count = line - self.next_line;
        self.append(LogLine { line: self.next_line, at, entry: Progress::Dropped { count } }, taken)?;
        self.next_line = line;
        Ok(true)
    }

    fn append(&mut self, mut line: LogLine, taken: &mut Taken) -> Result<(), StoreError> {
        self.hole = None;
        self.next_line = line.line.saturating_add(1);
        if self.dropped_at.is_some() || line.line >= MAX_LINES || self.bytes >= MAX_BYTES {
            return self.count_dropped(&line, taken);
        }
        let encoded = match codec::encode(&line.entry, MAX_LINE) {
            Err(codec::EncodeError::TooLarge { .. }) => {
                line.entry = Progress::Dropped { count: 1 };
                encode(&line.entry)?
            }
            other => other.map_err(|_| StoreError::Corrupt("a log line"))?,
        };
        self.bytes = self.bytes.saturating_add(u64::try_from(encoded.len()).unwrap_or(u64::MAX));
        taken.store.push(EncodedLine { line: line.line, at: line.at, entry: encoded });
        taken.tell.push(line);
        Ok(())
    }

    fn count_dropped(&mut self, line: &LogLine, taken: &mut Taken) -> Result<(), StoreError> {
        let first = self.dropped_at.unwrap_or(line.line);
        let entry = Progress::Dropped { count: self.next_line - first };
        let encoded = EncodedLine { line: first, at: line.at, entry: encode(&entry)? };
        taken.store.retain(|stored| stored.line != first);
        taken.store.push(encoded);
        if self.dropped_at.is_none() {
            self.dropped_at = Some(first);
            taken.tell.push(LogLine { line: first, at: line.at, entry });
        }
        Ok(())
    }
}

fn encode(entry: &Progress) -> Result<Vec<u8>, StoreError> {
    codec::encode(entry, MAX_LINE).map_err(|_| StoreError::Corrupt("a log line"))
}
