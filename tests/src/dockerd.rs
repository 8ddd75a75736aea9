//! Private Docker engines: a real `dockerd` with its own socket, data, containerd and networks.

mod groups;
mod namespace;

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use roadstead_certs_dev::{Certificates, Request, generate};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use crate::addresses::AddressBlock;
use crate::condition::try_eventually;
use crate::scratch::{Scratch, free_port};
use crate::tool;
use groups::ControlGroups;
use namespace::Namespace;

/// How long an engine may take to answer, and to end.
const START_DEADLINE: Duration = Duration::from_secs(60);
const STOP_DEADLINE: Duration = Duration::from_secs(45);

/// What kind of engine a test wants.
#[derive(Debug, Clone, Default)]
pub struct DockerdOptions {
    /// Also listen on TCP of 127.0.0.1, and ask for client certificates.
    pub tls: bool,
    /// Keep the data on a file system of so many MB in memory, to run it full. Gone after a
    /// [power cut](Dockerd::power_cut).
    pub data_megabytes: Option<u32>,
    /// More flags for `dockerd`.
    pub flags: Vec<String>,
}

/// Where an engine listens with TLS, and the certificates of both sides.
#[derive(Debug)]
struct TlsListener {
    port: u16,
    certificates: Certificates,
}

/// A running engine; everything it started ends on drop.
///
/// Networks get addresses from a block of its own, so several engines run side by side. Published ports
/// share the machine's: tests publish port 0.
#[derive(Debug)]
pub struct Dockerd {
    options: DockerdOptions,
    tls: Option<TlsListener>,
    daemon: Option<Child>,
    // Dropped in this order: processes and mounts, then their networks, then their files.
    namespace: Option<Namespace>,
    block: AddressBlock,
    scratch: Scratch,
}

impl Dockerd {
    /// Starts an engine and waits until it answers.
    ///
    /// # Panics
    /// When it does not start; the message holds the end of its log, or the command that installs it.
    pub async fn start() -> Self {
        Self::start_with(DockerdOptions::default()).await
    }

    /// [`start`](Self::start) with options.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub async fn start_with(options: DockerdOptions) -> Self {
        match Self::try_start(options).await {
            Ok(engine) => engine,
            Err(error) => panic!("no Docker engine: {error:#}"),
        }
    }

    async fn try_start(options: DockerdOptions) -> anyhow::Result<Self> {
        tool::require_root()?;
        let (scratch, block) = (Scratch::new()?, AddressBlock::take()?);
        let tls = options.tls.then(|| {
            let certificates = generate(&scratch.path().join("certificates"), &Request::default())?;
            anyhow::Ok(TlsListener { port: free_port()?, certificates })
        });
        let tls = tls.transpose()?;
        let mut engine = Self { options, tls, daemon: None, namespace: None, block, scratch };
        engine.launch(&[engine.address_pool()]).await?;
        Ok(engine)
    }

    /// The path of its unix socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.scratch.path().join("docker.sock")
    }

    /// What `DOCKER_HOST` has to be for it: `unix://…`.
    #[must_use]
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// `tcp://127.0.0.1:port`, and the folder to give as `DOCKER_CERT_PATH`.
    ///
    /// # Panics
    /// When the options did not ask for TLS.
    #[must_use]
    pub fn tls_host(&self) -> (String, PathBuf) {
        let Some(tls) = &self.tls else { panic!("this engine was started without TLS") };
        (format!("tcp://127.0.0.1:{}", tls.port), tls.certificates.client.folder.clone())
    }

    /// A folder that lives as long as the engine, for the test's own files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.scratch.path()
    }

    /// The daemon's log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.scratch.path().join("dockerd.log")
    }

    /// A command whose environment names this engine and nothing of the user's own Docker settings.
    ///
    /// # Errors
    /// When the program is missing.
    pub fn command(&self, program: &str) -> anyhow::Result<Command> {
        let mut command = tool::command(program)?;
        command
            .env("DOCKER_HOST", self.host())
            .env("DOCKER_CONFIG", self.scratch.path().join("client"))
            .env("DOCKER_BUILDKIT", "0")
            .env_remove("DOCKER_CONTEXT")
            .env_remove("DOCKER_TLS_VERIFY")
            .env_remove("DOCKER_CERT_PATH");
        Ok(command)
    }

    /// Runs the `docker` command line on this engine and gives what it printed.
    ///
    /// # Panics
    /// When the command fails; [`docker_output`](Self::docker_output) is for those that may.
    pub async fn docker<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> String {
        let run = async {
            let mut command = self.command("docker")?;
            command.args(arguments);
            tool::succeed(&mut command).await
        };
        match run.await {
            Ok(printed) => printed,
            Err(error) => panic!("{error:#}"),
        }
    }

    /// Runs the `docker` command line on this engine, whatever comes of it.
    ///
    /// # Panics
    /// When it cannot be started or takes minutes.
    pub async fn docker_output<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Output {
        let run = async {
            let mut command = self.command("docker")?;
            command.args(arguments);
            tool::output(&mut command).await
        };
        match run.await {
            Ok(output) => output,
            Err(error) => panic!("{error:#}"),
        }
    }

    /// Stops the daemon as a service manager does: its containers are stopped.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn stop(&mut self) {
        self.end("TERM").await;
    }

    /// Kills the daemon alone; containers go on running without it.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn kill(&mut self) {
        self.end("KILL").await;
    }

    /// Stops the daemon's clock: it holds its sockets and answers nothing until [`resume`](Self::resume).
    ///
    /// # Panics
    /// When it does not run.
    pub async fn freeze(&self) {
        self.signal("STOP").await;
    }

    /// Ends a [`freeze`](Self::freeze).
    ///
    /// # Panics
    /// When it does not run.
    pub async fn resume(&self) {
        self.signal("CONT").await;
        // nsenter stops itself when its child stops, and would never see the child's end.
        if let Some(entered) = self.daemon.as_ref().and_then(Child::id)
            && let Err(error) = tool::run("kill", ["-s", "CONT", &entered.to_string()]).await
        {
            panic!("cannot resume the engine: {error:#}");
        }
    }

    /// Ends daemon, containers and all at once, as a power cut does.
    pub fn power_cut(&mut self) {
        self.namespace = None;
        self.daemon = None;
        for left in ["docker.pid", "docker.sock"] {
            let _ = std::fs::remove_file(self.scratch.path().join(left));
        }
        let _ = std::fs::remove_dir_all(self.scratch.path().join("exec"));
    }

    /// Starts the daemon again on the data it had, after a stop, a kill or a power cut.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_again(&mut self) {
        if let Err(error) = self.launch(&[]).await {
            panic!("no Docker engine again: {error:#}");
        }
    }

    /// Where the networks that it makes come from. For its first start only: an engine that has a pool, and finds the
    /// default network that it had before, removes the interface `docker0`, which the machine's own engine lives by
    /// (`initNetworkController` of moby 20.10).
    fn address_pool(&self) -> String {
        format!("--default-address-pool=base={}/23,size=27", self.block.address(512))
    }

    async fn launch(&mut self, flags: &[String]) -> anyhow::Result<()> {
        if self.namespace.is_none() {
            let groups = ControlGroups::of(self.scratch.path());
            self.namespace = Some(Namespace::new(&self.mounts(), groups)?);
        }
        let namespace = self.namespace.as_ref().context("the engine's namespace is gone")?;
        let folder = self.scratch.path();
        let bridge = self.default_bridge().await?;
        // An empty file of its own, lest it read the machine's.
        let settings = folder.join("daemon.json");
        std::fs::write(&settings, "{}")?;
        let log = File::options().create(true).append(true).open(self.log())?;
        let mut command = namespace.command(tool::find("dockerd")?)?;
        command
            .arg("--host")
            .arg(self.host())
            .arg("--data-root")
            .arg(folder.join("data"))
            .arg("--exec-root")
            .arg(folder.join("exec"))
            .arg("--pidfile")
            .arg(folder.join("docker.pid"))
            .arg(format!("--bridge={bridge}"))
            .arg(format!("--cgroup-parent={}", ControlGroups::of(folder).parent()))
            .args(["--iptables=false", "--ip6tables=false", "--storage-driver=overlay2", "--group=root"])
            .arg("--config-file")
            .arg(&settings)
            .args(self.tls_flags())
            .args(&self.options.flags)
            .args(flags)
            .stdout(log.try_clone()?)
            .stderr(log)
            .stdin(Stdio::null());
        self.daemon = Some(command.spawn().context("cannot run dockerd")?);
        self.wait_until_it_answers().await
    }

    /// Shell commands for the mounts that the options ask for.
    fn mounts(&self) -> String {
        let data = self.scratch.path().join("data");
        self.options.data_megabytes.map_or_else(
            || ":".to_owned(),
            |size| format!("mkdir -p {0} && mount -t tmpfs -o size={size}m none {0}", data.display()),
        )
    }

    fn tls_flags(&self) -> Vec<String> {
        let Some(tls) = &self.tls else { return Vec::new() };
        let files = &tls.certificates.server;
        vec![
            format!("--host=tcp://127.0.0.1:{}", tls.port),
            "--tlsverify".to_owned(),
            format!("--tlscacert={}", files.ca().display()),
            format!("--tlscert={}", files.certificate().display()),
            format!("--tlskey={}", files.key().display()),
        ]
    }

    async fn wait_until_it_answers(&mut self) -> anyhow::Result<()> {
        let (socket, log) = (self.socket(), self.log());
        let daemon = self.daemon.as_mut().context("the daemon was not started")?;
        let answered = try_eventually(START_DEADLINE, async || match daemon.try_wait() {
            Ok(None) => ping(&socket).await.map(Ok),
            Ok(Some(status)) => Ok(Err(anyhow!("dockerd ended with {status}"))),
            Err(error) => Ok(Err(error.into())),
        });
        let problem = match answered.await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(ended)) => ended,
            Err(last) => anyhow!("dockerd did not answer in {START_DEADLINE:?}: {last:?}"),
        };
        bail!("{problem}; the end of its log:\n{}", tool::tail(&log, 20))
    }

    async fn end(&mut self, signal: &str) {
        self.signal(signal).await;
        let Some(mut daemon) = self.daemon.take() else { return };
        if tokio::time::timeout(STOP_DEADLINE, daemon.wait()).await.is_err() {
            panic!("dockerd did not end on {signal}; its log:\n{}", tool::tail(&self.log(), 20));
        }
    }

    /// Sends the daemon a signal, by the process id that it has inside its namespace.
    async fn signal(&self, signal: &str) {
        let run = async {
            let namespace = self.namespace.as_ref().context("the engine does not run")?;
            let process = std::fs::read_to_string(self.scratch.path().join("docker.pid"))?;
            let mut command = namespace.command("sh")?;
            command.args(["-c", "kill -s \"$1\" \"$2\"", "sh", signal, process.trim()]);
            tool::succeed(&mut command).await
        };
        if let Err(error) = run.await {
            panic!("cannot signal the engine: {error:#}");
        }
    }

    /// Makes the bridge of the engine's default network, unless it is there.
    async fn default_bridge(&self) -> anyhow::Result<String> {
        let name = self.block.name("engine");
        if !Path::new("/sys/class/net").join(&name).exists() {
            let address = format!("{}/24", self.block.address(1));
            tool::run("ip", ["link", "add", "name", &name, "type", "bridge"]).await?;
            tool::run("ip", ["address", "add", &address, "dev", &name]).await?;
            tool::run("ip", ["link", "set", &name, "up"]).await?;
        }
        Ok(name)
    }
}

impl Drop for Dockerd {
    #[expect(clippy::print_stderr, reason = "a failing test shows what the engine said")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the end of {}\n{}", self.log().display(), tool::tail(&self.log(), 15));
        }
    }
}

/// Whether the engine answers on `socket`.
async fn ping(socket: &Path) -> anyhow::Result<()> {
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(b"GET /_ping HTTP/1.0\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    anyhow::ensure!(answer.contains(" 200 OK"), "unexpected answer: {answer}");
    Ok(())
}
