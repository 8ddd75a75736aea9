//! What lies there while a backup is put in the place of a database.

use super::*;

#[test]
fn there_is_a_database_until_the_new_one_takes_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let named = |name: &str| directory.path().join(name);
    fs::write(named(FILE), "former").unwrap();
    fs::write(named("roadstead.db-wal"), "log").unwrap();
    // The last step fails, as if it had been killed before it.
    put_in_place(&named("missing"), &named(FILE), &named("before")).unwrap_err();
    assert_eq!(fs::read_to_string(named(FILE)).unwrap(), "former");
    fs::write(named("new"), "new").unwrap();
    assert!(put_in_place(&named("new"), &named(FILE), &named("before again")).unwrap());
    assert_eq!(fs::read_to_string(named(FILE)).unwrap(), "new");
    for kept in ["before", "before again"] {
        assert_eq!(fs::read_to_string(named(kept)).unwrap(), "former");
    }
    assert_eq!(fs::read_to_string(named("before-wal")).unwrap(), "log");
    assert!(!named("roadstead.db-wal").exists());
}
