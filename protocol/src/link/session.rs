//! A session: typed messages over a link, until it ends by name.
//!
//! [`open`] hands out the ends of two queues and a future, the pump, which the caller spawns. The pump reads from the
//! socket only while it holds room in the incoming queue: a busy consumer slows the peer down through TCP, and never
//! stops heartbeats or outgoing messages. Silence is therefore measured only while reading. Each write has a time
//! limit, and reading goes on beside it, so that two peers with much to say do not wait for each other.

mod farewell;
mod pump;
mod timing;

use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Link;
use crate::message::Directed;
use crate::queue::{Incoming, Outgoing, queue};

/// Messages that wait to be sent. A sender that finds no room waits, or drops what it can do without.
const OUTGOING: usize = 64;

/// Messages that wait to be taken. Beyond it nothing is read.
const INCOMING: usize = 32;

/// A session as its two users see it. Dropping [`outgoing`](Self::outgoing) or [`incoming`](Self::incoming) ends it.
#[derive(Debug)]
pub struct Session<Tx, Rx> {
    /// What to send. A message too large to be sent is logged as an error and dropped.
    pub outgoing: Outgoing<Tx>,
    /// What came in. Messages of a newer version come as `Unknown`, to be skipped.
    pub incoming: Incoming<Rx>,
    /// Whether the peer is heard in time.
    pub health: watch::Receiver<LinkHealth>,
    /// Cancel it to end the session: what is queued is sent, the peer is told, both within 2 s.
    pub closer: CancellationToken,
    /// Cancel it to end the session because a newer one of the same peer takes its place; both sides then see
    /// [`SessionEnd::Superseded`].
    pub superseder: CancellationToken,
}

/// Whether the peer is heard in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkHealth {
    /// It is.
    Live,
    /// A heartbeat is missing.
    Late,
}

/// Who sends heartbeats: the agent does, the controller answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heartbeat {
    /// This side sends one every 20 s, with jitter.
    Send,
    /// The other side does.
    Expect,
}

/// How a session ended. Logged once, by whoever awaits the pump.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionEnd {
    /// This side closed it.
    #[error("this side closed the session")]
    ClosedByUs,
    /// The other side closed it.
    #[error("the other side closed the session")]
    ClosedByPeer,
    /// A newer session took its place.
    #[error("a newer session of the same peer took its place")]
    Superseded,
    /// Nothing was heard for 45 s.
    #[error("nothing was heard from the other side for 45 s")]
    Silent,
    /// The peer took nothing for 20 s.
    #[error("the other side took no data for 20 s")]
    Stalled,
    /// The peer sent something that is no message, or this side did and the peer said so.
    #[error("a message could not be understood: {0}")]
    Decode(String),
    /// The network failed.
    #[error("the connection failed: {0}")]
    Transport(String),
}

/// Opens a session over `link`. The caller spawns the returned pump; it ends with the session, and dropping it cuts
/// the connection. The pump calls `heard` at every heartbeat of the peer, the only sign of life of an idle one; it is to
/// return at once, and false ends the session. (A call, since another task would be woken for it alone, ten thousand times
/// in twenty seconds.)
pub fn open<S, Tx, Rx>(
    mut link: Link<S>,
    heartbeat: Heartbeat,
    heard: impl FnMut() -> bool + Send + 'static,
) -> (Session<Tx, Rx>, impl Future<Output = SessionEnd> + Send)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    Tx: Serialize + Send + 'static,
    Rx: Directed,
{
    link.place = None;
    let (outgoing, from_user) = queue(OUTGOING);
    let (to_user, incoming) = queue(INCOMING);
    let (health_sender, health) = watch::channel(LinkHealth::Live);
    let closer = CancellationToken::new();
    let superseder = CancellationToken::new();
    let pump = pump::Pump::new(
        link,
        heartbeat,
        from_user,
        (health_sender, heard),
        closer.clone(),
        superseder.clone(),
    );
    (Session { outgoing, incoming, health, closer, superseder }, pump.run(to_user.0))
}

#[cfg(test)]
mod tests;
