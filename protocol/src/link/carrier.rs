//! What carries a link's WebSocket: TLS of our own, or a stream that a web server has taken TLS off.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use rustls::CommonState;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsStream;

use super::metered::Metered;

/// How the upgrade's request, and its answer, ends.
const END_OF_HEAD: &[u8; 4] = b"\r\n\r\n";

/// The stream under a WebSocket. Counts what was read of frames: see `Link::is_drained`.
pub(super) struct Carrier<S> {
    stream: Stream<S>,
    /// How much of the end of the upgrade's head was read just now; all of it once frames follow.
    head: usize,
    framed: u64,
}

// TLS is by far the usual case, so that its size is no waste.
#[expect(clippy::large_enum_variant, reason = "nearly every link is of the large variant")]
enum Stream<S> {
    /// TLS between the two programs, or between the agent and the web server.
    Tls(TlsStream<Metered<S>>),
    /// What is left where somebody else has ended TLS.
    Relayed(Metered<S>),
}

impl<S> Carrier<S> {
    /// TLS, on which the WebSocket's upgrade is still to come.
    pub(super) fn tls(stream: TlsStream<Metered<S>>) -> Self {
        Self { stream: Stream::Tls(stream), head: 0, framed: 0 }
    }

    /// What a web server has upgraded.
    pub(super) fn relayed(stream: S) -> Self {
        Self { stream: Stream::Relayed(Metered::new(stream)), head: END_OF_HEAD.len(), framed: 0 }
    }

    /// What TLS has found out, where it is ours.
    pub(super) fn connection(&self) -> Option<&CommonState> {
        match &self.stream {
            Stream::Tls(stream) => Some(stream.get_ref().1),
            Stream::Relayed(_) => None,
        }
    }

    /// Bytes that have come in so far.
    pub(super) fn received(&self) -> u64 {
        match &self.stream {
            Stream::Tls(stream) => stream.get_ref().0.received(),
            Stream::Relayed(stream) => stream.received(),
        }
    }

    /// How many bytes of frames were read.
    pub(super) fn framed(&self) -> u64 {
        self.framed
    }

    fn count(&mut self, mut read: &[u8]) {
        while self.head < END_OF_HEAD.len()
            && let Some((byte, rest)) = read.split_first()
        {
            read = rest;
            self.head = match END_OF_HEAD[self.head] == *byte {
                true => self.head + 1,
                false => usize::from(*byte == END_OF_HEAD[0]),
            };
        }
        self.framed += read.len() as u64;
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Carrier<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let result = match &mut this.stream {
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Relayed(stream) => Pin::new(stream).poll_read(cx, buffer),
        };
        this.count(&buffer.filled()[before..]);
        result
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Carrier<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Relayed(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Stream::Relayed(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Tls(stream) => stream.is_write_vectored(),
            Stream::Relayed(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Relayed(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Relayed(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn what_follows_the_head_is_counted_however_it_comes() {
        let said: &[u8] = b"HTTP/1.1 101 \r\r\nUpgrade: websocket\r\n\r\n\r\n\r\nframes";
        for piece in 1..=said.len() {
            let (mut far, near) = tokio::io::duplex(1024);
            let mut carrier = Carrier { head: 0, ..Carrier::relayed(near) };
            tokio::io::AsyncWriteExt::write_all(&mut far, said).await.unwrap();
            let mut read = 0;
            let mut buffer = vec![0; piece];
            while read < said.len() {
                read += carrier.read(&mut buffer).await.unwrap();
            }
            assert_eq!(carrier.framed(), 10, "in pieces of {piece}");
        }
    }
}
