//! The keys of a fleet in one file, so that a second run is the same fleet and does not wait for keys.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use anyhow::Context;
use roadstead_protocol::link::identity::Identity;

/// What a key in PEM ends with.
const END: &str = "-----END PRIVATE KEY-----\n";

/// The first `count` identities kept in `folder`; those that are missing are made and added.
pub(super) fn load_or_create(folder: &Path, count: usize) -> anyhow::Result<Vec<Identity>> {
    let file = folder.join("keys.pem");
    let named = || file.display().to_string();
    DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(named)?;
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(named),
    };
    let mut keys: Vec<String> = text.split_inclusive(END).map(str::to_owned).collect();
    if keys.len() < count {
        while keys.len() < count {
            keys.push(Identity::new_key_pem()?.trim().to_owned() + "\n");
        }
        // Replaced in one step: a run that is killed leaves the old file.
        let new = folder.join("keys.pem.new");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.open(&new).with_context(named)?.write_all(keys.concat().as_bytes())?;
        fs::rename(&new, &file).with_context(named)?;
    }
    let damaged = || format!("{} is damaged: remove it", file.display());
    keys.iter().take(count).map(|key| Identity::from_key_pem(key).with_context(damaged)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_has_the_same_keys_and_more_where_more_are_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let keys = |count| -> Vec<_> {
            load_or_create(folder.path(), count).unwrap().iter().map(Identity::key).collect()
        };
        let (three, five) = (keys(3), keys(5));
        assert_eq!(three, five[..3]);
        assert_eq!(keys(2), five[..2]);
        assert_eq!(keys(5), five);
        let different: std::collections::BTreeSet<_> = five.iter().collect();
        assert_eq!(different.len(), 5);
    }
}
