//! Runs commands: each once, however often it is ordered and whatever becomes of the link it came by.
//!
//! An order passes the policy, takes one of a few places, claims what it changes and runs to its end, which goes
//! through the outbox. What it says on the way is kept here and sent by whatever session is up.

pub mod ledger;
mod outcome;
mod resume;
mod table;

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use roadstead_protocol::message::codec::CHUNK;
use roadstead_protocol::message::command::{Order, OrderRefusal, Outcome, Standing, Work};
use roadstead_protocol::message::event::EventKind;
use roadstead_protocol::message::ids::{BootId, CommandId};
use roadstead_protocol::message::progress::ProgressLine;
use roadstead_protocol::message::time::UnixMicros;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::commands::bounded::bounded;
use crate::commands::journal::Journal;
use crate::commands::{self, CommandOptions, Context, describe, resolve};
use crate::engine::Engine;
use crate::outbox::Outbox;
use crate::policy::PolicyCell;
use ledger::{Ledger, LedgerError};
use outcome::{explain, failed, given_up, panic_text, word};
use table::{Admission, Entry, Said, Table, Why};

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
    ledger: Ledger,
    options: Arc<CommandOptions>,
    table: Mutex<Table>,
    /// Notified when a command said something, or somebody asked for what it said.
    written: Arc<Notify>,
    /// Notified when lines were handed to the session.
    handed_over: Notify,
    /// Ends every command where it stands.
    abort: CancellationToken,
}

impl<E> Clone for Executor<E> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), tasks: self.tasks.clone() }
    }
}

impl<E: Engine> Executor<E> {
    /// An executor that knows what `ledger` remembers. What an earlier process left waits for
    /// [`resume`](Self::resume).
    #[must_use]
    pub fn new(
        engine: Arc<E>,
        policy: Arc<PolicyCell>,
        outbox: Outbox,
        options: CommandOptions,
        ledger: Ledger,
    ) -> Self {
        let written = Arc::<Notify>::default();
        let mut table = Table::new(options.at_once, Arc::clone(&written));
        table.restore(ledger.ended(), ledger.take_found());
        let (options, abort, table) = (Arc::new(options), CancellationToken::new(), Mutex::new(table));
        let handed_over = Notify::new();
        let shared =
            Arc::new(Shared { engine, policy, outbox, ledger, options, table, written, handed_over, abort });
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

    /// Waits until a command that was ordered is on disk, or known not to begin: only then its standing is told, so
    /// that no restart makes it untrue.
    pub async fn recorded(&self, command: CommandId) {
        let recorded = self.shared.table().recorded(command);
        if let Some(recorded) = recorded {
            recorded.cancelled().await;
        }
    }

    /// The boot that the memory of commands goes back to without a break.
    #[must_use]
    pub fn remembers_since(&self) -> BootId {
        self.shared.ledger.since()
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
        self.shared.table().begin_session();
        self.shared.handed_over.notify_one();
    }

    /// The next lines to send, of any commands, at least one, together at most [`CHUNK`] bytes. Waits until there
    /// are some; cancel-safe; meant for one caller at a time, who has handed the lines of the call before to the
    /// session.
    pub async fn next_lines(&self) -> Vec<ProgressLine> {
        self.shared.table().handed_over();
        self.shared.handed_over.notify_one();
        loop {
            let lines = self.shared.table().take_lines(CHUNK - ENVELOPE);
            if !lines.is_empty() {
                return lines;
            }
            self.shared.written.notified().await;
        }
    }

    /// Waits until everything that an ended command said is handed to the session, so that a log is whole when its end
    /// is told. Does not wait for ever for a controller that never asks for it. Cancel-safe; meant for one caller.
    pub async fn all_said(&self, command: CommandId) {
        loop {
            let said = self.shared.table().said(command);
            match said {
                Said::All => return,
                Said::NotYet => self.shared.handed_over.notified().await,
                Said::Unasked { until } if Instant::now() >= until => return,
                Said::Unasked { until } => {
                    // Whichever it was, the table knows better now.
                    let _ = timeout_at(until, self.shared.handed_over.notified()).await;
                }
            }
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
        let accepted = if entry.resumed {
            Ok(())
        } else {
            let (order, at) = (order.clone(), entry.since);
            self.on_disk(move |ledger| ledger.accept(&order, at)).await
        };
        entry.recorded.cancel();
        let outcome = match accepted {
            Err(error) => failed(format!("not begun, for no restart would be survived: {error}")),
            Ok(()) => {
                let conduct = async {
                    let outcome = self.carry_out(&order, &entry, refusal).await;
                    entry.journal.close();
                    outcome
                };
                tokio::join!(conduct, self.keep_lines(&entry.journal)).0
            }
        };
        self.finish(order.id, bounded(outcome), Some(&order.work)).await;
    }

    async fn carry_out(&self, order: &Order, entry: &Entry, refusal: Option<OrderRefusal>) -> Outcome {
        if let Some(refusal) = refusal.or_else(|| self.refuse(order)) {
            return Outcome::Refused { refusal };
        }
        tracing::info!(command = %order.id, what = describe(&order.work), "command began");
        tokio::select! {
            biased;
            outcome = self.conduct(order, entry) => outcome,
            () = self.abort.cancelled() => given_up("the agent stopped"),
        }
    }

    /// Tells the outcome and remembers that it was told.
    async fn finish(&self, id: CommandId, outcome: Outcome, work: Option<&Work>) {
        // Free for others before anybody can learn that it ended.
        self.table().release(id);
        let mut events = Vec::new();
        if let (Outcome::Refused { refusal: OrderRefusal::Policy { verb, rule } }, Some(work)) =
            (&outcome, work)
        {
            let (what, rule) = (describe(work), rule.clone());
            tracing::warn!(command = %id, what, rule, "the policy does not allow this `{verb}`");
            events.push(EventKind::Refused { command: id, verb: *verb, what, rule });
        }
        tracing::info!(command = %id, outcome = word(&outcome), "command ended");
        events.push(EventKind::CommandEnded { command: id, outcome });
        if self.append(events).await {
            self.settle(id).await;
        }
    }

    /// The outcome is in the outbox: the command will not be run or told of again.
    async fn settle(&self, id: CommandId) {
        if let Err(error) = self.on_disk(move |ledger| ledger.end(id)).await {
            tracing::warn!(command = %id, %error, "cannot note that a command ended");
        }
        let oldest = self.table().end(id);
        if let Some(oldest) = oldest {
            let ledger = self.ledger.clone();
            // Without it the file stays until the next start.
            let _ = spawn_blocking(move || ledger.forget(oldest)).await;
        }
    }

    /// Writes what a command says, which is told only afterwards, until it has ended.
    async fn keep_lines(&self, journal: &Journal) {
        let mut healthy = true;
        while let Some((end, lines)) = journal.unkept().await {
            let id = journal.command();
            if let Err(error) = self.on_disk(move |ledger| ledger.say(id, lines)).await
                && std::mem::take(&mut healthy)
            {
                tracing::warn!(command = %id, %error, "a command's log will not survive a restart whole");
            }
            journal.kept(end);
        }
    }

    /// Does something that waits for the disk.
    async fn on_disk(
        &self,
        work: impl FnOnce(&Ledger) -> Result<(), LedgerError> + Send + 'static,
    ) -> Result<(), LedgerError> {
        let ledger = self.ledger.clone();
        match spawn_blocking(move || work(&ledger)).await {
            Ok(done) => done,
            Err(error) => {
                let source = std::io::Error::other(error);
                Err(LedgerError::Io { action: "write", path: "the command ledger".into(), source })
            }
        }
    }

    /// Why the order is not even begun, if so.
    fn refuse(&self, order: &Order) -> Option<OrderRefusal> {
        if order.work == Work::Unknown {
            return Some(OrderRefusal::Unsupported);
        }
        if let Err(refusal) = self.policy.check_work(&order.work) {
            return Some(refusal.into());
        }
        commands::sane(&order.work).err().map(|reason| OrderRefusal::Invalid { reason })
    }

    /// Runs the command within its deadline.
    async fn conduct(&self, order: &Order, entry: &Entry) -> Outcome {
        let id = order.id;
        let deadline = Duration::from_secs(order.deadline_secs.max(1).into()).min(MAX_DEADLINE);
        let left = deadline.saturating_sub(UnixMicros::now().since(entry.since));
        let running = AssertUnwindSafe(self.run(order, entry)).catch_unwind();
        tokio::pin!(running);
        let ended = match timeout(left, &mut running).await {
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
        if entry.resumed {
            self.await_engine(entry).await;
        }
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
            policy: Arc::clone(&self.policy),
            journal: Arc::clone(&entry.journal),
            halt: entry.halt.clone(),
            resumed_from: entry.resumed.then_some(entry.since),
        };
        commands::run(&context, &order.work).await
    }

    /// Writes to the outbox, again and again until it takes it or the agent is given up; says whether it did.
    async fn append(&self, what: Vec<EventKind>) -> bool {
        let (mut pause, longest) = OUTBOX_RETRY;
        loop {
            let events = what.iter().map(|what| (UnixMicros::now(), what.clone())).collect();
            let Err(error) = self.outbox.append_all(events).await else { return true };
            tracing::warn!("cannot write a command's outcome to the outbox, trying again: {error}");
            let given_up = tokio::select! {
                () = self.abort.cancelled() => true,
                () = tokio::time::sleep(pause) => false,
            };
            if given_up {
                return false;
            }
            pause = (pause * 2).min(longest);
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
