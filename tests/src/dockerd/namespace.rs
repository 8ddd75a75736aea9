//! A process and mount namespace that one engine lives in, so that ending it ends all of the engine:
//! daemon, containerd, shims, containers and mounts, even when the test process is killed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command as StdCommand, Stdio};

use anyhow::Context;
use tokio::process::Command;

use super::groups::ControlGroups;
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
    groups: ControlGroups,
}

impl Namespace {
    /// Makes one in which the shell command `prepare` (for mounts) has run, for containers in `groups`.
    pub(super) fn new(prepare: &str, groups: ControlGroups) -> anyhow::Result<Self> {
        let mut holder = StdCommand::new(tool::find("unshare")?)
            .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
            .args(["setsid", "sh", "-c", FIRST_PROCESS, "sh", prepare])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run unshare")?;
        let line = holder.stdin.take();
        let output = holder.stdout.take();
        let namespace = Self { holder, line, groups };
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
        self.groups.thaw();
        self.line = None;
        // unshare waits for the first process, and that is gone only when the whole namespace is.
        let _ = self.holder.wait();
    }
}
