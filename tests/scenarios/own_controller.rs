//! A controller that a test plays itself, for an inbound agent.

use roadstead_protocol::join_token::JoinToken;
use roadstead_protocol::link::identity::Identity;
use roadstead_protocol::message::hello::{Reply, Welcome};
use roadstead_protocol::message::ids::{EventSeq, SessionId, TokenId};
use roadstead_protocol::message::time::UnixMicros;
use roadstead_protocol::message::version::ProtocolVersion;

/// A controller of the test's own: the identity, and the token that makes an inbound agent trust it.
pub fn own_controller() -> (Identity, String) {
    let identity = Identity::generate().unwrap();
    let token = JoinToken {
        addresses: Vec::new(),
        controller: identity.key(),
        id: TokenId::generate(),
        secret: [7; 32],
        expires_at: UnixMicros(i64::MAX),
    };
    (identity, token.to_text().unwrap())
}

/// What it answers to Hello.
pub fn welcome(protocol: ProtocolVersion) -> Reply {
    Reply::Welcome(Welcome {
        protocol,
        controller_version: "99.0".to_owned(),
        session: SessionId::generate(),
        instance: "host".parse().unwrap(),
        name: "host".to_owned(),
        acknowledged: EventSeq::default(),
        print: None,
    })
}
