//! A peer of one's own making: TLS as a program of ours makes it, and above that whatever a test wants to send.

use std::io;
use std::net::SocketAddr;

use roadstead_protocol::link::identity::Identity;
use roadstead_protocol::link::raw;
use roadstead_protocol::message::codec::{self, MAX_HANDSHAKE};
use roadstead_protocol::message::hello::{Hello, JoinProof, Reply};
use roadstead_protocol::message::ids::{BootId, Epoch, EventSeq};
use roadstead_protocol::message::policy::Policy;
use roadstead_protocol::message::version;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// Opcodes of WebSocket frames (RFC 6455, section 5.2).
pub const TEXT: u8 = 1;
/// A message of ours.
pub const BINARY: u8 = 2;
/// A goodbye.
pub const CLOSE: u8 = 8;

/// A frame that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub opcode: u8,
    /// What it holds.
    pub payload: Vec<u8>,
}

impl Frame {
    /// The reason that a goodbye gives.
    #[must_use]
    pub fn reason(&self) -> String {
        String::from_utf8_lossy(self.payload.get(2..).unwrap_or_default()).into_owned()
    }
}

/// A message with a field that no version knows.
#[derive(Debug, Serialize)]
pub struct WithMore<T> {
    /// The message.
    #[serde(flatten)]
    pub message: T,
    /// The field.
    pub tide: &'static str,
}

/// A message with a field that no version knows.
pub fn with_more<T>(message: T) -> WithMore<T> {
    WithMore { message, tide: "rising" }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A WebSocket over TLS to a controller or an inbound agent; closed on drop.
pub struct RawLink {
    stream: Box<dyn Stream>,
}

impl RawLink {
    /// Dials, proves `identity` if there is one, and upgrades to a WebSocket.
    ///
    /// # Errors
    /// When the other side does not want to.
    pub async fn dial(address: SocketAddr, identity: Option<&Identity>) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        let mut link = Self { stream: Box::new(raw::connect(stream, identity).await?) };
        let request = format!(
            "GET /agent HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        link.send_bytes(request.as_bytes()).await?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(link.stream.read_u8().await?);
        }
        if answer.starts_with(b"HTTP/1.1 101 ") {
            return Ok(link);
        }
        Err(io::Error::other(String::from_utf8_lossy(&answer).into_owned()))
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Sends one whole frame.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send_frame(&mut self, opcode: u8, payload: &[u8]) -> io::Result<()> {
        let mut bytes = frame_header(opcode, payload.len() as u64);
        // Masked with zeros, which changes nothing.
        bytes.extend_from_slice(payload);
        self.send_bytes(&bytes).await
    }

    /// Sends a message in a frame.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send<M: Serialize>(&mut self, message: &M) -> io::Result<()> {
        let bytes = codec::encode(message, usize::MAX).map_err(io::Error::other)?;
        self.send_frame(BINARY, &bytes).await
    }

    /// The next frame; none when the other side has closed the connection.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn next_frame(&mut self) -> io::Result<Option<Frame>> {
        let first = match self.stream.read_u8().await {
            Ok(first) => first,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        };
        let length = match self.stream.read_u8().await? {
            126 => u64::from(self.stream.read_u16().await?),
            127 => self.stream.read_u64().await?,
            short => u64::from(short),
        };
        let mut payload = Vec::new();
        (&mut self.stream).take(length).read_to_end(&mut payload).await?;
        Ok(Some(Frame { opcode: first & 0x0f, payload }))
    }

    /// Skips frames until a message comes that `wanted` takes.
    ///
    /// # Errors
    /// When the connection ends before.
    pub async fn until<M: DeserializeOwned, T>(&mut self, wanted: impl Fn(M) -> Option<T>) -> io::Result<T> {
        while let Some(frame) = self.next_frame().await? {
            let message = (frame.opcode == BINARY).then(|| codec::decode(&frame.payload, usize::MAX));
            if let Some(found) = message.and_then(Result::ok).and_then(&wanted) {
                return Ok(found);
            }
            if frame.opcode == CLOSE {
                return Err(io::Error::other(frame.reason()));
            }
        }
        Err(io::ErrorKind::UnexpectedEof.into())
    }

    /// Waits until the other side says goodbye or is gone, and gives its reason.
    pub async fn goodbye(&mut self) -> String {
        loop {
            match self.next_frame().await {
                Ok(Some(frame)) if frame.opcode == CLOSE => return frame.reason(),
                Ok(Some(_)) => {}
                Ok(None) => return String::new(),
                Err(error) => return error.to_string(),
            }
        }
    }

    /// Says `hello`, and gives the answer.
    ///
    /// # Errors
    /// When there is none.
    pub async fn greet<M: Serialize>(&mut self, hello: &M) -> io::Result<Reply> {
        self.send(hello).await?;
        match self.next_frame().await? {
            Some(frame) => codec::decode(&frame.payload, MAX_HANDSHAKE).map_err(io::Error::other),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// The first bytes of a masked frame, whose mask is zero.
#[must_use]
pub fn frame_header(opcode: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![0x80 | opcode];
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if short < 126 => bytes.push(0x80 | short),
        (_, Ok(middle)) => {
            bytes.push(0x80 | 126);
            bytes.extend(middle.to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 127);
            bytes.extend(length.to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes
}

/// What an agent of this name with an empty outbox says first.
#[must_use]
pub fn hello(name: &str, join: Option<JoinProof>) -> Hello {
    Hello {
        remembers_since: None,
        protocol: version::CURRENT,
        agent_version: "0.0.0".to_owned(),
        boot: BootId::generate(),
        join,
        name: name.to_owned(),
        environment: None,
        tags: Vec::new(),
        policy: Policy::default(),
        abilities: Vec::new(),
        epoch: Epoch::generate(),
        last_event: EventSeq::default(),
    }
}
