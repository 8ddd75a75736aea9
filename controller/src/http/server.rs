//! The web server: accepts, shakes hands, and hands requests to the router. Everything has a deadline.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::access::Peer;
use super::stall::StallGuard;
use crate::accounts::limits::AtOnce;
use crate::accounts::network_of;
use crate::networks::Networks;

/// Connections at once; a further one waits in the listener's backlog.
const CONNECTIONS: usize = 4096;

/// Connections at once from one address or IPv6 network; a further one is dropped. A proxy that is trusted, through which
/// everybody comes, may have as many as there are: who is behind it has a limit of requests (`guard.rs`).
const CONNECTIONS_PER_SOURCE: usize = 512;

/// A TLS handshake, and the head of a request, must be whole within this time.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longest head of a request, in bytes: a stranger's connection holds no more than this.
const LONGEST_HEAD: usize = 32 * 1024;

/// After the shutdown signal, requests under way have this long.
pub(super) const DRAIN: Duration = Duration::from_secs(5);

/// After a failed accept (out of file descriptors, mostly) the next one waits this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// What the accept loop does next.
enum Next {
    Serve(TcpStream, SocketAddr, OwnedSemaphorePermit),
    Pause(std::io::Error),
    Reap(Result<(), JoinError>),
    Stop,
}

/// Serves `router` until `shutdown`, then lets what is under way end, for at most five seconds.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    router: Router,
    proxies: Networks,
    shutdown: CancellationToken,
) {
    let tls = tls.map(TlsAcceptor::from);
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    let sources = AtOnce::new(CONNECTIONS_PER_SOURCE);
    loop {
        let next = tokio::select! {
            biased;
            () = shutdown.cancelled() => Next::Stop,
            Some(ended) = connections.join_next() => Next::Reap(ended),
            next = accept(&listener, &room) => next,
        };
        match next {
            Next::Serve(stream, address, permit) => {
                let place = sources.begin(network_of(address.ip()));
                if place.is_none() && !proxies.hold(address.ip().to_canonical()) {
                    tracing::debug!(%address, "too many web connections from one address; dropped");
                    continue;
                }
                let connection = connection(stream, address, tls.clone(), router.clone(), shutdown.clone());
                connections.spawn(async move {
                    connection.await;
                    drop((permit, place));
                });
            }
            Next::Pause(error) => {
                tracing::warn!(%error, "the web server cannot accept a connection; check the limit of open files");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
            Next::Reap(Ok(())) => {}
            Next::Reap(Err(error)) => tracing::error!(%error, "a web connection ended in a bug"),
            Next::Stop => break,
        }
    }
    drop(listener);
    let drained = tokio::time::timeout(DRAIN, async { while connections.join_next().await.is_some() {} });
    if drained.await.is_err() {
        tracing::info!(connections = connections.len(), "web connections cut off at shutdown");
        connections.shutdown().await;
    }
}

async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> Next {
    let Ok(permit) = Arc::clone(room).acquire_owned().await else { return Next::Stop };
    match listener.accept().await {
        Ok((stream, address)) => Next::Serve(stream, address, permit),
        Err(error) => Next::Pause(error),
    }
}

async fn connection(
    stream: TcpStream,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    router: Router,
    shutdown: CancellationToken,
) {
    // Small answers and events go out at once; that this cannot be set harms nothing else.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else {
        return requests(stream, Peer { address, tls: false }, router, shutdown).await;
    };
    match tokio::time::timeout(PATIENCE, tls.accept(stream)).await {
        Ok(Ok(stream)) => requests(stream, Peer { address, tls: true }, router, shutdown).await,
        Ok(Err(error)) => tracing::debug!(%address, %error, "TLS handshake failed"),
        Err(_) => tracing::debug!(%address, "TLS handshake took too long"),
    }
}

fn requests<S>(
    stream: S,
    peer: Peer,
    router: Router,
    shutdown: CancellationToken,
) -> impl Future<Output = ()> + Send
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = router.map_request(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(peer);
        request.map(axum::body::Body::new)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(LONGEST_HEAD)
        .serve_connection(TokioIo::new(StallGuard::new(stream)), TowerToHyperService::new(service))
        .with_upgrades();
    async move {
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => Some(ended),
            () = shutdown.cancelled() => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(address = %peer.address, %error, "web connection ended");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn one_source_cannot_take_every_connection() {
        let sources = AtOnce::new(CONNECTIONS_PER_SOURCE);
        let [stranger, other] = [1, 2].map(|last| network_of(IpAddr::from([192, 0, 2, last])));
        let mut connections: Vec<_> =
            (0..CONNECTIONS_PER_SOURCE).map(|_| sources.begin(stranger).unwrap()).collect();
        assert!(sources.begin(stranger).is_none() && sources.begin(other).is_some());
        drop(connections.pop());
        assert!(sources.begin(stranger).is_some());
        drop(connections);
        assert_eq!(sources.count(), 0);
    }
}
