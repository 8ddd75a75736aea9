//! Runs commands: each once, however often it is ordered and whatever becomes of the link it came by.
//!
//! An order passes the policy, takes one of a few places, claims what it changes and runs to its end, which goes
//! through the outbox. What it says on the way is kept here and sent by whatever session is up.

mod table;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use roadstead_protocol::message::codec::CHUNK;
use roadstead_protocol::message::command::{Order, OrderRefusal, Outcome, Standing, Work};
use roadstead_protocol::message::event::EventKind;
use roadstead_protocol::message::ids::CommandId;
use roadstead_protocol::message::progress::ProgressLine;
use roadstead_protocol::message::time::UnixMicros;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::commands::bounded::bounded;
use crate::commands::{self, CommandOptions, Context, describe, resolve};
use crate::engine::Engine;
use crate::outbox::Outbox;
use crate::policy::PolicyCell;
use table::{Admission, Entry, Table, Why};

/// Longest deadline that is taken at its word; a longer one is cut to this.
const MAX_DEADLINE: Duration = Duration::from_secs(24 * 3600);

/// How long [`Executor::shut_down`] lets commands reach a safe point.
const SHUT_DOWN_GRACE: Duration = Duration::from_secs(30);

/// Room in a batch of lines for what is around them.
const ENVELOPE: usize = 256;

/// Pauses between attempts to write an outcome to an outbox that fails.
const OUTBOX_RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Owner of every running command; a clone is another handle on the same one.
pub struct Executor<E> {
    shared: Arc<Shared<E>>,
    tasks: TaskTracker,
}

struct Shared<E> {
    engine: Arc<E>,
    policy: Arc<PolicyCell>,
    outbox: Outbox,
    options: Arc<CommandOptions>,
    table: Mutex<Table>,
    /// Notified when a command said something, or somebody asked for what it said.
    written: Arc<Notify>,
    /// Ends every command where it stands.
    abort: CancellationToken,
}

impl<E> Clone for Executor<E> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), tasks: self.tasks.clone() }
    }
}

impl<E: Engine> Executor<E> {
    /// An executor without commands.
    #[must_use]
    pub fn new(engine: Arc<E>, policy: Arc<PolicyCell>, outbox: Outbox, options: CommandOptions) -> Self {
        let written = Arc::<Notify>::default();
        let table = Mutex::new(Table::new(options.at_once, Arc::clone(&written)));
        let (options, abort) = (Arc::new(options), CancellationToken::new());
        let shared = Arc::new(Shared { engine, policy, outbox, options, table, written, abort });
        Self { shared, tasks: TaskTracker::new() }
    }

    /// Begins a command, if it is not known yet, and says where it stands. A refusal is an end like any other: it
    /// goes through the outbox.
    #[must_use]
    pub fn order(&self, order: Order) -> Standing {
        let refusal = self.shared.refuse(&order);
        let admission = self.shared.table().admit(order.id, refusal.is_none());
        let (entry, refusal) = match admission {
            Admission::Known(standing) => return standing,
            Admission::Taken(entry) => (entry, refusal),
            Admission::TooMany(entry) => {
                (entry, Some(OrderRefusal::TooMany { limit: self.shared.options.at_once }))
            }
        };
        let standing = Standing::Running { since: entry.since };
        self.tasks.spawn(Arc::clone(&self.shared).supervise(order, entry, refusal));
        standing
    }

    /// Stops a command at its next safe point. Nothing happens if it ended or is not known.
    pub fn cancel(&self, command: CommandId) {
        self.shared.table().halt(command, Why::Asked);
    }

    /// Says where a command stands, and sends what it said from `next_line` on (again).
    #[must_use]
    pub fn enquire(&self, command: CommandId, next_line: u64) -> Standing {
        self.shared.table().enquire(command, next_line)
    }

    /// Forgets how far the lines of each command were sent: the session before this one may not have delivered
    /// them. They go on when the controller enquires.
    pub fn begin_session(&self) {
        self.shared.table().hush();
    }

    /// The next lines to send, of any commands, at least one, together at most [`CHUNK`] bytes. Waits until there
    /// are some; cancel-safe; meant for one caller at a time.
    pub async fn next_lines(&self) -> Vec<ProgressLine> {
        loop {
            let lines = self.shared.table().take_lines(CHUNK - ENVELOPE);
            if !lines.is_empty() {
                return lines;
            }
            self.shared.written.notified().await;
        }
    }

    /// Stops every command at its next safe point, and where it stands if that takes too long. New orders are not
    /// taken from here on.
    pub async fn shut_down(&self) {
        self.shared.table().close();
        self.tasks.close();
        if timeout(SHUT_DOWN_GRACE, self.tasks.wait()).await.is_err() {
            tracing::warn!("commands did not reach a safe point in time and are given up");
            self.shared.abort.cancel();
            self.tasks.wait().await;
        }
    }
}

impl<E: Engine> Shared<E> {
    /// One command from its order to its outcome in the outbox.
    async fn supervise(self: Arc<Self>, order: Order, entry: Entry, refusal: Option<OrderRefusal>) {
        let id = order.id;
        let outcome = match refusal {
            Some(refusal) => Outcome::Refused { refusal },
            None => {
                tracing::info!(command = %id, what = describe(&order.work), "command began");
                let abort = self.abort.clone();
                tokio::select! {
                    biased;
                    outcome = self.conduct(&order, &entry) => outcome,
                    () = abort.cancelled() => given_up("the agent stopped"),
                }
            }
        };
        let outcome = bounded(outcome);
        entry.journal.close();
        // Free for others before anybody can learn that it ended.
        self.table().release(id);
        if let Outcome::Refused { refusal: OrderRefusal::Policy { verb } } = &outcome {
            let what = describe(&order.work);
            tracing::warn!(command = %id, what, "the policy does not allow `{verb}`");
            self.append(EventKind::Refused { command: id, verb: *verb, what }).await;
        }
        tracing::info!(command = %id, outcome = word(&outcome), "command ended");
        self.append(EventKind::CommandEnded { command: id, outcome }).await;
        self.table().end(id);
    }

    /// Why the order is not even begun, if so.
    fn refuse(&self, order: &Order) -> Option<OrderRefusal> {
        if order.work == Work::Unknown {
            return Some(OrderRefusal::Unsupported);
        }
        let verb = order.work.verb();
        match self.policy.check(verb) {
            Ok(()) => None,
            Err(_) => Some(OrderRefusal::Policy { verb }),
        }
    }

    /// Runs the command within its deadline.
    async fn conduct(&self, order: &Order, entry: &Entry) -> Outcome {
        let id = order.id;
        let deadline = Duration::from_secs(order.deadline_secs.max(1).into()).min(MAX_DEADLINE);
        let running = AssertUnwindSafe(self.run(order, entry)).catch_unwind();
        tokio::pin!(running);
        let ended = match timeout(deadline, &mut running).await {
            Ok(ended) => ended,
            Err(_) => {
                self.table().halt(id, Why::Deadline);
                match timeout(self.options.stop_grace, &mut running).await {
                    Ok(ended) => ended,
                    Err(_) => return given_up(&format!("the deadline of {} s passed", deadline.as_secs())),
                }
            }
        };
        let outcome = ended.unwrap_or_else(|panic| {
            let said = panic_text(panic.as_ref());
            tracing::error!(command = %id, "command panicked: {said}");
            given_up(&format!("the agent has a defect ({said})"))
        });
        explain(outcome, self.table().why(id), deadline)
    }

    async fn run(&self, order: &Order, entry: &Entry) -> Outcome {
        match resolve(self.engine.as_ref(), &order.work).await {
            Ok(None) => {}
            Ok(Some(target)) => {
                if let Err(running) = self.table().claim(order.id, target) {
                    return Outcome::Refused { refusal: OrderRefusal::Busy { running } };
                }
            }
            Err(outcome) => return outcome,
        }
        let context = Context {
            engine: Arc::clone(&self.engine),
            options: Arc::clone(&self.options),
            journal: Arc::clone(&entry.journal),
            halt: entry.halt.clone(),
        };
        commands::run(&context, &order.work).await
    }

    /// Writes to the outbox, again and again until it takes it or the agent is given up.
    async fn append(&self, what: EventKind) {
        let (mut pause, longest) = OUTBOX_RETRY;
        while let Err(error) = self.outbox.append(UnixMicros::now(), what.clone()).await {
            tracing::warn!("cannot write a command's outcome to the outbox, trying again: {error}");
            let given_up = tokio::select! {
                () = self.abort.cancelled() => true,
                () = tokio::time::sleep(pause) => false,
            };
            if given_up {
                return;
            }
            pause = (pause * 2).min(longest);
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says why a command was told to stop, where that was not asked for.
fn explain(outcome: Outcome, why: Option<Why>, deadline: Duration) -> Outcome {
    match (outcome, why) {
        (Outcome::Cancelled { summary, services }, Some(Why::Deadline)) => {
            let reason = format!("the deadline of {} s passed; by then: {summary}", deadline.as_secs());
            Outcome::Failed { reason, services }
        }
        (Outcome::Cancelled { summary, services }, Some(Why::Closing)) => {
            Outcome::Cancelled { summary: format!("the agent was stopped; by then: {summary}"), services }
        }
        (outcome, _) => outcome,
    }
}

/// The end of a command that did not come to a safe point.
fn given_up(why: &str) -> Outcome {
    let reason = format!("{why} and the command was given up where it stood: look at what runs on the host");
    Outcome::Failed { reason, services: Vec::new() }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

const fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded { .. } => "succeeded",
        Outcome::Failed { .. } => "failed",
        Outcome::Cancelled { .. } => "cancelled",
        Outcome::Refused { .. } => "refused",
        Outcome::Unknown => "unknown",
    }
}
