//! A process and mount namespace that one engine lives in, so that ending it ends all of the engine:
//! daemon, containerd, shims, containers and mounts, even when the test process is killed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command as StdCommand, Stdio};

use anyhow::Context;
use tokio::process::Command;

use crate::tool;

/// The first process of the namespace reads from a pipe that the test holds: when the pipe closes it
/// ends, and the kernel ends everything else in its namespace. It ignores `SIGCHLD`, so that orphans are
/// reaped (a shell would not), and prints a line once its mounts are made.
const FIRST_PROCESS: &str = r#"eval "$1" && echo ready && exec env --ignore-signal=CHLD cat >/dev/null"#;

/// The namespace; it ends on drop.
#[derive(Debug)]
pub(super) struct Namespace {
    holder: Child,
    line: Option<ChildStdin>,
}

impl Namespace {
    /// Makes one in which the shell command `prepare` (for mounts) has run.
    pub(super) fn new(prepare: &str) -> anyhow::Result<Self> {
        let mut holder = StdCommand::new(tool::find("unshare")?)
            .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
            .args(["setsid", "sh", "-c", FIRST_PROCESS, "sh", prepare])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run unshare")?;
        let line = holder.stdin.take();
        let output = holder.stdout.take();
        let namespace = Self { holder, line };
        let mut answer = String::new();
        if let Some(output) = output {
            BufReader::new(output).read_line(&mut answer)?;
        }
        anyhow::ensure!(answer == "ready\n", "cannot make a namespace for an engine: are you root?");
        Ok(namespace)
    }

    /// A command that runs `program` inside.
    pub(super) fn command(&self, program: impl AsRef<Path>) -> anyhow::Result<Command> {
        let namespaces = format!("/proc/{}/ns", self.holder.id());
        let mut command = tool::command("nsenter")?;
        command
            .arg(format!("--mount={namespaces}/mnt"))
            .arg(format!("--pid={namespaces}/pid_for_children"))
            .args(["--", "setsid", "--wait"])
            .arg(program.as_ref());
        Ok(command)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        thaw(self.holder.id());
        self.line = None;
        // unshare waits for the first process, and that is gone only when the whole namespace is.
        let _ = self.holder.wait();
    }
}

/// Thaws the paused containers among the children of `process`: under cgroups v1 what is frozen cannot even be
/// killed, and its namespace would never end.
fn thaw(process: u32) {
    let read = |file: &str| std::fs::read_to_string(format!("/proc/{process}/{file}")).unwrap_or_default();
    let groups = read("cgroup");
    if let Some(group) = groups.lines().find_map(|line| line.split_once(":freezer:").map(|(_, group)| group))
    {
        // The root has no such file, and what is not frozen stays as it is.
        let _ = std::fs::write(format!("/sys/fs/cgroup/freezer{group}/freezer.state"), "THAWED");
    }
    for child in read(&format!("task/{process}/children")).split_whitespace().filter_map(|id| id.parse().ok())
    {
        thaw(child);
    }
}
