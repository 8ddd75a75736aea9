//! What becomes of the commands that an earlier process of this agent left.

use std::sync::Arc;
use std::time::Duration;

use roadstead_protocol::message::command::{Order, Outcome, Work};
use roadstead_protocol::message::ids::CommandId;
use roadstead_protocol::message::time::UnixMicros;

use super::ledger::Found;
use super::table::Entry;
use super::{Executor, Shared};
use crate::commands::describe;
use crate::engine::Engine;

/// How often a command is resumed: more, and it may be what ends the agent.
const MAX_RESUMED: u32 = 3;

/// How often the engine is asked whether it is up before a resumed command finds out for itself, once a second.
const ENGINE_TRIES: u32 = 60;

impl<E: Engine> Executor<E> {
    /// Goes on with what an earlier process left: once, before the first session. Returns when it is known what that
    /// is; the commands themselves run on.
    pub async fn resume(&self) {
        let found = std::mem::take(&mut self.shared.table().found);
        if found.is_empty() {
            return;
        }
        let told = self.shared.outbox.recently_ended().await;
        for (found, entry) in found {
            if told.contains(&found.id) {
                // It died between telling the outcome and noting that.
                self.shared.settle(found.id).await;
                continue;
            }
            let shared = Arc::clone(&self.shared);
            match judge(&found) {
                Ok(order) => self.tasks.spawn(shared.take_up(order, entry)),
                Err(reason) => self.tasks.spawn(shared.write_off(found.id, entry, reason)),
            };
        }
    }
}

impl<E: Engine> Shared<E> {
    async fn take_up(self: Arc<Self>, order: Order, entry: Entry) {
        let id = order.id;
        let at = UnixMicros::now();
        if let Err(error) = self.on_disk(move |ledger| ledger.resume(id, at)).await {
            let reason = format!("interrupted: the agent restarted and could not go on: {error}");
            return self.write_off(id, entry, reason).await;
        }
        tracing::info!(command = %id, what = describe(&order.work), "command goes on after a restart");
        entry.journal.note(None, "the agent restarted; the command begins again where things stand now");
        self.supervise(order, entry, None).await;
    }

    async fn write_off(self: Arc<Self>, id: CommandId, entry: Entry, reason: String) {
        tracing::warn!(command = %id, reason, "command was interrupted");
        entry.recorded.cancel();
        entry.journal.note(None, &reason);
        entry.journal.close();
        self.keep_lines(&entry.journal).await;
        self.finish(id, Outcome::Failed { reason, services: Vec::new() }, None).await;
    }

    /// Waits a while for the engine: after a restart of the host it may come up later than the agent.
    pub(super) async fn await_engine(&self, entry: &Entry) {
        for _ in 0..ENGINE_TRIES {
            if entry.halt.is_cancelled() || self.engine.identify().await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

/// The order, if doing it again is harmless.
///
/// # Errors
/// The reason why the command ends as failed.
fn judge(found: &Found) -> Result<Order, String> {
    let look = "look at what runs on the host";
    let Some((_, order)) = &found.order else {
        return Err(format!(
            "interrupted: the agent restarted, and its record of the command is damaged; {look}"
        ));
    };
    let what = describe(&order.work);
    match &order.work {
        Work::Sync(_) | Work::Check { .. } if found.resumed >= MAX_RESUMED => {
            let times = found.resumed + 1;
            Err(format!("interrupted: the agent restarted {times} times while {what} ran; {look}"))
        }
        Work::Sync(_) | Work::Check { .. } => Ok(order.clone()),
        _ => Err(format!("interrupted: the agent restarted while {what} ran; {look}")),
    }
}
