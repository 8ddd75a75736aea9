//! The state machine of one container. Its result is a function of the facts and of the time at which one looks,
//! never of the order in which the facts arrived.

use std::time::Duration;

use roadstead_protocol::message::time::UnixMicros;

use super::fact::{Fact, What};
use super::history::History;
use super::transitions::{Input, Next, Phase, next};

/// Who stays up so long runs. The engine itself begins its restart delays anew after such a run.
pub const STEADY: Duration = Duration::from_secs(10);

/// A start so soon after a run that failed before it was steady is taken for the restart policy's, whose delays grow
/// up to a minute.
pub const AGAIN_WITHIN: Duration = Duration::from_secs(90);

/// For so long a signal explains an end. The engine confirms a longer stop itself.
pub const ASKED_WITHIN: Duration = Duration::from_secs(600);

/// A container that was created so long ago and never started is not being installed.
pub const LEFT_AFTER: Duration = Duration::from_secs(600);

/// For so long running out of memory explains an end, and the other way round.
const MEMORY_WITHIN: Duration = Duration::from_secs(10);

/// Exit code of what was killed.
const KILLED: i64 = 137;

/// The status that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// On its way to being of use.
    Installing,
    /// Of use.
    Ready,
    /// Not as it should be; there is a reason.
    Failed,
    /// Ended on request or by itself with success; or frozen.
    Stopped,
    /// Gone.
    Removed,
}

impl Status {
    /// The word used in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Installing => "installing",
            Self::Ready => "ready",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::Removed => "removed",
        }
    }
}

/// Why a status is as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It ended with this exit code.
    Exit(i64),
    /// It ran out of memory.
    OutOfMemory,
    /// Its health check fails.
    Unhealthy,
    /// It ends again and again soon after it is started; with this exit code the last time.
    RestartLoop(Option<i64>),
    /// A command failed, and why.
    Command(String),
    /// It is frozen.
    Paused,
    /// This container of the project, and why.
    Member(String, Box<Reason>),
}

/// Where something is in its life, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lifecycle {
    /// The status.
    pub status: Status,
    /// Why; always there for a failure.
    pub reason: Option<Reason>,
    /// Since when it has the status, by the engine's clock.
    pub since: UnixMicros,
}

/// A stretch of a life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// What it was, and from when.
    pub lifecycle: Lifecycle,
    /// Until when; none for the present one.
    pub until: Option<UnixMicros>,
}

/// Whether the container runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Run {
    Unknown,
    NeverStarted,
    Up,
    Down,
}

/// The machine after some facts.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub(super) phase: Phase,
    pub(super) run: Run,
    reason: Option<Reason>,
    since: UnixMicros,
    /// What waits are counted from: the last start, or the phase where that is newer, by either clock.
    waits_from: Waits,
    started_at: Option<UnixMicros>,
    ended_at: Option<UnixMicros>,
    asked_at: Option<UnixMicros>,
    memory_at: Option<UnixMicros>,
    exit_code: Option<i64>,
    /// When a run ended that failed before it was steady.
    failed_early_at: Option<UnixMicros>,
    before_pause: Option<(Phase, Option<Reason>)>,
    commanded: bool,
    checked: bool,
    spans: Vec<Span>,
}

#[derive(Clone, Copy, Debug)]
struct Waits {
    /// By the engine's clock.
    at: UnixMicros,
    /// By the controller's, or the engine's where that is behind it.
    heard: UnixMicros,
}

impl Machine {
    /// The machine after the facts of `history`.
    pub(super) fn after(history: &History) -> Self {
        let mut machine = Self::new(history.checked());
        for fact in history.facts() {
            machine.see(fact);
        }
        machine
    }

    /// The machine before any fact, of a container that has a health check or not.
    pub(super) const fn new(checked: bool) -> Self {
        Self {
            phase: Phase::Unknown,
            run: Run::Unknown,
            reason: None,
            since: UnixMicros(0),
            waits_from: Waits { at: UnixMicros(0), heard: UnixMicros(0) },
            started_at: None,
            ended_at: None,
            asked_at: None,
            memory_at: None,
            exit_code: None,
            failed_early_at: None,
            before_pause: None,
            commanded: false,
            checked,
            spans: Vec::new(),
        }
    }

    /// Takes the next fact in order.
    pub(super) fn see(&mut self, fact: &Fact) {
        let (at, heard) = (fact.moment.at, fact.heard.min(fact.moment.at));
        self.wait_until(|waits| waits.at, at);
        if let Some((input, reason)) = self.classify(&fact.what, at) {
            self.apply(input, reason, at, heard);
        }
    }

    /// When time alone will change it next, by the controller's clock.
    pub(super) fn due(&self) -> Option<UnixMicros> {
        self.wait().map(|(wait, _)| self.waits_from.heard.plus(wait))
    }

    /// How it is at `now`; none if nothing that decides was ever heard.
    pub(super) fn at(mut self, now: UnixMicros) -> Option<Lifecycle> {
        self.wait_until(|waits| waits.heard, now);
        self.lifecycle()
    }

    /// Its life as far as the facts go, oldest first, as seen at `now`.
    pub(super) fn spans(mut self, now: UnixMicros) -> Vec<Span> {
        self.wait_until(|waits| waits.heard, now);
        self.end_span();
        let mut spans = self.spans;
        if let Some(last) = spans.last_mut() {
            last.until = None;
        }
        spans
    }

    pub(super) const fn is_checked(&self) -> bool {
        self.checked
    }

    pub(super) const fn is_commanded(&self) -> bool {
        self.commanded
    }

    fn lifecycle(&self) -> Option<Lifecycle> {
        let status = match self.phase {
            Phase::Unknown => return None,
            Phase::Installing => Status::Installing,
            Phase::Ready => Status::Ready,
            Phase::Failed => Status::Failed,
            Phase::Stopped | Phase::Paused => Status::Stopped,
            Phase::Removed => Status::Removed,
        };
        Some(Lifecycle { status, reason: self.reason.clone(), since: self.since })
    }

    /// What it waits for, and how long after `waits_from` that comes.
    fn wait(&self) -> Option<(Duration, Input)> {
        match (self.phase, self.run) {
            _ if self.commanded => None,
            (Phase::Installing | Phase::Failed, Run::Up) if !self.checked => Some((STEADY, Input::StayedUp)),
            (Phase::Installing, Run::NeverStarted) => Some((LEFT_AFTER, Input::LeftUnstarted)),
            _ => None,
        }
    }

    fn wait_until(&mut self, clock: impl Fn(Waits) -> UnixMicros, now: UnixMicros) {
        if let Some((wait, input)) = self.wait()
            && clock(self.waits_from).plus(wait) <= now
        {
            let due = self.waits_from.at.plus(wait);
            self.apply(input, None, due, due);
        }
    }

    fn apply(&mut self, input: Input, reason: Option<Reason>, at: UnixMicros, heard: UnixMicros) {
        let (phase, reason) = match next(self.phase, input) {
            Next::Stay => return,
            Next::Become(phase) => (phase, reason),
            Next::Resume => {
                let before = self.before_pause.take().filter(|(phase, _)| *phase != Phase::Unknown);
                before.unwrap_or((Phase::Ready, None))
            }
        };
        if phase == Phase::Paused && self.phase != Phase::Paused {
            self.before_pause = Some((self.phase, self.reason.take()));
        }
        if phase != self.phase {
            self.end_span_at(at);
            self.since = at;
        }
        (self.phase, self.reason) = (phase, reason);
        self.waits_from = Waits { at, heard };
    }

    /// Remembers the fact, and says what it means after what went before; none if it is a repeat or decides nothing.
    fn classify(&mut self, what: &What, at: UnixMicros) -> Option<(Input, Option<Reason>)> {
        let plain = |input| Some((input, None));
        match what {
            What::Create if self.run != Run::Unknown && self.phase != Phase::Removed => None,
            What::Create => {
                self.run = Run::NeverStarted;
                plain(Input::Created)
            }
            What::Start => self.start(at),
            What::Ask => {
                self.asked_at = Some(at);
                None
            }
            What::Die(code) => self.die(*code, at),
            What::Stop => plain(Input::StopConfirmed),
            What::OutOfMemory => {
                self.memory_at = Some(at);
                let explains = self.phase == Phase::Failed
                    && self.ended_at.is_some_and(|end| at.since(end) <= MEMORY_WITHIN);
                (self.run == Run::Down && explains)
                    .then_some((Input::EndedForMemory, Some(Reason::OutOfMemory)))
            }
            What::Starting => None,
            What::Healthy | What::Unhealthy if self.run == Run::Down => None,
            What::Healthy => {
                self.run = Run::Up;
                plain(Input::Healthy)
            }
            What::Unhealthy => {
                self.run = Run::Up;
                Some((Input::Unhealthy, Some(Reason::Unhealthy)))
            }
            What::Pause | What::Unpause if self.run == Run::Down => None,
            What::Pause => {
                self.run = Run::Up;
                Some((Input::Paused, Some(Reason::Paused)))
            }
            What::Unpause => {
                self.run = Run::Up;
                plain(Input::Unpaused)
            }
            What::Destroy => {
                self.run = Run::Down;
                plain(Input::Destroyed)
            }
            What::Restarting => Some((Input::Restarting, Some(Reason::RestartLoop(self.exit_code)))),
            What::CommandStarted => {
                self.commanded = true;
                plain(Input::CommandStarted)
            }
            What::CommandSucceeded | What::CommandFailed(_) | What::CommandOver => {
                self.commanded = false;
                Some(self.command_ended(what))
            }
        }
    }

    fn start(&mut self, at: UnixMicros) -> Option<(Input, Option<Reason>)> {
        if self.run == Run::Up {
            return None;
        }
        let again = self.failed_early_at.take().is_some_and(|end| at.since(end) <= AGAIN_WITHIN);
        (self.run, self.started_at, self.asked_at, self.memory_at) = (Run::Up, Some(at), None, None);
        Some(if again && self.phase == Phase::Failed {
            (Input::StartedAgain, Some(Reason::RestartLoop(self.exit_code)))
        } else {
            (Input::Started, None)
        })
    }

    fn die(&mut self, code: Option<i64>, at: UnixMicros) -> Option<(Input, Option<Reason>)> {
        if self.run == Run::Down {
            return None;
        }
        let within = |time: Option<UnixMicros>, limit| time.is_some_and(|time| at.since(time) <= limit);
        let asked = within(self.asked_at.take(), ASKED_WITHIN);
        let early = within(self.started_at, STEADY);
        let memory =
            self.memory_at.is_some() && (code == Some(KILLED) || within(self.memory_at, MEMORY_WITHIN));
        let looping = matches!(self.reason, Some(Reason::RestartLoop(_)));
        (self.run, self.ended_at, self.exit_code, self.failed_early_at) = (Run::Down, Some(at), code, None);
        if asked {
            return Some((Input::EndedAsAsked, None));
        }
        let Some(code) = code.filter(|code| *code != 0) else { return Some((Input::EndedWell, None)) };
        self.failed_early_at = early.then_some(at);
        Some(if memory {
            (Input::EndedForMemory, Some(Reason::OutOfMemory))
        } else if looping {
            (Input::EndedBadly, Some(Reason::RestartLoop(Some(code))))
        } else {
            (Input::EndedBadly, Some(Reason::Exit(code)))
        })
    }

    fn command_ended(&self, what: &What) -> (Input, Option<Reason>) {
        match what {
            What::CommandFailed(why) => (Input::CommandFailed, Some(Reason::Command(why.clone()))),
            _ if matches!(self.run, Run::Down | Run::NeverStarted) => (Input::CommandLeftDown, None),
            What::CommandSucceeded => (Input::CommandSucceeded, None),
            _ if self.run == Run::Up => (Input::CommandLeftUp, None),
            _ => (Input::CommandLeftDown, None),
        }
    }

    fn end_span_at(&mut self, at: UnixMicros) {
        if at > self.since {
            self.end_span();
        }
        if let Some(last) = self.spans.last_mut() {
            last.until = Some(at);
        }
    }

    fn end_span(&mut self) {
        let lifecycle = self.lifecycle();
        self.spans.extend(lifecycle.map(|lifecycle| Span { lifecycle, until: None }));
    }
}
