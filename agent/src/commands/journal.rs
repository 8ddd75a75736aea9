//! What one command has said so far: bounded, numbered without holes, and read again from any line.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use roadstead_protocol::masking;
use roadstead_protocol::message::codec::encoded_size;
use roadstead_protocol::message::command::Strategy;
use roadstead_protocol::message::ids::CommandId;
use roadstead_protocol::message::progress::{
    LogStream, PlannedService, Progress, ProgressLine, Step, StepState,
};
use roadstead_protocol::message::time::UnixMicros;
use tokio::sync::Notify;

/// Lines of output and of bytes that one command may record. Steps are recorded even beyond it.
pub const MAX_LINES: usize = 10_000;

/// Bytes of text that one command may record in lines of output.
const MAX_TEXT: usize = 1024 * 1024;

/// Longest line of output in bytes; the rest of it is cut off.
pub const MAX_LINE_TEXT: usize = 4096;

/// Services that one plan line names; a larger plan takes several lines, so that each fits a message.
const SERVICES_PER_PLAN: usize = 40;

/// The log of one command. Writing never waits: what exceeds the bounds is counted, and the count becomes a line.
#[derive(Debug)]
pub struct Journal {
    command: CommandId,
    written: Arc<Notify>,
    news: Notify,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    lines: Vec<ProgressLine>,
    text_bytes: usize,
    dropped: u64,
    /// Next line to send in the session that is up; none if nobody asked in it.
    cursor: Option<usize>,
    /// How many lines are on disk, where they are kept there: only those are sent.
    kept: Option<usize>,
    /// The lines of an earlier process, until somebody has said how many more there were.
    before: Option<usize>,
    closed: bool,
}

/// Lines of an earlier process that are made up for at most, in lines.
const MAX_FORGOTTEN: usize = 2 * MAX_LINES;

/// Lines written to disk at once.
const KEPT_AT_ONCE: usize = 256;

impl Journal {
    /// An empty log; `written` is notified of every line.
    #[must_use]
    pub fn new(command: CommandId, written: Arc<Notify>) -> Self {
        Self { command, written, news: Notify::new(), book: Mutex::default() }
    }

    /// An empty log whose lines are kept on disk before they are sent.
    #[must_use]
    pub fn kept_on_disk(command: CommandId, written: Arc<Notify>) -> Self {
        let journal = Self::new(command, written);
        journal.book().kept = Some(0);
        journal
    }

    /// As [`kept_on_disk`](Self::kept_on_disk), going on after the `lines` of an earlier process.
    #[must_use]
    pub fn going_on(command: CommandId, written: Arc<Notify>, lines: Vec<ProgressLine>) -> Self {
        let journal = Self::new(command, written);
        {
            let mut book = journal.book();
            let texts = lines.iter().map(|line| match &line.entry {
                Progress::Log { text, .. } => text.len(),
                _ => 0,
            });
            book.text_bytes = texts.sum();
            book.kept = Some(lines.len());
            book.before = Some(lines.len());
            book.lines = lines;
        }
        journal
    }

    /// The command it is of.
    #[must_use]
    pub const fn command(&self) -> CommandId {
        self.command
    }

    /// Waits for lines that are not on disk yet: their end and themselves; none when the log is closed and all are.
    /// Cancel-safe; meant for one caller.
    pub async fn unkept(&self) -> Option<(usize, Vec<ProgressLine>)> {
        loop {
            {
                let book = self.book();
                let from = book.kept.unwrap_or(book.lines.len());
                let end = book.lines.len().min(from + KEPT_AT_ONCE);
                if from < end {
                    return Some((end, book.lines[from..end].to_vec()));
                }
                if book.closed {
                    return None;
                }
            }
            self.news.notified().await;
        }
    }

    /// The lines before `end` are on disk.
    pub fn kept(&self, end: usize) {
        let mut book = self.book();
        if let Some(kept) = &mut book.kept {
            *kept = end.max(*kept);
        }
        drop(book);
        self.written.notify_one();
    }

    /// Says how the command will go about it.
    pub fn plan(&self, strategy: Option<Strategy>, why: &str, services: &[PlannedService]) {
        let mut chunks: Vec<_> = services.chunks(SERVICES_PER_PLAN).map(<[_]>::to_vec).collect();
        if chunks.is_empty() {
            chunks.push(Vec::new());
        }
        for services in chunks {
            self.write(Progress::Plan { strategy, why: cut(why), services });
        }
    }

    /// Says where a step is.
    pub fn step(&self, step: Step, service: Option<&str>, state: StepState, detail: &str) {
        self.write(Progress::Step { step, service: service.map(str::to_owned), state, detail: cut(detail) });
    }

    /// Records a line of output; what exceeds [`MAX_LINE_TEXT`] is cut off.
    pub fn log(&self, stream: LogStream, service: Option<&str>, text: &str) {
        self.write(Progress::Log { stream, service: service.map(str::to_owned), text: cut(text) });
    }

    /// Records a remark of the agent itself.
    pub fn note(&self, service: Option<&str>, text: &str) {
        self.log(LogStream::Agent, service, text);
    }

    /// Records a line of any kind.
    pub fn write(&self, entry: Progress) {
        let mut book = self.book();
        let text = match &entry {
            Progress::Log { text, .. } => Some(text.len()),
            Progress::Layer { .. } => Some(0),
            _ => None,
        };
        if let Some(bytes) = text {
            if book.lines.len() >= MAX_LINES || book.text_bytes + bytes > MAX_TEXT {
                book.dropped += 1;
                return;
            }
            book.text_bytes += bytes;
        } else {
            self.admit_dropped(&mut book);
        }
        self.push(&mut book, entry);
        drop(book);
        self.tell();
    }

    /// Says how many lines were dropped, if any were. Called when the command has ended.
    pub fn close(&self) {
        let mut book = self.book();
        self.admit_dropped(&mut book);
        book.closed = true;
        drop(book);
        self.tell();
    }

    /// How many lines there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.book().lines.len()
    }

    /// Whether nothing was said yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sends from `next_line` on, in the session that is up. Whoever has more lines of an earlier process than are
    /// known here has what a power cut took: later lines are numbered after those.
    pub fn seek(&self, next_line: u64) {
        let mut book = self.book();
        if let Some(known) = book.before.take() {
            self.make_up(&mut book, known, next_line);
        }
        let line = usize::try_from(next_line).unwrap_or(usize::MAX);
        book.cursor = Some(line.min(book.lines.len()));
        drop(book);
        self.written.notify_one();
    }

    /// Sends nothing more until somebody asks.
    pub fn hush(&self) {
        self.book().cursor = None;
    }

    /// Whether a reader is set at some line in the session that is up.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.book().cursor.is_some()
    }

    /// Whether lines are left to send in the session that is up; none if nobody has asked for them in it.
    #[must_use]
    pub fn has_more(&self) -> Option<bool> {
        let book = self.book();
        book.cursor.map(|cursor| cursor < book.lines.len())
    }

    /// The next lines to send that together encode to at most `room` bytes; at least one if `must` is set and there
    /// is one. Returns their size.
    pub fn take(&self, room: usize, must: bool, into: &mut Vec<ProgressLine>) -> usize {
        let mut book = self.book();
        let Some(mut cursor) = book.cursor else { return 0 };
        let mut used = 0;
        let end = book.kept.unwrap_or(book.lines.len());
        while let Some(line) = book.lines[..end].get(cursor) {
            // A line that cannot be encoded does not exist: strings and numbers always can.
            let size = encoded_size(line).unwrap_or(0);
            if used + size > room && !(must && used == 0) {
                break;
            }
            used += size;
            cursor += 1;
            into.push(line.clone());
        }
        book.cursor = Some(cursor);
        used
    }

    fn admit_dropped(&self, book: &mut Book) {
        let count = std::mem::take(&mut book.dropped);
        if count > 0 {
            self.push(book, Progress::Dropped { count });
        }
    }

    fn push(&self, book: &mut Book, entry: Progress) {
        let line = book.lines.len() as u64;
        book.lines.push(ProgressLine { command: self.command, line, at: UnixMicros::now(), entry });
    }

    /// Puts a filler for each line from `known` to before `next_line`; what stands there moves on, none of it sent yet.
    fn make_up(&self, book: &mut Book, known: usize, next_line: u64) {
        let missing = next_line.saturating_sub(known as u64);
        let Some(count) = usize::try_from(missing).ok().filter(|count| *count <= MAX_FORGOTTEN) else {
            return;
        };
        let entry = Progress::Dropped { count: 1 };
        let filler = ProgressLine { command: self.command, line: 0, at: UnixMicros::now(), entry };
        book.lines.splice(known..known, std::iter::repeat_n(filler, count));
        for (number, line) in book.lines.iter_mut().enumerate().skip(known) {
            line.line = number as u64;
        }
        // What has moved is on disk under its old number; it is not written again.
        book.kept = book.kept.map(|kept| kept + count);
    }

    fn tell(&self) {
        self.news.notify_one();
        self.written.notify_one();
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The beginning of `text` that fits a line, without what looks secret: programs say more than they should.
fn cut(text: &str) -> String {
    masking::hide(&text[..text.floor_char_boundary(MAX_LINE_TEXT)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal() -> Journal {
        Journal::new(CommandId::generate(), Arc::default())
    }

    fn all(journal: &Journal) -> Vec<ProgressLine> {
        let mut lines = Vec::new();
        journal.seek(0);
        while journal.take(16_384, true, &mut lines) > 0 {}
        lines
    }

    #[test]
    fn beyond_the_bound_output_is_counted_and_steps_stay() {
        let journal = journal();
        for number in 0..MAX_LINES + 5 {
            journal.log(LogStream::Stdout, None, &number.to_string());
        }
        journal.step(Step::Script, None, StepState::Done, "");
        journal.log(LogStream::Stdout, None, "too late");
        journal.close();
        let lines = all(&journal);
        assert_eq!(lines.len(), MAX_LINES + 3);
        assert!(lines.iter().enumerate().all(|(number, line)| line.line == number as u64));
        assert_eq!(lines[MAX_LINES].entry, Progress::Dropped { count: 5 });
        assert!(matches!(lines[MAX_LINES + 1].entry, Progress::Step { .. }));
        assert_eq!(lines[MAX_LINES + 2].entry, Progress::Dropped { count: 1 });
    }

    #[test]
    fn long_text_is_cut_at_a_character() {
        let journal = journal();
        journal.log(LogStream::Stdout, None, &"ä".repeat(MAX_LINE_TEXT));
        let Progress::Log { text, .. } = &all(&journal)[0].entry else { panic!("a log line") };
        assert_eq!(text.len(), MAX_LINE_TEXT);
    }

    #[test]
    fn text_is_bounded_in_bytes_too() {
        let journal = journal();
        for _ in 0..MAX_TEXT / MAX_LINE_TEXT + 10 {
            journal.log(LogStream::Stderr, None, &"x".repeat(MAX_LINE_TEXT));
        }
        journal.close();
        assert_eq!(journal.len(), MAX_TEXT / MAX_LINE_TEXT + 1);
    }

    #[test]
    fn batches_keep_to_their_room_and_nothing_is_read_unasked() {
        let journal = journal();
        journal.note(None, "one");
        let mut lines = Vec::new();
        assert_eq!(journal.take(1_000, true, &mut lines), 0);
        journal.seek(0);
        assert_eq!(journal.take(10, false, &mut lines), 0);
        assert!(journal.take(10, true, &mut lines) > 10);
        journal.seek(99);
        journal.note(None, "two");
        journal.take(1_000, true, &mut lines);
        assert_eq!(lines.iter().map(|line| line.line).collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn a_large_plan_takes_several_lines_that_each_fit_a_message() {
        let journal = journal();
        let service = |number| PlannedService {
            service: format!("service-{number}"),
            image: "registry.example.org/group/image:tag".repeat(3),
            current: Some("sha256:".to_owned() + &"a".repeat(64)),
        };
        let services: Vec<_> = (0..100).map(service).collect();
        journal.plan(Some(Strategy::Engine), "why", &services);
        let lines = all(&journal);
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|line| encoded_size(line).unwrap() < 16_384));
    }
}
