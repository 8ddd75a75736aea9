//! Hello, its answers, and the join token.

use roadstead_protocol::join_token::JoinToken;
use roadstead_protocol::message::hello::{Hello, JoinProof, Welcome};
use roadstead_protocol::message::ids::{BootId, EventSeq, InstanceId, PeerKey, Print, SessionId, TokenId};
use roadstead_protocol::message::policy::Policy;
use roadstead_protocol::message::version::ProtocolVersion;
use uuid::Uuid;

use super::{AT, epoch, text};
use crate::table::Table;

pub const VERSION: ProtocolVersion = ProtocolVersion { major: 1, minor: 0 };

pub fn check(table: &mut Table) {
    for (name, hello) in hellos() {
        table.check(name, &hello);
    }
    table.check("join_token", &join_token());
}

pub fn hellos() -> Vec<(&'static str, Hello)> {
    let member = Hello {
        protocol: VERSION,
        agent_version: text("0.1.0"),
        boot: BootId(Uuid::from_u128(1)),
        join: None,
        name: text("nas"),
        environment: None,
        tags: Vec::new(),
        policy: Policy::of([]),
        abilities: Vec::new(),
        epoch: epoch(),
        last_event: EventSeq(0),
        remembers_since: None,
    };
    let stranger = Hello {
        join: Some(JoinProof { token: TokenId(Uuid::from_u128(2)), secret: [0xa5; 32] }),
        name: text("Büro-NAS"),
        environment: Some(text("production")),
        tags: vec![text("amd64"), text("")],
        policy: Policy::default(),
        abilities: vec![text("compose"), text("script")],
        last_event: EventSeq(u64::MAX),
        ..member.clone()
    };
    let remembering = Hello { remembers_since: Some(BootId(Uuid::from_u128(5))), ..member.clone() };
    vec![("hello/member", member), ("hello/stranger", stranger), ("hello/remembering", remembering)]
}

pub fn welcome() -> Welcome {
    Welcome {
        protocol: VERSION,
        controller_version: text("0.1.0"),
        session: SessionId(Uuid::from_u128(3)),
        instance: InstanceId::try_from(text("nas-1")).unwrap(),
        name: text("Büro-NAS"),
        acknowledged: EventSeq(42),
        print: None,
    }
}

pub fn printed_welcome() -> Welcome {
    Welcome { print: Some(Print(0x89ab_cdef)), ..welcome() }
}

fn join_token() -> JoinToken {
    JoinToken {
        addresses: vec![text("wss://controller.example:8081"), text("wss://[2001:db8::1]:8081")],
        controller: PeerKey([0x5a; 32]),
        id: TokenId(Uuid::from_u128(4)),
        secret: [0xc3; 32],
        expires_at: AT,
    }
}

#[test]
fn the_text_of_a_join_token_is_frozen_too() {
    const TEXT: &str = include_str!("join_token.txt");
    let token = join_token();
    if std::env::var_os("ROADSTEAD_BLESS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wire/v1/join_token.txt");
        std::fs::write(path, format!("{}\n", token.to_text().unwrap())).unwrap();
        return;
    }
    assert_eq!(token.to_text().unwrap(), TEXT.trim());
    assert_eq!(TEXT.parse::<JoinToken>().unwrap(), token);
}
