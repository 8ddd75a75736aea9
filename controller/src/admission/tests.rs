//! Admission against a real store: who becomes a session, who is refused and by what name.

use std::time::Duration;

use roadstead_protocol::join_token::JoinToken;
use roadstead_protocol::message::hello::{Hello, Refusal};
use roadstead_protocol::message::ids::{InstanceId, PeerKey};
use roadstead_protocol::message::policy::Policy;
use roadstead_protocol::message::version::{CURRENT, ProtocolVersion};
use tempfile::TempDir;

use super::{AT_ONCE, Admission};
use crate::dial_allow::DialAllow;
use crate::enrolment::{Enrolment, IssuedToken, NewInstance, NewToken, id};
use crate::fixtures::{agent, hello, instance, record, store};
use crate::fleet::{Fleet, Health, health};
use crate::model::Direction::{self, Inbound, Outbound};
use crate::registry::Registry;

mod keys;

const HOUR: Duration = Duration::from_secs(3600);
const KEY: PeerKey = PeerKey([1; 32]);
const OTHER_KEY: PeerKey = PeerKey([2; 32]);

struct Controller {
    admission: Admission,
    enrolment: Enrolment,
    fleet: Fleet,
    registry: Registry,
    _directory: TempDir,
}

fn controller() -> Controller {
    let (store, directory) = store();
    let (fleet, registry) = (Fleet::new(), Registry::default());
    let urls = vec!["wss://controller.example:8081".to_owned()];
    let allow: DialAllow = "127.0.0.0/8".parse().unwrap();
    let enrolment =
        Enrolment::new(store.clone(), fleet.clone(), registry.clone(), PeerKey([9; 32]), urls, allow);
    let admission = Admission::new(store, fleet.clone(), registry.clone());
    Controller { admission, enrolment, fleet, registry, _directory: directory }
}

impl Controller {
    async fn register(&self, name: &str, url: Option<&str>) -> (InstanceId, IssuedToken) {
        let new =
            NewInstance { name: name.to_owned(), url: url.map(str::to_owned), ..NewInstance::default() };
        let (record, token) = self.enrolment.register(new).await.unwrap();
        (record.id, token)
    }

    async fn token(&self, direction: Direction, uses: u32) -> IssuedToken {
        self.enrolment.issue_token(wish(None, direction, uses)).await.unwrap()
    }

    async fn outbound(&self, key: PeerKey, hello: &Hello) -> Result<InstanceId, Refusal> {
        self.admission.admit(key, hello, Outbound, None).await.map(|record| record.id)
    }

    /// The keys that alone are let through at a dialled address; none if any is.
    async fn pins(&self, dialled: &InstanceId) -> Vec<PeerKey> {
        let pinned = self.admission.pinned_keys(dialled).await.unwrap();
        if pinned.others_too { Vec::new() } else { pinned.keys }
    }

    async fn inbound(
        &self,
        key: PeerKey,
        hello: &Hello,
        dialled: &InstanceId,
    ) -> Result<InstanceId, Refusal> {
        self.admission.admit(key, hello, Inbound, Some(dialled)).await.map(|record| record.id)
    }
}

fn joining(name: &str, token: &IssuedToken) -> Hello {
    let token: JoinToken = token.text.parse().unwrap();
    Hello { join: Some(token.proof()), ..hello(name) }
}

fn wish(instance: Option<InstanceId>, direction: Direction, uses: u32) -> NewToken {
    NewToken { instance, direction, uses, ttl: HOUR, ..NewToken::default() }
}

#[tokio::test]
async fn a_preregistered_agent_joins_with_its_token_in_either_direction() {
    let controller = controller();
    for (key, url, direction) in [(KEY, None, Outbound), (OTHER_KEY, Some("wss://127.0.0.1:9000"), Inbound)] {
        let (id, token) = controller.register(direction.as_str(), url).await;
        let dialled = url.map(|_| &id);
        let hello = joining("whatever", &token);
        let admitted = controller.admission.admit(key, &hello, direction, dialled).await.unwrap();
        assert_eq!((&admitted.id, admitted.key), (&id, Some(key)));
        assert_eq!(admitted.name, direction.as_str(), "the controller's name wins");
        assert_eq!(admitted.policy, Some(Policy::default()));
        assert_eq!(*controller.fleet.host(&id).unwrap().record.name, *admitted.name);
        // The welcome was lost: the same key again, token and all. And later without.
        let again = controller.admission.admit(key, &hello, direction, dialled).await.unwrap();
        assert_eq!(again, admitted);
        let member = Hello { join: None, ..hello };
        assert_eq!(controller.admission.admit(key, &member, direction, dialled).await.unwrap(), admitted);
    }
}

#[tokio::test]
async fn whoever_waits_for_a_host_learns_why_its_agent_is_refused() {
    let controller = controller();
    let (id, token) = controller.register("nas", None).await;
    let reason = || controller.fleet.host(&id).unwrap().link.reason.clone();
    let mut forged = joining("x", &token);
    forged.join.as_mut().unwrap().secret = [0; 32];
    let refused = controller.admission.admit(KEY, &forged, Inbound, None).await;
    assert_eq!(
        (refused, reason()),
        (Err(Refusal::TokenUnknown), None),
        "nobody else can have something said"
    );
    let refused = controller.admission.admit(KEY, &joining("x", &token), Inbound, None).await;
    assert_eq!(refused, Err(Refusal::TokenMismatch));
    assert!(reason().unwrap().contains("meant for another instance"), "{:?}", reason());
    controller.outbound(KEY, &joining("x", &token)).await.unwrap();
    assert_eq!(controller.outbound(OTHER_KEY, &joining("x", &token)).await, Err(Refusal::TokenUsed));
    assert!(reason().unwrap().contains("has been used"), "{:?}", reason());
}

#[tokio::test]
async fn an_unbound_token_registers_each_agent_under_a_free_name() {
    let controller = controller();
    let token = controller.token(Outbound, 3).await;
    for (number, name) in [(1, "nas"), (2, "nas-2"), (3, "nas-3")] {
        let key = PeerKey([number; 32]);
        let admitted =
            controller.admission.admit(key, &joining(" NAS ", &token), Outbound, None).await.unwrap();
        assert_eq!(admitted.id, id::of_key(&key));
        assert_eq!(admitted.name.to_lowercase(), name);
        assert!(controller.fleet.host(&admitted.id).is_some());
    }
    let fourth = controller.outbound(PeerKey([4; 32]), &joining("nas", &token)).await;
    assert_eq!(fourth, Err(Refusal::TokenUsed));
}

#[tokio::test]
async fn strangers_are_refused_by_name() {
    let controller = controller();
    let (id, bound) = controller.register("bound", None).await;
    let (dialled, inbound) = controller.register("dialled", Some("wss://127.0.0.1:9000")).await;
    let (elsewhere, _) = controller.register("elsewhere", Some("wss://127.0.0.1:9001")).await;
    let old = ProtocolVersion { major: CURRENT.major + 1, minor: 0 };
    let mut guessed = joining("x", &bound);
    guessed.join.as_mut().unwrap().secret[0] ^= 1;
    let revoked = controller.token(Outbound, 1).await;
    controller.enrolment.revoke_token(revoked.record.id).await.unwrap();

    let cases = [
        (Hello { protocol: old, ..joining("x", &bound) }, Refusal::Version { controller: CURRENT }),
        (hello("x"), Refusal::NotRegistered),
        (guessed, Refusal::TokenUnknown),
        (joining("x", &revoked), Refusal::TokenUnknown),
        (joining("x", &inbound), Refusal::TokenMismatch),
    ];
    for (hello, refusal) in cases {
        assert_eq!(controller.outbound(KEY, &hello).await, Err(refusal));
    }
    let nameless = controller.outbound(KEY, &joining("\n", &bound)).await;
    assert!(matches!(nameless, Err(Refusal::Malformed { .. })));
    assert_eq!(
        controller.inbound(KEY, &joining("x", &inbound), &elsewhere).await,
        Err(Refusal::TokenMismatch)
    );
    assert_eq!(controller.inbound(KEY, &joining("x", &bound), &dialled).await, Err(Refusal::TokenMismatch));
    // None of that has used anything up.
    assert_eq!(controller.outbound(KEY, &joining("x", &bound)).await, Ok(id));
    assert_eq!(controller.outbound(OTHER_KEY, &joining("x", &bound)).await, Err(Refusal::TokenUsed));
    // A member that answers where another instance was dialled.
    assert_eq!(controller.inbound(KEY, &hello("x"), &dialled).await, Err(Refusal::TokenMismatch));
}

#[tokio::test]
async fn a_removed_agent_needs_a_fresh_token() {
    let controller = controller();
    let token = controller.token(Outbound, 1).await;
    let first = joining("nas", &token);
    let id = controller.outbound(KEY, &first).await.unwrap();
    let (handle, _sent, ended) = agent(first.boot);
    let (_registration, _) = controller.registry.enter(id.clone(), handle);

    controller.enrolment.remove(&id).await.unwrap();
    assert!(ended.is_cancelled(), "the live session ends at once");
    assert!(controller.fleet.host(&id).is_none());
    assert_eq!(controller.outbound(KEY, &hello("nas")).await, Err(Refusal::Removed));
    assert_eq!(controller.outbound(KEY, &first).await, Err(Refusal::Removed));
    let fresh = controller.token(Outbound, 1).await;
    assert_eq!(controller.outbound(KEY, &joining("nas", &fresh)).await, Ok(id.clone()));
    assert_eq!(controller.outbound(KEY, &hello("nas")).await, Ok(id));
}

#[tokio::test]
async fn a_reinstalled_host_takes_its_instance_over_with_a_token_for_it() {
    let controller = controller();
    let (id, token) = controller.register("nas", None).await;
    controller.outbound(KEY, &joining("nas", &token)).await.unwrap();
    let (handle, _sent, ended) = agent(hello("nas").boot);
    let (_registration, _) = controller.registry.enter(id.clone(), handle);
    let rejoin = controller.enrolment.issue_token(wish(Some(id.clone()), Outbound, 1)).await.unwrap();
    assert_eq!(controller.outbound(OTHER_KEY, &joining("nas", &rejoin)).await, Ok(id.clone()));
    assert_eq!(controller.fleet.host(&id).unwrap().record.key, Some(OTHER_KEY));
    assert!(ended.is_cancelled(), "the revoked key's session ends, whether or not the new one's begins");
    assert_eq!(controller.outbound(KEY, &hello("nas")).await, Err(Refusal::Replaced));
}

#[tokio::test]
async fn a_dialled_agent_is_pinned_unless_a_token_waits_for_it() {
    let controller = controller();
    let (id, token) = controller.register("nas", Some("wss://127.0.0.1:9000")).await;
    assert_eq!(controller.pins(&id).await, []);
    controller.inbound(KEY, &joining("nas", &token), &id).await.unwrap();
    assert_eq!(controller.pins(&id).await, [KEY]);
    let rejoin = controller.enrolment.issue_token(wish(Some(id.clone()), Inbound, 1)).await.unwrap();
    assert_eq!(controller.pins(&id).await, []);
    assert_eq!(controller.inbound(OTHER_KEY, &hello("nas"), &id).await, Err(Refusal::NotRegistered));
    controller.inbound(OTHER_KEY, &joining("nas", &rejoin), &id).await.unwrap();
    assert_eq!(controller.pins(&id).await, [OTHER_KEY]);
}

#[tokio::test]
async fn an_unbound_inbound_token_joins_only_where_nobody_has() {
    let controller = controller();
    let (id, _) = controller.register("nas", Some("wss://127.0.0.1:9000")).await;
    let token = controller.token(Inbound, 2).await;
    assert_eq!(controller.inbound(KEY, &joining("x", &token), &id).await, Ok(id.clone()));
    let second = controller.inbound(OTHER_KEY, &joining("x", &token), &id).await;
    assert_eq!(second, Err(Refusal::TokenMismatch));
}

#[tokio::test]
async fn an_expired_token_is_called_expired() {
    let (store, _directory) = store();
    let admission = Admission::new(store.clone(), Fleet::new(), Registry::default());
    let controller = controller();
    let token = controller.token(Outbound, 1).await;
    let mut expired = token.record.clone();
    expired.expires_at = expired.created_at;
    store.insert_join_token(expired).await.unwrap();
    let refused = admission.admit(KEY, &joining("x", &token), Outbound, None).await;
    assert_eq!(refused, Err(Refusal::TokenExpired));
}

#[tokio::test]
async fn one_use_is_one_use_however_many_come_at_once() {
    let controller = controller();
    let token = controller.token(Outbound, 1).await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..16 {
        let (admission, hello) = (controller.admission.clone(), joining("x", &token));
        tasks.spawn(async move { admission.admit(PeerKey([number; 32]), &hello, Outbound, None).await });
    }
    let results = tasks.join_all().await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(results.iter().flat_map(|result| result.as_ref().err()).all(|r| *r == Refusal::TokenUsed));
}

#[tokio::test(start_paused = true)]
async fn too_many_at_once_are_told_to_come_back() {
    let controller = controller();
    let places = controller.admission.pace.try_acquire_many(u32::try_from(AT_ONCE).unwrap()).unwrap();
    let refused = controller.outbound(KEY, &hello("x")).await;
    let Err(Refusal::Busy { retry_after_ms }) = refused else { panic!("{refused:?}") };
    assert!(super::RETRY_AFTER_MS.contains(&retry_after_ms));
    drop(places);
    assert_eq!(controller.outbound(KEY, &hello("x")).await, Err(Refusal::NotRegistered));
}

#[tokio::test]
async fn a_cloned_identity_is_refused_and_shown() {
    let controller = controller();
    let token = controller.token(Outbound, 1).await;
    let first = joining("nas", &token);
    let second = hello("nas");
    let mut sessions = Vec::new();
    let mut refusals = Vec::new();
    let id = id::of_key(&KEY);
    for hello in [&first, &second, &first, &second, &first, &second] {
        match controller.outbound(KEY, hello).await {
            Ok(_) => {
                let (handle, sent, _end) = agent(hello.boot);
                let feed = controller.fleet.link_live(&id, handle.session, Outbound, "").unwrap();
                sessions.push((controller.registry.enter(id.clone(), handle), sent, feed));
            }
            Err(refusal) => refusals.push((hello.boot, refusal)),
        }
    }
    let refused = (second.boot, Refusal::ClonedIdentity);
    assert_eq!(refusals, [refused.clone(), refused]);
    let (health, reason) = health(&controller.fleet.host(&id).unwrap());
    assert_eq!(health, Health::Unhealthy);
    assert!(reason.contains("another machine"), "{reason}");
}

#[tokio::test]
async fn an_agent_that_grows_too_talkative_is_cut_short() {
    let (store, _directory) = store();
    let mut member = record("a");
    member.key = Some(KEY);
    store.insert_instance(member).await.unwrap().unwrap();
    let admission = Admission::new(store.clone(), Fleet::new(), Registry::default());
    let talkative = Hello {
        agent_version: "9".repeat(500),
        abilities: (0..100).map(|number| number.to_string()).collect(),
        ..hello("a")
    };
    let admitted = admission.admit(KEY, &talkative, Outbound, None).await.unwrap();
    assert_eq!(admitted.agent_version.as_ref().unwrap().len(), super::MAX_VERSION);
    assert_eq!(admitted.abilities.len(), super::MAX_ABILITIES);
    assert_eq!(store.instance(instance("a")).await.unwrap(), Some(admitted));
}
