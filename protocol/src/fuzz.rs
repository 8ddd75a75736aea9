//! Fuzzing on stable Rust, for the tests of every crate: inputs are samples that were cut, spliced, repeated and strewn
//! with words that mean something to the parser. A normal run tries a fixed number of them; with
//! `ROADSTEAD_FUZZ_SECONDS` (`make fuzz`) a test goes on for that long. A failing input is made as small as proptest can
//! and shown.

use std::fmt::Debug;
use std::io::Write as _;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, any, prop_oneof};
use proptest::sample::{Index, select};
use proptest::test_runner::{TestError, TestRunner};
use tokio::time::Instant;

/// Inputs in a normal run, and between two looks at the clock.
const CASES: u32 = 2000;

/// Words that many parsers stumble over: numbers at and beyond their limits, quotes, brackets, odd characters.
const WORDS: &[&str] = &[
    "",
    "0",
    "-1",
    "1e999",
    "-0.0",
    "65536",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "99999999999999999999",
    "null",
    "true",
    "[]",
    "{}",
    "[[[[[[[[",
    "{\"a\":{\"a\":",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "'",
    "\0",
    "\n",
    "\r\n",
    "\t",
    " ",
    "é",
    "\u{202e}",
    "\u{1f6a2}",
    "%",
    "%00",
    "%ff",
    "..",
    "/",
    ":",
    ",",
    "=",
    "@",
    "#",
    "?",
    "&",
    "+",
    "*",
];

/// One thing done to a sample.
#[derive(Clone, Debug)]
enum Mutation {
    Flip { at: Index, bits: u8 },
    Cut { at: Index },
    Drop { at: Index, length: usize },
    Insert { at: Index, bytes: Vec<u8> },
    Repeat { at: Index, length: usize, times: usize },
    Splice { at: Index, other: Vec<u8>, from: Index },
}

impl Mutation {
    fn apply(self, mut bytes: Vec<u8>, longest: usize) -> Vec<u8> {
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
        }
        bytes.truncate(longest);
        bytes
    }
}

fn mutation(corpus: &[Vec<u8>], words: &[Vec<u8>]) -> impl Strategy<Value = Mutation> + use<> {
    let at = any::<Index>;
    prop_oneof![
        3 => (at(), 1..=u8::MAX).prop_map(|(at, bits)| Mutation::Flip { at, bits }),
        1 => at().prop_map(|at| Mutation::Cut { at }),
        2 => (at(), 1_usize..40).prop_map(|(at, length)| Mutation::Drop { at, length }),
        1 => (at(), vec(any::<u8>(), 1..16)).prop_map(|(at, bytes)| Mutation::Insert { at, bytes }),
        4 => (at(), select(words.to_vec())).prop_map(|(at, bytes)| Mutation::Insert { at, bytes }),
        1 => (at(), 1_usize..400, 1_usize..2000)
            .prop_map(|(at, length, times)| Mutation::Repeat { at, length, times }),
        2 => (at(), select(corpus.to_vec()), at())
            .prop_map(|(at, other, from)| Mutation::Splice { at, other, from }),
    ]
}

/// Samples of `corpus`, of which there has to be one, with up to five things done to them, `words` put in among others;
/// now and then bytes at random. None is longer than `longest`.
pub fn mutated(
    corpus: Vec<Vec<u8>>,
    words: Vec<Vec<u8>>,
    longest: usize,
) -> impl Strategy<Value = Vec<u8>> + use<> {
    let mutations = vec(mutation(&corpus, &words), 0..6);
    let mutated = (select(corpus), mutations).prop_map(move |(sample, mutations)| {
        mutations.into_iter().fold(sample, |bytes, step| step.apply(bytes, longest))
    });
    prop_oneof![20 => mutated, 1 => vec(any::<u8>(), 0..300)]
}

/// The same for text of at most 64 KiB.
pub fn text(corpus: &[&str], words: &[&str]) -> impl Strategy<Value = String> + use<> {
    let bytes = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect::<Vec<_>>();
    let words = [bytes(words), bytes(WORDS)].concat();
    mutated(bytes(corpus), words, 64 * 1024).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Gives inputs to `check`, which panics where something is wrong and returns whether the input was accepted; then says
/// on standard error how many there were.
///
/// # Panics
/// With the smallest failing input that was found.
pub fn fuzz<S: Strategy>(name: &str, inputs: &S, check: impl Fn(S::Value) -> bool)
where
    S::Value: Debug,
{
    let seconds = std::env::var("ROADSTEAD_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let budget = Duration::from_secs(seconds.unwrap_or(0));
    let (start, accepted) = (Instant::now(), std::cell::Cell::new(0_u64));
    let mut runs = 0;
    loop {
        let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
        let result = TestRunner::new(config).run(inputs, |input| {
            accepted.set(accepted.get() + u64::from(check(input)));
            Ok(())
        });
        match result {
            Ok(()) => {}
            Err(TestError::Fail(reason, input)) => panic!("{name}: {reason}\ninput: {input:?}"),
            Err(error) => panic!("{name}: {error}"),
        }
        runs += u64::from(CASES);
        if start.elapsed() >= budget {
            break;
        }
    }
    let line = format!("fuzz: {name}: {runs} inputs, {} accepted\n", accepted.get());
    // Nobody reading it is fine.
    let _ = std::io::stderr().write_all(line.as_bytes());
}
