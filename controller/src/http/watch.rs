//! Asking agents for fresh figures while somebody looks.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use roadstead_protocol::message::ids::{InstanceId, SessionId};
use roadstead_protocol::message::to_agent::ToAgent;
use tokio::time::Instant;

use crate::registry::Registry;

/// For how long an agent is asked to sample, in seconds.
const WATCH_SECONDS: u32 = 30;

/// A session is asked at most once in this time.
const ASK_EVERY: Duration = Duration::from_secs(10);

/// When each instance was last asked. Holds connected instances alone.
#[derive(Default)]
pub struct Watches {
    asked: Mutex<HashMap<InstanceId, (SessionId, Instant)>>,
}

impl Watches {
    /// Somebody looks at `instance`: its agent samples figures for the next half minute. Without effect while the
    /// agent is away.
    pub fn look(&self, registry: &Registry, instance: &InstanceId) {
        let Some(agent) = registry.agent(instance) else { return };
        let now = Instant::now();
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = |(session, at): &(SessionId, Instant)| {
            *session == agent.session && now.duration_since(*at) < ASK_EVERY
        };
        if asked.get(instance).is_some_and(recent) {
            return;
        }
        asked.retain(|_, (_, at)| now.duration_since(*at) < ASK_EVERY);
        if agent.send(ToAgent::Watch { seconds: WATCH_SECONDS }).is_ok() {
            asked.insert(instance.clone(), (agent.session, now));
        }
    }
}
