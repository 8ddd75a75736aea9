//! What a write that fails leaves behind.

use roadstead_protocol::message::event::{Event, EventKind};
use roadstead_protocol::message::ids::EventSeq;
use roadstead_protocol::message::time::UnixMicros;

use super::super::DEFAULT_LIMIT;
use super::super::record::encode;
use super::*;

fn write(writer: &mut Writer, index: &Mutex<Index>, seq: u64) -> Result<(), OutboxError> {
    let what = EventKind::AgentStarted { version: seq.to_string() };
    let event = Event { seq: EventSeq(seq), at: UnixMicros(0), what };
    let mut bytes = Vec::new();
    let stored = encode(event, None, &mut bytes).unwrap();
    writer.commit(index, &bytes, vec![stored])
}

#[test]
fn a_segment_that_had_to_be_written_anew_is_kept_until_its_events_are_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let (mut writer, index) = Writer::open(directory.path(), DEFAULT_LIMIT, false).unwrap();
    write(&mut writer, &Mutex::new(index), 1).unwrap();
    drop(writer);
    // Its file is lost, so a new one is begun at once.
    fs::remove_file(segment::path(directory.path(), 1)).unwrap();
    let (mut writer, index) = Writer::open(directory.path(), DEFAULT_LIMIT, true).unwrap();
    let index = Mutex::new(index);
    let newest = segment::path(directory.path(), 2);
    writer.active.as_mut().unwrap().file = File::open(&newest).unwrap();
    write(&mut writer, &index, 2).unwrap_err();
    write(&mut writer, &index, 2).unwrap();
    writer.close_segment();
    write(&mut writer, &index, 3).unwrap();
    locked(&index).acknowledge(1);
    writer.forget(&index);
    assert!(newest.exists(), "the controller does not have event 2");
}
