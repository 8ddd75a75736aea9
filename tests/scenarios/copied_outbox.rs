//! Two machines with copies of one data folder, and folders that were set back, in front of the real intake: whatever the
//! order in which they come, tell, are cut off and start again, each event of each is stored once, and in order.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use roadstead_agent::outbox::{Agreement, Outbox};
use roadstead_controller::events::{EventFilter, Events, MAX_PAGE};
use roadstead_controller::store::Store;
use roadstead_protocol::message::event::{EventBatch, EventKind};
use roadstead_protocol::message::ids::{Epoch, EventSeq, InstanceId};
use roadstead_protocol::message::time::UnixMicros;
use tempfile::TempDir;

/// What a machine told, until the controller works on it.
type Told = VecDeque<EventBatch>;

/// One machine.
struct Machine {
    name: &'static str,
    folder: TempDir,
    outbox: Option<Outbox>,
    session: Option<Session>,
    /// How many events it recorded since it was copied.
    recorded: usize,
}

struct Session {
    epoch: Epoch,
    /// The last event that it told.
    told: EventSeq,
    on_its_way: Told,
    stored: Option<EventSeq>,
}

/// The controller, and what earlier sessions told that it has not worked on yet.
struct Yard {
    events: Events,
    instance: InstanceId,
    late: Vec<Told>,
    _folder: TempDir,
}

#[derive(Clone, Debug)]
enum Step {
    Record(usize),
    /// A new session; what the one before it told may still be worked on.
    Connect,
    Tell(usize),
    /// The controller works on what was told.
    Work,
    /// Its acknowledgement arrives.
    Acknowledge,
    Restart,
    /// The controller works on something that an earlier session told.
    WorkLate(prop::sample::Index),
}

fn steps() -> impl Strategy<Value = Vec<(bool, Step)>> {
    let step = prop_oneof![
        4 => (1usize..4).prop_map(Step::Record),
        4 => Just(Step::Connect),
        6 => (1usize..400).prop_map(Step::Tell),
        6 => Just(Step::Work),
        3 => Just(Step::Acknowledge),
        1 => Just(Step::Restart),
        2 => any::<prop::sample::Index>().prop_map(Step::WorkLate),
    ];
    prop::collection::vec((any::<bool>(), step), 1..60)
}

fn what(name: &str, number: usize) -> EventKind {
    EventKind::AgentStarted { version: format!("{name} {number}") }
}

fn copy(from: &Path, to: &Path) {
    for file in fs::read_dir(from).unwrap().map(Result::unwrap) {
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

impl Machine {
    fn new(name: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let outbox = Some(open(folder.path()));
        Self { name, folder, outbox, session: None, recorded: 0 }
    }

    fn outbox(&self) -> &Outbox {
        self.outbox.as_ref().unwrap()
    }

    /// Records one after the other, all at the same time by the clock.
    async fn record(&mut self, count: usize) {
        for _ in 0..count {
            self.outbox().append(UnixMicros(7), what(self.name, self.recorded)).await.unwrap();
            self.recorded += 1;
        }
    }

    async fn stop(&mut self) {
        self.outbox.take().unwrap().settle().await;
    }

    fn start(&mut self) {
        self.outbox = Some(open(self.folder.path()));
    }

    /// A second machine with what is in this one's folder now.
    async fn copied(&mut self, name: &'static str) -> Self {
        self.stop().await;
        let folder = tempfile::tempdir().unwrap();
        copy(self.folder.path(), folder.path());
        self.start();
        let outbox = Some(open(folder.path()));
        Self { name, folder, outbox, session: None, recorded: 0 }
    }

    async fn tell(&mut self, bytes: usize) {
        let outbox = self.outbox.as_ref().unwrap();
        let Some(session) = &mut self.session else { return };
        if session.told < outbox.last() {
            let batch = outbox.next_told(session.told, bytes).await;
            session.told = batch.events.last().unwrap().seq;
            session.on_its_way.push_back(batch);
        }
    }

    fn hear(&mut self) {
        let Some(stored) = self.session.as_mut().and_then(|session| session.stored.take()) else { return };
        self.outbox().acknowledge(stored);
    }
}

fn open(folder: &Path) -> Outbox {
    Outbox::open(folder, 0).unwrap()
}

impl Yard {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let events = Events::new(Store::open(folder.path()).unwrap());
        Self { events, instance: "host".parse().unwrap(), late: Vec::new(), _folder: folder }
    }

    fn cut(&mut self, machine: &mut Machine) {
        self.late.extend(machine.session.take().map(|session| session.on_its_way));
    }

    async fn connect(&mut self, machine: &mut Machine) {
        self.cut(machine);
        let outbox = machine.outbox();
        let epoch = outbox.epoch();
        let mark = self.events.mark(&self.instance, epoch).await.unwrap();
        if outbox.agree(mark.seq, mark.print).await.unwrap() == Agreement::Reached {
            let session = Session { epoch, told: mark.seq, on_its_way: Told::new(), stored: None };
            machine.session = Some(session);
        }
    }

    /// Works on the oldest of what was told; what follows something that could not be taken is not looked at.
    async fn work_on(&self, told: &mut Told) -> Option<EventSeq> {
        let batch = told.pop_front()?;
        let stored = self.events.intake(&self.instance, batch).await.ok();
        if stored.is_none() {
            told.clear();
        }
        stored
    }

    async fn work(&self, machine: &mut Machine) {
        let Some(session) = &mut machine.session else { return };
        if session.on_its_way.is_empty() {
            return;
        }
        assert!(session.on_its_way.iter().all(|batch| batch.epoch == session.epoch));
        match self.work_on(&mut session.on_its_way).await {
            Some(stored) => session.stored = Some(stored),
            None => machine.session = None,
        }
    }

    async fn take(&mut self, machine: &mut Machine, step: Step) {
        match step {
            Step::Record(count) => machine.record(count).await,
            Step::Connect => self.connect(machine).await,
            Step::Tell(bytes) => machine.tell(bytes).await,
            Step::Work => self.work(machine).await,
            Step::Acknowledge => machine.hear(),
            Step::Restart => {
                self.cut(machine);
                machine.stop().await;
                machine.start();
            }
            Step::WorkLate(which) if !self.late.is_empty() => {
                let which = which.index(self.late.len());
                let mut told = std::mem::take(&mut self.late[which]);
                self.work_on(&mut told).await;
                self.late[which] = told;
            }
            Step::WorkLate(_) => {}
        }
    }

    /// Until the controller has everything of a machine.
    async fn drain(&mut self, machine: &mut Machine) {
        for _ in 0..1000 {
            if machine.outbox().acknowledged() >= machine.outbox().last() {
                return;
            }
            if machine.session.is_none() {
                self.connect(machine).await;
            }
            machine.tell(100).await;
            self.work(machine).await;
            machine.hear();
        }
        panic!("{} never got rid of its events", machine.name);
    }

    /// Everything in the log, oldest first; a gap is in it as such.
    async fn log(&self) -> Vec<String> {
        let page = self.events.page(EventFilter::default(), None, MAX_PAGE).await.unwrap();
        assert!(page.next.is_none());
        let shown = |what: &EventKind| match what {
            EventKind::AgentStarted { version } => version.clone(),
            other => format!("{other:?}"),
        };
        page.events.iter().rev().map(|event| shown(&event.what)).collect()
    }

    /// The log has these events of each machine, in order, and nothing else.
    async fn check(&self, expected: &[(&str, usize)]) {
        let log = self.log().await;
        for (name, count) in expected {
            let of_it = log.iter().filter(|event| event.split(' ').next() == Some(name));
            let all: Vec<_> = (0..*count).map(|number| format!("{name} {number}")).collect();
            assert!(of_it.eq(&all), "{name} recorded {count}, and the log has {log:?}");
        }
        assert_eq!(log.len(), expected.iter().map(|(_, count)| count).sum::<usize>(), "{log:?}");
    }
}

async fn run(before: Vec<Step>, after: Vec<(bool, Step)>) {
    let (mut yard, mut original) = (Yard::new(), Machine::new("before"));
    for step in before {
        yard.take(&mut original, step).await;
    }
    yard.cut(&mut original);
    let common = original.recorded;
    let mut copy = original.copied("copy").await;
    (original.name, original.recorded) = ("original", 0);
    for (of_copy, step) in after {
        let machine = if of_copy { &mut copy } else { &mut original };
        yard.take(machine, step).await;
    }
    for of_copy in [false, true, false] {
        let machine = if of_copy { &mut copy } else { &mut original };
        yard.connect(machine).await;
        yard.drain(machine).await;
    }
    while let Some(mut told) = yard.late.pop() {
        while yard.work_on(&mut told).await.is_some() {}
    }
    yard.check(&[("before", common), ("original", original.recorded), ("copy", copy.recorded)]).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn two_machines_with_one_outbox_lose_and_double_nothing(before in steps(), after in steps()) {
        let before = before.into_iter().map(|(_, step)| step).collect();
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run(before, after));
    }
}

#[tokio::test]
async fn a_folder_that_was_set_back_loses_nothing_new_and_doubles_nothing_old() {
    let (mut yard, mut machine) = (Yard::new(), Machine::new("host"));
    machine.record(3).await;
    yard.connect(&mut machine).await;
    yard.drain(&mut machine).await;
    machine.record(2).await;
    machine.stop().await;
    let older = tempfile::tempdir().unwrap();
    copy(machine.folder.path(), older.path());
    machine.start();
    machine.record(4).await;
    yard.connect(&mut machine).await;
    yard.drain(&mut machine).await;
    machine.stop().await;
    yard.check(&[("host", 9)]).await;

    // What it recorded since is known to the controller alone, and not again.
    copy(older.path(), machine.folder.path());
    for file in fs::read_dir(machine.folder.path()).unwrap().map(Result::unwrap) {
        if !older.path().join(file.file_name()).exists() {
            fs::remove_file(file.path()).unwrap();
        }
    }
    machine.start();
    let epoch = machine.outbox().epoch();
    machine.record(3).await;
    yard.connect(&mut machine).await;
    assert!(
        machine.session.is_none() && machine.outbox().epoch() != epoch,
        "it goes on in an epoch of its own"
    );
    // Which a restart before the first word does not forget.
    machine.stop().await;
    machine.start();
    yard.drain(&mut machine).await;
    yard.check(&[("host", 12)]).await;
    assert!(yard.log().await.is_sorted_by_key(|event| event[5..].parse::<u32>().unwrap()));
}

#[tokio::test]
async fn a_controller_that_was_set_back_as_well_is_told_what_it_lacks_and_no_more() {
    let (mut yard, mut machine) = (Yard::new(), Machine::new("host"));
    machine.record(4).await;
    yard.connect(&mut machine).await;
    yard.drain(&mut machine).await;
    let mut copy = machine.copied("copy").await;
    copy.record(2).await;
    yard.connect(&mut copy).await;
    yard.drain(&mut copy).await;
    machine.record(1).await;
    yard.connect(&mut machine).await;
    yard.drain(&mut machine).await;
    machine.record(2).await;
    // A controller that never heard of any of it: the events that are gone are a gap, and not those before the fork.
    let mut other = Yard::new();
    other.connect(&mut machine).await;
    other.drain(&mut machine).await;
    let log = other.log().await;
    assert_eq!(log[1..], ["host 5", "host 6"]);
    assert!(
        log[0].contains("Gap") && log[0].contains("from: EventSeq(5), to: EventSeq(5), count: 1"),
        "{log:?}"
    );
}
