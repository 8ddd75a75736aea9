//! A disk that fails under a running program: its system calls answer with an error for as long as the fault lasts.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use tokio::process::Child;

use crate::condition::try_eventually;
use crate::tool;

/// How long it may take until every thread of the program is held, or let go.
const DEADLINE: Duration = Duration::from_secs(20);

/// A fault that lasts until it is lifted or dropped. It works by `strace`, which needs root.
#[derive(Debug)]
pub struct DiskFault {
    strace: Child,
    process: u32,
}

impl DiskFault {
    /// Makes the system calls `calls` (`fsync,fdatasync`) of a process fail with `error` (`EIO`); with `files`, only
    /// those on these files.
    ///
    /// # Panics
    /// When the process cannot be traced.
    pub async fn on(process: u32, calls: &str, error: &str, files: &[&Path]) -> Self {
        match Self::attach(process, calls, error, files).await {
            Ok(fault) => fault,
            Err(problem) => panic!("no {error} for {calls} of {process}: {problem:#}"),
        }
    }

    async fn attach(process: u32, calls: &str, error: &str, files: &[&Path]) -> anyhow::Result<Self> {
        let mut command = tool::command("strace")?;
        command.args([
            "--follow-forks",
            "--quiet=all",
            "--output=/dev/null",
            "--attach",
            &process.to_string(),
        ]);
        for file in files {
            command.arg("--trace-path").arg(file);
        }
        // What is injected has to be traced as well.
        command.arg(format!("--trace={calls}")).arg(format!("--inject={calls}:error={error}"));
        let strace = command.stderr(Stdio::inherit()).spawn().context("cannot run strace")?;
        let fault = Self { strace, process };
        fault.when_traced(true).await?;
        Ok(fault)
    }

    /// Ends the fault: the disk works again.
    ///
    /// # Panics
    /// When the process is not let go.
    pub async fn lift(mut self) {
        let ended = async {
            let strace = self.strace.id().context("strace ended by itself")?;
            tool::run("kill", ["-s", "TERM", &strace.to_string()]).await?;
            self.strace.wait().await?;
            self.when_traced(false).await
        };
        if let Err(problem) = ended.await {
            panic!("the fault of {} cannot be lifted: {problem:#}", self.process);
        }
    }

    /// Waits until every thread is traced, or none.
    async fn when_traced(&self, wanted: bool) -> anyhow::Result<()> {
        let tasks = format!("/proc/{}/task", self.process);
        let all = try_eventually(DEADLINE, async || {
            for task in std::fs::read_dir(&tasks)? {
                let status = std::fs::read_to_string(task?.path().join("status")).unwrap_or_default();
                let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
                anyhow::ensure!(tracer.is_none_or(|tracer| (tracer.trim() != "0") == wanted), "{status}");
            }
            Ok(())
        });
        all.await.map_err(|last| last.unwrap_or_else(|| anyhow::anyhow!("it hangs")))
    }
}
