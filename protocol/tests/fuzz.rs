//! Fuzzing of the codec, on stable Rust: whatever a peer sends, decoding neither panics nor takes much time or memory.
//!
//! The corpus is every frozen frame (`wire/v1.txt`). Inputs are frames that were cut, spliced, repeated, nested, given
//! false lengths and false words. A normal run tries a fixed number of them. To fuzz for an hour:
//!
//! ```sh
//! ROADSTEAD_FUZZ_SECONDS=3600 cargo test --release -p roadstead-protocol --test fuzz
//! ```
//!
//! A failing input is printed, made as small as proptest can, and its seed is printed to be replayed.
#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is a failure")]

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof};
use proptest::sample::{Index, select};
use proptest::test_runner::{TestError, TestRunner};
use roadstead_protocol::join_token::JoinToken;
use roadstead_protocol::message::codec::{
    DecodeError, MAX_HANDSHAKE, MAX_MESSAGE, decode, decode_directed, encode,
};
use roadstead_protocol::message::hello::{Hello, Reply};
use roadstead_protocol::message::to_agent::ToAgent;
use roadstead_protocol::message::to_controller::ToController;
use tokio::time::Instant;

const TABLE: &str = include_str!("wire/v1.txt");

/// Inputs in a normal run.
const CASES: u32 = 4000;

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
fn swallow(bytes: &[u8]) {
    let start = Instant::now();
    let to_agent: Result<ToAgent, DecodeError> = decode_directed(bytes);
    let to_controller: Result<ToController, DecodeError> = decode_directed(bytes);
    let hello: Result<Hello, DecodeError> = decode(bytes, MAX_HANDSHAKE);
    let reply: Result<Reply, DecodeError> = decode(bytes, MAX_HANDSHAKE);
    let _: Result<JoinToken, DecodeError> = decode(bytes, MAX_HANDSHAKE);
    assert!(start.elapsed() < SLOWEST, "took {:?}", start.elapsed());

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
}

/// One thing done to a frame.
#[derive(Clone, Debug)]
enum Mutation {
    Flip { at: Index, bits: u8 },
    Cut { at: Index },
    Drop { at: Index, length: usize },
    Insert { at: Index, bytes: Vec<u8> },
    Repeat { at: Index, length: usize, times: usize },
    Splice { at: Index, other: Vec<u8>, from: Index },
    Nest { at: Index, marker: u8, depth: usize },
}

impl Mutation {
    fn apply(self, mut bytes: Vec<u8>) -> Vec<u8> {
        let place = |index: Index, bytes: &[u8]| index.index(bytes.len() + 1);
        match self {
            Self::Flip { at, bits } => {
                let at = place(at, &bytes);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= bits;
                }
            }
            Self::Cut { at } => bytes.truncate(place(at, &bytes)),
            Self::Drop { at, length } => {
                let from = place(at, &bytes);
                let to = (from + length).min(bytes.len());
                bytes.drain(from..to);
            }
            Self::Insert { at, bytes: inserted } => {
                let at = place(at, &bytes);
                bytes.splice(at..at, inserted);
            }
            Self::Repeat { at, length, times } => {
                let from = place(at, &bytes);
                let to = (from + length).min(bytes.len());
                let piece = bytes[from..to].repeat(times);
                bytes.splice(to..to, piece);
            }
            Self::Splice { at, other, from } => {
                bytes.truncate(place(at, &bytes));
                bytes.extend_from_slice(&other[place(from, &other)..]);
            }
            Self::Nest { at, marker, depth } => {
                let at = place(at, &bytes);
                bytes.splice(at..at, std::iter::repeat_n(marker, depth));
            }
        }
        bytes.truncate(MAX_MESSAGE);
        bytes
    }
}

/// The markers that announce more than they cost: arrays, maps, strings, byte strings and extensions of any length.
fn marker() -> impl Strategy<Value = Vec<u8>> {
    let long = select(vec![0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf]);
    let length = prop_oneof![Just(vec![0xff; 4]), Just(vec![0; 4]), vec(any::<u8>(), 4)];
    (long, length).prop_map(|(marker, length)| [vec![marker], length].concat())
}

fn mutation(corpus: &[Vec<u8>]) -> impl Strategy<Value = Mutation> + use<> {
    let at = any::<Index>;
    prop_oneof![
        4 => (at(), 1..=u8::MAX).prop_map(|(at, bits)| Mutation::Flip { at, bits }),
        1 => at().prop_map(|at| Mutation::Cut { at }),
        2 => (at(), 1_usize..40).prop_map(|(at, length)| Mutation::Drop { at, length }),
        2 => (at(), vec(any::<u8>(), 1..16)).prop_map(|(at, bytes)| Mutation::Insert { at, bytes }),
        2 => (at(), marker()).prop_map(|(at, bytes)| Mutation::Insert { at, bytes }),
        1 => (at(), 1_usize..400, 1_usize..2000)
            .prop_map(|(at, length, times)| Mutation::Repeat { at, length, times }),
        2 => (at(), select(corpus.to_vec()), at())
            .prop_map(|(at, other, from)| Mutation::Splice { at, other, from }),
        1 => (at(), select(vec![0x81, 0x91, 0x92, 0xdd]), 1_usize..MAX_MESSAGE)
            .prop_map(|(at, marker, depth)| Mutation::Nest { at, marker, depth }),
    ]
}

fn input() -> impl Strategy<Value = Vec<u8>> {
    let corpus = corpus();
    let mutations = vec(mutation(&corpus), 0..6);
    let mutated = (select(corpus), mutations)
        .prop_map(|(frame, mutations)| mutations.into_iter().fold(frame, |bytes, step| step.apply(bytes)));
    prop_oneof![20 => mutated, 1 => vec(any::<u8>(), 0..300)]
}

#[test]
fn nothing_a_peer_sends_panics() {
    let seconds = std::env::var("ROADSTEAD_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let budget = Duration::from_secs(seconds.unwrap_or(0));
    let start = Instant::now();
    loop {
        let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
        let mut runner = TestRunner::new(config);
        let result = runner.run(&input(), |bytes| {
            swallow(&bytes);
            Ok(())
        });
        match result {
            Ok(()) => {}
            Err(TestError::Fail(reason, bytes)) => panic!("{reason}\ninput: {bytes:02x?}"),
            Err(error) => panic!("{error}"),
        }
        if start.elapsed() >= budget {
            return;
        }
    }
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
