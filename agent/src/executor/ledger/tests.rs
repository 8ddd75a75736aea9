//! What can be read back of a command's file.

use roadstead_protocol::message::progress::LogStream;

use super::*;

fn order() -> Order {
    let work = Work::Check { project: "shop".to_owned() };
    Order { id: CommandId::generate(), work, deadline_secs: 60 }
}

fn line(order: &Order, line: u64) -> ProgressLine {
    let entry = Progress::Log { stream: LogStream::Agent, service: None, text: format!("line {line}") };
    ProgressLine { command: order.id, line, at: UnixMicros(5), entry }
}

fn open(directory: &tempfile::TempDir) -> Ledger {
    Ledger::open(directory.path(), BootId::generate()).unwrap()
}

#[test]
fn what_was_recorded_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(&directory);
    let order = order();
    ledger.accept(&order, UnixMicros(1)).unwrap();
    ledger.say(order.id, vec![line(&order, 0), line(&order, 1)]).unwrap();
    ledger.resume(order.id, UnixMicros(2)).unwrap();
    // Said twice, as when a write was repeated.
    ledger.say(order.id, vec![line(&order, 1), line(&order, 2)]).unwrap();
    let found = open(&directory).take_found();
    let lines = (0..3).map(|number| line(&order, number)).collect();
    let expected =
        Found { id: order.id, ended: false, order: Some((UnixMicros(1), order)), resumed: 1, lines };
    assert_eq!(found, [expected]);
}

#[test]
fn an_order_to_install_is_recorded_without_its_secrets() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(&directory);
    let install = serde_json::json!({ "work": "install", "name": "app", "image": "app:1",
        "env": { "PLAIN": "hunter2" }, "labels": { "app.secret": "hunter2" }, "command": ["--password", "hunter2"] });
    let order = Order { work: serde_json::from_value(install).unwrap(), ..order() };
    ledger.accept(&order, UnixMicros(1)).unwrap();
    let bytes = fs::read(ledger.path(order.id)).unwrap();
    assert!(!String::from_utf8_lossy(&bytes).contains("hunter2"));
    let found = open(&directory).take_found().remove(0);
    let Some((_, Order { work: Work::Install(found), .. })) = found.order else { panic!("{found:?}") };
    assert_eq!(found.env["PLAIN"], masking::MASK);
}

#[test]
fn a_damaged_line_leaves_a_filler_and_a_damaged_order_leaves_its_id() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(&directory);
    let order = order();
    ledger.accept(&order, UnixMicros(1)).unwrap();
    let path = ledger.path(order.id);
    let first = fs::read(&path).unwrap().len();
    ledger.say(order.id, (0..3).map(|number| line(&order, number)).collect()).unwrap();
    let whole = fs::read(&path).unwrap();
    for byte in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[byte] ^= 4;
        fs::write(&path, bytes).unwrap();
        let found = open(&directory).take_found().remove(0);
        assert_eq!((found.id, found.order.is_some()), (order.id, byte >= first), "byte {byte}");
        assert!(found.lines.iter().enumerate().all(|(number, line)| line.line == number as u64));
        assert!(found.lines.len() >= 2);
    }
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let found = open(&directory).take_found().remove(0);
        assert_eq!((found.id, found.order.is_some()), (order.id, length >= first), "length {length}");
    }
}

#[test]
fn an_order_that_was_not_written_whole_was_never_taken() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(&directory);
    let aside = ledger.path(CommandId::generate()).with_extension("new");
    fs::write(&aside, b"half").unwrap();
    assert!(open(&directory).take_found().is_empty());
    assert!(!aside.exists());
}

#[test]
fn memory_is_bounded_and_old_files_go() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(&directory);
    let since = ledger.since();
    let orders: Vec<_> = (0..KEPT + 2).map(|_| order()).collect();
    for order in &orders {
        ledger.accept(order, UnixMicros(1)).unwrap();
        ledger.end(order.id).unwrap();
    }
    let again = open(&directory);
    let found: Vec<_> = again.take_found().into_iter().map(|found| (found.id, found.ended)).collect();
    let kept: Vec<_> = orders[2..].iter().map(|order| (order.id, true)).collect();
    assert_eq!(found, kept);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), KEPT + 1);
    again.memory().ended.extend((0..REMEMBERED).map(|_| CommandId::generate()));
    let newest = CommandId::generate();
    again.end(newest).unwrap();
    let last = open(&directory);
    assert_eq!((last.since(), last.ended().len()), (since, REMEMBERED));
    assert_eq!(last.ended().back(), Some(&newest));
}
