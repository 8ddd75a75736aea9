//! How a session takes leave, within two seconds whatever the peer does.

use std::time::Duration;

use futures_util::SinkExt;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::SessionEnd;
use super::pump::{Ending, Moved, Socket, drive};
use crate::link::{Link, websocket};
use crate::message::codec::{self, MAX_MESSAGE};
use crate::queue::Incoming;

/// How long it may take in all.
const LIMIT: Duration = Duration::from_secs(2);

/// The close code that says [`SessionEnd::Superseded`]: the first of those for private use.
pub(super) const SUPERSEDED: CloseCode = CloseCode::Library(4000);

/// Longest reason a close frame has room for (RFC 6455, section 5.5), in bytes.
const MAX_REASON: usize = 123;

/// A close frame, its reason shortened to fit.
pub(super) fn goodbye(code: CloseCode, reason: &str) -> CloseFrame {
    let mut end = reason.len().min(MAX_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    CloseFrame { code, reason: reason[..end].into() }
}

/// What the peer's close frame means.
pub(super) fn named_by_peer(frame: Option<CloseFrame>) -> SessionEnd {
    match frame {
        Some(frame) if frame.code == SUPERSEDED => SessionEnd::Superseded,
        Some(frame) if is_complaint(frame.code) => {
            SessionEnd::Decode(format!("the other side says: {}", frame.reason))
        }
        _ => SessionEnd::ClosedByPeer,
    }
}

fn is_complaint(code: CloseCode) -> bool {
    use CloseCode::{Policy, Protocol, Size, Unsupported};
    matches!(code, Policy | Protocol | Size | Unsupported)
}

/// Ends the connection as `ending` says, and gives the session's end its name.
pub(super) async fn take_leave<S, Tx>(
    mut link: Box<Link<S>>,
    mut outgoing: Incoming<Tx>,
    ending: Ending,
) -> SessionEnd
where
    S: AsyncRead + AsyncWrite + Unpin,
    Tx: Serialize,
{
    outgoing.close();
    let send_queued = matches!(ending, Ending::Close);
    let cut = matches!(ending, Ending::Cut(_));
    let rejecting = matches!(ending, Ending::Reject(..));
    let (frame, end) = ending.name();
    if cut {
        return end;
    }
    let socket = &mut link.socket;
    let leave = async {
        if rejecting {
            // The rest of what the peer sends is not worth reading as frames, and after an error cannot be.
            if socket.send(Message::Close(frame)).await.is_ok() {
                websocket::linger(socket.get_mut()).await;
            }
            return;
        }
        let queued = if send_queued { Some(&mut outgoing) } else { None };
        say_goodbye(socket, queued, frame).await;
        // The connection is done with; a peer that has gone already is no loss.
        let _ = socket.get_mut().shutdown().await;
    };
    if timeout(LIMIT, leave).await.is_err() {
        tracing::debug!("the other side did not say goodbye in time");
    }
    end
}

/// Sends what is queued and then `frame`, reading meanwhile, until both sides have said goodbye.
async fn say_goodbye<S, Tx>(
    socket: &mut Socket<S>,
    mut queued: Option<&mut Incoming<Tx>>,
    mut frame: Option<CloseFrame>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
    Tx: Serialize,
{
    // There may be something half written already.
    let mut writing = true;
    loop {
        match drive(socket, true, writing).await {
            Moved::Received(Some(Ok(_))) => {}
            Moved::Received(None | Some(Err(_))) | Moved::Written(Err(_)) => return,
            Moved::Written(Ok(())) => {
                let message = match queued.as_mut().and_then(|queue| queue.try_recv()) {
                    Some(message) => match codec::encode(&message, MAX_MESSAGE) {
                        Ok(bytes) => Some(Message::Binary(bytes.into())),
                        Err(_) => continue,
                    },
                    None => {
                        queued = None;
                        frame.take().map(|frame| Message::Close(Some(frame)))
                    }
                };
                writing = message.is_some();
                if let Some(message) = message
                    && socket.start_send_unpin(message).is_err()
                {
                    return;
                }
            }
        }
    }
}
