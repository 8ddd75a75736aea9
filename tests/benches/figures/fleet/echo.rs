//! The yardstick of a fleet: a server of WebSockets over TLS that answers each message with itself and nothing else,
//! with read buffers of 4 KiB, in a process of its own.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures_util::SinkExt as _;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, accept_async_with_config, client_async_with_config};

use crate::processes::{Memory, memory};

/// The argument that makes this program the server.
pub const ARGUMENT: &str = "echo-server";

const NAME: &str = "localhost";

/// Handshakes at a time.
const AT_ONCE: usize = 200;

/// As long as a message to an agent.
const MESSAGE: usize = 200;

type Socket = WebSocketStream<client::TlsStream<TcpStream>>;

/// A running server with its connections.
pub struct Echo {
    server: Child,
    sockets: Vec<Socket>,
    before: Memory,
    /// Seconds that all handshakes took.
    pub connected_in: f64,
}

impl Echo {
    /// Starts the server, and connects to it so many times.
    ///
    /// # Errors
    /// When that fails.
    pub async fn start(connections: usize) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(ARGUMENT).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut server = command.spawn()?;
        let mut said = BufReader::new(server.stdout.take().context("no output")?);
        let mut address = String::new();
        said.read_line(&mut address).await?;
        let address: SocketAddr = address.trim().parse()?;
        let mut certificate = Vec::new();
        let length = said.read_u32().await?;
        said.take(length.into()).read_to_end(&mut certificate).await?;

        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(certificate))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = TlsConnector::from(Arc::new(config));
        let before = memory(server.id().context("it ended")?)?;
        let began = Instant::now();
        let connect = (0..connections).map(|_| connect(address, connector.clone()));
        let sockets: Vec<Socket> = stream::iter(connect).buffer_unordered(AT_ONCE).try_collect().await?;
        let connected_in = began.elapsed().as_secs_f64();
        let mut echo = Self { server, sockets, before, connected_in };
        // So that each has carried something, as a link has.
        echo.round().await?;
        Ok(echo)
    }

    /// Resident memory for each connection, in KiB.
    ///
    /// # Errors
    /// When the server is gone.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52 KiB")]
    pub fn memory(&self) -> anyhow::Result<f64> {
        let now = memory(self.server.id().context("it ended")?)?;
        Ok((now.resident - self.before.resident) as f64 / self.sockets.len() as f64)
    }

    /// A message to all, and back from all.
    ///
    /// # Errors
    /// When a connection fails.
    pub async fn round(&mut self) -> anyhow::Result<Duration> {
        let began = Instant::now();
        for socket in &mut self.sockets {
            socket.send(Message::binary(vec![7; MESSAGE])).await?;
        }
        for socket in &mut self.sockets {
            socket.next().await.context("it ended")??;
        }
        Ok(began.elapsed())
    }
}

async fn connect(address: SocketAddr, connector: TlsConnector) -> anyhow::Result<Socket> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let stream = connector.connect(ServerName::try_from(NAME)?, stream).await?;
    let upgrade = client_async_with_config("wss://localhost/", stream, Some(config()));
    Ok(Box::pin(upgrade).await?.0)
}

/// Serves until nobody holds its input any more. Prints the address, and the certificate after its length.
///
/// # Errors
/// When it cannot listen.
pub async fn serve() -> anyhow::Result<()> {
    roadstead_controller::cli::raise_file_limit();
    let key = rcgen::KeyPair::generate()?;
    let certificate = rcgen::CertificateParams::new([NAME.to_owned()])?.self_signed(&key)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )?;
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", listener.local_addr()?)?;
        out.write_all(&u32::try_from(certificate.der().len())?.to_be_bytes())?;
        out.write_all(certificate.der())?;
        out.flush()?;
    }
    let mut connections = JoinSet::new();
    let mut end = tokio::io::stdin();
    let mut nothing = [0];
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let acceptor = acceptor.clone();
                let (stream, _) = accepted?;
                connections.spawn(async move {
                    // A connection that fails is missed by whoever made it.
                    if let Ok(socket) = Box::pin(accept(stream, acceptor)).await {
                        echo(socket).await;
                    }
                });
            }
            Some(_) = connections.join_next() => {}
            _ = end.read(&mut nothing) => return Ok(()),
        }
    }
}

async fn accept(
    stream: TcpStream,
    acceptor: TlsAcceptor,
) -> anyhow::Result<Box<WebSocketStream<server::TlsStream<TcpStream>>>> {
    stream.set_nodelay(true)?;
    let stream = acceptor.accept(stream).await?;
    Ok(Box::new(accept_async_with_config(stream, Some(config())).await?))
}

async fn echo(mut socket: Box<WebSocketStream<server::TlsStream<TcpStream>>>) {
    while let Some(Ok(message)) = socket.next().await {
        if message.is_binary() && socket.send(message).await.is_err() {
            return;
        }
    }
    let _ = socket.get_mut().shutdown().await;
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(0)
}
