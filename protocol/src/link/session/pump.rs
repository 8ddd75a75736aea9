//! The pump: the one task that moves a session's messages.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use futures_util::{SinkExt, StreamExt};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::select;
use tokio::sync::mpsc::{self, Permit};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};
use tokio_util::sync::CancellationToken;

use super::timing::{Timing, Verdict};
use super::{Heartbeat, LinkHealth, SessionEnd, farewell};
use crate::link::Link;
use crate::link::carrier::Carrier;
use crate::link::websocket;
use crate::message::Directed;
use crate::message::codec::{self, MAX_MESSAGE};
use crate::queue::Incoming;

pub(super) type Socket<S> = WebSocketStream<Carrier<S>>;

pub(super) struct Pump<S, Tx, H> {
    /// Boxed, since a future holds what it was given twice over, and there may be ten thousand of these.
    link: Box<Link<S>>,
    heartbeat: Heartbeat,
    outgoing: Incoming<Tx>,
    health: watch::Sender<LinkHealth>,
    heard: H,
    closer: CancellationToken,
    superseder: CancellationToken,
    timing: Timing,
    /// A heartbeat that waits until the message before it is written.
    pending_heartbeat: Option<Beat>,
}

/// A heartbeat: a message of its own would take room in every pump.
#[derive(Clone, Copy)]
enum Beat {
    Ping,
    Pong,
}

impl Beat {
    fn message(self) -> Message {
        match self {
            Self::Ping => Message::Ping(Default::default()),
            Self::Pong => Message::Pong(Default::default()),
        }
    }
}

/// Why the pump stopped.
enum Paused {
    Over(Ending),
    /// The socket's buffer has grown, and nothing moves just now.
    Grown,
}

/// What the pump woke up for.
enum Happened<'a, Tx, Rx> {
    Moved(Moved),
    Room(Permit<'a, Box<Rx>>),
    ToSend(Tx),
    Over(Ending),
    TimePassed,
}

/// What the socket did.
pub(super) enum Moved {
    Received(Option<Result<Message, SocketError>>),
    Written(Result<(), SocketError>),
}

/// How to take leave, and the name of the end.
pub(super) enum Ending {
    /// Send what is queued, then say goodbye.
    Close,
    /// Say goodbye at once.
    Supersede,
    /// Answer the peer's goodbye.
    Closed(SessionEnd),
    /// Tell the peer what was wrong.
    Reject(CloseCode, String),
    /// There is nobody to tell.
    Cut(SessionEnd),
}

impl<S, Tx, H> Pump<S, Tx, H>
where
    S: AsyncRead + AsyncWrite + Unpin,
    Tx: Serialize,
    H: FnMut() -> bool,
{
    pub(super) fn new(
        link: Link<S>,
        heartbeat: Heartbeat,
        outgoing: Incoming<Tx>,
        (health, heard): (watch::Sender<LinkHealth>, H),
        closer: CancellationToken,
        superseder: CancellationToken,
    ) -> Self {
        let timing = Timing::new(link.received(), link.heartbeat_every, Instant::now());
        let link = Box::new(link);
        Self { link, heartbeat, outgoing, health, heard, closer, superseder, timing, pending_heartbeat: None }
    }

    pub(super) async fn run<Rx: Directed>(mut self, incoming: mpsc::Sender<Box<Rx>>) -> SessionEnd {
        loop {
            // Boxed, so that no pump carries the state along of what happens once or seldom.
            match self.carry(&incoming).await {
                Paused::Over(ending) => {
                    return Box::pin(farewell::take_leave(self.link, self.outgoing, ending)).await;
                }
                Paused::Grown => self.link = Box::pin(self.link.with_small_buffers()).await,
            }
        }
    }

    async fn carry<Rx: Directed>(&mut self, incoming: &mpsc::Sender<Box<Rx>>) -> Paused {
        let mut room = incoming.try_reserve().ok();
        let mut alarm = pin!(sleep_until(self.timing.next_change(Instant::now())));
        loop {
            let now = Instant::now();
            self.timing.reading(room.is_some(), now);
            let wake_at = self.timing.next_change(now);
            let writing = self.timing.is_writing();
            let happened = select! {
                () = self.closer.cancelled() => Happened::Over(Ending::Close),
                () = self.superseder.cancelled() => Happened::Over(Ending::Supersede),
                moved = drive_until(&mut self.link.socket, room.is_some(), writing, alarm.as_mut(), wake_at) => {
                    moved.map_or(Happened::TimePassed, Happened::Moved)
                }
                permit = incoming.reserve(), if room.is_none() => match permit {
                    Ok(permit) => Happened::Room(permit),
                    Err(_) => Happened::Over(Ending::Close),
                },
                () = incoming.closed(), if room.is_some() => Happened::Over(Ending::Close),
                message = self.outgoing.recv(), if !writing => match message {
                    Some(message) => Happened::ToSend(message),
                    None => Happened::Over(Ending::Close),
                },
            };
            let now = Instant::now();
            self.timing.received(self.link.received(), now);
            // There is a heartbeat every so often: no need to look after each message.
            let written = matches!(happened, Happened::Moved(Moved::Written(_)));
            let step = match happened {
                Happened::Moved(Moved::Received(received)) => {
                    let step = self.received(received, &mut room);
                    room = room.or_else(|| incoming.try_reserve().ok());
                    step
                }
                Happened::Moved(Moved::Written(Ok(()))) => self.written(),
                Happened::Moved(Moved::Written(Err(error))) => Err(failed(error)),
                Happened::Room(permit) => {
                    room = Some(permit);
                    Ok(())
                }
                Happened::ToSend(message) => self.send(&message),
                Happened::Over(ending) => Err(ending),
                Happened::TimePassed => Ok(()),
            };
            // Where something moves all the time, nothing wakes this for the time that passes.
            if let Err(ending) = step.and_then(|()| self.time_passed(now)).and_then(|()| self.judge(now)) {
                return Paused::Over(ending);
            }
            if written && self.link.has_grown() && !self.timing.is_writing() && self.link.is_drained() {
                return Paused::Grown;
            }
        }
    }

    fn received<Rx: Directed>(
        &mut self,
        received: Option<Result<Message, SocketError>>,
        room: &mut Option<Permit<'_, Box<Rx>>>,
    ) -> Result<(), Ending> {
        if let Some(Ok(message)) = &received {
            self.link.took(message);
        }
        match received {
            None => Err(Ending::Closed(SessionEnd::ClosedByPeer)),
            Some(Err(error)) => Err(failed(error)),
            Some(Ok(Message::Binary(bytes))) => {
                let message = codec::decode_directed(&bytes)
                    .map_err(|error| Ending::Reject(CloseCode::Policy, error.to_string()))?;
                if let Some(permit) = room.take() {
                    permit.send(Box::new(message));
                }
                Ok(())
            }
            // The socket has queued the answer; it has to be written even if nothing more is read.
            Some(Ok(Message::Ping(_))) => {
                let now = Instant::now();
                self.timing.pinged(now);
                self.timing.writing(now);
                self.heartbeat()
            }
            Some(Ok(Message::Pong(_))) => self.heartbeat(),
            Some(Ok(Message::Close(frame))) => Err(Ending::Closed(farewell::named_by_peer(frame))),
            Some(Ok(other @ (Message::Text(_) | Message::Frame(_)))) => {
                let reason = websocket::describe(&other).to_owned();
                Err(Ending::Reject(CloseCode::Unsupported, reason))
            }
        }
    }

    fn heartbeat(&mut self) -> Result<(), Ending> {
        if (self.heard)() { Ok(()) } else { Err(Ending::Close) }
    }

    fn send(&mut self, message: &Tx) -> Result<(), Ending> {
        match codec::encode(message, MAX_MESSAGE) {
            Ok(bytes) => self.write(Message::Binary(bytes.into())),
            Err(error) => {
                tracing::error!(%error, remote = self.link.remote(), "message dropped");
                Ok(())
            }
        }
    }

    fn written(&mut self) -> Result<(), Ending> {
        self.timing.written();
        match self.pending_heartbeat.take() {
            Some(heartbeat) => self.write(heartbeat.message()),
            None => Ok(()),
        }
    }

    fn write(&mut self, message: Message) -> Result<(), Ending> {
        self.timing.writing(Instant::now());
        self.link.socket.start_send_unpin(message).map_err(failed)
    }

    fn time_passed(&mut self, now: Instant) -> Result<(), Ending> {
        let Some(unanswered) = self.timing.take_heartbeat(now) else { return Ok(()) };
        let heartbeat = match self.heartbeat {
            Heartbeat::Send => Beat::Ping,
            // Where it has answered no heartbeat, this side must show by itself that it lives.
            Heartbeat::Expect if unanswered => Beat::Pong,
            Heartbeat::Expect => return Ok(()),
        };
        if self.timing.is_writing() {
            self.pending_heartbeat = Some(heartbeat);
            return Ok(());
        }
        self.write(heartbeat.message())
    }

    fn judge(&self, now: Instant) -> Result<(), Ending> {
        let health = match self.timing.verdict(now) {
            Verdict::Live => LinkHealth::Live,
            Verdict::Late => LinkHealth::Late,
            Verdict::Silent => return Err(Ending::Cut(SessionEnd::Silent)),
            Verdict::Stalled => return Err(Ending::Cut(SessionEnd::Stalled)),
        };
        self.health.send_if_modified(|known| std::mem::replace(known, health) != health);
        Ok(())
    }
}

/// Reads (if `reading`) and writes out what is queued (if `writing`) side by side, until one of them has a result.
pub(super) async fn drive<S>(socket: &mut Socket<S>, reading: bool, writing: bool) -> Moved
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    poll_fn(|cx| poll_drive(socket, reading, writing, cx)).await
}

/// The same until `wake_at`, when there is none. The alarm is set only where nothing moves: an answer that is written at
/// once needs no time limit.
async fn drive_until<S>(
    socket: &mut Socket<S>,
    reading: bool,
    writing: bool,
    mut alarm: Pin<&mut Sleep>,
    wake_at: Instant,
) -> Option<Moved>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    poll_fn(|cx| {
        if let Poll::Ready(moved) = poll_drive(socket, reading, writing, cx) {
            return Poll::Ready(Some(moved));
        }
        if alarm.deadline() != wake_at {
            alarm.as_mut().reset(wake_at);
        }
        alarm.as_mut().poll(cx).map(|()| None)
    })
    .await
}

fn poll_drive<S>(socket: &mut Socket<S>, reading: bool, writing: bool, cx: &mut Context<'_>) -> Poll<Moved>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if writing && let Poll::Ready(result) = socket.poll_flush_unpin(cx) {
        return Poll::Ready(Moved::Written(result));
    }
    if reading && let Poll::Ready(received) = socket.poll_next_unpin(cx) {
        return Poll::Ready(Moved::Received(received));
    }
    Poll::Pending
}

/// The ending that an error of the socket stands for.
fn failed(error: SocketError) -> Ending {
    use tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake;
    match error {
        SocketError::ConnectionClosed | SocketError::AlreadyClosed => {
            Ending::Closed(SessionEnd::ClosedByPeer)
        }
        SocketError::Capacity(error) => Ending::Reject(CloseCode::Size, error.to_string()),
        SocketError::Utf8(_) => {
            let text = Message::Text(Default::default());
            Ending::Reject(CloseCode::Unsupported, websocket::describe(&text).to_owned())
        }
        SocketError::Protocol(ResetWithoutClosingHandshake) => {
            Ending::Cut(SessionEnd::Transport("the other side went away without a goodbye".to_owned()))
        }
        SocketError::Protocol(error) => {
            Ending::Reject(CloseCode::Protocol, format!("no valid WebSocket frame: {error}"))
        }
        SocketError::WriteBufferFull(_) => Ending::Cut(SessionEnd::Stalled),
        error => Ending::Cut(SessionEnd::Transport(error.to_string())),
    }
}

impl Ending {
    /// The goodbye to say, if there is one, and the session's end.
    pub(super) fn name(self) -> (Option<CloseFrame>, SessionEnd) {
        match self {
            Self::Close => (Some(farewell::goodbye(CloseCode::Normal, "")), SessionEnd::ClosedByUs),
            Self::Supersede => {
                (Some(farewell::goodbye(farewell::SUPERSEDED, "superseded")), SessionEnd::Superseded)
            }
            Self::Reject(code, reason) => {
                (Some(farewell::goodbye(code, &reason)), SessionEnd::Decode(reason))
            }
            Self::Closed(end) | Self::Cut(end) => (None, end),
        }
    }
}
