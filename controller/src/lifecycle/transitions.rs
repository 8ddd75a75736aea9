//! The transition table: which input leads where from each phase. Rendered into docs/lifecycle.md by a test.

/// Where a container is in its life, with what the status shown does not tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing that decides has been heard.
    Unknown,
    /// Created or started, and not yet known to be of use; or a command works on it.
    Installing,
    /// Runs and has stayed up, or is healthy.
    Ready,
    /// Did not do what it should.
    Failed,
    /// Ended on request or by itself with success.
    Stopped,
    /// Frozen; shown as stopped.
    Paused,
    /// Gone.
    Removed,
}

impl Phase {
    /// Every phase.
    pub const ALL: [Self; 7] = [
        Self::Unknown,
        Self::Installing,
        Self::Ready,
        Self::Failed,
        Self::Stopped,
        Self::Paused,
        Self::Removed,
    ];
}

/// A fact seen together with what went before it. A fact that repeats what is known (the start of what runs, the end
/// of what has ended) is no input at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// The container was created.
    Created,
    /// It was started.
    Started,
    /// It was started within 90 s of a run that failed within 10 s.
    StartedAgain,
    /// It has been up for 10 s, has no health check, and no command works on it.
    StayedUp,
    /// It was created 10 minutes ago and never started, and no command works on it.
    LeftUnstarted,
    /// Its health check passes.
    Healthy,
    /// Its health check fails.
    Unhealthy,
    /// It ended within 10 minutes of a signal that asks for it.
    EndedAsAsked,
    /// It ended by itself with exit code 0, or with one that is not known.
    EndedWell,
    /// It ended by itself with another exit code.
    EndedBadly,
    /// It ended for want of memory.
    EndedForMemory,
    /// The engine says that it was stopped on request.
    StopConfirmed,
    /// The engine is about to start it again by its restart policy.
    Restarting,
    /// It was frozen.
    Paused,
    /// It runs on.
    Unpaused,
    /// It is gone.
    Destroyed,
    /// A command began to work on it.
    CommandStarted,
    /// The command did what was asked, and the container is up.
    CommandSucceeded,
    /// The command failed.
    CommandFailed,
    /// The command was cancelled or lost, and the container is up.
    CommandLeftUp,
    /// The command ended without failing, and the container is not up.
    CommandLeftDown,
}

impl Input {
    /// Every input.
    pub const ALL: [Self; 21] = [
        Self::Created,
        Self::Started,
        Self::StartedAgain,
        Self::StayedUp,
        Self::LeftUnstarted,
        Self::Healthy,
        Self::Unhealthy,
        Self::EndedAsAsked,
        Self::EndedWell,
        Self::EndedBadly,
        Self::EndedForMemory,
        Self::StopConfirmed,
        Self::Restarting,
        Self::Paused,
        Self::Unpaused,
        Self::Destroyed,
        Self::CommandStarted,
        Self::CommandSucceeded,
        Self::CommandFailed,
        Self::CommandLeftUp,
        Self::CommandLeftDown,
    ];
}

/// What an input does to a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing.
    Stay,
    /// The phase becomes this one; failing again replaces the reason.
    Become(Phase),
    /// The phase is as it was before the container was frozen.
    Resume,
}

/// The table.
#[must_use]
pub const fn next(phase: Phase, input: Input) -> Next {
    use Input as I;
    use Phase as P;
    match (phase, input) {
        (P::Removed, I::Created | I::Started) => Next::Become(P::Installing),
        (P::Removed, _) => Next::Stay,
        (_, I::Destroyed) => Next::Become(P::Removed),
        (_, I::Created | I::Started) => Next::Become(P::Installing),
        (_, I::StartedAgain) => Next::Become(P::Failed),
        (P::Installing | P::Failed, I::StayedUp) => Next::Become(P::Ready),
        (_, I::StayedUp) => Next::Stay,
        (P::Installing, I::LeftUnstarted) => Next::Become(P::Stopped),
        (_, I::LeftUnstarted) => Next::Stay,
        (P::Paused, I::Healthy | I::Unhealthy) => Next::Stay,
        (_, I::Healthy) => Next::Become(P::Ready),
        (_, I::Unhealthy) => Next::Become(P::Failed),
        (_, I::EndedAsAsked | I::EndedWell) => Next::Become(P::Stopped),
        (_, I::EndedBadly | I::EndedForMemory) => Next::Become(P::Failed),
        (P::Failed | P::Unknown, I::StopConfirmed) => Next::Become(P::Stopped),
        (_, I::StopConfirmed) => Next::Stay,
        (_, I::Restarting) => Next::Become(P::Failed),
        (P::Stopped, I::Paused) => Next::Stay,
        (_, I::Paused) => Next::Become(P::Paused),
        (P::Paused, I::Unpaused) => Next::Resume,
        (P::Unknown, I::Unpaused) => Next::Become(P::Ready),
        (_, I::Unpaused) => Next::Stay,
        (_, I::CommandStarted) => Next::Become(P::Installing),
        (P::Installing, I::CommandSucceeded | I::CommandLeftUp) => Next::Become(P::Ready),
        (P::Failed, I::CommandSucceeded) => Next::Become(P::Ready),
        (_, I::CommandSucceeded | I::CommandLeftUp) => Next::Stay,
        (P::Installing, I::CommandFailed) => Next::Become(P::Failed),
        (_, I::CommandFailed) => Next::Stay,
        (P::Installing, I::CommandLeftDown) => Next::Become(P::Stopped),
        (_, I::CommandLeftDown) => Next::Stay,
    }
}
