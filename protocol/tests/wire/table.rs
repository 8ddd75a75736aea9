//! A frozen table and the check of a value against it.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};

use roadstead_protocol::message::codec::{MAX_MESSAGE, decode, encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Names and bytes, as they are in the file.
pub struct Table {
    frozen: BTreeMap<String, Vec<u8>>,
    seen: BTreeMap<String, Vec<u8>>,
    blessing: bool,
}

impl Table {
    pub fn read(text: &str) -> Self {
        let frozen = text
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(name, hex)| (name.to_owned(), from_hex(hex)))
            .collect();
        let blessing = std::env::var_os("ROADSTEAD_BLESS").is_some();
        Self { frozen, seen: BTreeMap::new(), blessing }
    }

    /// Compares in both directions.
    pub fn check<M: Serialize + DeserializeOwned + PartialEq + Debug>(&mut self, name: &str, value: &M) {
        let bytes = encode(value, MAX_MESSAGE).unwrap();
        let back: M = decode(&bytes, MAX_MESSAGE).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(&back, value, "{name} does not survive");
        if !self.blessing {
            let frozen = self.frozen.get(name).unwrap_or_else(|| panic!("{name} is not frozen"));
            assert_eq!(to_hex(&bytes), to_hex(frozen), "{name} is written differently");
        }
        assert!(self.seen.insert(name.to_owned(), bytes).is_none(), "{name} is there twice");
    }

    /// Compares the whole, or writes the file anew.
    pub fn finish(self, file: &str) {
        if self.blessing {
            let text = self.seen.iter().fold(String::new(), |mut text, (name, bytes)| {
                let _ = writeln!(text, "{name} {}", to_hex(bytes));
                text
            });
            let path = format!("{}/tests/wire/{file}", env!("CARGO_MANIFEST_DIR"));
            std::fs::write(path, text).unwrap();
            return;
        }
        let left: Vec<_> = self.frozen.keys().filter(|name| !self.seen.contains_key(*name)).collect();
        assert!(left.is_empty(), "frozen, but no longer written: {left:?}");
    }
}

pub fn from_hex(text: &str) -> Vec<u8> {
    text.trim()
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
