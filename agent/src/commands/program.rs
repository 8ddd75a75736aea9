//! Running a program of the host as a child: explicit arguments, never a shell; its output line by line; it and
//! everything it started is ended when the command ends.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use futures_util::future::join;
use roadstead_protocol::message::progress::LogStream;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use super::journal::{Journal, MAX_LINE_TEXT};

/// How long a program may take to end after it was asked to, before it is killed.
const TERM_GRACE: Duration = Duration::from_secs(10);

/// How long output is read after the program ended, should something it started still hold it.
const DRAIN: Duration = Duration::from_secs(2);

/// Bytes of output that [`Program::capture`] keeps of each stream.
const CAPTURE: usize = 4 * 1024 * 1024;

/// Last lines of output that are kept for a report.
const LAST_LINES: usize = 20;

/// A program to run.
#[derive(Clone, Debug, Default)]
pub(super) struct Program {
    /// Program and arguments.
    pub argv: Vec<OsString>,
    /// Where to run it.
    pub directory: Option<PathBuf>,
    /// Environment on top of the agent's own, which it gets without the agent's settings.
    pub env: Vec<(OsString, OsString)>,
}

/// Why a program did not run to its own end.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProgramError {
    /// The owner of the host must mend it.
    #[error("cannot run {program}: {error}")]
    Start {
        /// The program.
        program: String,
        /// Why.
        error: io::Error,
    },
    /// The command was told to stop, so the program was ended.
    #[error("{0} was ended because the command was cancelled")]
    Halted(String),
    /// It took too long.
    #[error("{program} did not end within {limit:?}")]
    TimedOut {
        /// The program.
        program: String,
        /// The limit.
        limit: Duration,
    },
}

/// A program that ran to its end.
#[derive(Debug)]
pub(super) struct Ended {
    pub status: ExitStatus,
    /// The last lines it wrote, both streams.
    pub last: Vec<String>,
}

/// What a program wrote.
#[derive(Debug)]
pub(super) struct Captured {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Program {
    /// Runs it and records its output as it comes. On `halt` it is given `grace` to end by itself, then asked to
    /// end, then killed, with everything it started.
    pub async fn stream(
        &self,
        journal: &Journal,
        halt: &CancellationToken,
        grace: Duration,
    ) -> Result<Ended, ProgramError> {
        let (mut child, group) = self.spawn()?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let last = std::sync::Mutex::new(VecDeque::new());
        let record = |stream, text: &str| {
            journal.log(stream, None, text);
            let mut last = last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if last.len() == LAST_LINES {
                last.pop_front();
            }
            last.push_back(text.to_owned());
        };
        let reading = join(
            lines(stdout, |text| record(LogStream::Stdout, text)),
            lines(stderr, |text| record(LogStream::Stderr, text)),
        );
        let ending = self.ending(&mut child, group, halt, grace);
        let ended = with_output(ending, reading).await?;
        let last = last.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        Ok(Ended { status: ended, last: last.into() })
    }

    /// Runs it for at most `limit` and returns what it wrote.
    pub async fn capture(&self, limit: Duration) -> Result<Captured, ProgramError> {
        let (mut child, group) = self.spawn()?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let reading = join(all(stdout), all(stderr));
        let late = || ProgramError::TimedOut { program: self.name(), limit };
        let waiting = join(child.wait(), reading);
        let (status, (stdout, stderr)) = tokio::time::timeout(limit, waiting).await.map_err(|_| late())?;
        group.disarm();
        let status = status.map_err(|error| self.start_error(error))?;
        Ok(Captured { status, stdout, stderr })
    }

    fn spawn(&self) -> Result<(Child, Group), ProgramError> {
        let (program, arguments) = self.argv.split_first().ok_or_else(|| {
            self.start_error(io::Error::new(io::ErrorKind::InvalidInput, "no program was named"))
        })?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // The agent's own settings hold its join token, and would fill a project's variables of the same name.
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"ROADSTEAD_") {
                command.env_remove(name);
            }
        }
        command.envs(self.env.iter().cloned());
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        let child =
            command.process_group(0).kill_on_drop(true).spawn().map_err(|error| self.start_error(error))?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok((child, Group(group)))
    }

    async fn ending(
        &self,
        child: &mut Child,
        group: Group,
        halt: &CancellationToken,
        grace: Duration,
    ) -> Result<ExitStatus, ProgramError> {
        let waited = tokio::select! {
            status = child.wait() => Some(status),
            () = async { halt.cancelled().await; tokio::time::sleep(grace).await } => None,
        };
        let Some(status) = waited else {
            group.signal(Signal::TERM);
            // Killed by the group's end in any case.
            let _ = tokio::time::timeout(TERM_GRACE, child.wait()).await;
            return Err(ProgramError::Halted(self.name()));
        };
        group.disarm();
        status.map_err(|error| self.start_error(error))
    }

    fn start_error(&self, error: io::Error) -> ProgramError {
        ProgramError::Start { program: self.name(), error }
    }

    fn name(&self) -> String {
        self.argv.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

/// The process group of a child; killed whole when this is dropped, however that comes.
struct Group(Option<Pid>);

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.0 {
            // Gone already is as good.
            let _ = kill_process_group(pid, signal);
        }
    }

    /// The child ended by itself: what it left running on purpose is its own affair.
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// Waits for the end while output is read, and a little longer for the rest of the output.
async fn with_output<T>(ending: impl Future<Output = T>, reading: impl Future) -> T {
    tokio::pin!(ending, reading);
    let ended = tokio::select! {
        ended = &mut ending => Some(ended),
        _ = &mut reading => None,
    };
    match ended {
        Some(ended) => {
            let _ = tokio::time::timeout(DRAIN, reading).await;
            ended
        }
        None => ending.await,
    }
}

/// Reads lines, each cut at [`MAX_LINE_TEXT`]; a carriage return ends one too, as progress bars write it.
async fn lines(stream: Option<impl AsyncRead + Unpin>, mut each: impl FnMut(&str)) {
    let Some(mut stream) = stream else { return };
    let mut line = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        for byte in &buffer[..read] {
            match byte {
                b'\n' | b'\r' => say(&mut line, &mut each),
                byte if line.len() < MAX_LINE_TEXT => line.push(*byte),
                _ => {}
            }
        }
    }
    say(&mut line, &mut each);
}

fn say(line: &mut Vec<u8>, each: &mut impl FnMut(&str)) {
    if !line.is_empty() {
        each(&String::from_utf8_lossy(line));
        line.clear();
    }
}

/// Reads everything, and keeps the first [`CAPTURE`] bytes of it.
async fn all(stream: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut stream) = stream else { return String::new() };
    let mut kept = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        let room = CAPTURE - kept.len();
        kept.extend_from_slice(&buffer[..read.min(room)]);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// The first executable file of that name in `search_path`, or in the agent's own `PATH`.
pub(super) fn find(name: &str, search_path: Option<&OsString>) -> Option<PathBuf> {
    let own = std::env::var_os("PATH");
    let path = search_path.or(own.as_ref())?;
    std::env::split_paths(path).map(|directory| directory.join(name)).find(|file| is_executable(file))
}

/// Whether this is a file that may be executed.
pub(super) fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use roadstead_protocol::message::ids::CommandId;
    use roadstead_protocol::message::progress::Progress;

    use super::*;

    fn shell(script: &str) -> Program {
        Program { argv: ["/bin/sh", "-c", script].map(OsString::from).to_vec(), ..Program::default() }
    }

    fn journal() -> Journal {
        Journal::new(CommandId::generate(), Arc::default())
    }

    #[tokio::test]
    async fn both_streams_and_the_exit_code_are_reported() {
        let journal = journal();
        let program = shell("echo one; echo two >&2; printf 'a\\rb'; exit 7");
        let ended = program.stream(&journal, &CancellationToken::new(), Duration::ZERO).await.unwrap();
        assert_eq!(ended.status.code(), Some(7));
        journal.seek(0);
        let mut lines = Vec::new();
        journal.take(usize::MAX, true, &mut lines);
        let mut said: Vec<_> = lines
            .into_iter()
            .map(|line| match line.entry {
                Progress::Log { stream, text, .. } => (stream, text),
                other => panic!("{other:?}"),
            })
            .collect();
        said.sort_by_key(|(stream, _)| *stream == LogStream::Stderr);
        let said: Vec<_> = said.iter().map(|(stream, text)| (*stream, text.as_str())).collect();
        let (out, err) = (LogStream::Stdout, LogStream::Stderr);
        assert_eq!(said, [(out, "one"), (out, "a"), (out, "b"), (err, "two")]);
    }

    #[tokio::test]
    async fn a_halt_ends_the_program_and_what_it_started() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pid");
        let script = format!("sleep 1000 & echo $! > {}.tmp; mv {0}.tmp {0}; wait", file.display());
        let halt = CancellationToken::new();
        let journal = journal();
        let program = shell(&script);
        let running = program.stream(&journal, &halt, Duration::ZERO);
        let grandchild = async {
            while !file.exists() {
                tokio::task::yield_now().await;
            }
            halt.cancel();
            std::fs::read_to_string(&file).unwrap().trim().to_owned()
        };
        let (ended, grandchild) = join(running, grandchild).await;
        assert!(matches!(ended, Err(ProgramError::Halted(_))));
        let stat = format!("/proc/{grandchild}/stat");
        // Gone, or a zombie that its new parent has yet to reap.
        while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_missing_program_and_a_slow_one_are_named() {
        let missing = Program { argv: vec!["/no/such/program".into()], ..Program::default() };
        let text = missing.capture(Duration::from_secs(5)).await.unwrap_err().to_string();
        assert!(text.contains("/no/such/program"), "{text}");
        let slow = shell("sleep 1000").capture(Duration::from_millis(20)).await;
        assert!(matches!(slow, Err(ProgramError::TimedOut { .. })));
    }

    #[tokio::test]
    async fn a_daemon_left_behind_does_not_hold_the_command() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        let script = format!("mkfifo {0}; (read x < {0}) & exit 0", fifo.display());
        let journal = journal();
        let ended = shell(&script).stream(&journal, &CancellationToken::new(), Duration::ZERO).await.unwrap();
        assert!(ended.status.success());
        // Lets the one left behind go.
        tokio::fs::OpenOptions::new().write(true).open(&fifo).await.unwrap();
    }

    #[tokio::test]
    async fn the_agents_own_settings_are_not_passed_on() {
        let captured = shell("env").capture(Duration::from_secs(5)).await.unwrap();
        assert!(captured.stdout.contains("PATH="));
        assert!(!captured.stdout.contains("ROADSTEAD_"));
    }
}
