//! The writing side: the only code that changes files of the outbox. Runs on one blocking thread at a time.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use roadstead_protocol::message::event::Fork;
use roadstead_protocol::message::ids::{Epoch, EventSeq, Print};

use super::OutboxError;
use super::index::{Index, engine_time};
use super::mark::{Mark, MarkFile};
use super::record::{Stored, Tail};
use super::segment::{self, HEADER};
use super::shared::locked;

#[cfg(test)]
mod tests;

/// Largest segment in bytes, for an outbox large enough.
const SEGMENT_BYTES: u64 = 256 * 1024;

#[derive(Debug)]
pub(super) struct Writer {
    directory: PathBuf,
    epoch: Epoch,
    marks: MarkFile,
    active: Option<Active>,
    limit_bytes: u64,
}

/// The segment that is written to. After any failure there is none, and the next write begins a new one.
#[derive(Debug)]
struct Active {
    file: File,
    path: PathBuf,
    bytes: u64,
}

/// Takes the directory for this process: two outboxes in one directory would number their events alike. Tells whether
/// there was an outbox before.
pub(super) fn lock(directory: &Path) -> Result<(File, bool), OutboxError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|error| OutboxError::io("create", directory, error))?;
    let path = directory.join("lock");
    let used = path.exists();
    let file = read_write(&path).map_err(|error| OutboxError::io("create", &path, error))?;
    match file.try_lock() {
        Ok(()) => Ok((file, used)),
        Err(fs::TryLockError::WouldBlock) => Err(OutboxError::InUse(directory.to_owned())),
        Err(fs::TryLockError::Error(error)) => Err(OutboxError::io("lock", &path, error)),
    }
}

impl Writer {
    /// Finds out how far the outbox in `directory` got, whatever state its files are in. If there was one (`used`) and
    /// its mark is gone, nobody knows whether its newest segments are gone too: then the index says so.
    pub fn open(directory: &Path, limit_bytes: u64, used: bool) -> Result<(Self, Index), OutboxError> {
        let mut segments =
            segment::list(directory).map_err(|error| OutboxError::io("read", directory, error))?;
        let path = directory.join("mark");
        let file = read_write(&path).map_err(|error| OutboxError::io("open", &path, error))?;
        let (mut marks, found) = MarkFile::open(file);
        let in_doubt = found.is_none() && (used || !segments.is_empty());
        let mut mark = match found.or_else(|| from_headers(directory, &segments)) {
            Some(mark) => mark,
            None => renewed(directory, &mut segments),
        };
        let (mut active, print) = recover(directory, &mut mark, &segments);
        if active.is_none() && mark.last > 0 {
            // Its name keeps what was found out, should the mark be lost next.
            let first = mark.last + 1;
            active = start(directory, mark.epoch, first)
                .inspect_err(|error| tracing::warn!(%error, "cannot write to the outbox yet"))
                .ok();
            segments.retain(|(present, _)| *present < first);
            segments.extend(active.iter().map(|active| (first, active.bytes)));
        }
        if let Err(error) = marks.write_both(&mark) {
            tracing::warn!(path = %path.display(), %error, "cannot write the outbox's mark");
        }
        let index = Index::new(&mark, segments, print, in_doubt);
        let directory = directory.to_owned();
        Ok((Self { directory, epoch: mark.epoch, marks, active, limit_bytes }, index))
    }

    /// Writes events and waits until they are on disk. On failure none of them counts as written.
    pub fn commit(
        &mut self,
        index: &Mutex<Index>,
        records: &[u8],
        events: Vec<Stored>,
    ) -> Result<(), OutboxError> {
        let more = len(records);
        while let Some(oldest) = locked(index).make_room(more, self.limit_bytes) {
            self.remove(oldest);
        }
        let segment_bytes = SEGMENT_BYTES.min(self.limit_bytes / 4);
        let active = match self.active.take() {
            Some(active) if active.bytes + more <= segment_bytes => {
                if let Err(error) = append(&active, records) {
                    // What was written of it must not be taken for an event later.
                    let _ = active.file.set_len(active.bytes);
                    return Err(OutboxError::io("write", &active.path, error));
                }
                active
            }
            _ => self.begin(index, records)?,
        };
        let bytes = active.bytes + more;
        locked(index).committed(events, bytes);
        self.active = Some(Active { bytes, ..active });
        self.note(index);
        Ok(())
    }

    /// Begins a segment with `records`.
    fn begin(&self, index: &Mutex<Index>, records: &[u8]) -> Result<Active, OutboxError> {
        let first = locked(index).last + 1;
        let begun = start(&self.directory, self.epoch, first).and_then(|active| {
            append(&active, records)?;
            Ok(active)
        });
        match begun {
            Ok(active) => {
                locked(index).add_segment(first);
                Ok(active)
            }
            Err(error) => {
                let path = segment::path(&self.directory, first);
                let _ = fs::remove_file(&path);
                Err(OutboxError::io("write", &path, error))
            }
        }
    }

    /// Begins another epoch that goes on after what is acknowledged: the numbers since then are another outbox's too.
    ///
    /// # Errors
    /// If that cannot be written; the next start then finds either epoch, and both are right.
    pub fn fork(&mut self, index: &Mutex<Index>) -> Result<(), OutboxError> {
        let mark = {
            let mut index = locked(index);
            let fork = Fork { after: EventSeq(index.acknowledged), up_to: EventSeq(index.last) };
            index.epoch = Epoch::generate();
            index.fork = Some(fork);
            index.last_at_open = index.last;
            index.handed_out = 0;
            index.mark()
        };
        self.epoch = mark.epoch;
        self.active = None;
        self.marks
            .write_both(&mark)
            .map_err(|error| OutboxError::io("write", &self.directory.join("mark"), error))
    }

    /// Leaves the segment that is written to, since the numbers will not go on from its last.
    pub fn close_segment(&mut self) {
        self.active = None;
    }

    /// Puts an acknowledgement into effect.
    pub fn forget(&mut self, index: &Mutex<Index>) {
        for retired in locked(index).retire() {
            self.remove(retired);
        }
        self.note(index);
    }

    fn note(&mut self, index: &Mutex<Index>) {
        let mark = locked(index).mark();
        if let Err(error) = self.marks.write(&mark) {
            tracing::debug!(%error, "cannot write the outbox's mark");
        }
    }

    fn remove(&self, first: u64) {
        let path = segment::path(&self.directory, first);
        if let Err(error) = fs::remove_file(&path) {
            tracing::warn!(path = %path.display(), %error, "cannot remove a file of the outbox");
        }
    }
}

/// A new segment without records, its name safely on disk.
fn start(directory: &Path, epoch: Epoch, first: u64) -> io::Result<Active> {
    let path = segment::path(directory, first);
    let file = segment::create(&path)?;
    file.write_all_at(&segment::header(epoch), 0)?;
    File::open(directory)?.sync_all()?;
    Ok(Active { file, path, bytes: HEADER as u64 })
}

fn append(active: &Active, records: &[u8]) -> io::Result<()> {
    active.file.write_all_at(records, active.bytes)?;
    active.file.sync_data()
}

/// Without a mark: the epoch as the newest readable segment tells it, nothing known as acknowledged.
fn from_headers(directory: &Path, segments: &[(u64, u64)]) -> Option<Mark> {
    let readable = |(first, _): &(u64, u64)| segment::read(&segment::path(directory, *first)).ok()?.epoch;
    let epoch = segments.iter().rev().find_map(readable)?;
    tracing::warn!(
        "the outbox's mark was damaged: events will be sent again, the controller ignores those it has"
    );
    Some(Mark { epoch, last: 0, acknowledged: 0, dropped: 0, engine_time: None, fork: None })
}

/// A new life. If there was an earlier one of which nothing can be told, its numbers become a gap.
fn renewed(directory: &Path, segments: &mut Vec<(u64, u64)>) -> Mark {
    let mut last = 0;
    for (first, _) in segments.drain(..) {
        let path = segment::path(directory, first);
        let read = segment::read(&path).map(|contents| contents.events).unwrap_or_default();
        last = read.iter().map(|stored| stored.event.seq.0).fold(last.max(first), u64::max);
        tracing::warn!(path = %path.display(), "the outbox was damaged beyond repair: its events are lost");
        if let Err(error) = fs::remove_file(&path) {
            tracing::warn!(path = %path.display(), %error, "cannot remove a file of the outbox");
        }
    }
    Mark { epoch: Epoch::generate(), last, acknowledged: 0, dropped: 0, engine_time: None, fork: None }
}

/// Corrects `mark` by what the newest segment holds, and opens that segment for writing if it ends as it should. Tells the
/// print of the newest event too.
fn recover(directory: &Path, mark: &mut Mark, segments: &[(u64, u64)]) -> (Option<Active>, Option<Print>) {
    let mut print = None;
    let history = segments.len().saturating_sub(2);
    let mut tail = Tail::Torn;
    let mut end = 0;
    let mut bytes = 0;
    for (first, _) in &segments[history..] {
        end = first.saturating_sub(1);
        tail = Tail::Damaged;
        let Ok(contents) = segment::read(&segment::path(directory, *first)) else { continue };
        for stored in &contents.events {
            end = end.max(stored.event.seq.0);
            print = Some(stored.print);
            mark.engine_time = mark.engine_time.max(engine_time(&stored.event));
        }
        // A file whose header is damaged is not written on.
        tail =
            if contents.epoch.is_none() && contents.tail == Tail::Clean { Tail::Torn } else { contents.tail };
        bytes = contents.bytes;
    }
    // Where a damaged record was, a number was used.
    let used = if tail == Tail::Damaged { end + 1 } else { end };
    let resumes = tail == Tail::Clean && mark.last <= end;
    mark.last = mark.last.max(used).max(mark.acknowledged);
    let active = segments.last().filter(|_| resumes).and_then(|(first, _)| {
        let path = segment::path(directory, *first);
        let file = OpenOptions::new().write(true).open(&path).ok()?;
        Some(Active { file, path, bytes })
    });
    (active, print)
}

fn read_write(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn len(records: &[u8]) -> u64 {
    u64::try_from(records.len()).unwrap_or(u64::MAX)
}
