//! A controller as a process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use tokio::process::Command;

use super::{Process, address, binary, setting};
use crate::api::Api;
use crate::scratch::Scratch;

/// The password of every controller that a test starts.
pub const PASSWORD: &str = "correct horse battery staple";

/// How to start a controller.
#[derive(Debug, Clone)]
pub struct ControllerOptions {
    /// Where agents are listened for; port 0 for a free one.
    pub agent_listen: String,
    /// Whether it supervises an agent of its own (`auto`, `on`, `off`).
    pub local_agent: String,
    /// More environment variables: `ROADSTEAD_DEMO_MODE`, `ROADSTEAD_DIAL_ALLOW`, `DOCKER_HOST`, …
    pub settings: Vec<(String, String)>,
}

impl Default for ControllerOptions {
    /// Agents of this machine may join and be dialled, and no agent is supervised.
    fn default() -> Self {
        Self {
            agent_listen: "127.0.0.1:0".to_owned(),
            local_agent: "off".to_owned(),
            settings: vec![setting("ROADSTEAD_DIAL_ALLOW", "127.0.0.0/8,198.18.0.0/15")],
        }
    }
}

impl ControllerOptions {
    /// With one more environment variable, or another value of one.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl ToString) -> Self {
        self.settings.push(setting(name, value));
        self
    }
}

/// A running controller; killed on drop.
#[derive(Debug)]
pub struct ControllerProcess {
    process: Process,
    options: ControllerOptions,
    web: SocketAddr,
    agents: SocketAddr,
    scratch: Scratch,
}

impl ControllerProcess {
    /// Starts one on free ports with an empty data folder, and waits until it listens.
    ///
    /// # Panics
    /// When it does not start; the message holds its log.
    pub async fn start(options: ControllerOptions) -> Self {
        let start = async {
            let scratch = Scratch::new()?;
            let process = Process::new(scratch.path().join("controller.log"));
            let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
            let agents = options.agent_listen.parse()?;
            let mut controller = Self { process, options, web: nowhere, agents, scratch };
            controller.launch().await?;
            anyhow::Ok(controller)
        };
        match start.await {
            Ok(controller) => controller,
            Err(error) => panic!("no controller: {error:#}"),
        }
    }

    /// Where it serves people: API and web UI.
    #[must_use]
    pub fn web(&self) -> SocketAddr {
        self.web
    }

    /// The root of its API: `http://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.web)
    }

    /// Where it listens for agents.
    #[must_use]
    pub fn agents(&self) -> SocketAddr {
        self.agents
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

    /// A client that is signed in as the administrator.
    ///
    /// # Panics
    /// When the login fails.
    pub async fn api(&self) -> Api {
        let api = Api::anonymous(&self.url());
        api.login(PASSWORD).await.expect_status(200);
        api
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

    /// Starts it again with the same data on the same ports.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_again(&mut self) {
        self.process.kill().await;
        if let Err(error) = self.launch().await {
            panic!("no controller again: {error:#}");
        }
    }

    /// What a sub-command of the program prints, run on the same data and with the same settings.
    ///
    /// # Panics
    /// When it fails.
    pub async fn command(&self, arguments: &[&str]) -> String {
        let run = async {
            let mut command = Command::new(binary("roadstead-controller")?);
            command.env("ROADSTEAD_DATA_DIR", self.data()).envs(self.options.settings.iter().cloned());
            crate::tool::succeed(command.args(arguments)).await
        };
        match run.await {
            Ok(said) => said.trim().to_owned(),
            Err(error) => panic!("{arguments:?}: {error:#}"),
        }
    }

    /// Stops it and puts a copy of its database, as `backup` makes it, in the place of all its data.
    ///
    /// # Panics
    /// When that does not work.
    pub async fn restore(&mut self, backup: &Path) {
        self.process.kill().await;
        let restore = || {
            std::fs::remove_dir_all(self.data())?;
            std::fs::create_dir_all(self.data())?;
            std::fs::copy(backup, self.data().join("roadstead.db"))
        };
        if let Err(error) = restore() {
            panic!("cannot restore the controller: {error}");
        }
    }

    async fn launch(&mut self) -> anyhow::Result<()> {
        let data = self.data();
        let listening = data.join("listening.json");
        let _ = std::fs::remove_file(&listening);
        let mut settings = vec![
            setting("ROADSTEAD_DATA_DIR", data.display()),
            setting("ROADSTEAD_PASSWORD", PASSWORD),
            setting("ROADSTEAD_LISTEN", self.web),
            setting("ROADSTEAD_AGENT_LISTEN", self.agents),
            setting("ROADSTEAD_LOCAL_AGENT", &self.options.local_agent),
        ];
        settings.extend(self.options.settings.iter().cloned());
        self.process.spawn(Command::new(binary("roadstead-controller")?), &settings)?;
        let said = self.process.listening(&listening).await?;
        self.web = address(&said, "web")?;
        self.agents = address(&said, "agents")?;
        Ok(())
    }
}
