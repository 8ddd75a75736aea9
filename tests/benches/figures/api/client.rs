//! A client that costs next to nothing: a request made beforehand, on one connection, and an answer whose length is all
//! that is looked at.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// One connection.
pub struct Client {
    stream: BufReader<TcpStream>,
    body: Vec<u8>,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub async fn connect(server: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::with_capacity(1 << 16, stream), body: Vec::new() })
    }

    /// Sends a request, and gives the body of the answer.
    ///
    /// # Errors
    /// When it is not answered with success and a length.
    pub async fn ask(&mut self, request: &[u8]) -> anyhow::Result<&[u8]> {
        self.stream.get_mut().write_all(request).await?;
        let mut length = None;
        let mut line = String::new();
        self.stream.read_line(&mut line).await?;
        ensure!(line.contains(" 200 "), "answered with {line:?}");
        loop {
            line.clear();
            ensure!(self.stream.read_line(&mut line).await? > 0, "the connection ended");
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = Some(value.trim().parse()?);
            }
        }
        self.body.resize(length.context("an answer without its length")?, 0);
        self.stream.read_exact(&mut self.body).await?;
        Ok(&self.body)
    }
}

/// A GET of `path` as whoever `cookie` says.
pub fn get(path: &str, cookie: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: application/json\r\ncookie: {cookie}\r\n\r\n")
        .into()
}
