//! Refused agents in the audit log: each key once for each reason, and not more from one network than is worth reading.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use roadstead_protocol::message::hello::Refusal;
use roadstead_protocol::message::ids::PeerKey;
use tokio::time::Instant;

use crate::accounts::sources::Sources;
use crate::audit::{Audit, AuditResult, Entry};

/// Keys and networks that are remembered. Beyond it everything is forgotten, and told once more.
const REMEMBERED: usize = 10_000;

/// Writes refusals down.
pub struct RefusedAgents {
    audit: Audit,
    told: Mutex<Told>,
}

struct Told {
    refusals: HashSet<(PeerKey, String)>,
    sources: Sources,
}

impl RefusedAgents {
    /// Writes to `audit`.
    #[must_use]
    pub fn new(audit: Audit) -> Self {
        let told = Told { refusals: HashSet::new(), sources: Sources::audited() };
        Self { audit, told: Mutex::new(told) }
    }

    /// Writes down that the agent with this key, which calls itself `name`, was refused; but for what is news to
    /// nobody.
    pub async fn record(&self, remote: &str, peer: PeerKey, name: &str, refusal: &Refusal) {
        let address = remote.parse().ok().map(|address: SocketAddr| address.ip());
        if refusal.is_temporary() || !self.is_news(address, peer, refusal) {
            return;
        }
        let (key, reason) = (peer.to_string(), refusal.to_string());
        self.audit
            .record(Entry {
                who: name,
                address,
                what: "agent.join",
                target: Some(&key),
                result: AuditResult::Refused,
                detail: Some(&reason),
            })
            .await;
    }

    /// An agent that is refused tries again for ever.
    fn is_news(&self, address: Option<IpAddr>, peer: PeerKey, refusal: &Refusal) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let this = (peer, refusal.to_string());
        if told.refusals.contains(&this) {
            return false;
        }
        if address.is_some_and(|address| told.sources.take(address, Instant::now()).is_err()) {
            return false;
        }
        if told.refusals.len() >= REMEMBERED {
            told.refusals.clear();
        }
        told.refusals.insert(this)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::LOGIN_RATE;
    use crate::store::Store;

    #[tokio::test(start_paused = true)]
    async fn each_key_is_told_of_once_for_each_reason_and_a_network_only_so_often() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let refused = RefusedAgents::new(Audit::new(store.clone()));
        for _ in 0..3 {
            refused.record("192.0.2.1:5000", PeerKey([1; 32]), "one", &Refusal::TokenUsed).await;
        }
        refused.record("192.0.2.1:5000", PeerKey([1; 32]), "one", &Refusal::Removed).await;
        refused.record("192.0.2.1:5000", PeerKey([1; 32]), "one", &Refusal::Internal).await;
        assert_eq!(Audit::new(store.clone()).page(None, 100).await.unwrap().len(), 2);
        for key in 2..=200 {
            refused.record("192.0.2.1:5000", PeerKey([key; 32]), "many", &Refusal::NotRegistered).await;
        }
        let entries = Audit::new(store).page(None, 100).await.unwrap();
        assert_eq!(entries.len(), LOGIN_RATE.burst as usize);
        assert!(
            entries
                .iter()
                .all(|record| record.entry.what == "agent.join" && record.entry.result == "refused")
        );
    }
}
