//! The WebSocket's settings, the same for whoever dials, and how a handshake of TLS and WebSocket becomes a link.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, header};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};

use super::Link;
use super::address::WEB_PATH;
use super::carrier::Carrier;
use super::identity::AgentSecret;
use super::tls;
use crate::message::codec::MAX_MESSAGE;
use crate::message::ids::PeerKey;

/// Between two heartbeats.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// A small read buffer, since it stays allocated for as long as the link lives, and nothing held back on write.
pub(super) const READ_BUFFER: usize = 1024;

/// More than one message and the pongs between; beyond it the peer's pings are left unanswered.
const MAX_WRITE_BUFFER: usize = 1024 * 1024;

pub(super) fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(MAX_WRITE_BUFFER)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE))
}

/// Says the client's part of the upgrade. `authority` is `host:port`; a web server is shown `secret`.
pub(super) async fn upgrade_client<S>(
    stream: Carrier<S>,
    authority: &str,
    secret: Option<&AgentSecret>,
) -> Result<WebSocketStream<Carrier<S>>, SocketError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut request = format!("wss://{authority}{WEB_PATH}").into_client_request()?;
    if let Some(secret) = secret {
        let mut value = HeaderValue::try_from(format!("Bearer {}", secret.to_text()))?;
        value.set_sensitive(true);
        request.headers_mut().insert(header::AUTHORIZATION, value);
    }
    let (socket, _) = tokio_tungstenite::client_async_with_config(request, stream, Some(config())).await?;
    Ok(socket)
}

/// Says the server's part of the upgrade.
pub(super) async fn upgrade_server<S>(stream: Carrier<S>) -> Result<WebSocketStream<Carrier<S>>, SocketError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    tokio_tungstenite::accept_hdr_async_with_config(stream, check_path, Some(config())).await
}

#[expect(clippy::result_large_err, reason = "the type that tungstenite calls back with")]
fn check_path(request: &Request, response: Response) -> Result<Response, ErrorResponse> {
    if request.uri().path() == WEB_PATH {
        return Ok(response);
    }
    let mut refusal = ErrorResponse::new(Some(format!("Links are made at {WEB_PATH}.\n")));
    *refusal.status_mut() = StatusCode::NOT_FOUND;
    Err(refusal)
}

/// A finished handshake of both layers as a link on which this program is known by `shown`.
pub(super) fn link<S>(
    socket: WebSocketStream<Carrier<S>>,
    role: Role,
    remote: String,
    shown: PeerKey,
) -> io::Result<Link<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let connection = socket.get_ref().connection();
    let connection = connection.ok_or_else(|| io::Error::other("a stream without TLS proves no key"))?;
    let peer = tls::proven_key(connection).map_err(io::Error::other)?;
    Ok(Link {
        socket,
        role,
        taken: 0,
        grown: false,
        peer,
        shown: Some(shown),
        remote,
        heartbeat_every: HEARTBEAT,
        place: None,
    })
}

/// Takes the peer's last bytes and throws them away until it ends the connection: closing a socket that still has
/// unread bytes resets it, and the peer would lose what it was told last. The caller sets the time limit.
pub(super) async fn linger<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) {
    use tokio::io::AsyncReadExt;

    if stream.shutdown().await.is_err() {
        return;
    }
    let mut scrap = [0; 512];
    while let Ok(1..) = stream.read(&mut scrap).await {}
}

/// What is wrong with a frame that should have been one binary message.
pub(super) fn describe(message: &Message) -> &'static str {
    match message {
        Message::Text(_) => "a text frame, only binary frames are messages",
        _ => "a frame that is no message",
    }
}
