//! Tests of [`super`].

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{CERTIFICATE_FILE, Identity, IdentityError, KEY_FILE};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn is_made_once_and_found_again() {
    let base = tempfile::tempdir().unwrap();
    let directory = base.path().join("data/identity");
    let made = Identity::load_or_create(&directory).unwrap();
    let found = Identity::load_or_create(&directory).unwrap();
    assert_eq!(made.key(), found.key());
    assert_eq!(mode(&directory), 0o700);
    for file in [KEY_FILE, CERTIFICATE_FILE] {
        assert_eq!(mode(&directory.join(file)), 0o600, "{file}");
    }
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 2, "nothing else is left behind");
    assert_ne!(made.key(), Identity::generate().unwrap().key());
}

#[test]
fn the_certificate_follows_from_the_key() {
    let directory = tempfile::tempdir().unwrap();
    let made = Identity::load_or_create(directory.path()).unwrap();
    fs::remove_file(directory.path().join(CERTIFICATE_FILE)).unwrap();
    fs::write(directory.path().join("key.pem.new"), "left by a crash").unwrap();
    assert_eq!(Identity::load_or_create(directory.path()).unwrap().key(), made.key());
}

#[test]
fn a_lost_key_is_not_replaced() {
    let directory = tempfile::tempdir().unwrap();
    Identity::load_or_create(directory.path()).unwrap();
    fs::remove_file(directory.path().join(KEY_FILE)).unwrap();
    let error = Identity::load_or_create(directory.path()).unwrap_err();
    assert!(matches!(error, IdentityError::KeyMissing { .. }), "{error}");
    assert!(!directory.path().join(KEY_FILE).exists());
}

#[test]
fn a_key_that_others_can_read_is_refused_with_the_remedy() {
    let directory = tempfile::tempdir().unwrap();
    Identity::load_or_create(directory.path()).unwrap();
    let key = directory.path().join(KEY_FILE);
    for loose in [0o640, 0o604, 0o660] {
        chmod(&key, loose);
        let error = Identity::load_or_create(directory.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("chmod 600 {}", key.display())), "{error}");
    }
    chmod(&key, 0o400);
    Identity::load_or_create(directory.path()).unwrap();
}

#[test]
fn a_directory_that_others_can_write_to_is_refused_with_the_remedy() {
    let directory = tempfile::tempdir().unwrap();
    chmod(directory.path(), 0o770);
    let error = Identity::load_or_create(directory.path()).unwrap_err().to_string();
    assert!(error.contains("chmod go-w"), "{error}");
    chmod(directory.path(), 0o755);
    Identity::load_or_create(directory.path()).unwrap();
}

#[test]
fn a_damaged_file_is_named_and_kept() {
    let other = tempfile::tempdir().unwrap();
    Identity::load_or_create(other.path()).unwrap();
    let of_another = fs::read(other.path().join(CERTIFICATE_FILE)).unwrap();

    for (file, damage) in [
        (KEY_FILE, &b""[..]),
        (KEY_FILE, b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
        (KEY_FILE, b"\xff\xfe"),
        (CERTIFICATE_FILE, b""),
        (CERTIFICATE_FILE, b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        (CERTIFICATE_FILE, &of_another),
    ] {
        let directory = tempfile::tempdir().unwrap();
        Identity::load_or_create(directory.path()).unwrap();
        let path = directory.path().join(file);
        fs::write(&path, damage).unwrap();
        let error = Identity::load_or_create(directory.path()).unwrap_err();
        assert!(matches!(error, IdentityError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        assert_eq!(fs::read(&path).unwrap(), damage);
    }
}

#[test]
fn a_directory_that_is_none_is_an_error() {
    let base = tempfile::tempdir().unwrap();
    let file = base.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Identity::load_or_create(&file.join("identity")).unwrap_err();
    assert!(matches!(error, IdentityError::Directory { .. }), "{error}");
}

#[test]
fn the_key_is_not_shown() {
    let identity = Identity::generate().unwrap();
    assert_eq!(format!("{identity:?}"), format!("Identity {{ key: {:?}, .. }}", identity.key()));
}
