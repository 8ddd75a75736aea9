//! What of agents' joining belongs into the audit log.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use roadstead_protocol::message::hello::{Hello, Refusal};
use roadstead_protocol::message::ids::{InstanceId, PeerKey};
use tokio::time::Instant;

use crate::accounts::limits::{Buckets, Rate};
use crate::audit::{Audit, AuditResult, Entry};

/// Refusals that are written down: strangers must not be able to flood the log. The others are only logged.
const REFUSALS: Rate = Rate { burst: 50, refill: Duration::from_secs(10) };

/// Writes down who joined and who was refused.
pub(super) struct Book {
    audit: Audit,
    refusals: Mutex<Buckets<()>>,
}

impl Book {
    pub(super) fn new(audit: Audit) -> Self {
        Self { audit, refusals: Mutex::new(Buckets::new(REFUSALS, 1)) }
    }

    pub(super) async fn joined(&self, peer: PeerKey, hello: &Hello, instance: &InstanceId) {
        let detail = format!("key {peer}");
        self.write("agent.join", hello, Some(instance.as_str()), AuditResult::Done, &detail).await;
    }

    pub(super) async fn refused(&self, peer: PeerKey, hello: &Hello, refusal: &Refusal) {
        let may_write = || {
            let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
            refusals.take((), Instant::now()).is_ok()
        };
        if !refusal.is_temporary() && may_write() {
            let detail = format!("{refusal} (key {peer})");
            self.write("agent.join", hello, None, AuditResult::Refused, &detail).await;
        }
    }

    async fn write(
        &self,
        what: &str,
        hello: &Hello,
        target: Option<&str>,
        result: AuditResult,
        detail: &str,
    ) {
        let who = format!("agent {}", hello.name);
        let entry = Entry { who: &who, address: None, what, target, result, detail: Some(detail) };
        self.audit.record(entry).await;
    }
}
