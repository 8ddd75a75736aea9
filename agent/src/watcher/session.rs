//! One subscription to the engine's events: subscribe, then list, then follow.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use roadstead_protocol::message::container::Container;
use roadstead_protocol::message::event::EventKind;
use roadstead_protocol::message::ids::ContainerId;
use roadstead_protocol::message::time::UnixMicros;
use tokio::time::{Instant, sleep_until, timeout};

use super::PictureHandle;
use super::inspections::Inspections;
use super::reader::Feed;
use super::teller::Teller;
use crate::engine::{EngineError, EngineEvent, EngineView, Listed, Print, Survey};

/// How long the engine may take to answer a question about itself or one container.
const ANSWER: Duration = Duration::from_secs(10);

/// How long the engine may take to list every container.
const LIST: Duration = Duration::from_secs(30);

/// The safety net: how often the containers are listed although nothing seems to be missing.
const RELIST: Duration = Duration::from_secs(300);

/// Every container is looked at once in so many routine lists, since a list does not tell everything.
const ROUNDS: usize = 12;

/// How often the engine is asked whether it still answers.
const PROBE: Duration = Duration::from_secs(60);

/// Every so many probes it is asked about itself, which takes its parts too.
const WHOLE_PROBE: u32 = 5;

/// Containers looked at at the same time.
const LOOKS: usize = 4;

/// Events processed before anything else gets its turn.
const TURN: usize = 64;

/// How long nothing must have been heard of a container before the list is compared with what was told of it: the
/// engine's events are a little later than its list, and more than a little where the machine is busy.
const QUIET: Duration = Duration::from_secs(2);

/// How long the comparison waits, at most, for an engine that still tells what happened before the list was made.
const PAST: Duration = Duration::from_secs(60);

/// How often a container that is never quiet is passed over before it is left alone.
const PATIENCE: u32 = 20;

/// How a session ended.
#[derive(Debug)]
pub(super) enum SessionEnd {
    /// The engine does not answer.
    Unreachable(EngineError),
    /// The stream of events is over, or not to be trusted any more; the engine may answer at once.
    Broken(String),
}

impl From<EngineError> for SessionEnd {
    fn from(error: EngineError) -> Self {
        Self::Unreachable(error)
    }
}

/// What the loop does next; decided in a `select!`, done after it.
#[expect(clippy::large_enum_variant, reason = "there is one, for one turn of the loop")]
enum Action {
    Events(usize),
    Looked(ContainerId, Result<Option<Container>, EngineError>),
    Tick,
}

/// The comparison that follows a list once its time has come.
struct Comparison {
    due: Instant,
    /// When the list was made, by the clock of events, and by ours.
    listed: (UnixMicros, Instant),
    rounds: u32,
    /// Whether it follows a list that was made without any reason to.
    routine: bool,
    /// When something was last heard of a container.
    heard: HashMap<ContainerId, Instant>,
}

impl Comparison {
    /// An engine that has much to tell again, of a long absence, tells it after the list was made. What the list shows
    /// may yet be told, of containers too of which nothing was heard so far.
    fn wait_for_the_past(&mut self, at: UnixMicros, now: Instant) {
        if at < self.listed.0 {
            self.due = self.due.max((now + QUIET).min(self.listed.1 + PAST));
        }
    }
}

pub(super) struct Session<'a, E> {
    engine: &'a E,
    picture: &'a PictureHandle,
    teller: &'a mut Teller,
    began: UnixMicros,
    inspections: Inspections,
    comparison: Option<Comparison>,
    relist_at: Instant,
    probe_at: Instant,
    probes: u32,
    /// What the last list said of each container.
    prints: HashMap<ContainerId, Print>,
    /// Which containers the next routine list has looked at in any case.
    round: usize,
}

impl<'a, E: EngineView> Session<'a, E> {
    pub fn new(engine: &'a E, picture: &'a PictureHandle, teller: &'a mut Teller) -> Self {
        let now = Instant::now();
        Self {
            engine,
            picture,
            teller,
            began: UnixMicros::now(),
            inspections: Inspections::default(),
            comparison: None,
            relist_at: now + RELIST,
            probe_at: now + PROBE,
            probes: 0,
            prints: HashMap::new(),
            round: 0,
        }
    }

    /// Runs until the engine or its stream of events is gone.
    pub async fn run(mut self) -> SessionEnd {
        match self.follow().await {
            Err(end) => end,
            Ok(never) => match never {},
        }
    }

    async fn follow(&mut self) -> Result<std::convert::Infallible, SessionEnd> {
        let info = within(ANSWER, self.engine.identify()).await?;
        let version = info.version.clone();
        let mut feed = Feed::new(within(ANSWER, self.engine.events(self.teller.since(), None)).await?);
        self.list().await?;
        self.picture.set_engine(Ok(info));
        self.teller.engine_found(&version);
        let mut looks = FuturesUnordered::new();
        let mut events = Vec::with_capacity(TURN);
        loop {
            let now = Instant::now();
            let rested = self.inspections.wake(now);
            while looks.len() < LOOKS
                && let Some(id) = self.inspections.next()
            {
                looks.push(look(self.engine, id));
            }
            let action = tokio::select! {
                count = feed.take(&mut events, TURN) => Action::Events(count),
                Some((id, found)) = looks.next(), if !looks.is_empty() => Action::Looked(id, found),
                () = sleep_until(self.next_tick(rested)) => Action::Tick,
            };
            match action {
                Action::Events(0) => return Err(SessionEnd::Broken(feed.end().await)),
                Action::Events(_) => events.drain(..).for_each(|event| self.take(event)),
                Action::Looked(id, found) => self.looked(&id, found),
                Action::Tick => self.tick().await?,
            }
            let dropped = feed.dropped();
            if dropped > 0 {
                tracing::warn!(
                    dropped,
                    "events of the engine came too fast, or could not be read; listing the containers again"
                );
                self.teller.lost(dropped);
                self.list().await?;
            }
        }
    }

    fn take(&mut self, event: EngineEvent) {
        if let Some(comparison) = &mut self.comparison {
            comparison.wait_for_the_past(event.at, Instant::now());
        }
        if let Some(what) = event.what {
            if let EventKind::Container { id, action, attributes, .. } = &what {
                match action.as_str() {
                    "die" => {
                        let exit_code = attributes.get("exitCode").and_then(|code| code.parse().ok());
                        self.picture.ended(id, event.at, exit_code);
                    }
                    "start" | "destroy" => self.inspections.afresh(id),
                    _ => {}
                }
            }
            self.teller.tell(event.at, what);
        }
        let Some(id) = event.container else { return };
        self.inspections.want(&id);
        if let Some(comparison) = &mut self.comparison {
            comparison.heard.insert(id, Instant::now());
        }
    }

    fn looked(&mut self, id: &ContainerId, found: Result<Option<Container>, EngineError>) {
        let now = Instant::now();
        match found {
            Ok(found) => {
                self.inspections.done(id, now);
                match found {
                    Some(container) => {
                        self.teller.date(&container);
                        self.picture.upsert(container);
                    }
                    None => self.picture.remove(id),
                }
            }
            Err(error) => self.failed(id, &error, now),
        }
    }

    /// A container is there, or was, and cannot be looked at: what was known of it stays until it can.
    fn failed(&mut self, id: &ContainerId, error: &EngineError, now: Instant) {
        tracing::debug!(container = id.short(), %error, "cannot look at a container");
        self.inspections.failed(id, now);
    }

    /// Lists every container. What was looked at meanwhile or before may be older than the list: it is looked at
    /// again.
    async fn list(&mut self) -> Result<(), SessionEnd> {
        self.inspections.want_again();
        let Survey { found, failed } = within(LIST, self.engine.survey()).await?;
        if let Some((Listed { id, .. }, error)) = failed.first() {
            let (count, first) = (failed.len(), id.short());
            tracing::warn!(count, first, %error, "the engine cannot tell of some containers; asking again");
        }
        let (mut containers, now) = (Vec::with_capacity(found.len()), Instant::now());
        self.prints.clear();
        for (container, print) in found {
            self.prints.insert(container.id.clone(), print);
            containers.push(container);
        }
        for (Listed { id, print }, error) in failed {
            containers.extend(self.picture.container(&id).map(|known| known.as_ref().clone()));
            self.failed(&id, &error, now);
            self.prints.insert(id, print);
        }
        self.picture.replace(containers);
        self.compare_soon(false);
        Ok(())
    }

    /// Lists the containers, and has those looked at of which the list says something new, that came or went, or
    /// whose turn it is.
    async fn list_routinely(&mut self) -> Result<(), SessionEnd> {
        let list = within(LIST, self.engine.list()).await?;
        let mut before = std::mem::take(&mut self.prints);
        for (place, Listed { id, print }) in list.into_iter().enumerate() {
            if before.remove(&id) != Some(print) || place % ROUNDS == self.round {
                self.inspections.want(&id);
            }
            self.prints.insert(id, print);
        }
        self.round = (self.round + 1) % ROUNDS;
        for id in self.picture.ids() {
            if !self.prints.contains_key(&id) {
                self.inspections.want(&id);
            }
        }
        self.compare_soon(true);
        Ok(())
    }

    /// What was just listed is to be compared with what was told, in a moment.
    fn compare_soon(&mut self, routine: bool) {
        let now = Instant::now();
        self.relist_at = now + RELIST;
        let heard = self.comparison.take().map(|before| before.heard).unwrap_or_default();
        let listed = (UnixMicros::now(), now);
        self.comparison = Some(Comparison { due: now + QUIET, listed, rounds: 0, routine, heard });
    }

    /// Whether the engine has told of one of these containers what the subscription is yet to bring: on a busy machine
    /// it may be far behind, and what is inferred then would be told a second time.
    async fn is_behind(&self, ids: &BTreeSet<ContainerId>) -> Result<bool, SessionEnd> {
        let since = self.teller.since().unwrap_or(self.began);
        let mut past = within(ANSWER, self.engine.events(Some(since), Some(UnixMicros::now()))).await?;
        let is_news = |EngineEvent { at, what, container }: EngineEvent| {
            container.is_some_and(|id| ids.contains(&id))
                && what.is_some_and(|what| !self.teller.knows(at, &what))
        };
        let news = async {
            while let Some(event) = past.next().await {
                if event.is_ok_and(is_news) {
                    return true;
                }
            }
            false
        };
        // An engine whose clock is behind ours would not end its answer before it is that late.
        Ok(timeout(QUIET, news).await.unwrap_or(false))
    }

    fn next_tick(&self, rested: Option<Instant>) -> Instant {
        let due = self.comparison.as_ref().map(|comparison| comparison.due);
        let timers = [rested, due, self.teller.save_at(), Some(self.probe_at)];
        timers.into_iter().flatten().fold(self.relist_at, Instant::min)
    }

    async fn tick(&mut self) -> Result<(), SessionEnd> {
        let now = Instant::now();
        self.teller.save_if_due();
        if self.probe_at <= now {
            self.probe_at = now + PROBE;
            self.probes += 1;
            if self.probes.is_multiple_of(WHOLE_PROBE) {
                let info = within(ANSWER, self.engine.identify()).await?;
                self.picture.set_engine(Ok(info));
            } else {
                within(ANSWER, self.engine.ping()).await?;
            }
        }
        if self.relist_at <= now {
            self.list_routinely().await?;
        }
        let due = |comparison: &mut Comparison| comparison.due <= now;
        if let Some(comparison) = self.comparison.take_if(due) {
            self.compare(comparison).await?;
        }
        Ok(())
    }

    /// Tells what no event told, of every container that is quiet; the others get another chance.
    async fn compare(&mut self, mut comparison: Comparison) -> Result<(), SessionEnd> {
        let now = Instant::now();
        let ids: BTreeSet<_> = self.picture.ids().into_iter().chain(self.teller.containers()).collect();
        let (busy, quiet): (Vec<_>, Vec<_>) = ids.into_iter().partition(|id| {
            let heard = comparison.heard.get(id).is_some_and(|heard| now < *heard + QUIET);
            heard || self.inspections.is_pending(id)
        });
        let quiet: Vec<_> = quiet.into_iter().map(|id| (self.picture.container(&id), id)).collect();
        let lacking = quiet.iter().filter(|(container, id)| self.teller.lacks(id, container.as_deref()));
        let lacking: BTreeSet<_> = lacking.map(|(_, id)| id.clone()).collect();
        if !lacking.is_empty() && self.is_behind(&lacking).await? {
            if now >= comparison.listed.1 + PAST {
                return Err(SessionEnd::Broken("its events are far behind".to_owned()));
            }
            comparison.due = now + QUIET;
            self.comparison = Some(comparison);
            return Ok(());
        }
        let infer = |(container, id): &(Option<_>, _)| self.teller.infer(id, Option::as_deref(container));
        let inferred: usize = quiet.iter().map(infer).sum();
        let passed_over = !busy.is_empty();
        // A subscription can go deaf without an end: an engine behind a network that forgot the connection.
        if comparison.routine && inferred > 0 {
            return Err(SessionEnd::Broken("its events did not tell everything that happened".to_owned()));
        }
        if passed_over && comparison.rounds < PATIENCE {
            comparison.due = now + QUIET;
            comparison.rounds += 1;
            self.comparison = Some(comparison);
        } else {
            self.teller.begin();
        }
        Ok(())
    }
}

async fn look<E: EngineView>(
    engine: &E,
    id: ContainerId,
) -> (ContainerId, Result<Option<Container>, EngineError>) {
    let found = within(ANSWER, engine.container(id.as_str())).await;
    (id, found)
}

async fn within<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, EngineError>>,
) -> Result<T, EngineError> {
    timeout(limit, answer).await.unwrap_or(Err(EngineError::TimedOut(limit)))
}
