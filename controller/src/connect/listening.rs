//! Agents that dial in.

use std::sync::Arc;

use roadstead_protocol::link::listener::Listener;
use roadstead_protocol::link::tls::Trust;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Front;
use super::serving::{Dialled, serve};

/// Serves every agent that dials in, until `shutdown`; then waits for the sessions to end.
pub async fn listen(front: Arc<Front>, mut listener: Listener, shutdown: CancellationToken) {
    let mut links = JoinSet::new();
    let mut identities = front.identities.subscribe();
    loop {
        let accepted = tokio::select! {
            Ok(()) = identities.changed() => {
                let ring = identities.borrow_and_update().clone();
                listener.replace(&ring.newest, ring.earlier.as_ref(), Trust::AnyProven);
                continue;
            }
            () = shutdown.cancelled() => break,
            Some(_) = links.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(link) => {
                links.spawn(serve(
                    Arc::clone(&front),
                    Box::new(link),
                    Dialled::ByAgent,
                    None,
                    shutdown.child_token(),
                ));
            }
            Err(error) => {
                tracing::error!(%error, "agents cannot dial in any more");
                break;
            }
        }
    }
    while links.join_next().await.is_some() {}
}
