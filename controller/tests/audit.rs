//! The audit log from the command line: the real program on a real data folder.
#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is a failure")]

use std::path::Path;
use std::process::{Command, Output};

use roadstead_controller::audit::{Audit, AuditResult, Entry};
use roadstead_controller::store::Store;

async fn folder_with(entries: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let audit = Audit::new(Store::open(folder.path()).unwrap());
    for number in 0..entries {
        let who = format!("user {number}");
        let entry = Entry {
            who: &who,
            address: None,
            what: "login",
            target: None,
            result: AuditResult::Done,
            detail: Some("=HYPERLINK(\"https://evil.example\")"),
        };
        audit.record(entry).await;
    }
    folder
}

fn audit(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_roadstead-controller"))
        .env_clear()
        .env("ROADSTEAD_DATA_DIR", folder)
        .arg("audit")
        .args(arguments)
        .output()
        .unwrap()
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn a_broken_link_is_named_and_ends_the_command_with_an_error() {
    let folder = folder_with(5).await;
    let whole = audit(folder.path(), &["verify"]);
    assert!(whole.status.success() && told(&whole).starts_with("5 entries"), "{}", told(&whole));
    let newest = told(&audit(folder.path(), &["export", "--after", "4"]));
    let newest: serde_json::Value = serde_json::from_str(&newest).unwrap();
    let place = format!("5:{}", newest["hash"].as_str().unwrap());
    let noted = audit(folder.path(), &["verify", "--noted", &place]);
    assert!(noted.status.success() && told(&noted).contains("1 noted places"), "{}", told(&noted));

    let database = rusqlite::Connection::open(folder.path().join("roadstead.db")).unwrap();
    let refused = database.execute("UPDATE audit SET who = 'nobody' WHERE id = 3", []).unwrap_err();
    assert!(refused.to_string().contains("never rewritten"), "{refused}");
    let forced = "DROP TRIGGER audit_is_not_rewritten; UPDATE audit SET who = 'nobody' WHERE id = 3";
    database.execute_batch(forced).unwrap();
    let broken = audit(folder.path(), &["verify"]);
    assert_eq!(broken.status.code(), Some(1));
    assert!(told(&broken).contains("entry 3 was changed after it was written"), "{}", told(&broken));
}

#[tokio::test]
async fn every_entry_is_printed_in_either_form() {
    let folder = folder_with(1500).await;
    let lines = told(&audit(folder.path(), &["export"]));
    assert_eq!(lines.lines().count(), 1500);
    let sheet = told(&audit(folder.path(), &["export", "--format", "csv", "--after", "1400"]));
    assert_eq!(sheet.lines().count(), 101);
    assert!(sheet.contains("\"'=HYPERLINK(\"\"https://evil.example\"\")\""), "{sheet}");
}
