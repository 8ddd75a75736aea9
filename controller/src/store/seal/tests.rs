//! Who opens a database while another process has it alone.

use std::os::unix::fs::MetadataExt as _;
use std::thread;

use super::*;

/// Whether somebody waits for the lock on the database in `directory`.
fn is_waited_for(directory: &Path) -> bool {
    let inode = std::fs::metadata(directory.join("roadstead.lock")).unwrap().ino();
    let locks = std::fs::read_to_string("/proc/locks").unwrap();
    locks.lines().any(|lock| lock.contains("->") && lock.contains(&format!(":{inode} ")))
}

/// What comes of opening a closed database while it is still being sealed; `meanwhile` is done before that is over.
fn opened_while_sealed(meanwhile: impl FnOnce(&Path)) -> (tempfile::TempDir, Result<State, StoreError>) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join(FILE), "a database").unwrap();
    Seal::open(directory.path()).unwrap().0.close();
    let sealing = Seal::alone(directory.path()).unwrap().unwrap();
    let opened = thread::scope(|scope| {
        let opened = scope.spawn(|| Seal::open(directory.path()).map(|(_, state)| state));
        while !is_waited_for(directory.path()) {
            thread::yield_now();
        }
        meanwhile(directory.path());
        drop(sealing);
        opened.join().unwrap()
    });
    (directory, opened)
}

#[test]
fn whoever_waited_for_the_sealing_breaks_the_seal() {
    let (directory, opened) = opened_while_sealed(|_| {});
    assert_eq!(opened.unwrap(), State::Sealed);
    assert!(!directory.path().join("roadstead.db.seal").exists(), "it would belong to an older database");
}

#[test]
fn whoever_waited_for_the_sealing_notices_damage() {
    let (_directory, opened) =
        opened_while_sealed(|directory| std::fs::write(directory.join(FILE), "a databask").unwrap());
    assert!(matches!(opened, Err(StoreError::Damaged { .. })), "{opened:?}");
}

#[test]
fn whoever_joins_others_finds_it_in_use() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join(FILE), "a database").unwrap();
    let _open = Seal::open(directory.path()).unwrap();
    assert_eq!(Seal::open(directory.path()).unwrap().1, State::InUse);
}
