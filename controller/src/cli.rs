//! The program's sub-commands: run the controller, or do one thing to its data without the web.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use roadstead_protocol::message::ids::TokenId;
use roadstead_protocol::message::time::UnixMicros;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::controller::{Controller, Listening};
use crate::http;
use crate::reload::Configure;
use crate::store::Store;

mod audit;
mod tokens;
pub mod users;

pub use audit::AuditCommand;
use tokens::TokenWish;

/// What the program can do besides running.
#[derive(Subcommand)]
pub enum Command {
    /// Make a join token and print it.
    JoinToken {
        /// What it is to be.
        #[command(flatten)]
        wish: TokenWish,
        /// Write it to this file, readable by its owner alone, instead of printing it; an existing file is left as it
        /// is and no token is made.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// List the join tokens that are or were of use lately.
    JoinTokens,
    /// Revoke a join token; who has joined with it stays.
    RevokeJoinToken {
        /// Its id, as join-tokens lists it.
        id: TokenId,
    },
    /// Give the user admin a new password and print it; ends every web session of his.
    ResetPassword,
    /// Manage users without the web, also while the controller runs.
    Users {
        /// What to do.
        #[command(subcommand)]
        command: users::Command,
    },
    /// Write a consistent copy of the database while the controller may be running.
    Backup {
        /// The file to write; must not exist.
        to: PathBuf,
    },
    /// Read the whole database, or a backup, and say whether it is whole.
    Verify {
        /// A backup; without it the database in the data folder, which the controller may be using.
        file: Option<PathBuf>,
    },
    /// Put a backup in the place of the database; the controller must not run. What was there is kept beside it.
    Restore {
        /// The backup.
        from: PathBuf,
    },
    /// The audit log: verify its chain, or write it out.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Print the description of the HTTP API (OpenAPI, JSON).
    Openapi,
    /// Tell by exit code whether the controller that uses this data folder is up.
    Healthcheck,
}

/// Runs one sub-command, or the controller.
///
/// # Errors
/// What went wrong, in words for the operator.
pub fn run(command: Option<Command>, config: Config, configure: Box<Configure>) -> anyhow::Result<()> {
    if let Some(Command::Openapi) = command {
        return print(&http::openapi());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async move {
        match command {
            None | Some(Command::Openapi) => run_controller(config, configure).await,
            Some(Command::JoinToken { output: Some(file), .. }) if file.exists() => {
                tracing::info!(file = %file.display(), "there is a join token already; made none");
                Ok(())
            }
            Some(Command::JoinToken { wish, output }) => {
                let offline = Controller::offline(&config).await?;
                let token = match &wish.agent {
                    Some(name) => offline.declared_token(name)?,
                    None => offline.join_token(wish.into_token()?).await?,
                };
                match output {
                    None => print(&token),
                    Some(file) => write_secret(&file, &token)
                        .with_context(|| format!("cannot write {}", file.display())),
                }
            }
            Some(Command::ResetPassword) => {
                print(&Controller::offline(&config).await?.reset_password().await?)
            }
            Some(Command::Backup { to }) => Controller::offline(&config).await?.backup(to).await,
            Some(Command::JoinTokens) => {
                let tokens = Controller::offline(&config).await?.join_tokens().await?;
                print(&tokens::listed(&tokens, UnixMicros::now()))
            }
            Some(Command::RevokeJoinToken { id }) => {
                Controller::offline(&config).await?.revoke_token(id).await
            }
            Some(Command::Audit(command)) => command.run(&Controller::offline(&config).await?.audit()).await,
            Some(Command::Users { command }) => print(&users::run(command, &config).await?),
            Some(Command::Verify { file }) => verify(&config, file).await,
            Some(Command::Restore { from }) => restore(&config, &from),
            Some(Command::Healthcheck) => healthcheck(&config).await,
        }
    })
}

fn print(text: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{text}").context("cannot print")
}

async fn verify(config: &Config, file: Option<PathBuf>) -> anyhow::Result<()> {
    match file {
        Some(file) => Store::check_file(&file)?,
        None => Controller::offline(config).await?.verify().await?,
    }
    print("It is whole.")
}

fn restore(config: &Config, from: &Path) -> anyhow::Result<()> {
    match Store::restore(&config.data_dir, from)? {
        Some(former) => print(&format!("Restored. What was there is now {}", former.display())),
        None => print("Restored."),
    }
}

/// Files that may be open at once: each agent, browser and reader of the store takes one.
const OPEN_FILES: u64 = 65_536;

/// What a login or a service manager allows at first is often 1,024: takes more, as far as the system lets it.
pub fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(OPEN_FILES, |most| most.min(OPEN_FILES));
    // None stands for no limit at all.
    if limit.current.is_none_or(|now| now >= wanted) {
        return;
    }
    let raised = Rlimit { current: Some(wanted), ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, now = ?limit.current, "cannot raise the limit of open files");
    }
}

/// Writes a new file that only its owner may read.
fn write_secret(file: &Path, secret: &str) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    writeln!(file, "{secret}")?;
    file.sync_all()
}

async fn run_controller(config: Config, configure: Box<Configure>) -> anyhow::Result<()> {
    raise_file_limit();
    let controller = Controller::start(config, configure).await?;
    let reload = controller.reload();
    greet(controller.listening())?;
    let shutdown = CancellationToken::new();
    let run = controller.run(shutdown.clone());
    tokio::pin!(run);
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            result = &mut run => return result,
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {
                match reload.reload().await {
                    Ok(reloaded) => tracing::info!(?reloaded, "read the configuration again"),
                    Err(error) => tracing::error!("{error}"),
                }
                continue;
            }
        }
        if shutdown.is_cancelled() {
            bail!("ended at once, on a second signal");
        }
        tracing::info!("ending; a second signal ends at once");
        shutdown.cancel();
    }
}

/// Says where to go, on standard output: the one thing a person waits for.
fn greet(listening: &Listening) -> anyhow::Result<()> {
    let bold = |text: &str| {
        if std::io::stdout().is_terminal() { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    };
    let mut out = std::io::stdout().lock();
    writeln!(out, "Roadstead {} is up: {}", env!("CARGO_PKG_VERSION"), bold(&listening.web_url))?;
    match &listening.new_password {
        Some(password) => {
            writeln!(out, "Sign in as admin with the password {}  (shown only this once)", bold(password))?;
        }
        None => writeln!(
            out,
            "Sign in as admin with the password you have (forgotten? reset-password makes a new one)"
        )?,
    }
    writeln!(out, "Agents dial in at {}", listening.agent_urls.join(", "))?;
    out.flush().context("cannot print")
}

async fn healthcheck(config: &Config) -> anyhow::Result<()> {
    let listening = Listening::read(&config.data_dir)?;
    let asked = tokio::time::timeout(Duration::from_secs(5), ask_health(&listening));
    let answer = asked.await.context("the controller does not answer in time")??;
    anyhow::ensure!(
        answer.starts_with("HTTP/1.") && answer.contains(" 200 "),
        "the controller is not well: {answer}"
    );
    Ok(())
}

/// The status line of `/health`. Under TLS only whether it takes connections: the certificate is for its users'
/// name, not for this host's.
async fn ask_health(listening: &Listening) -> anyhow::Result<String> {
    let connect = tokio::net::TcpStream::connect(listening.web).await;
    let mut socket = connect.with_context(|| format!("no controller at {}", listening.web))?;
    if listening.web_url.starts_with("https:") {
        return Ok("HTTP/1.1 200 assumed".to_owned());
    }
    let request = format!("GET /health HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", listening.web);
    socket.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    socket.take(1024).read_to_end(&mut head).await?;
    Ok(String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned())
}
