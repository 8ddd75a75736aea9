//! Whoever tampers with a real store is found, at the first place where he did; retention and writers beside each
//! other break nothing.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;

fn entry(who: &str) -> AuditEntry {
    AuditEntry {
        at: UnixMicros(1_760_000_000_000_000),
        who: who.to_owned(),
        address: Some("192.0.2.1".to_owned()),
        what: "login".to_owned(),
        target: None,
        result: "ok".to_owned(),
        detail: None,
        command: None,
    }
}

/// A store with entries 1 to `count`, and where each stands.
async fn store_with(count: usize) -> (TempDir, Vec<Anchor>) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mut anchors = Vec::new();
    for number in 1..=count {
        anchors.push(store.append_audit(vec![entry(&format!("user {number}"))]).await.unwrap());
    }
    (folder, anchors)
}

/// Whoever owns the file owns its seal, too.
fn raw(folder: &Path) -> Connection {
    let _ = std::fs::remove_file(folder.join("roadstead.db.seal"));
    let connection = Connection::open(folder.join("roadstead.db")).unwrap();
    connection.busy_timeout(Duration::from_secs(5)).unwrap();
    connection
}

/// Somebody who owns the database file: triggers stop nobody who drops them.
fn tamper(folder: &Path, sql: &str) {
    let connection = raw(folder);
    let names: Vec<String> = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(|name| name.unwrap())
        .collect();
    for name in names {
        connection.execute_batch(&format!("DROP TRIGGER {name}")).unwrap();
    }
    connection.execute_batch(sql).unwrap();
}

async fn verify(folder: &Path, noted: Vec<Anchor>) -> Result<Verified, Broken> {
    Store::open(folder).unwrap().verify_audit(noted).await.unwrap()
}

/// What is found after `sql` was done to a log of ten entries.
async fn found_after(sql: &str) -> Result<Verified, Broken> {
    let (folder, _) = store_with(10).await;
    tamper(folder.path(), sql);
    verify(folder.path(), Vec::new()).await
}

#[tokio::test]
async fn an_untouched_log_is_whole() {
    let (folder, anchors) = store_with(10).await;
    let verified = verify(folder.path(), vec![anchors[3], anchors[9]]).await.unwrap();
    assert_eq!((verified.entries, verified.head, verified.beyond), (10, anchors[9], 0));
    assert_eq!(verify(tempfile::tempdir().unwrap().path(), Vec::new()).await.unwrap().entries, 0);
}

#[tokio::test]
async fn an_edited_entry_is_named_whatever_was_edited() {
    let edits = [
        "at = at + 1",
        "who = 'somebody else'",
        "address = NULL",
        "what = 'logout'",
        "target = ''",
        "result = 'refused'",
        "detail = 'x'",
        "command = zeroblob(16)",
        "command = X'00'",
        "hash = zeroblob(32)",
        "hash = X'00'",
    ];
    for edit in edits {
        let found = found_after(&format!("UPDATE audit SET {edit} WHERE id = 4")).await;
        assert_eq!(found, Err(Broken::Changed(4)), "{edit}");
    }
    let found = found_after("UPDATE audit SET previous = zeroblob(32) WHERE id = 4").await;
    assert_eq!(found, Err(Broken::Unlinked(3, 4)));
}

#[tokio::test]
async fn an_edited_entry_with_a_fitting_hash_breaks_the_link_after_it() {
    let (folder, anchors) = store_with(10).await;
    let forged = hash_of(anchors[2].hash, 4, &entry("somebody else"));
    let sql = format!("UPDATE audit SET who = 'somebody else', hash = X'{forged}' WHERE id = 4");
    tamper(folder.path(), &sql);
    assert_eq!(verify(folder.path(), Vec::new()).await, Err(Broken::Unlinked(4, 5)));
}

#[tokio::test]
async fn a_removed_entry_is_named() {
    assert_eq!(found_after("DELETE FROM audit WHERE id = 4").await, Err(Broken::Missing(3, 5)));
    assert_eq!(found_after("DELETE FROM audit WHERE id BETWEEN 4 AND 8").await, Err(Broken::Missing(3, 9)));
    let closed_up = "DELETE FROM audit WHERE id = 4; UPDATE audit SET id = id - 1 WHERE id > 4";
    assert_eq!(found_after(closed_up).await, Err(Broken::Unlinked(3, 4)));
}

#[tokio::test]
async fn an_entry_put_in_is_named() {
    let (folder, anchors) = store_with(10).await;
    let made_up = hash_of(anchors[3].hash, 5, &entry("mallory"));
    let sql = format!(
        "UPDATE audit SET id = -id WHERE id > 4; UPDATE audit SET id = 1 - id WHERE id < 0;
         INSERT INTO audit VALUES (5, 1760000000000000, 'mallory', '192.0.2.1', 'login', NULL, 'ok', NULL, NULL,
         X'{}', X'{made_up}')",
        anchors[3].hash
    );
    tamper(folder.path(), &sql);
    assert_eq!(verify(folder.path(), Vec::new()).await, Err(Broken::Unlinked(5, 6)));
}

#[tokio::test]
async fn entries_that_changed_places_are_named() {
    let rows = "UPDATE audit SET id = -4 WHERE id = 4; UPDATE audit SET id = 4 WHERE id = 7;
                UPDATE audit SET id = 7 WHERE id = -4";
    assert_eq!(found_after(rows).await, Err(Broken::Unlinked(3, 4)));
    let contents = "UPDATE audit SET who = CASE id WHEN 4 THEN 'user 7' ELSE 'user 4' END WHERE id IN (4, 7)";
    assert_eq!(found_after(contents).await, Err(Broken::Changed(4)));
}

#[tokio::test]
async fn an_end_that_was_cut_off_is_noticed_as_far_as_it_can_be() {
    let (folder, anchors) = store_with(10).await;
    tamper(folder.path(), "DELETE FROM audit WHERE id > 7");
    assert_eq!(verify(folder.path(), Vec::new()).await, Err(Broken::CutAtEnd(7, 10)));
    // With the note of the end moved back as well, only a place that was noted elsewhere shows it.
    let sql = format!("UPDATE audit_chain SET head_id = 7, head_hash = X'{}'", anchors[6].hash);
    tamper(folder.path(), &sql);
    assert_eq!(verify(folder.path(), Vec::new()).await.unwrap().entries, 7);
    let found = verify(folder.path(), vec![anchors[4], anchors[9]]).await;
    assert_eq!(found, Err(Broken::NotedIsMissing(10)));
}

#[tokio::test]
async fn a_log_that_was_written_anew_is_noticed_by_a_place_that_was_noted() {
    let (_kept, anchors) = store_with(10).await;
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    for _ in 0..10 {
        store.append_audit(vec![entry("mallory")]).await.unwrap();
    }
    assert_eq!(verify(folder.path(), vec![anchors[4]]).await, Err(Broken::NotAsNoted(5)));
}

#[tokio::test]
async fn the_database_itself_refuses_to_rewrite_the_log() {
    let (folder, anchors) = store_with(10).await;
    let connection = raw(folder.path());
    let last = format!("X'{}'", anchors[9].hash);
    let attempts = [
        "UPDATE audit SET who = 'x' WHERE id = 4".to_owned(),
        "UPDATE audit SET id = id + 100".to_owned(),
        "DELETE FROM audit WHERE id = 1".to_owned(),
        "DELETE FROM audit".to_owned(),
        format!("INSERT INTO audit VALUES (0, 0, '', NULL, '', NULL, '', NULL, NULL, {last}, {last})"),
        format!("REPLACE INTO audit VALUES (4, 0, '', NULL, '', NULL, '', NULL, NULL, {last}, {last})"),
        "INSERT INTO audit VALUES (11, 0, '', NULL, '', NULL, '', NULL, NULL, zeroblob(32), zeroblob(32))"
            .to_owned(),
        "UPDATE audit_chain SET head_id = 3".to_owned(),
        "DELETE FROM audit_chain".to_owned(),
        "REPLACE INTO audit_chain VALUES (1, 0, X'00', 0, X'00')".to_owned(),
    ];
    for sql in attempts {
        let refused = connection.execute_batch(&sql).unwrap_err().to_string();
        assert!(refused.contains("the audit log"), "{sql}: {refused}");
    }
    assert_eq!(verify(folder.path(), Vec::new()).await.unwrap().entries, 10);
}

#[tokio::test]
async fn retention_removes_the_oldest_and_leaves_a_chain_that_tells_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mut anchors = Vec::new();
    for second in 0..10 {
        anchors.push(
            store.append_audit(vec![AuditEntry { at: UnixMicros(second), ..entry("admin") }]).await.unwrap(),
        );
    }
    let now = UnixMicros(100);
    assert_eq!(store.prune_audit(UnixMicros(0), 1000, now).await.unwrap(), 0);
    assert_eq!(store.prune_audit(UnixMicros(4), 1000, now).await.unwrap(), 4);
    let verified = store.verify_audit(vec![anchors[1], anchors[8]]).await.unwrap().unwrap();
    assert_eq!((verified.entries, verified.base, verified.beyond), (7, anchors[3], 1));
    let told = store.audit_page(None, 1).await.unwrap().remove(0);
    assert_eq!((told.id, told.entry.what.as_str()), (11, RETENTION));
    assert_eq!(told.entry.detail.unwrap(), format!("removed 4 old entries, the last of them {}", anchors[3]));

    // By number; and then everything, after which the entry that tells of it is the whole log.
    assert_eq!(store.prune_audit(UnixMicros(0), 5, now).await.unwrap(), 2);
    assert_eq!(store.verify_audit(Vec::new()).await.unwrap().unwrap().entries, 6);
    assert_eq!(store.prune_audit(UnixMicros(1000), 1000, now).await.unwrap(), 6);
    let verified = store.verify_audit(Vec::new()).await.unwrap().unwrap();
    assert_eq!((verified.entries, verified.head.id, verified.base.id), (1, 13, 12));
}

#[tokio::test]
async fn a_young_entry_before_an_old_one_stays_and_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    for at in [1, 50, 2] {
        store.append_audit(vec![AuditEntry { at: UnixMicros(at), ..entry("admin") }]).await.unwrap();
    }
    assert_eq!(store.prune_audit(UnixMicros(10), 1000, UnixMicros(60)).await.unwrap(), 1);
    assert_eq!(store.verify_audit(Vec::new()).await.unwrap().unwrap().entries, 3);
}

#[tokio::test]
async fn a_beginning_that_was_cut_off_by_hand_is_named() {
    let (folder, anchors) = store_with(10).await;
    let sql = format!(
        "DELETE FROM audit WHERE id <= 4; UPDATE audit_chain SET base_id = 4, base_hash = X'{}'",
        anchors[3].hash
    );
    tamper(folder.path(), &sql);
    assert_eq!(verify(folder.path(), Vec::new()).await, Err(Broken::CutAtBeginning(4)));
    assert_eq!(found_after("DELETE FROM audit WHERE id <= 4").await, Err(Broken::Missing(0, 5)));
}

#[tokio::test]
async fn writers_beside_each_other_and_in_two_processes_keep_one_chain() {
    let folder = tempfile::tempdir().unwrap();
    let stores = [Store::open(folder.path()).unwrap(), Store::open(folder.path()).unwrap()];
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..200 {
        let store = stores[number % 2].clone();
        writers.spawn(async move {
            store.append_audit(vec![entry(&format!("user {number}"))]).await.unwrap();
            if number % 50 == 0 {
                store.prune_audit(UnixMicros(0), 100, UnixMicros(1)).await.unwrap();
            }
        });
    }
    while let Some(written) = writers.join_next().await {
        written.unwrap();
    }
    let verified = stores[0].verify_audit(Vec::new()).await.unwrap().unwrap();
    assert_eq!(i64::try_from(verified.entries).unwrap(), verified.head.id - verified.base.id);
    assert!(verified.entries >= 100 && verified.head.id >= 200, "{verified:?}");
}
