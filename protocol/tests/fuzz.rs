//! Whatever a peer or a stranger sends, reading it neither panics nor takes much time or memory: the codec, join tokens,
//! addresses, identifiers.
//!
//! The corpus of the codec is every frozen frame (`wire/v1.txt`). To fuzz for an hour:
//!
//! ```sh
//! ROADSTEAD_FUZZ_SECONDS=3600 cargo test -p roadstead-protocol --test fuzz
//! ```
#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is a failure")]

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use roadstead_protocol::fuzz::{fuzz, mutated, text};
use roadstead_protocol::join_token::JoinToken;
use roadstead_protocol::link::address::AgentAddress;
use roadstead_protocol::masking;
use roadstead_protocol::message::codec::{
    DecodeError, MAX_HANDSHAKE, MAX_MESSAGE, decode, decode_directed, encode,
};
use roadstead_protocol::message::hello::{Hello, Reply};
use roadstead_protocol::message::ids::{CommandId, ContainerId, InstanceId, PeerKey, TokenId};
use roadstead_protocol::message::policy::{Policy, Verb};
use roadstead_protocol::message::time::UnixMicros;
use roadstead_protocol::message::to_agent::ToAgent;
use roadstead_protocol::message::to_controller::ToController;
use tokio::time::Instant;

const TABLE: &str = include_str!("wire/v1.txt");

/// No input may take longer to decode. Generous, since tests run beside each other without optimisation.
const SLOWEST: Duration = Duration::from_secs(2);

/// How much memory the largest frame may take up while it is decoded.
const LARGEST: u64 = 8 << 20;

fn corpus() -> Vec<Vec<u8>> {
    let hex = |text: &str| {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    };
    TABLE.lines().filter_map(|line| line.split_once(' ')).map(|(_, text)| hex(text)).collect()
}

/// Decodes as everything that can be expected of a peer. What is read can be written and read again.
fn swallow(bytes: &[u8]) -> bool {
    let start = Instant::now();
    let to_agent: Result<ToAgent, DecodeError> = decode_directed(bytes);
    let to_controller: Result<ToController, DecodeError> = decode_directed(bytes);
    let hello: Result<Hello, DecodeError> = decode(bytes, MAX_HANDSHAKE);
    let reply: Result<Reply, DecodeError> = decode(bytes, MAX_HANDSHAKE);
    let _: Result<JoinToken, DecodeError> = decode(bytes, MAX_HANDSHAKE);
    assert!(start.elapsed() < SLOWEST, "took {:?}", start.elapsed());

    let accepted = to_agent.is_ok() || to_controller.is_ok() || hello.is_ok() || reply.is_ok();
    if let Ok(message) = to_agent {
        let again = encode(&message, usize::MAX).unwrap();
        assert_eq!(decode::<ToAgent>(&again, usize::MAX).unwrap(), message);
    }
    if let Ok(message) = hello {
        let again = encode(&message, usize::MAX).unwrap();
        assert_eq!(decode::<Hello>(&again, usize::MAX).unwrap(), message);
    }
    if let Ok(message) = reply {
        let again = encode(&message, usize::MAX).unwrap();
        assert_eq!(decode::<Reply>(&again, usize::MAX).unwrap(), message);
    }
    if let Ok(message) = to_controller {
        // By bytes, since figures may hold a NaN, which equals nothing.
        let again = encode(&message, usize::MAX).unwrap();
        let back: ToController = decode(&again, usize::MAX).unwrap();
        assert_eq!(encode(&back, usize::MAX).unwrap(), again);
    }
    accepted
}

/// The markers that announce more than they cost: arrays, maps, strings, byte strings and extensions of any length; and
/// depth.
fn words() -> Vec<Vec<u8>> {
    let markers = [0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf];
    let lengths = [[0xff; 4], [0; 4], [0, 0, 0xff, 0xff], [0x7f, 0xff, 0xff, 0xff]];
    let long = markers.iter().flat_map(|marker| lengths.map(|length| [&[*marker][..], &length].concat()));
    let deep = [0x81, 0x91, 0x92, 0xdd].into_iter();
    long.chain(deep.flat_map(|marker| [100, MAX_MESSAGE].map(|depth| vec![marker; depth]))).collect()
}

#[test]
fn fuzz_what_a_peer_sends() {
    fuzz("messages", &mutated(corpus(), words(), MAX_MESSAGE), |bytes| swallow(&bytes));
}

#[test]
fn fuzz_join_tokens() {
    let token = JoinToken {
        addresses: vec!["wss://controller.example:8081".to_owned()],
        controller: PeerKey([7; 32]),
        id: TokenId(uuid::Uuid::nil()),
        secret: [9; 32],
        expires_at: UnixMicros(1),
    };
    let sample = token.to_text().unwrap();
    fuzz("join tokens", &text(&[&sample], &["rsj_", "-_", "=="]), |text| {
        let Ok(token) = text.parse::<JoinToken>() else { return false };
        assert_eq!(token.to_text().unwrap().parse::<JoinToken>().unwrap(), token);
        true
    });
    // What is inside, since hardly any text above is still MessagePack.
    let inside = encode(&token, MAX_HANDSHAKE).unwrap();
    fuzz("join tokens, decoded", &mutated(vec![inside], words(), 4096), |bytes| {
        format!("rsj_{}", URL_SAFE_NO_PAD.encode(bytes)).parse::<JoinToken>().is_ok()
    });
}

#[test]
fn fuzz_addresses() {
    let samples =
        ["wss://host.example:8443", "WSS://10.0.0.7:65535/", "wss://[2001:db8::1]:443", "wss://nas_2:1"];
    fuzz(
        "addresses",
        &text(&samples, &["wss://", "[", "]", "0x", "xn--", "127.1", "user@", "::ffff:1.2.3.4"]),
        |text| {
            let Ok(address) = text.parse::<AgentAddress>() else { return false };
            assert_eq!(address.to_string().parse::<AgentAddress>().unwrap(), address);
            let host = address.host();
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.:".contains(c);
            assert!(
                !host.is_empty() && host.len() <= 253 && host.chars().all(plain) && address.port() != 0,
                "{host:?}"
            );
            assert!(host.contains(':') == host.parse::<std::net::Ipv6Addr>().is_ok(), "{host:?}");
            true
        },
    );
}

#[test]
fn fuzz_masking() {
    const SECRET: &str = "ghp_0123456789abcdefghijABCDEFGHIJ";
    let samples = ["postgres://me:hunter2@db/x --password=x -p y", "authorization: Bearer abc", SECRET];
    fuzz("masking", &text(&samples, &["=", "://", "@", " --token ", "eyJ", "ghp_", SECRET]), |text| {
        let hidden = masking::hide(&text);
        assert!(!hidden.contains(SECRET), "{hidden:?}");
        assert_eq!(masking::hide(&hidden), hidden, "what is hidden stays as it is");
        hidden != text
    });
}

#[test]
fn fuzz_identifiers_and_policies() {
    assert!("+a".repeat(32).parse::<PeerKey>().is_err(), "signs are no digits");
    let key = PeerKey([0xa5; 32]).to_string();
    let samples =
        [&key, "0123456789abcdef", "e0640a4e3412", "01999999-0000-7000-8000-000000000001", "view,logs sync"];
    fuzz("identifiers and policies", &text(&samples, &["all", "docker-api", "../"]), |text| {
        let id =
            text.parse::<InstanceId>().map(|id| assert_eq!(id.as_str().parse::<InstanceId>().unwrap(), id));
        let container = text.parse::<ContainerId>().map(|id| {
            assert!(id.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
        });
        let key = text
            .parse::<PeerKey>()
            .map(|key| assert_eq!(key.to_string(), text.to_ascii_lowercase(), "another text for a key"));
        let command = text.parse::<CommandId>().is_ok();
        let policy = text.parse::<Policy>().map(|policy| assert!(!policy.allows(Verb::Unknown)));
        id.is_ok() || container.is_ok() || key.is_ok() || command || policy.is_ok()
    });
}

/// Frames that are as large as they may be and become as much as they can.
fn greedy() -> Vec<(&'static str, Vec<u8>)> {
    let fill = |head: &[u8], unit: &[u8]| {
        let mut bytes = head.to_vec();
        while bytes.len() + unit.len() <= MAX_MESSAGE {
            bytes.extend_from_slice(unit);
        }
        bytes
    };
    let array = [0xdd, 0xff, 0xff, 0xff, 0xff];
    let samples = [&b"\x82\xa4type\xa7figures\xa7samples"[..], &array].concat();
    let unknown_field = [&b"\x82\xa4type\xa7figures\xa1x"[..], &array].concat();
    let before_the_tag = [&b"\x82\xa7samples"[..], &array].concat();
    let mut nested = Vec::new();
    nested.extend_from_slice(b"\x82\xa4type\xa7figures\xa7samples");
    for _ in 0..40 {
        nested.extend_from_slice(&array);
    }
    let mut exact = b"\x82\xa1x\xdd".to_vec();
    let count = u32::try_from(MAX_MESSAGE - 30).unwrap();
    exact.extend_from_slice(&count.to_be_bytes());
    exact.extend(std::iter::repeat_n(0xc0, count as usize));
    exact.extend_from_slice(b"\xa4type\xa5newer");
    vec![
        ("nils for samples", fill(&samples, &[0xc0])),
        ("empty maps for samples", fill(&samples, &[0x80])),
        ("nils in an unknown field", fill(&unknown_field, &[0xc0])),
        ("nils before the tag", fill(&before_the_tag, &[0xc0])),
        ("empty arrays before the tag", fill(&before_the_tag, &[0x90])),
        ("maps before the tag", fill(&before_the_tag, &[0x81, 0xc0, 0xc0])),
        ("arrays in arrays before the tag", fill(&before_the_tag, &[0x92, 0x90, 0x90])),
        ("endless arrays in each other", fill(&nested, &array)),
        ("a whole message of nils", exact),
    ]
}

/// `VmHWM`, the largest this process has been, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn the_greediest_frames_stay_small() {
    let frames = greedy();
    let before = peak();
    for (name, bytes) in frames {
        assert!(bytes.len() <= MAX_MESSAGE, "{name}");
        swallow(&bytes);
        let grown = peak() - before;
        assert!(grown <= LARGEST, "{name}: {grown} bytes");
    }
}
