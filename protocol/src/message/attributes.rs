//! What an engine adds to an event about a container: a few words, the same few again and again.

use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::SmolStr;

/// Names that nearly all of them have; those take no room of their own.
const KNOWN: [&str; 6] = [
    "com.docker.compose.project",
    "com.docker.compose.service",
    "execDuration",
    "exitCode",
    "oldName",
    "signal",
];

/// Room that is made before anything was read, whatever a message says of its size.
const MOST_AT_ONCE: usize = 16;

/// Names and values, each name once, in the order of the names.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Attributes(Box<[(SmolStr, SmolStr)]>);

impl Attributes {
    /// The value of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let place = self.0.binary_search_by(|(known, _)| known.as_str().cmp(name)).ok()?;
        Some(&self.0[place].1)
    }

    /// All of them, in the order of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In order; of two with one name the later one counts.
    fn in_order(mut all: Vec<(SmolStr, SmolStr)>) -> Self {
        if !all.is_sorted_by(|one, next| one.0 < next.0) {
            all.reverse();
            all.sort_by(|one, other| one.0.cmp(&other.0));
            all.dedup_by(|one, kept| one.0 == kept.0);
        }
        Self(all.into_boxed_slice())
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(all: I) -> Self {
        let all = all.into_iter().map(|(name, value)| (known(name.as_ref()), SmolStr::new(value)));
        Self::in_order(all.collect())
    }
}

impl<N: AsRef<str>, V: AsRef<str>, const COUNT: usize> From<[(N, V); COUNT]> for Attributes {
    fn from(all: [(N, V); COUNT]) -> Self {
        all.into_iter().collect()
    }
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Attributes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Attributes, A::Error> {
                let mut all = Vec::with_capacity(map.size_hint().unwrap_or(0).min(MOST_AT_ONCE));
                while let Some(name) = map.next_key_seed(Name)? {
                    all.push((name, map.next_value()?));
                }
                Ok(Attributes::in_order(all))
            }
        }
        deserializer.deserialize_map(All)
    }
}

/// A name as it is kept.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = SmolStr;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<SmolStr, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = SmolStr;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E>(self, name: &str) -> Result<SmolStr, E> {
        Ok(known(name))
    }
}

fn known(name: &str) -> SmolStr {
    KNOWN
        .iter()
        .find(|known| **known == name)
        .map_or_else(|| SmolStr::new(name), |known| SmolStr::new_static(known))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::proptest;

    use super::Attributes;
    use crate::message::codec::{MAX_MESSAGE, decode, encode};

    proptest! {
        #[test]
        fn they_are_what_a_map_would_be(told in vec(("(exitCode|signal|[a-c]{0,2})", "[a-z]{0,30}"), 0..9)) {
            let map: std::collections::BTreeMap<_, _> = told.iter().cloned().collect();
            let made: Attributes = told.iter().map(|(name, value)| (name, value)).collect();
            let bytes = encode(&made, MAX_MESSAGE).unwrap();
            assert_eq!(bytes, encode(&map, MAX_MESSAGE).unwrap());
            assert_eq!(decode::<Attributes>(&bytes, MAX_MESSAGE).unwrap(), made);
            for name in ["exitCode", "signal", "a", "b", "zz"] {
                assert_eq!(made.get(name), map.get(name).map(String::as_str));
            }
        }
    }

    #[test]
    fn a_name_that_comes_twice_has_its_last_value() {
        // {"b": "1", "a": "2", "b": "3"}
        let bytes = b"\x83\xa1b\xa11\xa1a\xa12\xa1b\xa13";
        let read: Attributes = decode(bytes, MAX_MESSAGE).unwrap();
        assert_eq!(read, [("a", "2"), ("b", "3")].into());
    }
}
