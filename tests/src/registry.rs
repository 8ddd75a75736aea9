//! A private image registry: Debian's `docker-registry` on a free port of 127.0.0.1.

use std::fs::File;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use tokio::net::TcpStream;
use tokio::process::Child;

use crate::condition::try_eventually;
use crate::scratch::Scratch;
use crate::tool;

/// Who may log in where a login is required.
pub const USER: &str = "tester";

/// The password of [`USER`].
pub const PASSWORD: &str = "open sesame";

/// [`USER`] and the bcrypt hash of [`PASSWORD`].
const USERS: &str = "tester:$2b$04$7N5KAOCytaXIFH3rv1D8ieRIwTUWl010n5b.BhLvDYMlMjAdsZkZK\n";

/// How long it may take to listen.
const START_DEADLINE: Duration = Duration::from_secs(20);

/// A running registry; ends on drop.
#[derive(Debug)]
pub struct Registry {
    port: u16,
    needs_login: bool,
    server: Option<Child>,
    scratch: Scratch,
}

impl Registry {
    /// Starts an empty registry.
    ///
    /// # Panics
    /// When it does not start; the message holds the end of its log, or the command that installs it.
    pub async fn start() -> Self {
        let start = async {
            let mut registry = Self { port: 0, needs_login: false, server: None, scratch: Scratch::new()? };
            registry.launch().await?;
            anyhow::Ok(registry)
        };
        match start.await {
            Ok(registry) => registry,
            Err(error) => panic!("no registry: {error:#}"),
        }
    }

    /// `127.0.0.1:port`: what image names start with. Engines use it without TLS, since it is loopback.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The full name of an image in this registry.
    #[must_use]
    pub fn image(&self, name_and_tag: &str) -> String {
        format!("{}/{name_and_tag}", self.address())
    }

    /// Kills it; what it stores stays.
    pub async fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill().await;
        }
    }

    /// Starts it again on the same port with what it stored.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_again(&mut self) {
        self.stop().await;
        if let Err(error) = self.launch().await {
            panic!("no registry again: {error:#}");
        }
    }

    /// From now on only who logs in as [`USER`] with [`PASSWORD`] may pull or push.
    ///
    /// # Panics
    /// When it does not start again.
    pub async fn require_login(&mut self) {
        self.needs_login = true;
        self.start_again().await;
    }

    async fn launch(&mut self) -> anyhow::Result<()> {
        let settings = self.scratch.path().join("registry.yml");
        std::fs::write(&settings, self.settings())?;
        std::fs::write(self.scratch.path().join("users"), USERS)?;
        let server = tool::command("docker-registry")?
            .arg("serve")
            .arg(settings)
            .stdout(Stdio::null())
            .stderr(File::create(self.log())?)
            .spawn()
            .context("cannot run docker-registry")?;
        self.server = Some(server);
        self.port = self.wait_until_it_listens().await?;
        Ok(())
    }

    async fn wait_until_it_listens(&mut self) -> anyhow::Result<u16> {
        let log = self.log();
        let server = self.server.as_mut().context("the registry was not started")?;
        let listens = try_eventually(START_DEADLINE, async || {
            if let Some(status) = server.try_wait()? {
                return Ok(Err(anyhow!("docker-registry ended with {status}")));
            }
            let text = std::fs::read_to_string(&log)?;
            let port = port_in(&text).context("it has not said its port")?;
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
            anyhow::Ok(Ok(port))
        });
        let problem = match listens.await {
            Ok(Ok(port)) => return Ok(port),
            Ok(Err(ended)) => ended,
            Err(last) => anyhow!("docker-registry did not listen in {START_DEADLINE:?}: {last:?}"),
        };
        bail!("{problem}; the end of its log:\n{}", tool::tail(&log, 10))
    }

    fn log(&self) -> PathBuf {
        self.scratch.path().join("registry.log")
    }

    /// Port 0 at first: the registry says in its log which it got.
    fn settings(&self) -> String {
        let users = self.scratch.path().join("users");
        let login = match self.needs_login {
            true => format!("auth: {{htpasswd: {{realm: tests, path: {}}}}}\n", users.display()),
            false => String::new(),
        };
        format!(
            "version: 0.1\nlog: {{level: info, formatter: json, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\n\
             http: {{addr: '127.0.0.1:{}'}}\n{login}",
            self.scratch.path().join("images").display(),
            self.port
        )
    }
}

/// The port in the line "listening on 127.0.0.1:port" of a registry's log.
fn port_in(log: &str) -> Option<u16> {
    let (_, rest) = log.split_once("listening on 127.0.0.1:")?;
    rest.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_read_from_the_log() {
        assert_eq!(port_in(r#"{"msg":"listening on 127.0.0.1:44069","time":"2026"}"#), Some(44069));
        assert_eq!(port_in("redis not configured"), None);
    }
}
