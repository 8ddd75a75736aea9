//! From link to session: the agent says Hello, the controller answers, whoever dialled.
//!
//! Both identities are proven before the first of these bytes (see [`tls`](super::tls)); what is decided here is
//! whether the agent is admitted. Each step has its own time limit and small messages only.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};

use super::{Link, websocket};
use crate::message::codec::{self, DecodeError, EncodeError, MAX_HANDSHAKE};
use crate::message::hello::{Hello, Refusal, Reply, Welcome};
use crate::message::version::{self, ProtocolVersion};

/// How long each step may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// How long a refused agent may take to read why.
const FAREWELL: Duration = Duration::from_secs(2);

/// Why the agent has no session.
#[derive(Debug, thiserror::Error)]
pub enum GreetError {
    /// The controller said no. Its text says who has to act.
    #[error("{0}")]
    Refused(Refusal),
    /// The controller speaks another protocol.
    #[error(
        "the controller speaks protocol {}.{}, this agent {}.{}; upgrade the older of the two programs",
        .0.major, .0.minor, version::CURRENT.major, version::CURRENT.minor
    )]
    Version(ProtocolVersion),
    /// The link failed before an answer came. Trying again may help.
    #[error(transparent)]
    Link(#[from] HelloError),
}

/// A step of the handshake that failed.
#[derive(Debug, thiserror::Error)]
pub enum HelloError {
    /// The peer took too long.
    #[error("no answer to the handshake within 10 s")]
    Deadline,
    /// The peer went away.
    #[error("the peer closed the link during the handshake")]
    Closed,
    /// The peer sent something else. Worth answering with [`Refusal::Malformed`].
    #[error("the handshake could not be understood: {0}")]
    Malformed(String),
    /// What this program has to say is too large: its name or tags are.
    #[error("this program's part of the handshake is too large: {0}")]
    Encode(#[from] EncodeError),
    /// The network failed.
    #[error("the link failed during the handshake: {0}")]
    Transport(Box<SocketError>),
}

/// The agent's part: says `hello`, waits for the answer.
///
/// # Errors
/// If the controller refuses, or the link fails.
pub async fn greet<S>(link: &mut Link<S>, hello: &Hello) -> Result<Welcome, GreetError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    send(link, codec::encode(hello, MAX_HANDSHAKE).map_err(HelloError::from)?).await?;
    match receive(link).await? {
        Reply::Welcome(welcome) if !version::CURRENT.talks_to(welcome.protocol) => {
            Err(GreetError::Version(welcome.protocol))
        }
        Reply::Welcome(welcome) => Ok(welcome),
        Reply::Refused(refusal) => Err(GreetError::Refused(refusal)),
        Reply::Unknown => Err(GreetError::Refused(Refusal::Unknown)),
    }
}

/// The controller's part, first half: waits for Hello.
///
/// # Errors
/// If none comes in time, or the link fails.
pub async fn receive_hello<S>(link: &mut Link<S>) -> Result<Hello, HelloError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    receive(link).await
}

/// The controller's part, second half: answers. After a refusal the link is closed.
///
/// # Errors
/// If the agent does not take the answer in time, or the link fails.
pub async fn answer<S>(link: &mut Link<S>, reply: &Reply) -> Result<(), HelloError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    send(link, codec::encode(reply, MAX_HANDSHAKE)?).await?;
    if !matches!(reply, Reply::Welcome(_)) {
        // Whether the agent stays to hear the goodbye changes nothing.
        let _ = timeout(FAREWELL, close(link)).await;
    }
    Ok(())
}

async fn send<S>(link: &mut Link<S>, bytes: Vec<u8>) -> Result<(), HelloError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let sent = timeout(DEADLINE, link.socket.send(Message::Binary(bytes.into()))).await;
    sent.map_err(|_| HelloError::Deadline)?.map_err(transport)
}

async fn receive<S, M>(link: &mut Link<S>) -> Result<M, HelloError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    M: serde::de::DeserializeOwned,
{
    let message = timeout(DEADLINE, async {
        loop {
            let received = link.socket.next().await;
            if let Some(Ok(message)) = &received {
                link.took(message);
            }
            match received {
                None | Some(Ok(Message::Close(_))) => return Err(HelloError::Closed),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(message)) => return Ok(message),
                Some(Err(error)) => return Err(transport(error)),
            }
        }
    });
    match message.await.map_err(|_| HelloError::Deadline)?? {
        Message::Binary(bytes) => codec::decode(&bytes, MAX_HANDSHAKE)
            .map_err(|error: DecodeError| HelloError::Malformed(error.to_string())),
        other => Err(HelloError::Malformed(websocket::describe(&other).to_owned())),
    }
}

async fn close<S>(link: &mut Link<S>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let goodbye = CloseFrame { code: CloseCode::Policy, reason: "refused".into() };
    if link.socket.close(Some(goodbye)).await.is_ok() {
        while let Some(Ok(_)) = link.socket.next().await {}
    }
}

fn transport(error: SocketError) -> HelloError {
    match error {
        SocketError::Capacity(error) => HelloError::Malformed(error.to_string()),
        SocketError::ConnectionClosed | SocketError::AlreadyClosed => HelloError::Closed,
        error => HelloError::Transport(Box::new(error)),
    }
}

#[cfg(test)]
mod tests;
