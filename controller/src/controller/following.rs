//! Hands what the ledger says about commands to the lifecycles, which know nothing of commands.

use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::commands::{CommandChange, Commands};
use crate::lifecycle::Lifecycles;

/// Follows the ledger until `shutdown`.
pub(super) async fn commands(lifecycles: Lifecycles, commands: Commands, shutdown: CancellationToken) {
    let mut changes = commands.subscribe();
    // What changed before the subscription.
    recall(&lifecycles).await;
    while let Some(change) = shutdown.run_until_cancelled(changes.recv()).await {
        match change {
            Ok(CommandChange::State(record)) => lifecycles.command(&record),
            Ok(CommandChange::Lines { .. }) => {}
            Err(RecvError::Lagged(_)) => recall(&lifecycles).await,
            Err(RecvError::Closed) => return,
        }
    }
}

async fn recall(lifecycles: &Lifecycles) {
    if let Err(error) = lifecycles.recall_commands().await {
        tracing::warn!(%error, "cannot read commands for lifecycles; some may show an older status");
    }
}
