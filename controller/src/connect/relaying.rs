//! Agents that come through a web server.

use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use roadstead_protocol::link::relayed;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Front;
use super::serving::{Dialled, serve};
use crate::relayed::Relayed;

/// How long the web side may take to give the stream away after its answer.
const UPGRADE: Duration = Duration::from_secs(10);

/// Serves every agent that the web side hands over, until `shutdown`; then waits for the sessions to end.
pub async fn relay(front: Arc<Front>, mut arrivals: mpsc::Receiver<Relayed>, shutdown: CancellationToken) {
    let mut links = JoinSet::new();
    loop {
        let arrived = tokio::select! {
            () = shutdown.cancelled() => break,
            Some(_) = links.join_next() => continue,
            arrived = arrivals.recv() => arrived,
        };
        let Some(arrived) = arrived else { break };
        links.spawn(serve_one(Arc::clone(&front), arrived, shutdown.child_token()));
    }
    while links.join_next().await.is_some() {}
}

async fn serve_one(front: Arc<Front>, arrived: Relayed, stop: CancellationToken) {
    let Relayed { upgrade, peer, remote, place } = arrived;
    let stream = match timeout(UPGRADE, upgrade).await {
        Ok(Ok(stream)) => TokioIo::new(stream),
        Ok(Err(error)) => return tracing::debug!(%remote, %error, "a relayed agent went away"),
        Err(_) => return tracing::debug!(%remote, "a relayed agent was not handed over in time"),
    };
    let link = relayed::accept(stream, peer, remote.to_string()).await;
    serve(front, Box::new(link), Dialled::ByAgent, Some(place), stop).await;
}
