//! Links in memory, for tests: real TLS and WebSocket over a pipe, so that a test may pause time.
#![expect(clippy::expect_used, reason = "only tests use it, and a broken pair has to fail them")]

use std::sync::Arc;

use tokio::io::DuplexStream;
use tokio_rustls::{TlsAcceptor, TlsStream};
use tokio_tungstenite::tungstenite::protocol::Role;

use super::address::AgentAddress;
use super::carrier::Carrier;
use super::dialer::{self, Clock};
use super::identity::Identity;
use super::metered::Metered;
use super::tls::{self, Trust};
use super::{Link, websocket};

/// How much each direction of the pipe holds, in bytes.
const PIPE: usize = 64 * 1024;

/// Two connected links of two new identities: the one that dialled, the one that accepted.
pub async fn pair() -> (Link<DuplexStream>, Link<DuplexStream>) {
    let dialling = Identity::generate().expect("an identity");
    let accepting = Identity::generate().expect("an identity");
    pair_of(&dialling, &accepting, PIPE).await
}

/// Two connected links of these identities over a pipe that holds `pipe` bytes in each direction.
pub async fn pair_of(
    dialling: &Identity,
    accepting: &Identity,
    pipe: usize,
) -> (Link<DuplexStream>, Link<DuplexStream>) {
    let (near, far) = tokio::io::duplex(pipe);
    let address: AgentAddress = "wss://memory.test:1".parse().expect("an address");
    let clock = Clock::start(address.to_string());
    let dial =
        dialer::upgrade(near, "memory".to_owned(), &clock, &address, dialling, Trust::Only(accepting.key()));
    let accept = async {
        let config = tls::server_config(accepting, None, Trust::Only(dialling.key()));
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let stream = acceptor.accept(Metered::new(far)).await.expect("TLS");
        let socket =
            websocket::upgrade_server(Carrier::tls(TlsStream::from(stream))).await.expect("a WebSocket");
        websocket::link(socket, Role::Server, "memory".to_owned(), accepting.key()).expect("a proven key")
    };
    let (dialled, accepted) = tokio::join!(dial, accept);
    (dialled.expect("a link"), accepted)
}
