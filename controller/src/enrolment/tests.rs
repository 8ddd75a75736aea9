//! Enrolment against a real store.

use std::time::Duration;

use roadstead_protocol::join_token::JoinToken;
use roadstead_protocol::message::ids::{BootId, InstanceId, PeerKey, TokenId};
use tempfile::TempDir;

use super::{EnrolError, Enrolment, InstanceChange, NewInstance, NewToken, id};
use crate::dial_allow::DialAllow;
use crate::fixtures::{agent, instance, store};
use crate::fleet::Fleet;
use crate::model::Direction::{self, Inbound, Outbound};
use crate::registry::Registry;

const HOUR: Duration = Duration::from_secs(3600);
const CONTROLLER: PeerKey = PeerKey([9; 32]);
const AGENT_URL: &str = "wss://controller.example:8081";

fn enrolment_with(allow: &str, urls: &[&str]) -> (Enrolment, TempDir) {
    let (store, directory) = store();
    let urls = urls.iter().map(|url| (*url).to_owned()).collect();
    let allow: DialAllow = allow.parse().unwrap();
    (Enrolment::new(store, Fleet::new(), Registry::default(), CONTROLLER, urls, allow), directory)
}

fn enrolment() -> (Enrolment, TempDir) {
    enrolment_with("", &[AGENT_URL])
}

fn new(name: &str, url: Option<&str>) -> NewInstance {
    NewInstance { name: name.to_owned(), url: url.map(str::to_owned), ..NewInstance::default() }
}

fn wish(instance: Option<InstanceId>, direction: Direction, uses: u32) -> NewToken {
    NewToken { instance, direction, uses, ttl: HOUR, ..NewToken::default() }
}

#[tokio::test]
async fn an_outbound_instance_gets_a_token_that_says_everything() {
    let (enrolment, _directory) = enrolment();
    let wished = NewInstance {
        description: " two\nlines ".to_owned(),
        environment: Some(" ".to_owned()),
        tags: ["b", " a ", "b", ""].map(str::to_owned).to_vec(),
        ..new("  nas  ", None)
    };
    let (record, issued) = enrolment.register(wished).await.unwrap();
    assert_eq!((record.name.as_str(), record.description.as_str()), ("nas", "two\nlines"));
    assert_eq!(
        (record.environment.as_ref(), &record.tags[..]),
        (None, &["a".to_owned(), "b".to_owned()][..])
    );
    assert_eq!(record.id.as_str().len(), 16);
    let token: JoinToken = issued.text.parse().unwrap();
    assert_eq!((token.addresses, token.controller), (vec![AGENT_URL.to_owned()], CONTROLLER));
    assert_eq!(issued.record.expires_at, issued.record.created_at.plus(HOUR));
    assert_eq!((issued.record.uses_left, issued.record.direction), (1, Outbound));
    assert_ne!(issued.record.secret_hash, token.secret, "the secret itself is stored nowhere");
    assert_eq!(enrolment.tokens().await.unwrap(), [issued.record]);
    assert_eq!(enrolment.fleet.host(&record.id).unwrap().record, record);
}

#[tokio::test]
async fn an_inbound_instance_has_its_id_from_its_address() {
    let (enrolment, _directory) = enrolment_with("", &[]);
    let (record, issued) = enrolment.register(new("nas", Some("WSS://Nas.Invalid:8443/"))).await.unwrap();
    assert_eq!(record.url.as_deref(), Some("wss://nas.invalid:8443"));
    assert_eq!(record.id, id::of_url("wss://nas.invalid:8443"));
    let token: JoinToken = issued.text.parse().unwrap();
    assert!(token.addresses.is_empty());
    // Its address moved: the next one there gets another id.
    let away = InstanceChange { url: Some(Some("wss://new.invalid:1".to_owned())), ..Default::default() };
    enrolment.change(&record.id, away).await.unwrap();
    let (second, issued) = enrolment.register(new("nas 2", Some("wss://nas.invalid:8443"))).await.unwrap();
    assert_ne!(second.id, record.id);
    assert_eq!(issued.record.instance, Some(second.id));
}

#[tokio::test]
async fn what_cannot_be_registered_is_refused_with_what_to_do() {
    let (enrolment, _directory) = enrolment();
    enrolment.register(new("Taken", Some("wss://taken.invalid:1"))).await.unwrap();
    let long_tags = NewInstance { tags: vec!["x".repeat(33)], ..new("x", None) };
    let many_tags = NewInstance { tags: (0..17).map(|n| n.to_string()).collect(), ..new("x", None) };
    let wordy = NewInstance { description: "x".repeat(501), ..new("x", None) };
    let hidden = NewInstance { environment: Some("a\u{202e}b".to_owned()), ..new("x", None) };
    let short_lived = NewInstance { token_ttl: Some(Duration::from_secs(1)), ..new("x", None) };
    let long_lived = NewInstance { token_ttl: Some(HOUR * 24 * 365), ..new("x", None) };
    for (wished, says) in [
        (new(" ", None), "Give the instance a name"),
        (new(&"x".repeat(65), None), "64"),
        (new("a\u{7}b", None), "cannot be seen"),
        (long_tags, "32"),
        (many_tags, "16"),
        (wordy, "500"),
        (hidden, "cannot be seen"),
        (short_lived, "minute"),
        (long_lived, "30 days"),
        (new("x", Some("https://host:1")), "wss://"),
        (new("x", Some("wss://host")), "port"),
        (new("x", Some("wss://host:1/path")), "follow the port"),
        (new("x", Some("wss://me@host:1")), "password"),
        (new("x", Some("wss://127.0.0.1:1")), "ROADSTEAD_DIAL_ALLOW"),
        (new("x", Some("wss://localhost:1")), "loopback"),
        (new("x", Some("wss://[::ffff:169.254.169.254]:80")), "metadata"),
        (new("x", Some("wss://0.0.0.0:1")), "not the address of a host"),
        (new("tAKEN", None), "another name"),
        (new("x", Some("wss://taken.invalid:1")), "registered already"),
    ] {
        let error = enrolment.register(wished.clone()).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(says), "{wished:?}: {text}");
        assert!(text.ends_with('.'), "{text}");
    }
    assert_eq!(enrolment.tokens().await.unwrap().len(), 1, "nothing was left behind");
    let (homeless, _directory) = enrolment_with("", &[]);
    let error = homeless.register(new("x", None)).await.unwrap_err();
    assert!(matches!(error, EnrolError::NoAgentUrl));
}

#[tokio::test]
async fn a_change_touches_what_it_names_and_a_new_address_ends_the_link() {
    let (enrolment, _directory) = enrolment();
    let (first, _) = enrolment.register(new("first", Some("wss://first.invalid:1"))).await.unwrap();
    enrolment.register(new("second", None)).await.unwrap();
    let (handle, _sent, ended) = agent(BootId::generate());
    let _registration = enrolment.registry.enter(first.id.clone(), handle);

    let rename = InstanceChange { name: Some("FIRST".to_owned()), ..Default::default() };
    let renamed = enrolment.change(&first.id, rename).await.unwrap();
    assert_eq!((renamed.name.as_str(), &renamed.url), ("FIRST", &first.url));
    assert!(!ended.is_cancelled());
    let taken = InstanceChange { name: Some("Second".to_owned()), ..Default::default() };
    assert!(matches!(enrolment.change(&first.id, taken).await, Err(EnrolError::NameTaken(_))));

    let outbound = InstanceChange { url: Some(None), ..Default::default() };
    let moved = enrolment.change(&first.id, outbound.clone()).await.unwrap();
    assert_eq!((moved.url, &moved.id), (None, &first.id));
    assert!(ended.is_cancelled());
    assert_eq!(enrolment.fleet.host(&first.id).unwrap().record.name, "FIRST");
    let nobody = enrolment.change(&instance("nobody"), outbound).await;
    assert!(matches!(nobody, Err(EnrolError::UnknownInstance(_))));
}

#[tokio::test]
async fn tokens_for_instances_are_bounded_and_go_with_them() {
    let (enrolment, _directory) = enrolment();
    let (record, _) = enrolment.register(new("nas", None)).await.unwrap();
    let wrong_way = enrolment.issue_token(wish(Some(record.id.clone()), Inbound, 1)).await;
    assert!(matches!(wrong_way, Err(EnrolError::WrongDirection { .. })));
    for (target, uses) in [(Some(record.id.clone()), 2), (None, 0), (None, 1001)] {
        let refused = enrolment.issue_token(wish(target, Outbound, uses)).await;
        assert!(matches!(refused, Err(EnrolError::Invalid(_))));
    }
    let unknown = enrolment.issue_token(wish(Some(instance("x")), Outbound, 1)).await;
    assert!(matches!(unknown, Err(EnrolError::UnknownInstance(_))));

    let unbound = enrolment.issue_token(wish(None, Outbound, 5)).await.unwrap();
    assert_eq!(enrolment.tokens().await.unwrap().len(), 2);
    enrolment.remove(&record.id).await.unwrap();
    assert_eq!(enrolment.tokens().await.unwrap(), std::slice::from_ref(&unbound.record));
    enrolment.revoke_token(unbound.record.id).await.unwrap();
    let again = enrolment.revoke_token(unbound.record.id).await;
    assert!(matches!(again, Err(EnrolError::UnknownToken(TokenId(_)))));
    assert!(matches!(enrolment.remove(&record.id).await, Err(EnrolError::UnknownInstance(_))));
}
