//! Which controller this agent belongs to, and as which instance. Written when a join token was redeemed; from then
//! on the token is not needed.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use roadstead_protocol::message::ids::{InstanceId, PeerKey};
use serde::{Deserialize, Serialize};

/// What an agent remembers of having joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    /// The controller's key, in hexadecimal.
    #[serde(with = "hexadecimal")]
    pub controller: PeerKey,
    /// Who this agent is to it.
    pub instance: InstanceId,
    /// Where the controller listened when the agent joined; empty for inbound agents.
    pub addresses: Vec<String>,
    /// The controller's earlier key, while that still counts.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "hexadecimal::optional")]
    pub earlier: Option<PeerKey>,
    /// Keys that the controller had and that count no longer: tokens that name them are its all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "hexadecimal::list")]
    pub former: Vec<PeerKey>,
}

/// The membership cannot be read or written. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum MembershipError {
    /// The file or its folder.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The file's content.
    #[error("{path} is damaged ({error}); remove it and start the agent with a new join token")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        error: serde_json::Error,
    },
}

impl Membership {
    /// The keys by which the controller is known, newest first.
    #[must_use]
    pub fn trusted(&self) -> Vec<PeerKey> {
        std::iter::once(self.controller).chain(self.earlier).collect()
    }

    /// Whether `key` is or was the controller's.
    #[must_use]
    pub fn is_same(&self, key: PeerKey) -> bool {
        self.trusted().contains(&key) || self.former.contains(&key)
    }

    /// Reads the membership in `directory`, if there is one.
    ///
    /// # Errors
    /// If there is one that cannot be read: never taken for none.
    pub fn load(directory: &Path) -> Result<Option<Self>, MembershipError> {
        let path = file(directory);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(MembershipError::File { path, error }),
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| MembershipError::Damaged { path, error })
    }

    /// Writes the membership, whole or not at all.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub fn save(&self, directory: &Path) -> Result<(), MembershipError> {
        let path = file(directory);
        let write = || -> std::io::Result<()> {
            let temporary = path.with_extension("new");
            let mut file = std::fs::File::create(&temporary)?;
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            file.sync_all()?;
            std::fs::rename(&temporary, &path)?;
            std::fs::File::open(directory)?.sync_all()
        };
        write().map_err(|error| MembershipError::File { path: path.clone(), error })
    }
}

fn file(directory: &Path) -> PathBuf {
    directory.join("membership.json")
}

mod hexadecimal {
    use roadstead_protocol::message::ids::PeerKey;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(key: &PeerKey, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(key)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PeerKey, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }

    pub(super) mod optional {
        use super::{PeerKey, list};
        use serde::{Deserializer, Serializer};

        pub(in super::super) fn serialize<S: Serializer>(
            key: &Option<PeerKey>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            match key {
                Some(key) => serializer.collect_str(key),
                None => serializer.serialize_none(),
            }
        }

        pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<PeerKey>, D::Error> {
            use serde::Deserialize as _;
            Option::<String>::deserialize(deserializer)?.map(|text| list::key(&text)).transpose()
        }
    }

    pub(super) mod list {
        use roadstead_protocol::message::ids::PeerKey;
        use serde::{Deserialize as _, Deserializer, Serializer};

        pub(in super::super) fn serialize<S: Serializer>(
            keys: &[PeerKey],
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            serializer.collect_seq(keys.iter().map(ToString::to_string))
        }

        pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Vec<PeerKey>, D::Error> {
            Vec::<String>::deserialize(deserializer)?.iter().map(|text| key(text)).collect()
        }

        pub(super) fn key<E: serde::de::Error>(text: &str) -> Result<PeerKey, E> {
            text.parse().map_err(E::custom)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_as_it_was_saved() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Membership::load(directory.path()).unwrap(), None);
        let membership = Membership {
            controller: PeerKey([7; 32]),
            instance: "web-1".parse().unwrap(),
            addresses: vec!["wss://controller:8081".into()],
            earlier: Some(PeerKey([8; 32])),
            former: vec![PeerKey([9; 32])],
        };
        membership.save(directory.path()).unwrap();
        assert_eq!(Membership::load(directory.path()).unwrap(), Some(membership));
    }

    #[test]
    fn a_damaged_file_is_an_error_that_names_it() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("membership.json"), "{").unwrap();
        let error = Membership::load(directory.path()).unwrap_err().to_string();
        assert!(error.contains("membership.json") && error.contains("new join token"), "{error}");
    }
}
