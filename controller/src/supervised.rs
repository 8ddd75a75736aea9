//! The agent for this host's own engine, which the controller starts, watches and starts again.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use roadstead_protocol::link::backoff::Backoff;
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// How long the agent may take to end after being told to.
const GRACE: Duration = Duration::from_secs(10);

/// Settings of the agent's that may stand in the controller's environment.
const PASSED_ON: [&str; 9] = [
    "ROADSTEAD_ALLOW",
    "ROADSTEAD_ALLOW_PROJECTS",
    "ROADSTEAD_ALLOW_REGISTRIES",
    "ROADSTEAD_ALLOW_HOST_PATHS",
    "ROADSTEAD_ALLOW_PRIVILEGED",
    "ROADSTEAD_POLICY_FILE",
    "ROADSTEAD_SYNC_SCRIPT",
    "ROADSTEAD_TAGS",
    "ROADSTEAD_LOG",
];

/// How to start the agent.
#[derive(Clone, Debug)]
pub struct Supervised {
    /// The agent's program.
    pub program: PathBuf,
    /// Its data folder.
    pub data_dir: PathBuf,
    /// Where this controller listens for agents, as seen from this host.
    pub controller: String,
    /// Name to suggest.
    pub name: String,
    /// Environment label.
    pub environment: Option<String>,
}

/// The agent's program, if it lies beside the running program.
#[must_use]
pub fn find_program() -> Option<PathBuf> {
    let beside = std::env::current_exe().ok()?.with_file_name("roadstead-agent");
    beside.is_file().then_some(beside)
}

impl Supervised {
    /// Keeps the agent running until `shutdown`. `join` makes a join token for an agent that is not a member yet;
    /// none lets it start with its membership.
    pub async fn run<J, F>(self, mut join: J, shutdown: CancellationToken)
    where
        J: FnMut() -> F + Send,
        F: Future<Output = Option<String>> + Send,
    {
        let mut backoff = Backoff::default();
        loop {
            let began = Instant::now();
            let token = if self.is_member() { None } else { join().await };
            match self.start(token.as_deref()) {
                Ok(mut child) => {
                    // Held here, since waiting for a child closes its standard input.
                    let input = child.stdin.take();
                    let ended = tokio::select! {
                        () = shutdown.cancelled() => None,
                        ended = child.wait() => Some(ended),
                    };
                    drop(input);
                    let Some(ended) = ended else {
                        stop(child).await;
                        return;
                    };
                    let status = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
                    tracing::warn!(%status, "this host's agent ended; starting it again");
                }
                Err(error) => {
                    tracing::error!(program = %self.program.display(), %error, "cannot start this host's agent");
                }
            }
            backoff.session_lasted(began.elapsed());
            let delay = backoff.next_wait();
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(delay) => {}
            }
        }
    }

    fn is_member(&self) -> bool {
        membership_file(&self.data_dir).is_file()
    }

    fn start(&self, join: Option<&str>) -> std::io::Result<Child> {
        let mut command = Command::new(&self.program);
        // The controller's own settings, its password among them, are none of the agent's.
        for (name, _) in std::env::vars_os() {
            let passed_on = PASSED_ON.iter().any(|passed| name == *passed);
            if name.to_string_lossy().starts_with("ROADSTEAD_") && !passed_on {
                command.env_remove(name);
            }
        }
        command
            .env("ROADSTEAD_DATA_DIR", &self.data_dir)
            .env("ROADSTEAD_CONTROLLER", &self.controller)
            .env("ROADSTEAD_INSTANCE_NAME", &self.name)
            // It ends when its standard input does, so that it never outlives a controller that was killed.
            .env("ROADSTEAD_SUPERVISED", "true")
            .stdin(Stdio::piped())
            .kill_on_drop(true);
        if let Some(label) = &self.environment {
            command.env("ROADSTEAD_ENVIRONMENT", label);
        }
        if let Some(token) = join {
            command.env("ROADSTEAD_JOIN", token);
        }
        command.spawn()
    }
}

/// Where an agent keeps its membership; its presence means that it needs no token.
fn membership_file(data_dir: &Path) -> PathBuf {
    data_dir.join("membership.json")
}

/// Waits for the agent, whose standard input has been closed, to end; kills it if it does not in time.
async fn stop(mut child: Child) {
    if timeout(GRACE, child.wait()).await.is_err() {
        tracing::warn!("this host's agent did not end in time; killing it");
        if let Err(error) = child.kill().await {
            tracing::warn!(%error, "cannot kill this host's agent");
        }
    }
}
