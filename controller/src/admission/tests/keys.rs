//! An agent's key through every step of being replaced, the controller killed after each.

use super::*;
use crate::config::DeclaredAgent;
use crate::enrolment::declared::Applied;
use crate::identities::Identities;
use roadstead_protocol::message::time::UnixMicros;

const NEXT: PeerKey = PeerKey([3; 32]);

async fn member(controller: &Controller) -> InstanceId {
    let token = controller.token(Outbound, 1).await;
    controller.outbound(KEY, &joining("nas", &token)).await.unwrap()
}

#[tokio::test]
async fn both_keys_count_until_the_new_one_was_shown_and_then_only_that() {
    let controller = controller();
    let id = member(&controller).await;
    assert!(controller.admission.next_key(&id, NEXT).await.unwrap());
    assert!(controller.admission.next_key(&id, NEXT).await.unwrap(), "said again after a lost answer");
    assert_eq!(controller.pins(&id).await, [NEXT, KEY]);
    assert_eq!(controller.outbound(KEY, &hello("nas")).await, Ok(id.clone()), "it did not hear the answer");
    assert_eq!(controller.outbound(NEXT, &hello("nas")).await, Ok(id.clone()));
    assert_eq!(controller.outbound(NEXT, &hello("nas")).await, Ok(id.clone()));
    assert_eq!(controller.outbound(KEY, &hello("nas")).await, Err(Refusal::Replaced));
    assert_eq!(controller.pins(&id).await, [NEXT]);
    // The key it has now is said by an agent that fell back to an earlier one.
    assert!(controller.admission.next_key(&id, NEXT).await.unwrap());
}

#[tokio::test]
async fn nobody_takes_up_a_key_that_is_or_was_anothers() {
    let controller = controller();
    let id = member(&controller).await;
    let token = controller.token(Outbound, 1).await;
    let other = controller.outbound(OTHER_KEY, &joining("other", &token)).await.unwrap();
    assert!(!controller.admission.next_key(&id, OTHER_KEY).await.unwrap());
    assert!(controller.admission.next_key(&other, NEXT).await.unwrap());
    assert!(!controller.admission.next_key(&id, NEXT).await.unwrap());
    controller.enrolment.remove(&other).await.unwrap();
    for removed in [OTHER_KEY, NEXT] {
        assert!(!controller.admission.next_key(&id, removed).await.unwrap());
        assert_eq!(controller.outbound(removed, &hello("other")).await, Err(Refusal::Removed));
    }
    assert!(!controller.admission.next_key(&other, PeerKey([9; 32])).await.unwrap(), "it was removed");
}

#[tokio::test]
async fn the_controllers_earlier_key_counts_until_every_agent_knows_the_new_one_and_for_a_week() {
    let (store, directory) = store();
    let identities = Identities::load(&store, directory.path()).await.unwrap();
    let first = identities.ring().newest.key();
    let mut agent = record("nas");
    agent.key = Some(KEY);
    store.insert_instance(agent).await.unwrap().unwrap();
    let now = UnixMicros::now();
    let week = Duration::from_secs(8 * 24 * 3600);

    let ring = identities.replace().await.unwrap();
    assert_eq!(ring.keys()[1], first);
    assert!(identities.replace().await.is_err(), "one at a time");
    // Killed now, it is both when it is back.
    let identities = Identities::load(&store, directory.path()).await.unwrap();
    assert_eq!(identities.ring().keys(), ring.keys());
    assert_eq!(identities.ring().for_agent(None)[0].key(), first, "who was never told expects the first");
    assert_eq!(identities.ring().for_agent(Some(&ring.keys()))[0].key(), ring.newest.key());
    assert!(!identities.let_go(now.plus(week)).await.unwrap(), "an agent does not know");

    let admission = Admission::new(store.clone(), Fleet::new(), Registry::default());
    admission.controller_known(&instance("nas"), ring.keys()).await.unwrap();
    assert!(!identities.let_go(now).await.unwrap(), "a backup of yesterday is still about");
    assert!(identities.let_go(now.plus(week)).await.unwrap());
    let identities = Identities::load(&store, directory.path()).await.unwrap();
    assert_eq!(identities.ring().keys(), [ring.newest.key()]);
    identities.replace().await.unwrap();
}

#[tokio::test]
async fn declared_agents_are_applied_twice_to_the_same_effect_and_their_secrets_are_their_own() {
    let controller = controller();
    let agent = |name: &str, secret: &str, url: Option<&str>| DeclaredAgent {
        name: name.to_owned(),
        url: url.map(str::to_owned),
        secret: secret.repeat(32),
        tags: Vec::new(),
        environment: None,
    };
    let agents = [agent("a", "1", None), agent("b", "2", Some("wss://127.0.0.1:9000"))];
    let applied = controller.enrolment.apply_declared(&agents).await.unwrap();
    assert_eq!(applied.registered, ["a", "b"]);
    let again = controller.enrolment.apply_declared(&agents).await.unwrap();
    assert_eq!(again, Applied { unchanged: vec!["a".into(), "b".into()], ..Applied::default() });
    let token: JoinToken = controller.enrolment.declared_token(&agents[0]).unwrap().parse().unwrap();
    let first = Hello { join: Some(token.proof()), ..hello("whatever") };
    let id = controller.outbound(KEY, &first).await.unwrap();
    assert_eq!(controller.fleet.host(&id).unwrap().record.name, "a");
    controller.enrolment.apply_declared(&agents).await.unwrap();
    assert_eq!(controller.outbound(OTHER_KEY, &first).await, Err(Refusal::TokenUsed));
    let shared = [agent("a", "1", None), agent("b", "1", Some("wss://127.0.0.1:9000"))];
    let failed = controller.enrolment.apply_declared(&shared).await.unwrap().failed;
    assert!(failed[0].1.contains("a secret of its own"), "{failed:?}");
}

#[tokio::test]
async fn a_key_that_another_claims_is_nobodys_but_its_holders() {
    let controller = controller();
    let hostile = member(&controller).await;
    // It names the key that a stranger is about to join with.
    assert!(controller.admission.next_key(&hostile, OTHER_KEY).await.unwrap());
    let token = controller.token(Outbound, 1).await;
    let joined = controller.outbound(OTHER_KEY, &joining("db", &token)).await.unwrap();
    assert_ne!(joined, hostile);
    assert_eq!(controller.outbound(OTHER_KEY, &hello("db")).await, Ok(joined));
    assert_eq!(controller.outbound(KEY, &hello("nas")).await, Ok(hostile.clone()), "its own key counts on");
    assert_eq!(controller.pins(&hostile).await, [KEY], "and the claim is gone");
    // Nor does one that was dialled become another instance by it.
    assert!(controller.admission.next_key(&hostile, NEXT).await.unwrap());
    let (dialled, token) = controller.register("web", Some("wss://127.0.0.1:9000")).await;
    assert!(controller.inbound(NEXT, &hello("web"), &dialled).await.is_err());
    assert_eq!(controller.inbound(NEXT, &joining("web", &token), &dialled).await, Ok(dialled));
    assert_eq!(controller.outbound(KEY, &hello("nas")).await, Ok(hostile));
}
