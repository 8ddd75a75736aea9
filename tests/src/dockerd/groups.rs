//! The control groups of one engine's containers: a branch of their own, so that nothing is left of them, and
//! so that paused containers can be let go, which not even the end of their namespace kills.

use std::path::{Path, PathBuf};

/// Where control groups are: version 2 here, or a folder for each hierarchy of version 1.
const ROOT: &str = "/sys/fs/cgroup";

/// The group above those of all tests.
const TESTS: &str = "roadstead-tests";

/// The branch; removed on drop, when its processes are gone.
#[derive(Debug)]
pub(super) struct ControlGroups {
    name: String,
}

impl ControlGroups {
    /// The branch of the engine with this folder. The engine makes it.
    pub(super) fn of(folder: &Path) -> Self {
        let own = folder.file_name().unwrap_or_default().to_string_lossy();
        Self { name: format!("{TESTS}/{own}") }
    }

    /// What the engine has to be told.
    pub(super) fn parent(&self) -> String {
        format!("/{}", self.name)
    }

    /// Lets every paused container go.
    pub(super) fn thaw(&self) {
        for group in self.groups() {
            // Each version knows one of them.
            for (file, word) in [("freezer.state", "THAWED"), ("cgroup.freeze", "0")] {
                let file = group.join(file);
                if file.exists() {
                    let _ = std::fs::write(file, word);
                }
            }
        }
    }

    /// Every group of the branch in every hierarchy, outer ones first.
    fn groups(&self) -> Vec<PathBuf> {
        let mut found: Vec<PathBuf> = folders(Path::new(ROOT))
            .into_iter()
            .chain([PathBuf::from(ROOT)])
            .map(|hierarchy| hierarchy.join(&self.name))
            .filter(|branch| branch.is_dir())
            .collect();
        let mut next = 0;
        while next < found.len() {
            found.extend(folders(&found[next]));
            next += 1;
        }
        found
    }
}

impl Drop for ControlGroups {
    fn drop(&mut self) {
        for group in self.groups().iter().rev() {
            // What a process still is in stays; it is empty and harmless when that has gone.
            let _ = std::fs::remove_dir(group);
        }
    }
}

fn folders(of: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(of) else { return Vec::new() };
    let folders = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.map(|entry| entry.path()).collect()
}
