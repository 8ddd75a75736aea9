//! An agent as a process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use tokio::process::Command;

use super::{Process, address, binary, setting};
use crate::dockerd::Dockerd;
use crate::netns::Netns;
use crate::scratch::Scratch;
use crate::tool;

/// How to start an agent.
#[derive(Debug, Clone)]
pub struct AgentOptions {
    /// The join token; an agent that is a member already needs none.
    pub join: Option<String>,
    /// Where to listen, for an agent that the controller dials; with port 0 it takes a free one.
    pub listen: Option<String>,
    /// The engine: what `DOCKER_HOST` says.
    pub engine: String,
    /// The name of the network namespace to run in, if not this machine's.
    pub namespace: Option<String>,
    /// More environment variables: `ROADSTEAD_ALLOW`, `ROADSTEAD_INSTANCE_NAME`, …
    pub settings: Vec<(String, String)>,
}

impl AgentOptions {
    /// An agent of `engine` that dials the controller that `token` names.
    #[must_use]
    pub fn outbound(engine: &Dockerd, token: &str) -> Self {
        Self::of(engine.host(), token)
    }

    /// An agent of the engine at `host`, what `DOCKER_HOST` says, that dials the controller that `token` names.
    #[must_use]
    pub fn of(host: String, token: &str) -> Self {
        Self {
            join: Some(token.to_owned()),
            listen: None,
            engine: host,
            namespace: None,
            settings: Vec::new(),
        }
    }

    /// An agent of `engine` that waits at `listen` for the controller that `token` names.
    #[must_use]
    pub fn inbound(engine: &Dockerd, token: &str, listen: &str) -> Self {
        Self { listen: Some(listen.to_owned()), ..Self::outbound(engine, token) }
    }

    /// On a machine with a network of its own.
    #[must_use]
    pub fn on(mut self, machine: &Netns) -> Self {
        self.namespace = Some(machine.name());
        self
    }

    /// With one more environment variable.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl ToString) -> Self {
        self.settings.push(setting(name, value));
        self
    }
}

/// A running agent; killed on drop.
#[derive(Debug)]
pub struct AgentProcess {
    process: Process,
    /// Changes take effect with the next start.
    pub options: AgentOptions,
    link: Option<SocketAddr>,
    scratch: Scratch,
}

impl AgentProcess {
    /// Starts one with an empty data folder. An inbound one listens when this returns; an outbound one
    /// has begun to dial.
    ///
    /// # Panics
    /// When it does not start; the message holds its log.
    pub async fn start(options: AgentOptions) -> Self {
        let start = async {
            let scratch = Scratch::new()?;
            let process = Process::new(scratch.path().join("agent.log"));
            let mut agent = Self { process, options, link: None, scratch };
            agent.launch().await?;
            anyhow::Ok(agent)
        };
        match start.await {
            Ok(agent) => agent,
            Err(error) => panic!("no agent: {error:#}"),
        }
    }

    /// Starts another one with a copy of this one's data folder, as a copied virtual machine would.
    ///
    /// # Panics
    /// When it does not start; the message holds its log.
    pub async fn start_copy(&self, options: AgentOptions) -> Self {
        let start = async {
            let scratch = Scratch::new()?;
            let copy = scratch.path().join("data");
            tool::run("cp", ["-a".as_ref(), self.data().as_os_str(), copy.as_os_str()]).await?;
            let process = Process::new(scratch.path().join("agent.log"));
            let mut agent = Self { process, options, link: None, scratch };
            agent.launch().await?;
            anyhow::Ok(agent)
        };
        match start.await {
            Ok(agent) => agent,
            Err(error) => panic!("no copy of an agent: {error:#}"),
        }
    }

    /// Where an inbound one listens.
    #[must_use]
    pub fn link(&self) -> Option<SocketAddr> {
        self.link
    }

    /// Its data folder.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.scratch.path().join("data")
    }

    /// All that it and its predecessors on this data printed.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.process.log
    }

    /// Its process id.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Kills it, with no chance to do anything.
    pub async fn kill(&mut self) {
        self.process.kill().await;
    }

    /// Ends it as a service manager does.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn stop(&mut self) -> ExitStatus {
        self.process.stop().await
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    /// When it does not.
    pub async fn ended(&mut self) -> ExitStatus {
        self.process.ended().await
    }

    /// Stops its clock: it holds its sockets and answers nothing until [`resume`](Self::resume).
    ///
    /// # Panics
    /// When it does not run.
    pub async fn freeze(&self) {
        self.process.signal("STOP").await;
    }

    /// Ends a [`freeze`](Self::freeze).
    ///
    /// # Panics
    /// When it does not run.
    pub async fn resume(&self) {
        self.process.signal("CONT").await;
    }

    /// Starts it again with the same data, and on the same port.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_again(&mut self) {
        self.process.kill().await;
        if let Err(error) = self.launch().await {
            panic!("no agent again: {error:#}");
        }
    }

    async fn launch(&mut self) -> anyhow::Result<()> {
        let data = self.data();
        let listening = data.join("listening.json");
        let _ = std::fs::remove_file(&listening);
        let mut settings =
            vec![setting("ROADSTEAD_DATA_DIR", data.display()), setting("DOCKER_HOST", &self.options.engine)];
        settings.extend(self.options.join.iter().map(|token| setting("ROADSTEAD_JOIN", token)));
        let listen = self.link.map(|link| link.to_string()).or_else(|| self.options.listen.clone());
        settings.extend(listen.iter().map(|listen| setting("ROADSTEAD_LISTEN", listen)));
        settings.extend(self.options.settings.iter().cloned());
        self.process.spawn(self.command()?, &settings)?;
        if listen.is_some() {
            let said = self.process.listening(&listening).await?;
            self.link = Some(address(&said, "link")?);
        }
        Ok(())
    }

    /// `nsenter` becomes the program it runs, so that signals reach it.
    fn command(&self) -> anyhow::Result<Command> {
        let agent = binary("roadstead-agent")?;
        match &self.options.namespace {
            Some(name) => Netns::command_in(name, agent),
            None => Ok(Command::new(agent)),
        }
    }
}
