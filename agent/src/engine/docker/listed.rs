//! The engine's list of containers, of which only a print is kept: enough to tell whether something changed that no
//! event told. Pure, and nothing of an entry is kept while the next is read.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use roadstead_protocol::message::ids::ContainerId;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use crate::engine::{Listed, Print};

/// An entry of the list; none if it has no proper id.
pub(super) struct Entry(pub(super) Option<Listed>);

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntryVisitor)
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = Entry;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a container")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Entry, M::Error> {
        let (mut id, mut print) = (None, 0_u64);
        while let Some(key) = map.next_key::<String>()? {
            let value = match key.as_str() {
                "Id" => {
                    id = ContainerId::try_from(map.next_value::<String>()?).ok();
                    continue;
                }
                // `Up 3 hours (healthy)`: what is in brackets is a state, the rest is the time.
                "Status" => {
                    let status = map.next_value::<String>()?;
                    hash(status.split_once('(').map(|(_, state)| state))
                }
                _ => map.next_value::<Hashed>()?.0,
            };
            print = print.wrapping_add(hash((key, value)));
        }
        Ok(Entry(id.map(|id| Listed { id, print: Print(print) })))
    }
}

/// Anything, of which only a hash remains. The engine lists ports, mounts and networks in an order that changes from
/// answer to answer, so order does not count.
struct Hashed(u64);

impl<'de> Deserialize<'de> for Hashed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(HashVisitor)
    }
}

struct HashVisitor;

impl<'de> Visitor<'de> for HashVisitor {
    type Value = Hashed;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("anything")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Hashed, E> {
        Ok(Hashed(hash(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Hashed, E> {
        Ok(Hashed(hash(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Hashed, E> {
        Ok(Hashed(hash(value)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Hashed, E> {
        Ok(Hashed(hash(value.to_bits())))
    }

    fn visit_str<E>(self, value: &str) -> Result<Hashed, E> {
        Ok(Hashed(hash(value)))
    }

    fn visit_unit<E>(self) -> Result<Hashed, E> {
        Ok(Hashed(hash(())))
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Hashed, S::Error> {
        let mut sum = hash("[]");
        while let Some(Hashed(value)) = seq.next_element()? {
            sum = sum.wrapping_add(value);
        }
        Ok(Hashed(hash(sum)))
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Hashed, M::Error> {
        let mut sum = hash("{}");
        while let Some((Hashed(key), Hashed(value))) = map.next_entry()? {
            sum = sum.wrapping_add(hash((key, value)));
        }
        Ok(Hashed(hash(sum)))
    }
}

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use roadstead_protocol::fuzz::{fuzz, text};

    use super::*;

    /// Of engine 20.10.
    const LISTED: &str = r#"{"Id":"e0640a4e3412e04ead2f89260678de88e27d35ae40b773c941045574f8a64f9e","Names":["/web"],"Image":"app:1","ImageID":"sha256:5d0da3dc9764","Command":"sh -c 'sleep 9'","Created":1795181331,"Ports":[{"IP":"0.0.0.0","PrivatePort":80,"PublicPort":8080,"Type":"tcp"},{"PrivatePort":443,"Type":"tcp"}],"Labels":{"a":"1","b":"2"},"State":"running","Status":"Up 2 hours (healthy)","HostConfig":{"NetworkMode":"front"},"NetworkSettings":{"Networks":{"front":{"IPAMConfig":null,"EndpointID":"70b5","IPPrefixLen":16}}},"Mounts":[{"Type":"volume","Name":"v","RW":true},{"Type":"bind","Source":"/srv","RW":false}]}"#;

    fn print(json: &str) -> Print {
        serde_json::from_str::<Entry>(json).unwrap().0.unwrap().print
    }

    #[test]
    fn time_and_order_change_nothing() {
        let base = print(LISTED);
        assert_eq!(print(&LISTED.replace("Up 2 hours", "Up 3 hours")), base);
        let ports = r#"{"PrivatePort":443,"Type":"tcp"},{"IP":"0.0.0.0","PrivatePort":80,"PublicPort":8080,"Type":"tcp"}"#;
        let before = r#"{"IP":"0.0.0.0","PrivatePort":80,"PublicPort":8080,"Type":"tcp"},{"PrivatePort":443,"Type":"tcp"}"#;
        assert!(LISTED.contains(before));
        assert_eq!(print(&LISTED.replace(before, ports)), base);
    }

    #[test]
    fn whatever_else_changes_shows() {
        let base = print(LISTED);
        for (before, after) in [
            ("(healthy)", "(unhealthy)"),
            ("\"running\"", "\"exited\""),
            ("\"/web\"", "\"/web2\""),
            ("\"a\":\"1\"", "\"a\":\"2\""),
            ("\"a\":\"1\",\"b\":\"2\"", "\"a\":\"2\",\"b\":\"1\""),
            // As after a restart.
            ("70b5", "70b6"),
            ("\"RW\":true", "\"RW\":false"),
            ("8080", "8081"),
            ("[\"/web\"]", "null"),
        ] {
            assert!(LISTED.contains(before), "{before}");
            assert_ne!(print(&LISTED.replace(before, after)), base, "{after}");
        }
    }

    #[test]
    fn an_entry_without_a_proper_id_is_none() {
        assert!(serde_json::from_str::<Entry>(&LISTED.replace("e0640a4e", "../../..")).unwrap().0.is_none());
        assert!(serde_json::from_str::<Entry>("{}").unwrap().0.is_none());
    }

    #[test]
    fn fuzz_list() {
        let whole = format!("[{LISTED},{{\"Id\":\"e0640a4e3412\",\"Ports\":[1.5,-1,null]}}]");
        let words = ["\"Status\":\"Up 1 second\",", "\"Id\":", "\"Ports\":[]"];
        fuzz("list of containers", &text(&[&whole, LISTED], &words), |text| {
            let Ok(entries) = serde_json::from_str::<Vec<Entry>>(&text) else { return false };
            let again: Vec<Entry> = serde_json::from_str(&text).unwrap();
            assert!(entries.iter().zip(&again).all(|(one, other)| one.0 == other.0));
            !entries.is_empty()
        });
    }
}
