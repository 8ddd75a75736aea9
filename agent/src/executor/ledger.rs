//! The agent's memory of commands on disk, so that a restart neither forgets one nor runs it twice.
//!
//! A command has a file from before it begins to act until some time after its end: its order, then its lines as it
//! says them. A file appears under its name whole (written aside, synced, renamed), so one whose order cannot be read
//! was damaged later: its command may have begun. Lines are written before they are told, without a sync: a killed
//! agent loses none that anybody saw, and after a power cut the controller says how many it has.
//!
//! Which commands ended is one small file that is replaced whole. If it is missing or damaged the memory begins anew
//! under the boot that found it so, which tells the controller not to conclude anything from what is not known here.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use roadstead_protocol::masking;
use roadstead_protocol::message::command::{Order, Work};
use roadstead_protocol::message::ids::{BootId, CommandId};
use roadstead_protocol::message::progress::{Progress, ProgressLine};
use roadstead_protocol::message::time::UnixMicros;
use serde::{Deserialize, Serialize};

use crate::record::{self, RecordError, Tail};

/// Ended commands that are remembered, so that a late repetition does not run them again.
pub(super) const REMEMBERED: usize = 1_000;

/// Ended commands whose lines are kept for a controller that was away.
pub(super) const KEPT: usize = 8;

/// Lines missing from a damaged file that are made up for; a number further ahead is not believed.
const MAX_MISSING: u64 = 100_000;

const ENDED: &str = "ended";

/// The directory of one agent's commands. A clone is another handle on the same one. Its methods wait for the disk.
#[derive(Clone, Debug)]
pub struct Ledger {
    directory: Arc<Path>,
    memory: Arc<Mutex<Memory>>,
    found: Arc<Mutex<Vec<Found>>>,
}

/// Why the ledger did not take something. The owner's disk, or ours to mend.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The disk.
    #[error("cannot {action} {}: {source}; see to the disk that holds it", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What was to be written.
    #[error("the command cannot be recorded: {0}")]
    Unfit(#[from] RecordError),
}

/// Which commands ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Memory {
    /// The boot that it goes back to without a break.
    since: BootId,
    /// Oldest first.
    ended: VecDeque<CommandId>,
}

/// What a command's file is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Entry {
    Ordered { at: UnixMicros, order: Order },
    Said(ProgressLine),
    Resumed { at: UnixMicros },
}

/// A command that an earlier process left.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    pub id: CommandId,
    pub ended: bool,
    /// When it was ordered, and what; none if that cannot be read any more.
    pub order: Option<(UnixMicros, Order)>,
    /// How often it was resumed.
    pub resumed: u32,
    /// Numbered from 0 without holes; a line that cannot be read is replaced.
    pub lines: Vec<ProgressLine>,
}

impl Ledger {
    /// Opens the ledger in `directory`, making it if there is none, for the process `boot`. Damage is no error.
    ///
    /// # Errors
    /// If the directory cannot be read or made.
    pub fn open(directory: &Path, boot: BootId) -> Result<Self, LedgerError> {
        let failed = |action| move |source| LedgerError::Io { action, path: directory.to_owned(), source };
        let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(failed("make"))?;
        let known = read_memory(&directory.join(ENDED));
        let renew = known.is_none();
        let memory = known.unwrap_or_else(|| Memory { since: boot, ended: VecDeque::new() });
        let files = list(directory).map_err(failed("read"))?;
        let found = files.into_iter().filter_map(|(id, path)| read(id, &path, &memory)).collect();
        let ledger = Self {
            directory: directory.into(),
            memory: Arc::new(Mutex::new(memory)),
            found: Arc::new(Mutex::new(found)),
        };
        if renew && let Err(error) = ledger.save() {
            tracing::warn!(%error, "commands will not be remembered across a restart yet");
        }
        Ok(ledger)
    }

    /// The boot that this memory goes back to without a break: a command that was ordered since then and is not
    /// known here never began.
    #[must_use]
    pub fn since(&self) -> BootId {
        self.memory().since
    }

    /// What an earlier process left, in order of issue; once.
    pub(super) fn take_found(&self) -> Vec<Found> {
        std::mem::take(&mut *self.found.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The commands that ended, oldest first.
    pub(super) fn ended(&self) -> VecDeque<CommandId> {
        self.memory().ended.clone()
    }

    /// Records an order, without the secrets of one to install, which is not begun again after a restart; it survives
    /// a power cut from here on.
    pub(super) fn accept(&self, order: &Order, at: UnixMicros) -> Result<(), LedgerError> {
        let mut shown = order.clone();
        if let Work::Install(install) = &mut shown.work {
            masking::mask_install(install);
        }
        let mut bytes = Vec::new();
        record::encode(&Entry::Ordered { at, order: shown }, &mut bytes)?;
        self.replace(&self.path(order.id), &bytes)
    }

    /// Records that a command is resumed, durably.
    pub(super) fn resume(&self, id: CommandId, at: UnixMicros) -> Result<(), LedgerError> {
        let file = self.append(id, &[Entry::Resumed { at }])?;
        file.sync_data().map_err(|source| LedgerError::Io { action: "write", path: self.path(id), source })
    }

    /// Records lines, before they are told; a killed process does not lose them any more.
    pub(super) fn say(&self, id: CommandId, lines: Vec<ProgressLine>) -> Result<(), LedgerError> {
        let entries: Vec<_> = lines.into_iter().map(Entry::Said).collect();
        self.append(id, &entries).map(drop)
    }

    /// Records that a command ended, durably. Called when its outcome is in the outbox.
    pub(super) fn end(&self, id: CommandId) -> Result<(), LedgerError> {
        {
            let ended = &mut self.memory().ended;
            if !ended.contains(&id) {
                ended.push_back(id);
            }
            let surplus = ended.len().saturating_sub(REMEMBERED);
            ended.drain(..surplus);
        }
        self.save()
    }

    /// Removes the file of an ended command.
    pub(super) fn forget(&self, id: CommandId) {
        let path = self.path(id);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "cannot remove the record of an old command");
            }
            _ => {}
        }
    }

    fn append(&self, id: CommandId, entries: &[Entry]) -> Result<File, LedgerError> {
        let mut bytes = Vec::new();
        for entry in entries {
            record::encode(entry, &mut bytes)?;
        }
        let path = self.path(id);
        let failed = |source| LedgerError::Io { action: "write", path: path.clone(), source };
        let mut file = OpenOptions::new().append(true).open(&path).map_err(failed)?;
        file.write_all(&bytes).map_err(failed)?;
        Ok(file)
    }

    fn save(&self) -> Result<(), LedgerError> {
        // Held while writing: the file on disk is never older than one replaced by it.
        let memory = self.memory();
        let mut bytes = Vec::new();
        record::encode(&*memory, &mut bytes)?;
        self.replace(&self.directory.join(ENDED), &bytes)
    }

    /// Puts a file into place, whole and synced.
    fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), LedgerError> {
        let aside = path.with_extension("new");
        let write = || {
            let options = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside);
            let mut file = options?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&aside, path)?;
            File::open(&self.directory)?.sync_all()
        };
        write().map_err(|source| LedgerError::Io { action: "write", path: path.to_owned(), source })
    }

    fn path(&self, id: CommandId) -> PathBuf {
        self.directory.join(format!("{id}.log"))
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read_memory(path: &Path) -> Option<Memory> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "cannot read which commands ended");
            return None;
        }
    };
    let mut scan = record::scan::<Memory>(&bytes);
    if scan.tail != Tail::Clean || scan.found.len() != 1 || scan.found[0].size != bytes.len() {
        tracing::warn!(path = %path.display(), "the list of ended commands was damaged; beginning a new one");
        return None;
    }
    scan.found.pop().map(|stored| stored.value)
}

/// The command files in order of issue. What a crash left aside is removed: its command never began.
fn list(directory: &Path) -> io::Result<Vec<(CommandId, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let id = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        match (path.extension().and_then(|extension| extension.to_str()), id) {
            (Some("log"), Some(id)) => files.push((id, path)),
            (Some("new"), _) => drop(fs::remove_file(path)),
            _ => {}
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Reads a command's file; removes it if the command ended so long ago that nobody asks.
fn read(id: CommandId, path: &Path, memory: &Memory) -> Option<Found> {
    let age = memory.ended.iter().rev().position(|ended| *ended == id);
    if age.is_some_and(|age| age >= KEPT) {
        drop(fs::remove_file(path));
        return None;
    }
    let bytes = fs::read(path).unwrap_or_default();
    let mut found = Found { id, ended: age.is_some(), order: None, resumed: 0, lines: Vec::new() };
    for stored in record::scan::<Entry>(&bytes).found {
        match stored.value {
            Entry::Ordered { at, order } if order.id == id => found.order = Some((at, order)),
            Entry::Said(line) if line.command == id => put(&mut found.lines, line),
            Entry::Resumed { .. } => found.resumed += 1,
            Entry::Ordered { .. } | Entry::Said(_) => {}
        }
    }
    Some(found)
}

/// Appends a line in its place, with a filler for each that is missing before it.
fn put(lines: &mut Vec<ProgressLine>, line: ProgressLine) {
    let next = lines.len() as u64;
    if line.line < next || line.line > next + MAX_MISSING {
        return;
    }
    for missing in next..line.line {
        lines.push(filler(&line, missing));
    }
    lines.push(line);
}

/// What stands for a line that is not known here any more.
fn filler(near: &ProgressLine, line: u64) -> ProgressLine {
    ProgressLine { command: near.command, line, at: near.at, entry: Progress::Dropped { count: 1 } }
}
