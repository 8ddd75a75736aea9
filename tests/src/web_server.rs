//! A web server in front of a controller, as people have one: Debian's nginx or HAProxy, which end TLS.

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use roadstead_certs_dev::{Certificates, Request, generate};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::condition::try_eventually;
use crate::scratch::Scratch;
use crate::tool;

/// How long it may take to listen.
const START_DEADLINE: Duration = Duration::from_secs(20);

/// Ports that may turn out to be taken before one is not.
const ATTEMPTS: usize = 5;

/// Which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Make {
    /// nginx.
    Nginx,
    /// HAProxy.
    Haproxy,
}

/// A running web server; ends on drop.
#[derive(Debug)]
pub struct WebServer {
    make: Make,
    behind: SocketAddr,
    idle: Duration,
    port: u16,
    certificates: Certificates,
    server: Option<Child>,
    scratch: Scratch,
}

impl WebServer {
    /// Starts one in front of `behind`, which cuts connections that are `idle` for so long.
    ///
    /// # Panics
    /// When it does not start; the message holds the end of its log, or the command that installs it.
    pub async fn start(make: Make, behind: SocketAddr, idle: Duration) -> Self {
        let start = async {
            let scratch = Scratch::new()?;
            let certificates = generate(&scratch.path().join("certificates"), &Request::default())?;
            let mut server = Self { make, behind, idle, port: 0, certificates, server: None, scratch };
            let mut started = server.launch_anywhere().await;
            for _ in 1..ATTEMPTS {
                if started.is_ok() {
                    break;
                }
                started = server.launch_anywhere().await;
            }
            started.map(|()| server)
        };
        match start.await {
            Ok(server) => server,
            Err(error) => panic!("no {make:?}: {error:#}"),
        }
    }

    /// Where agents come in.
    #[must_use]
    pub fn agent_url(&self) -> String {
        format!("wss://127.0.0.1:{}/agent", self.port)
    }

    /// The root of the API behind it, without TLS; nginx alone.
    #[must_use]
    pub fn plain_url(&self) -> String {
        format!("http://127.0.0.2:{}", self.port)
    }

    /// The authority that vouches for it.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.certificates.server.ca()
    }

    /// Kills it, and starts it again on the same port.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn restart(&mut self) {
        self.stop().await;
        if let Err(error) = self.launch().await {
            panic!("no {:?} again: {error:#}", self.make);
        }
    }

    /// Kills it.
    pub async fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill().await;
        }
    }

    /// Neither of them takes a port of the system's choice: one that is free now is named.
    async fn launch_anywhere(&mut self) -> anyhow::Result<()> {
        self.stop().await;
        self.port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        self.launch().await
    }

    async fn launch(&mut self) -> anyhow::Result<()> {
        let log = self.scratch.path().join("web-server.log");
        let mut command = self.command()?;
        command.stdout(Stdio::null()).stderr(File::options().create(true).append(true).open(&log)?);
        let mut server = command.spawn().context("cannot run it")?;
        let port = self.port;
        let listens = try_eventually(START_DEADLINE, async || {
            if let Some(status) = server.try_wait()? {
                return Ok(Err(anyhow::anyhow!("it ended with {status}")));
            }
            TcpStream::connect(("127.0.0.1", port)).await?;
            anyhow::Ok(Ok(()))
        });
        match listens.await {
            Ok(Ok(())) => {
                self.server = Some(server);
                Ok(())
            }
            Ok(Err(ended)) => bail!("{ended}; its log:\n{}", tool::tail(&log, 10)),
            Err(last) => bail!("it did not listen: {last:?}; its log:\n{}", tool::tail(&log, 10)),
        }
    }

    fn command(&self) -> anyhow::Result<Command> {
        let folder = self.scratch.path();
        let file = folder.join("web-server.conf");
        let (program, arguments, text) = match self.make {
            Make::Nginx => ("nginx", ["-e", "stderr", "-c"].as_slice(), self.nginx()),
            Make::Haproxy => ("haproxy", ["-q", "-db", "-f"].as_slice(), self.haproxy()?),
        };
        std::fs::write(&file, text)?;
        let mut command = tool::command(program)?;
        command.args(arguments).arg(file);
        Ok(command)
    }

    fn nginx(&self) -> String {
        let (folder, idle) = (self.scratch.path().display(), self.idle.as_secs());
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|what| format!("{what}_temp_path {folder}/{what};"))
            .collect();
        format!(
            "daemon off; master_process off; pid {folder}/pid; error_log stderr warn;\n\
             events {{ worker_connections 512; }}\n\
             http {{ access_log off; {temporary}\n\
             map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}\n\
             server {{ listen 127.0.0.1:{port} ssl; listen 127.0.0.2:{port}; ssl_certificate {certificate}; ssl_certificate_key {key};\n\
             ssl_protocols TLSv1.3;\n\
             location / {{ proxy_pass http://{behind}; proxy_http_version 1.1;\n\
             proxy_set_header Host $http_host; proxy_set_header Upgrade $http_upgrade;\n\
             proxy_set_header Connection $connection_upgrade;\n\
             proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n\
             proxy_set_header X-Forwarded-Proto $scheme;\n\
             proxy_read_timeout {idle}s; proxy_send_timeout {idle}s; }} }} }}\n",
            port = self.port,
            certificate = self.certificates.server.certificate().display(),
            key = self.certificates.server.key().display(),
            behind = self.behind,
        )
    }

    fn haproxy(&self) -> anyhow::Result<String> {
        let (pem, idle) = (self.scratch.path().join("haproxy.pem"), self.idle.as_secs());
        let side = &self.certificates.server;
        let both = [std::fs::read(side.certificate())?, std::fs::read(side.key())?].concat();
        std::fs::write(&pem, both)?;
        Ok(format!(
            "defaults\n mode http\n timeout connect 5s\n timeout client {idle}s\n timeout server {idle}s\n \
             timeout tunnel {idle}s\n option forwardfor\nfrontend web\n \
             bind 127.0.0.1:{} ssl crt {} alpn http/1.1\n http-request set-header X-Forwarded-Proto https\n \
             default_backend controller\nbackend controller\n server one {}\n",
            self.port,
            pem.display(),
            self.behind
        ))
    }
}
