//! The chain of the audit log: how an entry is hashed, and the walk that finds the first broken link. Pure.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

use super::{AuditEntry, AuditRecord};

/// What every hash begins with, so that no other hash of this program can stand for one of these.
const DOMAIN: &[u8] = b"roadstead audit 1\0";

/// What an entry is called that tells of removed ones; its detail ends in the [`Anchor`] of the last of them.
pub const RETENTION: &str = "audit.retention";

/// A SHA-256 of the chain, in hexadecimal when shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AuditHash(pub [u8; 32]);

impl AuditHash {
    /// What the first entry of all holds as the hash of the one before it.
    pub const NONE: Self = Self([0; 32]);
}

impl fmt::Display for AuditHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for AuditHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A place in the chain, written `id:hash`. Kept elsewhere, it proves later that nothing up to it was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// Of the entry.
    pub id: i64,
    /// Of the entry.
    pub hash: AuditHash,
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.id, self.hash)
    }
}

/// Text that is no [`Anchor`].
#[derive(Debug, thiserror::Error)]
#[error(
    "write it as the controller does: the entry's number, a colon, and the 64 hexadecimal digits of its hash"
)]
pub struct InvalidAnchor;

impl FromStr for Anchor {
    type Err = InvalidAnchor;

    fn from_str(text: &str) -> Result<Self, InvalidAnchor> {
        let (id, digits) = text.split_once(':').ok_or(InvalidAnchor)?;
        let id = id.parse().map_err(|_| InvalidAnchor)?;
        // Only then are bytes characters, and none of them a sign, which `from_str_radix` would take.
        if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(InvalidAnchor);
        }
        let mut hash = [0; 32];
        for (at, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[at * 2..at * 2 + 2], 16).map_err(|_| InvalidAnchor)?;
        }
        Ok(Self { id, hash: AuditHash(hash) })
    }
}

/// The hash of an entry: SHA-256 over `"roadstead audit 1\0"`, the hash before, id and time (8 bytes each, big
/// endian), then who, address, what, target, result, detail and command. Each of these is a byte 0 if there is none,
/// else a byte 1, its length (8 bytes, big endian) and its bytes: no two entries have the same encoding.
#[must_use]
pub fn hash_of(previous: AuditHash, id: i64, entry: &AuditEntry) -> AuditHash {
    let mut hasher = Sha256::new();
    hasher.update(DOMAIN);
    hasher.update(previous.0);
    hasher.update(id.to_be_bytes());
    hasher.update(entry.at.0.to_be_bytes());
    let command = entry.command.map(|id| id.0.into_bytes());
    let fields: [Option<&[u8]>; 7] = [
        Some(entry.who.as_bytes()),
        entry.address.as_deref().map(str::as_bytes),
        Some(entry.what.as_bytes()),
        entry.target.as_deref().map(str::as_bytes),
        Some(entry.result.as_bytes()),
        entry.detail.as_deref().map(str::as_bytes),
        command.as_ref().map(<[u8; 16]>::as_slice),
    ];
    for field in fields {
        match field {
            None => hasher.update([0]),
            Some(bytes) => {
                hasher.update([1]);
                hasher.update((bytes.len() as u64).to_be_bytes());
                hasher.update(bytes);
            }
        }
    }
    AuditHash(hasher.finalize().into())
}

/// What is wrong with the chain, at the first place where something is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// An entry's own hash does not fit what it says.
    #[error("entry {0} was changed after it was written")]
    Changed(i64),
    /// An entry does not continue the one before it, although nothing seems to be missing.
    #[error(
        "entry {1} does not continue entry {0}: one of the two was exchanged, put in or moved, or one between them \
         removed"
    )]
    Unlinked(i64, i64),
    /// Numbers are missing between two entries that do not continue each other.
    #[error("after entry {0} something was removed: the next is entry {1}, and does not continue it")]
    Missing(i64, i64),
    /// The log does not begin where retention left it.
    #[error(
        "the log begins after entry {0}, but no entry of it tells that retention removed what was before; the \
         beginning was cut off"
    )]
    CutAtBeginning(i64),
    /// The log ends before, or elsewhere than, the end that was noted beside it.
    #[error("the log ends with entry {0}, but it had grown to entry {1}: its end was cut off or exchanged")]
    CutAtEnd(i64, i64),
    /// An entry is not the one that was noted elsewhere.
    #[error("entry {0} is not the one that you noted: the log was rewritten")]
    NotAsNoted(i64),
    /// An entry that was noted elsewhere is beyond the log's end.
    #[error("entry {0}, which you noted, is not there: the log's end was cut off, or this is an older copy")]
    NotedIsMissing(i64),
}

/// A chain without a broken link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// How many entries it has.
    pub entries: u64,
    /// Its last entry: worth being noted elsewhere.
    pub head: Anchor,
    /// The last entry that was removed for its age; number 0, or that before the first, if none was.
    pub base: Anchor,
    /// Anchors given that lie before the first entry that is kept, so that nothing can be said of them.
    pub beyond: usize,
}

/// The walk along the chain, entry by entry.
pub struct Walk {
    base: Anchor,
    at: Anchor,
    entries: u64,
    told: Option<Anchor>,
    noted: Vec<Anchor>,
    beyond: usize,
}

impl Walk {
    /// A walk that begins after `base` and passes the places `noted` elsewhere.
    #[must_use]
    pub fn new(base: Anchor, mut noted: Vec<Anchor>) -> Self {
        let before = noted.len();
        noted.retain(|anchor| anchor.id > base.id);
        let beyond = before - noted.len();
        Self { base, at: base, entries: 0, told: None, noted, beyond }
    }

    /// Takes the next entry.
    ///
    /// # Errors
    /// If the chain is broken there.
    pub fn step(&mut self, record: &AuditRecord) -> Result<(), Broken> {
        let (before, id) = (self.at.id, record.id);
        if record.previous != self.at.hash {
            return Err(if id > before + 1 {
                Broken::Missing(before, id)
            } else {
                Broken::Unlinked(before, id)
            });
        }
        if record.hash != hash_of(record.previous, id, &record.entry) {
            return Err(Broken::Changed(id));
        }
        self.at = Anchor { id, hash: record.hash };
        self.entries += 1;
        if record.entry.what == RETENTION {
            self.told = record.entry.detail.as_deref().and_then(|text| text.rsplit(' ').next()?.parse().ok());
        }
        let at = self.at;
        match self.noted.iter().find(|noted| noted.id == id && noted.hash != at.hash) {
            Some(noted) => Err(Broken::NotAsNoted(noted.id)),
            None => Ok(()),
        }
    }

    /// Ends the walk where the log says that its end is.
    ///
    /// # Errors
    /// If that is not where the entries end, or nothing tells why they begin where they do.
    pub fn end(self, head: Anchor) -> Result<Verified, Broken> {
        if self.at != head {
            return Err(Broken::CutAtEnd(self.at.id, head.id));
        }
        // Before there was a chain, old entries went without leaving anything.
        let chained = self.base.hash != AuditHash::NONE;
        if chained && self.told != Some(self.base) {
            return Err(Broken::CutAtBeginning(self.base.id));
        }
        if let Some(noted) = self.noted.iter().find(|noted| noted.id > head.id) {
            return Err(Broken::NotedIsMissing(noted.id));
        }
        Ok(Verified { entries: self.entries, head, base: self.base, beyond: self.beyond })
    }
}

#[cfg(test)]
mod tests {
    use roadstead_protocol::fuzz::{fuzz, text};

    use roadstead_protocol::message::time::UnixMicros;

    use super::*;

    fn entry(who: &str, target: Option<&str>) -> AuditEntry {
        AuditEntry {
            at: UnixMicros(1_760_000_000_000_006),
            who: who.to_owned(),
            address: Some("127.0.0.1".to_owned()),
            what: "command.sync".to_owned(),
            target: target.map(str::to_owned),
            result: "ok".to_owned(),
            detail: None,
            command: Some("01999999-0000-7000-8000-000000000001".parse().unwrap()),
        }
    }

    /// Logs that were verified yesterday must be verified for ever: this value never changes.
    #[test]
    fn the_encoding_is_frozen() {
        let hash = hash_of(AuditHash::NONE, 1, &entry("admin", Some("nas/shop")));
        assert_eq!(hash.to_string(), FROZEN);
    }

    const FROZEN: &str = "5d3b90a7b20d467bb3740831c94df252d56a1649b3b967e47a565ac8c8e7feca";

    #[test]
    fn text_that_moves_from_one_field_to_the_next_is_another_entry() {
        let pairs =
            [(entry("ab", Some("c")), entry("a", Some("bc"))), (entry("a", None), entry("a", Some("")))];
        for (one, other) in pairs {
            assert_ne!(hash_of(AuditHash::NONE, 1, &one), hash_of(AuditHash::NONE, 1, &other));
        }
    }

    #[test]
    fn anchors_are_read_as_they_are_written() {
        let anchor = Anchor { id: 12, hash: AuditHash([0xa5; 32]) };
        assert_eq!(anchor.to_string().parse::<Anchor>().unwrap(), anchor);
        let signed = format!("1:{}", "+a".repeat(32));
        for text in ["", ":", "1", "1:", "x:00", "1:0g", "é:é", &format!("1:{}é", "a".repeat(62)), &signed]
        {
            assert!(text.parse::<Anchor>().is_err(), "{text}");
        }
    }

    #[test]
    fn fuzz_anchors() {
        let sample = Anchor { id: 4711, hash: AuditHash([0xa5; 32]) }.to_string();
        fuzz("places of the audit log", &text(&[&sample], &["0x", "+", "-"]), |text| {
            let Ok(anchor) = text.parse::<Anchor>() else { return false };
            assert_eq!(anchor.to_string().parse::<Anchor>().unwrap(), anchor);
            true
        });
    }
}
