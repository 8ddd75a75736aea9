//! The real Roadstead binaries as child processes: started, signalled, killed, started again.
//!
//! A program that has bound its ports says so in `<data>/listening.json`, which the harness reads: a
//! controller `{"web": "127.0.0.1:1234", "agents": "127.0.0.1:4321", "web_url": "http://127.0.0.1:1234"}`,
//! an inbound agent `{"link": "127.0.0.1:4321"}`. The file is written whole, after every port is bound.

mod agent;
mod controller;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::condition::try_eventually;
use crate::tool;

pub use agent::{AgentOptions, AgentProcess};
pub use controller::{ControllerOptions, ControllerProcess, PASSWORD};

/// How long a program may take to listen, and to end after `SIGTERM`.
const START_DEADLINE: Duration = Duration::from_secs(30);
const STOP_DEADLINE: Duration = Duration::from_secs(30);

/// Names a folder with other builds of the binaries, to measure those that users get.
const BINARIES: &str = "ROADSTEAD_BINARIES";

/// Where a Roadstead binary lies: in the folder that `ROADSTEAD_BINARIES` names, else beside the test that runs.
///
/// # Errors
/// When it was not built; the error holds the command that builds it.
pub fn binary(name: &str) -> anyhow::Result<PathBuf> {
    if let Some(folder) = std::env::var_os(BINARIES) {
        let binary = Path::new(&folder).join(name);
        anyhow::ensure!(binary.is_file(), "{} is missing, which {BINARIES} names", binary.display());
        return Ok(binary);
    }
    let test = std::env::current_exe()?;
    let profile = test.ancestors().nth(2).context("this test does not lie in a target folder")?;
    let binary = profile.join(name);
    if !binary.is_file() {
        bail!("{} is missing: run `cargo build -p {name}`", binary.display());
    }
    Ok(binary)
}

/// A program that runs, or ran; killed on drop.
#[derive(Debug)]
struct Process {
    child: Option<Child>,
    log: PathBuf,
}

impl Process {
    fn new(log: PathBuf) -> Self {
        Self { child: None, log }
    }

    /// Starts `command` in an environment without Roadstead's or Docker's own variables, except `settings`.
    fn spawn(&mut self, mut command: Command, settings: &[(String, String)]) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("ROADSTEAD_") || text.starts_with("DOCKER_") {
                command.env_remove(name);
            }
        }
        command.envs(settings.iter().cloned()).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.child =
            Some(command.kill_on_drop(true).spawn().with_context(|| format!("cannot run {command:?}"))?);
        Ok(())
    }

    /// Waits until the program has written `file`, and gives what it says.
    async fn listening(&mut self, file: &Path) -> anyhow::Result<Value> {
        let Self { child, log } = self;
        let child = child.as_mut().context("the program was not started")?;
        let written = try_eventually(START_DEADLINE, async || {
            if let Some(status) = child.try_wait()? {
                return Ok(Err(anyhow!("the program ended with {status}")));
            }
            let bytes = std::fs::read(file).with_context(|| format!("no {}", file.display()))?;
            anyhow::Ok(Ok(serde_json::from_slice(&bytes)?))
        });
        let problem = match written.await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(ended)) => ended,
            Err(last) => anyhow!("it did not listen in {START_DEADLINE:?}: {last:?}"),
        };
        bail!("{problem}; the end of its log:\n{}", tool::tail(log, 30))
    }

    fn id(&self) -> u32 {
        match self.child.as_ref().and_then(Child::id) {
            Some(id) => id,
            None => panic!("the program does not run; its log:\n{}", tool::tail(&self.log, 30)),
        }
    }

    async fn signal(&self, signal: &str) {
        if let Err(error) = tool::run("kill", ["-s", signal, &self.id().to_string()]).await {
            panic!("cannot signal the program: {error:#}");
        }
    }

    /// Kills it, with no chance to do anything.
    async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill().await;
        }
    }

    /// Asks it to end, and waits until it has.
    async fn stop(&mut self) -> ExitStatus {
        self.signal("TERM").await;
        self.ended().await
    }

    /// Waits until it has ended by itself.
    async fn ended(&mut self) -> ExitStatus {
        let Some(mut child) = self.child.take() else { panic!("the program does not run") };
        match tokio::time::timeout(STOP_DEADLINE, child.wait()).await {
            Ok(Ok(status)) => status,
            problem => panic!("it did not end: {problem:?}; its log:\n{}", tool::tail(&self.log, 30)),
        }
    }
}

impl Drop for Process {
    #[expect(clippy::print_stderr, reason = "a failing test shows what the program said")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the end of {}\n{}", self.log.display(), tool::tail(&self.log, 30));
        }
    }
}

/// A setting for the environment of a program.
fn setting(name: &str, value: impl ToString) -> (String, String) {
    (name.to_owned(), value.to_string())
}

/// Reads an address out of what a program says it listens on.
fn address(said: &Value, key: &str) -> anyhow::Result<std::net::SocketAddr> {
    let text =
        said.get(key).and_then(Value::as_str).with_context(|| format!("listening.json has no {key:?}"))?;
    text.parse().with_context(|| format!("listening.json: {key:?} is no address: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    fn shell(script: &str) -> (Process, Command, Scratch) {
        let scratch = Scratch::new().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(scratch.path());
        (Process::new(scratch.path().join("log")), command, scratch)
    }

    #[tokio::test]
    async fn a_program_is_ready_when_it_has_said_where_it_listens() {
        let script =
            "echo '{\"web\": \"127.0.0.1:'$ROADSTEAD_PORT'\"}' > new; mv new listening.json; exec sleep 60";
        let (mut process, command, scratch) = shell(script);
        process.spawn(command, &[setting("ROADSTEAD_PORT", 1234)]).unwrap();
        let said = process.listening(&scratch.path().join("listening.json")).await.unwrap();
        assert_eq!(address(&said, "web").unwrap().port(), 1234);
        assert!(address(&said, "agents").unwrap_err().to_string().contains("agents"));
        process.signal("STOP").await;
        process.signal("CONT").await;
        assert!(!process.stop().await.success(), "sleep ends by the signal");
    }

    #[tokio::test]
    async fn a_program_that_ends_early_shows_its_log() {
        let (mut process, command, scratch) = shell("echo the port is taken >&2; exit 3");
        process.spawn(command, &[]).unwrap();
        let error = process.listening(&scratch.path().join("listening.json")).await.unwrap_err().to_string();
        assert!(error.contains("the port is taken") && error.contains('3'), "{error}");
    }

    #[test]
    fn a_binary_that_was_not_built_is_named_with_what_builds_it() {
        let error = binary("roadstead-nothing").unwrap_err().to_string();
        assert!(error.contains("cargo build -p roadstead-nothing"), "{error}");
    }
}
