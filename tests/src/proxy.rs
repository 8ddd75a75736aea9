//! A TCP proxy that makes a line slow, silent or cut: this is the delay that kernels without netem lack.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

/// How many pieces may be under way in one direction; more wait in the sender's socket.
const UNDER_WAY: usize = 256;

/// What the line is like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Line {
    /// How long each byte is under way.
    delay: Duration,
    /// Nothing passes, and nobody is told.
    silent: bool,
    /// Counts up: each connection ends when it is not what it was at its start.
    cuts: u64,
    /// New connections are closed at once.
    refusing: bool,
}

/// The proxy; its connections end on drop.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    line: watch::Sender<Line>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Starts one on a free port of 127.0.0.1, in front of `target`.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(target: SocketAddr) -> io::Result<Self> {
        Self::start_at(Ipv4Addr::LOCALHOST, target).await
    }

    /// [`start`](Self::start), on another address of this machine.
    ///
    /// # Errors
    /// When no port can be bound there.
    pub async fn start_at(address: Ipv4Addr, target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((address, 0)).await?;
        let address = listener.local_addr()?;
        let (line, observed) = watch::channel(Line::default());
        let accepting = tokio::spawn(accept(listener, target, observed));
        Ok(Self { address, line, accepting })
    }

    /// Where to connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything takes so long in each direction from now on.
    pub fn delay(&self, delay: Duration) {
        self.line.send_modify(|line| line.delay = delay);
    }

    /// Nothing passes any more, and nobody is told: connections stay open.
    pub fn go_silent(&self) {
        self.line.send_modify(|line| line.silent = true);
    }

    /// Ends a silence; what was sent meanwhile arrives.
    pub fn speak(&self) {
        self.line.send_modify(|line| line.silent = false);
    }

    /// Closes every connection there is; new ones pass.
    pub fn cut(&self) {
        self.line.send_modify(|line| line.cuts += 1);
    }

    /// Closes every connection there is, and every new one at once, until [`heal`](Self::heal).
    pub fn refuse(&self) {
        self.line.send_modify(|line| (line.cuts, line.refusing) = (line.cuts + 1, true));
    }

    /// A quick, open line again.
    pub fn heal(&self) {
        self.line.send_modify(|line| *line = Line { cuts: line.cuts, ..Line::default() });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Its connections are tasks of a set that it owns.
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, line: watch::Receiver<Line>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                if !line.borrow().refusing {
                    connections.spawn(connection(client, target, line.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection, from its start to its end or a cut.
async fn connection(client: TcpStream, target: SocketAddr, mut line: watch::Receiver<Line>) {
    let cuts = line.borrow().cuts;
    let Ok(server) = TcpStream::connect(target).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let both = async {
        tokio::join!(carry(from_client, to_server, line.clone()), carry(from_server, to_client, line.clone()))
    };
    let mut watched = line.clone();
    tokio::select! {
        _ = both => {}
        _ = watched.wait_for(|line| line.cuts != cuts) => {}
    }
    line.mark_unchanged();
}

/// Carries one direction, each piece after the delay that held when it came.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut line: watch::Receiver<Line>) {
    let (pieces, mut arriving) = mpsc::channel::<(Instant, Vec<u8>)>(UNDER_WAY);
    let reading_line = line.clone();
    let read = async move {
        loop {
            let mut piece = vec![0; 16 * 1024];
            let Ok(length @ 1..) = from.read(&mut piece).await else { return };
            piece.truncate(length);
            let delay = reading_line.borrow().delay;
            if pieces.send((Instant::now() + delay, piece)).await.is_err() {
                return;
            }
        }
    };
    let write = async move {
        while let Some((due, piece)) = arriving.recv().await {
            sleep_until(due).await;
            if line.wait_for(|line| !line.silent).await.is_err() || to.write_all(&piece).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(read, write);
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    /// A server that sends back what it gets, a proxy before it, and a connection through that.
    async fn echo() -> (Proxy, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let proxy = Proxy::start(listener.local_addr().unwrap()).await.unwrap();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (mut read, mut write) = socket.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut read, &mut write).await });
            }
        });
        let stream = TcpStream::connect(proxy.address()).await.unwrap();
        (proxy, stream)
    }

    async fn round_trip(stream: &mut TcpStream) -> io::Result<Duration> {
        let start = Instant::now();
        stream.write_all(b"ping").await?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).await?;
        Ok(start.elapsed())
    }

    #[tokio::test]
    async fn a_delay_holds_in_each_direction() {
        let (proxy, mut stream) = echo().await;
        assert!(round_trip(&mut stream).await.unwrap() < Duration::from_millis(80));
        proxy.delay(Duration::from_millis(50));
        assert!(round_trip(&mut stream).await.unwrap() >= Duration::from_millis(100));
    }

    #[tokio::test]
    async fn silence_passes_nothing_and_loses_nothing() {
        let (proxy, mut stream) = echo().await;
        round_trip(&mut stream).await.unwrap();
        proxy.go_silent();
        assert!(timeout(Duration::from_millis(100), round_trip(&mut stream)).await.is_err());
        proxy.speak();
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"ping");
    }

    #[tokio::test]
    async fn a_cut_ends_what_is_open_and_lets_new_ones_pass() {
        let (proxy, mut stream) = echo().await;
        round_trip(&mut stream).await.unwrap();
        proxy.cut();
        assert!(round_trip(&mut stream).await.is_err());
        let mut again = TcpStream::connect(proxy.address()).await.unwrap();
        round_trip(&mut again).await.unwrap();
        proxy.refuse();
        let mut refused = TcpStream::connect(proxy.address()).await.unwrap();
        assert!(round_trip(&mut refused).await.is_err());
    }
}
