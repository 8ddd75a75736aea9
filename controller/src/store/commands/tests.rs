//! Commands and logs on disk.

use roadstead_protocol::message::command::{Outcome, Work};
use roadstead_protocol::message::progress::Progress;

use super::*;

fn host(name: &str) -> InstanceId {
    name.parse().unwrap()
}

fn issued(instance: &str) -> CommandRecord {
    let id = CommandId::generate();
    let (seconds, nanos) = id.0.get_timestamp().unwrap().to_unix();
    CommandRecord {
        id,
        instance: host(instance),
        work: Work::Check { project: "shop".to_owned() },
        issued_by: "admin".to_owned(),
        issued_at: UnixMicros(i64::try_from(seconds * 1_000_000).unwrap() + i64::from(nanos / 1000)),
        state: CommandState::Issued,
        queue_until: Some(UnixMicros(9)),
        deadline_secs: 300,
        boot: None,
        sent_at: None,
        started_at: None,
        ended_at: None,
        cancel_requested: false,
        outcome: None,
        reason: None,
    }
}

fn ended(mut record: CommandRecord, state: CommandState) -> CommandRecord {
    record.state = state;
    record.boot = Some(BootId::generate());
    record.sent_at = Some(UnixMicros(1));
    record.started_at = Some(UnixMicros(2));
    record.ended_at = Some(UnixMicros(3));
    record.cancel_requested = true;
    record.outcome = Some(Outcome::Failed { reason: "no".to_owned(), services: Vec::new() });
    record.reason = Some("because".to_owned());
    record
}

fn line(number: u64) -> EncodedLine {
    let entry = encode(&Progress::Dropped { count: number }).unwrap();
    EncodedLine { line: number, at: UnixMicros(5), entry }
}

#[tokio::test]
async fn a_record_comes_back_whole_and_an_end_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let first = issued("one");
    store.save_command(first.clone()).await.unwrap();
    assert_eq!(store.command(first.id).await.unwrap(), Some(first.clone()));
    let failed = ended(first.clone(), CommandState::Failed);
    store.save_command(failed.clone()).await.unwrap();
    store.save_command(ended(first.clone(), CommandState::Lost)).await.unwrap();
    store.save_command(first.clone()).await.unwrap();
    assert_eq!(store.command(first.id).await.unwrap(), Some(failed));
    assert_eq!(store.command(CommandId::generate()).await.unwrap(), None);
}

#[tokio::test]
async fn what_an_order_held_is_replaced_with_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let install = |value: &str| {
        let work =
            serde_json::json!({ "work": "install", "name": "app", "image": "app:1", "env": { "A": value } });
        serde_json::from_value::<Work>(work).unwrap()
    };
    let first = CommandRecord { work: install("hunter2"), ..issued("one") };
    store.save_command(first.clone()).await.unwrap();
    let end = CommandRecord { work: install("masked"), ..ended(first, CommandState::Failed) };
    store.save_command(end.clone()).await.unwrap();
    assert_eq!(store.command(end.id).await.unwrap(), Some(end));
    // Closing writes everything into the one file.
    drop(store);
    for entry in std::fs::read_dir(directory.path()).unwrap().flatten() {
        let bytes = std::fs::read(entry.path()).unwrap();
        assert!(!bytes.windows(7).any(|part| part == b"hunter2"), "{:?}", entry.path());
    }
}

#[tokio::test]
async fn lists_are_filtered_and_paged_newest_first() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let mut ids = Vec::new();
    for number in 0..6 {
        let record = issued(if number % 2 == 0 { "even" } else { "odd" });
        let record = if number < 2 { ended(record, CommandState::Failed) } else { record };
        ids.insert(0, record.id);
        store.save_command(record).await.unwrap();
    }
    let list = async |filter: CommandFilter, before, limit| {
        let records = store.commands(filter, before, limit).await.unwrap();
        records.into_iter().map(|record| record.id).collect::<Vec<_>>()
    };
    let all = CommandFilter::default();
    assert_eq!(list(all.clone(), None, 4).await, ids[..4]);
    assert_eq!(list(all.clone(), Some(ids[3]), 4).await, ids[4..]);
    let odd = CommandFilter { instance: Some(host("odd")), ..all.clone() };
    assert_eq!(list(odd.clone(), None, 9).await, [ids[0], ids[2], ids[4]]);
    assert_eq!(list(CommandFilter { unfinished: true, ..odd }, None, 9).await, [ids[0], ids[2]]);
    let failed = CommandFilter { state: Some(CommandState::Failed), ..all };
    assert_eq!(list(failed, None, 9).await, ids[4..]);
}

#[tokio::test]
async fn lines_are_kept_once_each_and_survive_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let record = issued("one");
    let quiet = issued("one");
    for record in [&record, &quiet] {
        store.save_command(record.clone()).await.unwrap();
    }
    store.append_command_lines(record.id, vec![line(0), line(1)]).await.unwrap();
    store.append_command_lines(record.id, vec![line(1), line(2)]).await.unwrap();
    drop(store);

    let store = Store::open(directory.path()).unwrap();
    let lines = store.command_lines(record.id, 1, 9).await.unwrap();
    assert_eq!(lines.iter().map(|line| line.line).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(store.command_lines(record.id, 0, 1).await.unwrap().len(), 1);
    assert!(store.command_lines(record.id, u64::MAX, 9).await.unwrap().is_empty());
    let recent = store.recent_commands(UnixMicros(0)).await.unwrap();
    let bytes = |number| u64::try_from(line(number).entry.len()).unwrap();
    assert_eq!(recent[0].1.bytes_before_last, bytes(0) + bytes(1));
    assert_eq!(recent[0].1.last, Some((lines[1].clone(), bytes(2))));
    assert_eq!(recent[1], (quiet, LogSize::default()));
}

#[tokio::test]
async fn lines_of_no_command_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    assert!(store.append_command_lines(CommandId::generate(), vec![line(0)]).await.is_err());
}

#[tokio::test]
async fn recent_means_unfinished_or_ended_lately() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let open = issued("one");
    let over = ended(issued("one"), CommandState::Failed);
    for record in [&open, &over] {
        store.save_command(record.clone()).await.unwrap();
    }
    assert_eq!(store.recent_commands(UnixMicros(2)).await.unwrap().len(), 2);
    let recent = store.recent_commands(UnixMicros(3)).await.unwrap();
    assert_eq!(recent.into_iter().map(|(record, _)| record.id).collect::<Vec<_>>(), [open.id]);
}

#[tokio::test]
async fn outdated_commands_go_with_their_logs() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let mut records = Vec::new();
    for number in 0..4 {
        let record = issued("one");
        let record = if number == 1 { record } else { ended(record, CommandState::Failed) };
        store.save_command(record.clone()).await.unwrap();
        store.append_command_lines(record.id, vec![line(0)]).await.unwrap();
        records.push(record);
    }
    let none = store.outdated_commands(UnixMicros(0), 4, 9).await.unwrap();
    assert!(none.is_empty());
    let surplus = store.outdated_commands(UnixMicros(0), 2, 9).await.unwrap();
    assert_eq!(surplus, [records[0].id], "an unfinished one stays");
    let later = records[3].issued_at.plus(std::time::Duration::from_secs(1));
    assert_eq!(store.outdated_commands(later, 9, 9).await.unwrap().len(), 3);

    store.remove_commands(surplus).await.unwrap();
    assert_eq!(store.command(records[0].id).await.unwrap(), None);
    assert!(store.command_lines(records[0].id, 0, 9).await.unwrap().is_empty());
    assert_eq!(store.command_lines(records[1].id, 0, 9).await.unwrap().len(), 1);
}
