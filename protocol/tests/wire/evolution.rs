//! Programs of one major version understand each other whatever their minors: what a newer one says is read by an
//! older one, and the reverse.
//!
//! Every check is made on the frozen bytes of every message, changed the way a newer program would have written them.

use std::fmt::Debug;

use roadstead_protocol::message::codec::{DecodeError, MAX_MESSAGE, decode, decode_directed};
use roadstead_protocol::message::command::{
    ContainerAction, Order, Outcome, ServiceResult, Standing, Strategy, SyncWork, Work,
};
use roadstead_protocol::message::container::{ContainerHealth, ContainerState};
use roadstead_protocol::message::event::{EventBatch, EventKind};
use roadstead_protocol::message::hello::{Hello, Refusal, Reply};
use roadstead_protocol::message::policy::Verb;
use roadstead_protocol::message::progress::{LogStream, Progress, Step, StepState};
use roadstead_protocol::message::snapshot::{Change, Engine, EngineState};
use roadstead_protocol::message::to_agent::ToAgent;
use roadstead_protocol::message::to_controller::ToController;
use serde::de::DeserializeOwned;

use crate::table::from_hex;
use crate::tree::Tree;
use crate::v1;

/// Maps whose keys are data, not fields.
const DATA: [&str; 3] = ["labels", "env", "attributes"];

fn frozen() -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    v1::TABLE.lines().filter_map(|line| line.split_once(' ')).map(|(name, hex)| (name, from_hex(hex)))
}

fn frame(wanted: &str) -> Vec<u8> {
    frozen().find(|(name, _)| *name == wanted).unwrap_or_else(|| panic!("{wanted} is not frozen")).1
}

fn tree(bytes: &[u8]) -> Tree {
    rmp_serde::from_slice(bytes).unwrap()
}

fn bytes(tree: &Tree) -> Vec<u8> {
    rmp_serde::to_vec_named(tree).unwrap()
}

/// Decodes as what the name says, and compares with what the frozen bytes mean.
fn means_the_same(name: &str, frozen: &[u8], changed: &[u8]) {
    fn same<M: DeserializeOwned + PartialEq + Debug>(name: &str, frozen: &[u8], changed: &[u8]) {
        let read = |bytes| decode::<M>(bytes, MAX_MESSAGE).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(read(changed), read(frozen), "{name}");
    }
    match name.split('/').next() {
        Some("to_agent") => same::<ToAgent>(name, frozen, changed),
        Some("to_controller") => same::<ToController>(name, frozen, changed),
        Some("hello") => same::<Hello>(name, frozen, changed),
        Some("reply") => same::<Reply>(name, frozen, changed),
        Some("join_token") => {
            same::<roadstead_protocol::join_token::JoinToken>(name, frozen, changed);
        }
        _ => panic!("what is {name}?"),
    }
}

#[test]
fn a_field_of_a_newer_version_is_skipped_wherever_it_stands() {
    for (name, frozen) in frozen() {
        for front in [true, false] {
            let mut tree = tree(&frozen);
            assert_eq!(bytes(&tree), frozen, "{name}: the tree is faithful");
            tree.change_maps("", &mut |key, entries| {
                if !DATA.contains(&key) {
                    let value = Tree::Map(vec![
                        ("nested".to_owned(), Tree::List(vec![Tree::Bytes(vec![1]), Tree::Float(0.5)])),
                        ("type".to_owned(), Tree::text("probe")),
                    ]);
                    let position = if front { 0 } else { entries.len() };
                    entries.insert(position, ("of_a_newer_version".to_owned(), value));
                }
            });
            means_the_same(name, &frozen, &bytes(&tree));
        }
    }
}

#[test]
fn the_order_of_fields_means_nothing() {
    for (name, frozen) in frozen() {
        let mut tree = tree(&frozen);
        tree.change_maps("", &mut |_, entries| entries.reverse());
        means_the_same(name, &frozen, &bytes(&tree));
    }
}

/// The frozen frame with the word under `key` replaced by one that is not known yet, wherever it stands.
fn with_newer_word(name: &str, key: &str) -> Vec<u8> {
    let mut tree = tree(&frame(name));
    let mut changed = 0;
    tree.change_maps("", &mut |_, entries| {
        for (found, value) in entries.iter_mut() {
            if found == key && matches!(value, Tree::Text(_)) {
                *value = Tree::text("of_a_newer_version");
                changed += 1;
            }
        }
    });
    assert!(changed > 0, "{name} has no {key}");
    bytes(&tree)
}

fn to_agent(name: &str, key: &str) -> ToAgent {
    decode_directed(&with_newer_word(&format!("to_agent/{name}"), key)).unwrap()
}

fn to_controller(name: &str, key: &str) -> ToController {
    decode_directed(&with_newer_word(&format!("to_controller/{name}"), key)).unwrap()
}

#[test]
fn a_message_of_a_newer_version_is_unknown_whatever_it_carries() {
    for (name, _) in frozen() {
        if let Some(name) = name.strip_prefix("to_agent/") {
            assert_eq!(to_agent(name, "type"), ToAgent::Unknown);
        } else if let Some(name) = name.strip_prefix("to_controller/") {
            assert_eq!(to_controller(name, "type"), ToController::Unknown);
        }
    }
    let reply = with_newer_word("reply/welcome", "reply");
    assert_eq!(decode::<Reply>(&reply, MAX_MESSAGE).unwrap(), Reply::Unknown);
    let refusal = with_newer_word("reply/refused/busy", "refusal");
    assert_eq!(decode::<Reply>(&refusal, MAX_MESSAGE).unwrap(), Reply::Refused(Refusal::Unknown));
}

#[test]
fn a_command_of_a_newer_version_keeps_its_identity() {
    let work = |message| match message {
        ToAgent::Order(order) => {
            let Order { id, work, deadline_secs } = *order;
            assert_eq!((id, deadline_secs), (v1::command(), 3600));
            work
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(work(to_agent("order/install", "work")), Work::Unknown);
    let sync = work(to_agent("order/sync/strategy/compose", "strategy"));
    assert!(matches!(sync, Work::Sync(SyncWork { strategy: Some(Strategy::Unknown), .. })), "{sync:?}");
    let act = work(to_agent("order/container", "action"));
    assert!(matches!(act, Work::Container { action: ContainerAction::Unknown, .. }), "{act:?}");
}

#[test]
fn an_event_of_a_newer_version_keeps_its_place() {
    let what = |message| match message {
        ToController::Events(EventBatch { epoch, mut events, .. }) => {
            let event = events.remove(0);
            assert_eq!((epoch, event.seq.0, event.at), (v1::epoch(), 1, v1::AT));
            event.what
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(what(to_controller("events/container", "kind")), EventKind::Unknown);
    let ended = what(to_controller("events/command_ended/succeeded", "outcome"));
    // Both the field and the tag within it have that name; the tag is the word.
    assert!(matches!(ended, EventKind::CommandEnded { outcome: Outcome::Unknown, .. }), "{ended:?}");
    let ended = what(to_controller("events/command_ended/succeeded", "result"));
    let EventKind::CommandEnded { outcome: Outcome::Succeeded { services, .. }, .. } = ended else {
        panic!("{ended:?}");
    };
    assert!(services.iter().all(|service| service.result == ServiceResult::Unknown));
    let refused = what(to_controller("events/refused", "verb"));
    assert!(matches!(refused, EventKind::Refused { verb: Verb::Unknown, .. }), "{refused:?}");
}

#[test]
fn a_word_of_a_newer_version_is_unknown_and_the_rest_of_the_message_is_read() {
    let change = |message| match message {
        ToController::Change { change } => change,
        other => panic!("{other:?}"),
    };
    // The tag has the name of its field; both are there.
    assert_eq!(change(to_controller("change/remove", "change")), Change::Unknown);
    let Change::Upsert { container } = change(to_controller("change/upsert", "state")) else { panic!() };
    assert_eq!((container.state, container.name.as_str()), (ContainerState::Unknown, "shop-web-1"));
    let Change::Upsert { container } = change(to_controller("change/upsert", "health")) else { panic!() };
    assert_eq!(container.health, ContainerHealth::Unknown);
    let Change::Engine { engine } = change(to_controller("change/engine/unreachable", "state")) else {
        panic!()
    };
    assert!(matches!(engine, Engine { state: EngineState::Unknown, .. }), "{engine:?}");

    let entry = |message| match message {
        ToController::Progress { mut lines } => lines.remove(0).entry,
        other => panic!("{other:?}"),
    };
    assert_eq!(entry(to_controller("progress/log", "progress")), Progress::Unknown);
    let log = entry(to_controller("progress/log", "stream"));
    assert!(matches!(log, Progress::Log { stream: LogStream::Unknown, .. }), "{log:?}");
    let step = entry(to_controller("progress/step", "step"));
    assert!(matches!(step, Progress::Step { step: Step::Unknown, .. }), "{step:?}");
    let step = entry(to_controller("progress/step", "state"));
    assert!(matches!(step, Progress::Step { state: StepState::Unknown, .. }), "{step:?}");

    let standing = to_controller("standing/running", "standing");
    assert!(matches!(standing, ToController::Standing { standing: Standing::Unknown, .. }), "{standing:?}");
}

#[test]
fn a_verb_of_a_newer_version_allows_nothing_and_spoils_nothing() {
    let mut tree = tree(&frame("hello/stranger"));
    tree.change_maps("", &mut |_, entries| {
        for (key, value) in entries.iter_mut() {
            if let ("allow", Tree::List(verbs)) = (key.as_str(), value) {
                verbs.extend([Tree::text("teleport"), Tree::text("levitate")]);
            }
        }
    });
    let hello: Hello = decode(&bytes(&tree), MAX_MESSAGE).unwrap();
    assert!(hello.policy.allows(Verb::Sync));
    assert!(!hello.policy.allows(Verb::Unknown));
}

#[test]
fn each_direction_refuses_the_other_by_name() {
    for (name, frozen) in frozen() {
        let wrong = match name.split('/').next() {
            Some("to_agent") => decode_directed::<ToController>(&frozen).unwrap_err(),
            Some("to_controller") => decode_directed::<ToAgent>(&frozen).unwrap_err(),
            _ => {
                decode_directed::<ToController>(&frozen).unwrap_err();
                decode_directed::<ToAgent>(&frozen).unwrap_err();
                continue;
            }
        };
        assert!(matches!(wrong, DecodeError::WrongDirection), "{name}: {wrong}");
    }
}
