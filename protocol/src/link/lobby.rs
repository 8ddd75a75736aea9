//! Connections that have not said yet what begins a handshake. They take up no place for one, so whoever trickles it keeps
//! nobody out.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use super::places::Place;

/// As much of a first record is waited for; an agent's has some 1,500 bytes.
const HELLO: usize = 1024;

/// What a first record of TLS begins with (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;

/// So many of those who came first are looked at to find the one that goes.
const LOOKS: usize = 64;

/// Who has come and not said hello, each on a seat.
#[derive(Default)]
pub(super) struct Lobby {
    listening: JoinSet<(u64, SocketAddr, Option<TcpStream>)>,
    /// In the order of their coming.
    seated: BTreeMap<u64, (AbortHandle, Place)>,
    came: u64,
}

impl Lobby {
    /// Waits until `stream` has said hello, `patience` at most; it is dropped after that.
    pub(super) fn enter(&mut self, seat: Place, stream: TcpStream, remote: SocketAddr, patience: Duration) {
        self.came += 1;
        let number = self.came;
        let listening = self.listening.spawn(async move {
            let said = timeout(patience, hello(&stream)).await;
            (number, remote, matches!(said, Ok(Ok(()))).then_some(stream))
        });
        self.seated.insert(number, (listening, seat));
    }

    /// The next that has said hello, and its seat; none if nobody is here. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<(Place, TcpStream, SocketAddr)> {
        loop {
            // What was sent away ends as cancelled.
            let Ok((number, remote, stream)) = self.listening.join_next().await? else { continue };
            let seat = self.seated.remove(&number);
            if let (Some((_, seat)), Some(stream)) = (seat, stream) {
                return Some((seat, stream, remote));
            }
        }
    }

    /// Frees the seat of one who has been silent for long, of the source that has most, or of `source`; false if there is
    /// nobody like that.
    pub(super) fn make_room(&mut self, source: Option<IpAddr>) -> bool {
        let silent = self.seated.iter().take(LOOKS).filter(|(_, (listening, seat))| {
            !listening.is_finished() && source.is_none_or(|source| seat.source() == source)
        });
        // Of equals the one that came first.
        let goes = silent.min_by_key(|(_, (_, seat))| Reverse(seat.of_source())).map(|(number, _)| *number);
        let gone = goes.and_then(|number| self.seated.remove(&number));
        gone.is_some_and(|(listening, _)| {
            listening.abort();
            true
        })
    }
}

/// Waits until a client has said hello, or will say nothing more.
async fn hello(stream: &TcpStream) -> io::Result<()> {
    loop {
        let ready = stream.ready(Interest::READABLE).await?;
        let look = || if has_said_hello(stream) { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) };
        match stream.try_io(Interest::READABLE, look) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            said => return said,
        }
        // From now on it counts as readable at once and for ever.
        if ready.is_read_closed() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Whether there is something for a handshake to begin with: the first record of TLS, as long as it says it is. What cannot
/// become one need not be waited for either.
pub(super) fn has_said_hello(stream: &TcpStream) -> bool {
    let mut bytes = [0; HELLO];
    let mut read = ReadBuf::new(&mut bytes);
    match stream.poll_peek(&mut Context::from_waker(Waker::noop()), &mut read) {
        Poll::Pending => false,
        Poll::Ready(Err(_)) => true,
        Poll::Ready(Ok(_)) => match *read.filled() {
            [HANDSHAKE, _, _, high, low, ..] => {
                let length = usize::from(u16::from_be_bytes([high, low])) + 5;
                read.filled().len() >= length.min(HELLO)
            }
            [HANDSHAKE, ..] => false,
            _ => true,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::places::Places;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    /// A lobby with room for so many, and connections that are in it: the clients' ends.
    async fn seated(clients: usize) -> (Lobby, Places, Vec<TcpStream>) {
        let (mut lobby, seats) = (Lobby::default(), Places::new(clients, clients));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut streams = Vec::new();
        for _ in 0..clients {
            streams.push(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap());
            let (stream, remote) = listener.accept().await.unwrap();
            lobby.enter(seats.take(remote.ip()).unwrap(), stream, remote, Duration::from_secs(3600));
        }
        (lobby, seats, streams)
    }

    #[tokio::test]
    async fn who_says_hello_comes_out_whole_records_or_not() {
        let (mut lobby, seats, mut clients) = seated(4).await;
        assert!(seats.are_full());
        // The beginning of a record of 6 bytes, which the others overtake.
        clients[0].write_all(&[HANDSHAKE, 3, 1, 0, 6, 1]).await.unwrap();
        clients[1].write_all(b"GET / HTTP/1.1").await.unwrap();
        assert_eq!(lobby.next().await.unwrap().2, clients[1].local_addr().unwrap());
        clients[2].shutdown().await.unwrap();
        assert_eq!(lobby.next().await.unwrap().2, clients[2].local_addr().unwrap());
        for byte in 0..5 {
            clients[0].write_all(&[byte]).await.unwrap();
        }
        let (seat, stream, remote) = lobby.next().await.unwrap();
        assert_eq!(remote, clients[0].local_addr().unwrap());
        let mut said = [0; 16];
        assert_eq!(stream.peek(&mut said).await.unwrap(), 11, "nothing is taken from the stream");
        drop(seat);
        assert!(!seats.are_full());
    }

    #[tokio::test]
    async fn the_one_who_has_been_silent_for_longest_makes_room() {
        let (mut lobby, seats, mut clients) = seated(2).await;
        assert!(seats.are_full() && lobby.make_room(None) && !seats.are_full());
        for client in &mut clients {
            client.write_all(&[HANDSHAKE, 3, 1, 0, 0]).await.unwrap();
        }
        assert_eq!(lobby.next().await.unwrap().2, clients[1].local_addr().unwrap());
        assert!(lobby.next().await.is_none() && !lobby.make_room(None));
    }

    #[tokio::test]
    async fn a_source_with_many_seats_makes_room_before_one_that_came_earlier() {
        let (mut lobby, seats) = (Lobby::default(), Places::new(4, 4));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut clients = Vec::new();
        for source in [1, 2, 2, 3_u8] {
            clients.push(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap());
            let (stream, remote) = listener.accept().await.unwrap();
            let seat = seats.take([192, 0, 2, source].into()).unwrap();
            lobby.enter(seat, stream, remote, Duration::from_secs(3600));
        }
        assert!(lobby.make_room(None));
        let gone = clients.remove(1);
        gone.readable().await.unwrap();
        for client in &mut clients {
            client.write_all(b"GET").await.unwrap();
        }
        let mut left = Vec::new();
        while let Some((_, _, remote)) = lobby.next().await {
            left.push(remote);
        }
        left.sort_unstable();
        let mut expected: Vec<_> = clients.iter().map(|client| client.local_addr().unwrap()).collect();
        expected.sort_unstable();
        assert_eq!(left, expected);
    }

    /// Half a hello and then the end, in whichever way: nobody may wait for the rest, least of all without a pause.
    #[tokio::test]
    async fn who_goes_in_the_middle_of_a_hello_is_let_go() {
        let half = [HANDSHAKE, 3, 1];
        for end in ["shutdown", "close", "reset"] {
            let (mut lobby, seats, mut clients) = seated(1).await;
            let mut client = clients.remove(0);
            client.write_all(&half).await.unwrap();
            match end {
                "shutdown" => client.shutdown().await.unwrap(),
                "reset" => client.set_zero_linger().unwrap(),
                _ => {}
            }
            if end != "shutdown" {
                drop(client);
            }
            let came_out = timeout(Duration::from_secs(20), lobby.next()).await;
            assert!(came_out.is_ok_and(|out| out.is_none()), "{end}");
            assert!(!seats.are_full(), "{end}");
        }
    }

    #[tokio::test]
    async fn patience_ends() {
        let (mut lobby, seats) = (Lobby::default(), Places::new(1, 1));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, remote) = listener.accept().await.unwrap();
        lobby.enter(seats.take(remote.ip()).unwrap(), stream, remote, Duration::from_millis(1));
        assert!(lobby.next().await.is_none() && !seats.are_full());
    }
}
