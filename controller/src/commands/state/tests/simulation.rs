//! A controller and an agent that crash, restart and lose their link at random: the work never runs twice, and what
//! the ledger says in the end is what happened.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

/// What can befall them.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Link,
    CutLink,
    ToAgent,
    ToController,
    TellOutbox,
    WorkEnds,
    AgentRestarts,
    ControllerRestarts,
    Cancel,
    /// The next thing to be told to the agent is not: whoever asked hung up.
    HangUp,
    /// The agent takes no orders for now, or does again.
    Decline,
    Wait(u8),
}

#[derive(Clone, Copy, PartialEq)]
enum Work {
    Unheard,
    Runs,
    Over,
}

struct World {
    now: UnixMicros,
    command: Tracked,
    linked: bool,
    drained: bool,
    session: SessionId,
    answers: Answers,
    declines: bool,
    hung_up: bool,
    to_agent: VecDeque<Effect>,
    to_controller: VecDeque<(BootId, Standing)>,
    boot: u128,
    /// In the memory of this boot.
    work: Work,
    starts: usize,
    outbox: Option<Outcome>,
    last_word: Option<CommandRecord>,
}

impl World {
    fn new() -> Self {
        Self {
            now: NOW,
            command: tracked(Issued),
            linked: false,
            drained: false,
            session: SessionId::generate(),
            answers: Answers::default(),
            declines: false,
            hung_up: false,
            to_agent: VecDeque::new(),
            to_controller: VecDeque::new(),
            boot: 1,
            work: Work::Unheard,
            starts: 0,
            outbox: None,
            last_word: None,
        }
    }

    fn input(&mut self, input: Input) {
        let (after, effects) = step(self.command.clone(), input, self.now);
        self.command = after;
        if self.linked && !effects.is_empty() && !std::mem::take(&mut self.hung_up) {
            for effect in effects {
                self.answers.asked(self.session, effect);
                self.to_agent.push_back(effect);
            }
        }
        if let Some(last) = &self.last_word {
            assert_eq!(*last, self.command.record, "a final state changed");
        } else if self.command.record.state.is_final() {
            self.last_word = Some(self.command.record.clone());
        }
    }

    fn cut(&mut self) {
        self.linked = false;
        self.to_agent.clear();
        self.to_controller.clear();
    }

    fn agent_hears(&mut self, effect: Effect) {
        match effect {
            Effect::Send if self.work == Work::Unheard && !self.declines => {
                self.work = Work::Runs;
                self.starts += 1;
            }
            Effect::Cancel if self.work == Work::Runs => {
                self.work = Work::Over;
                self.outbox = Some(cancelled());
            }
            Effect::Cancel => return,
            Effect::Send | Effect::Enquire => {}
        }
        let standing = match self.work {
            Work::Unheard => Standing::NeverSeen,
            Work::Runs => RUNNING,
            Work::Over => Standing::Ended,
        };
        self.to_controller.push_back((boot(self.boot), standing));
    }

    fn befall(&mut self, fate: Fate) {
        match fate {
            Fate::Link if !self.linked => {
                self.linked = true;
                self.drained = false;
                self.session = SessionId::generate();
                self.input(Input::Connected { boot: boot(self.boot) });
            }
            Fate::CutLink => self.cut(),
            Fate::ToAgent => {
                if let Some(effect) = self.to_agent.pop_front() {
                    self.agent_hears(effect);
                }
            }
            Fate::ToController => {
                if let Some((boot, standing)) = self.to_controller.pop_front() {
                    let heard = self.answers.answered(self.session);
                    self.input(Input::Standing { boot, standing, drained: self.drained, heard });
                }
            }
            Fate::TellOutbox if self.linked => {
                // Kept until acknowledged, so told again and again.
                if let Some(outcome) = self.outbox.clone() {
                    self.input(Input::Ended { at: self.now, outcome });
                }
                self.drained = true;
                self.input(Input::OutboxDrained);
            }
            Fate::WorkEnds if self.work == Work::Runs => {
                self.work = Work::Over;
                self.outbox = Some(succeeded());
            }
            Fate::AgentRestarts => {
                self.cut();
                self.boot += 1;
                self.work = Work::Unheard;
            }
            Fate::ControllerRestarts => {
                self.cut();
                self.command = Tracked::new(self.command.record.clone(), self.now);
            }
            Fate::Cancel => self.input(cancel()),
            Fate::HangUp => self.hung_up = true,
            Fate::Decline => self.declines = !self.declines,
            Fate::Wait(seconds) => {
                self.now = self.now.plus(Duration::from_secs(u64::from(seconds)));
                let here = Presence::Connected { boot: boot(self.boot) };
                let presence = if self.linked { here } else { Presence::Away { since: self.now } };
                if let Some(input) = due(&self.command, presence, self.now) {
                    self.input(input);
                }
            }
            Fate::Link | Fate::TellOutbox | Fate::WorkEnds => {}
        }
    }

    /// From here on nothing goes wrong any more.
    fn settle(&mut self) {
        let calm = [Fate::Link, Fate::ToAgent, Fate::ToController, Fate::WorkEnds, Fate::TellOutbox];
        for _ in 0..40 {
            for fate in calm {
                self.befall(fate);
            }
            self.befall(Fate::Wait(60));
        }
    }
}

fn any_fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        4 => Just(Fate::Link),
        2 => Just(Fate::CutLink),
        6 => Just(Fate::ToAgent),
        6 => Just(Fate::ToController),
        2 => Just(Fate::TellOutbox),
        1 => Just(Fate::WorkEnds),
        1 => Just(Fate::AgentRestarts),
        1 => Just(Fate::ControllerRestarts),
        1 => Just(Fate::Cancel),
        1 => Just(Fate::HangUp),
        1 => Just(Fate::Decline),
        2 => (1_u8..40).prop_map(Fate::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn runs_at_most_once_and_ends_in_the_truth(fates in prop::collection::vec(any_fate(), 0..60)) {
        let mut world = World::new();
        for fate in fates {
            world.befall(fate);
            prop_assert!(world.starts <= 1, "the work ran twice");
        }
        world.settle();
        let record = &world.command.record;
        prop_assert!(world.starts <= 1, "the work ran twice");
        prop_assert!(record.state.is_final(), "still {:?}", record.state);
        match &world.outbox {
            Some(outcome) => prop_assert_eq!(record.outcome.as_ref(), Some(outcome)),
            None => prop_assert!(matches!(record.state, Failed | Cancelled | Lost)),
        }
        if record.state == Failed || record.state == Cancelled && record.outcome.is_none() {
            prop_assert_eq!(world.starts, 0, "it ran, but the ledger says that it did not");
        }
    }
}
