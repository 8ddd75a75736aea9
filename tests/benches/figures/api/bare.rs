//! The yardstick of a page: an axum server that answers every request with the same bytes, in a process of its own.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use anyhow::Context;
use axum::Router;
use axum::http::header;
use axum::routing::get;
use bytes::Bytes;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

/// The argument that makes this program the server; the file with its answer follows.
pub const ARGUMENT: &str = "bare-page";

/// A running server; ends when dropped.
pub struct Bare {
    _server: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Bare {
    /// Starts one that answers with what is in `file`.
    ///
    /// # Errors
    /// When that fails.
    pub async fn start(file: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(ARGUMENT).arg(file).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut server = command.spawn()?;
        let mut said = String::new();
        BufReader::new(server.stdout.take().context("no output")?).read_line(&mut said).await?;
        Ok(Self { address: said.trim().parse()?, _server: server })
    }
}

/// Serves until nobody holds its input any more. Prints the address.
///
/// # Errors
/// When it cannot listen.
pub async fn serve(file: &str) -> anyhow::Result<()> {
    let body = Bytes::from(std::fs::read(file)?);
    let page = move || {
        let body = body.clone();
        async move { ([(header::CONTENT_TYPE, "application/json")], body) }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", listener.local_addr()?)?;
        out.flush()?;
    }
    let ended = async {
        let _ = tokio::io::stdin().read(&mut [0]).await;
    };
    Ok(axum::serve(listener, Router::new().route("/", get(page))).with_graceful_shutdown(ended).await?)
}
