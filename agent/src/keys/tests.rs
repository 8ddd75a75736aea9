//! Keys through every step of being replaced, killed after each.

use tempfile::TempDir;

use super::*;

const CONTROLLER: PeerKey = PeerKey([1; 32]);
const NEWER: PeerKey = PeerKey([2; 32]);

fn open(directory: &TempDir) -> Keys {
    let membership = Membership::load(directory.path()).unwrap();
    let controller = membership.as_ref().map_or(CONTROLLER, |membership| membership.controller);
    Keys::open(directory.path(), controller, membership).unwrap()
}

fn joined(directory: &TempDir) -> Keys {
    let keys = open(directory);
    keys.welcomed(&"nas".parse().unwrap(), Vec::new()).unwrap();
    keys
}

#[test]
fn a_new_key_is_shown_once_it_is_filed_and_said_again_until_then() {
    let directory = tempfile::tempdir().unwrap();
    let keys = joined(&directory);
    let old = keys.identity().key();
    assert_eq!(keys.unfiled(old), None);
    let next = keys.replace(old).unwrap().unwrap();
    assert_eq!(keys.replace(old).unwrap(), Some(next), "asked twice, it is the same");
    // Killed after it was made, before or after it was said or filed.
    let keys = open(&directory);
    assert_eq!((keys.identity().key(), keys.unfiled(old)), (old, Some(next)));
    assert!(!keys.filed(PeerKey([9; 32]), old).unwrap(), "another's is none of ours");
    assert!(keys.filed(next, old).unwrap());
    assert!(!keys.filed(next, next).unwrap());
    assert_eq!((keys.identity().key(), keys.unfiled(next)), (next, None));
    // Killed before it was shown.
    let keys = open(&directory);
    assert_eq!((keys.identity().key(), keys.unfiled(next)), (next, None));
    assert_eq!(keys.door().earlier.unwrap().key(), old);
}

#[test]
fn killed_between_the_folders_the_next_start_finishes() {
    let directory = tempfile::tempdir().unwrap();
    let keys = joined(&directory);
    let old = keys.identity().key();
    let next = keys.replace(old).unwrap().unwrap();
    fs::rename(directory.path().join(PRESENT), directory.path().join(PREVIOUS)).unwrap();
    let keys = open(&directory);
    assert_eq!(keys.identity().key(), next);
    assert_eq!(keys.door().earlier.unwrap().key(), old);
}

#[test]
fn a_controller_that_forgot_the_new_key_is_shown_the_previous_one_and_told_the_new_one_again() {
    let directory = tempfile::tempdir().unwrap();
    let keys = joined(&directory);
    let old = keys.identity().key();
    assert!(!keys.refused(), "there is no other to try");
    let new = keys.replace(old).unwrap().unwrap();
    keys.filed(new, old).unwrap();
    assert!(keys.refused());
    assert_eq!((keys.identity().key(), keys.unfiled(old)), (old, Some(new)));
    assert!(keys.filed(new, old).unwrap());
    assert_eq!(keys.identity().key(), new);
    // Removed for good, both are refused in turn.
    let tried = [keys.refused(), keys.shows_token(), keys.refused(), keys.shows_token(), keys.refused()];
    assert_eq!(
        tried,
        [true, false, true, true, false],
        "the previous key, then the present one with a token"
    );
}

#[test]
fn an_agent_behind_a_web_server_says_what_its_next_secret_is_filed_as() {
    let directory = tempfile::tempdir().unwrap();
    let keys = joined(&directory);
    let shown = keys.identity().secret().filed();
    let next = keys.replace(shown).unwrap().unwrap();
    assert!(keys.filed(next, shown).unwrap());
    assert_eq!(keys.identity().secret().filed(), next);
    assert_eq!(keys.replace(PeerKey([9; 32])).unwrap(), None);
}

#[test]
fn the_controllers_keys_are_learnt_and_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    assert!(
        !open(&directory).learn(Some(NEWER), &[NEWER]).unwrap(),
        "whoever belongs to nobody learns nothing"
    );
    let keys = joined(&directory);
    let told = keys.subscribe();
    assert!(!keys.learn(Some(CONTROLLER), &[]).unwrap());
    assert!(keys.learn(Some(CONTROLLER), &[NEWER, CONTROLLER]).unwrap());
    assert!(told.has_changed().unwrap());
    assert_eq!(keys.trust(), Trust::Either(NEWER, CONTROLLER));
    let keys = open(&directory);
    assert_eq!(keys.trust(), Trust::Either(NEWER, CONTROLLER));
    assert!(keys.learn(Some(NEWER), &[NEWER]).unwrap());
    keys.welcomed(&"nas".parse().unwrap(), Vec::new()).unwrap();
    let keys = open(&directory);
    assert_eq!(keys.trust(), Trust::Only(NEWER));
    assert!(keys.is_controllers(CONTROLLER), "the token it joined with does not move it elsewhere");
    assert!(!keys.is_controllers(PeerKey([3; 32])));
}

#[test]
fn nobody_but_the_controller_itself_says_by_which_keys_it_is_known() {
    let directory = tempfile::tempdir().unwrap();
    let keys = joined(&directory);
    let before = keys.trust();
    assert!(keys.learn(None, &[NEWER]).unwrap(), "a web server took the link: answered, and not believed");
    assert!(!keys.learn(Some(CONTROLLER), &[NEWER]).unwrap());
    assert_eq!(keys.trust(), before);
    assert_eq!(open(&directory).trust(), before);
}
