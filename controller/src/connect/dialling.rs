//! Agents that the controller dials: one task per registered address, started and ended as instances come and go.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use roadstead_protocol::link::address::AgentAddress;
use roadstead_protocol::link::backoff::Backoff;
use roadstead_protocol::link::dialer::{DialError, dial_socket};
use roadstead_protocol::link::tls::Trust;
use roadstead_protocol::message::ids::InstanceId;
use tokio::sync::Semaphore;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Front;
use super::serving::{Dialled, serve};
use crate::fleet::FleetChange;

/// How long a name may take to resolve: nobody waits, and a resolver's first server may be dead.
const RESOLVE: Duration = Duration::from_secs(10);

/// Agents that are dialled at a time, from the look-up of the name on: after a start there may be thousands to dial.
const AT_ONCE: usize = 128;

/// Keeps a dialler for every instance with an address, until `shutdown`; then waits for their sessions to end.
pub async fn dial_all(front: Arc<Front>, shutdown: CancellationToken) {
    let mut diallers: HashMap<InstanceId, (String, CancellationToken)> = HashMap::new();
    let pace = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    let (mut hosts, mut changes) = front.fleet.subscribe();
    loop {
        for host in hosts.drain(..) {
            let id = host.record.id.clone();
            let wanted = host.record.url.as_ref();
            if diallers.get(&id).map(|(url, _)| url) == wanted {
                continue;
            }
            if let Some((_, stop)) = diallers.remove(&id) {
                stop.cancel();
            }
            if let Some(url) = wanted {
                let stop = shutdown.child_token();
                diallers.insert(id.clone(), (url.clone(), stop.clone()));
                tasks.spawn(keep_dialled(Arc::clone(&front), Arc::clone(&pace), id, url.clone(), stop));
            }
        }
        let change = tokio::select! {
            () = shutdown.cancelled() => break,
            Some(_) = tasks.join_next() => continue,
            change = changes.recv() => change,
        };
        match change {
            Ok(FleetChange::Host(host)) => hosts.push(host),
            Ok(FleetChange::Removed(id)) => {
                if let Some((_, stop)) = diallers.remove(&id) {
                    stop.cancel();
                }
            }
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => {
                (hosts, changes) = front.fleet.subscribe();
                let known: std::collections::HashSet<_> = hosts.iter().map(|host| &host.record.id).collect();
                diallers.retain(|id, (_, stop)| {
                    let keep = known.contains(id);
                    if !keep {
                        stop.cancel();
                    }
                    keep
                });
            }
            Err(RecvError::Closed) => break,
        }
    }
    while tasks.join_next().await.is_some() {}
}

/// Dials one instance, serves its session, and dials again, for ever.
async fn keep_dialled(
    front: Arc<Front>,
    pace: Arc<Semaphore>,
    id: InstanceId,
    url: String,
    stop: CancellationToken,
) {
    let address: AgentAddress = match url.parse() {
        Ok(address) => address,
        Err(error) => {
            front.fleet.dial_failed(&id, &format!("{url}: {error}"));
            return;
        }
    };
    let mut backoff = Backoff::default();
    loop {
        let (began, dialled) = tokio::select! {
            () = stop.cancelled() => return,
            // Boxed, so that its state does not stay with the session.
            dialled = Box::pin(async {
                let _place = pace.acquire().await;
                // Not before: what waited long for its turn has not lasted long.
                (Instant::now(), dial(&front, &id, &address).await)
            }) => dialled,
        };
        match dialled {
            Ok(link) => {
                let dialled = Dialled::ByUs(id.clone());
                serve(Arc::clone(&front), Box::new(link), dialled, None, stop.child_token()).await;
                backoff.session_lasted(began.elapsed());
            }
            Err(reason) => {
                tracing::info!(instance = %id, %address, %reason, "cannot reach an agent; trying again");
                front.fleet.dial_failed(&id, &reason);
            }
        }
        let delay = backoff.next_wait();
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(delay) => {}
        }
    }
}

type TcpLink = roadstead_protocol::link::Link<tokio::net::TcpStream>;

/// One attempt. The address that was vetted is the address that is dialled: no second look-up in between.
async fn dial(front: &Front, id: &InstanceId, address: &AgentAddress) -> Result<TcpLink, String> {
    let sockets = front.enrolment.dial_allow().resolve(address.host(), address.port(), RESOLVE).await;
    let sockets = sockets.map_err(|error| error.to_string())?;
    let pinned = front.admission.pinned_keys(id).await.map_err(|error| error.to_string())?;
    let trust = match *pinned.keys {
        [] => Trust::AnyProven,
        [first, ..] if pinned.others_too => Trust::Preferably(first),
        [key] => Trust::Only(key),
        [next, present, ..] => Trust::Either(next, present),
    };
    let known = front.fleet.host(id).and_then(|host| host.record.terms.controller_keys.clone());
    let identities = front.identities.ring().for_agent(known.as_deref());
    let mut reason = format!("{}: no address", address.host());
    for socket in sockets {
        for identity in &identities {
            match dial_socket(socket, address, identity, trust).await {
                Ok(link) => return Ok(link),
                Err(error @ DialError::KeyRefused { .. }) => reason = error.to_string(),
                Err(error) => {
                    reason = error.to_string();
                    break;
                }
            }
        }
    }
    Err(reason)
}
