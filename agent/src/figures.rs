//! Samples what running containers use: often while somebody looks, once a minute otherwise, and then only what can be
//! read without asking the engine; never two at a time.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use roadstead_protocol::message::container::Figures;
use roadstead_protocol::message::ids::ContainerId;
use roadstead_protocol::message::policy::Verb;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::engine::{Effort, EngineView};
use crate::policy::PolicyCell;
use crate::watcher::PictureHandle;

/// How often while somebody looks.
const WATCHED: Duration = Duration::from_secs(5);

/// How often while nobody does.
const UNWATCHED: Duration = Duration::from_secs(60);

/// Least time between the end of one sampling and the next, for an engine that takes long.
const BREATH: Duration = Duration::from_secs(1);

/// How long one sampling may take.
const LIMIT: Duration = Duration::from_secs(30);

/// For how long a single request to look can last, in seconds.
const LONGEST_LOOK: u32 = 3600;

/// Samples figures and hands them to whoever subscribed.
#[derive(Debug)]
pub struct Sampler<E> {
    engine: Arc<E>,
    policy: Arc<PolicyCell>,
    /// Until when somebody looks.
    watched_until: watch::Sender<Option<Instant>>,
    samples: watch::Sender<Arc<Vec<Figures>>>,
}

impl<E: EngineView> Sampler<E> {
    /// A sampler that samples nothing before it [runs](Self::run), and never against the owner's policy.
    #[must_use]
    pub fn new(engine: Arc<E>, policy: Arc<PolicyCell>) -> Self {
        Self { engine, policy, watched_until: watch::Sender::new(None), samples: watch::Sender::default() }
    }

    /// Somebody looks for the next `seconds`; 0: nobody does any more.
    pub fn watch(&self, seconds: u32) {
        let time = Duration::from_secs(seconds.min(LONGEST_LOOK).into());
        self.watched_until.send_replace((seconds > 0).then(|| Instant::now() + time));
    }

    /// Whether somebody looks now.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.watched_until.borrow().is_some_and(|until| Instant::now() < until)
    }

    /// The last samples, if there are any, and those that follow. A slow reader misses some, never the newest.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<Vec<Figures>>> {
        let mut receiver = self.samples.subscribe();
        if !receiver.borrow().is_empty() {
            receiver.mark_changed();
        }
        receiver
    }

    /// Samples the running containers of `picture` until `shutdown`.
    pub async fn run(&self, picture: &PictureHandle, shutdown: CancellationToken) {
        let working = async {
            let mut watched_until = self.watched_until.subscribe();
            let mut last = Instant::now();
            let mut earliest = last;
            loop {
                let now = Instant::now();
                let is_watched = watched_until.borrow_and_update().is_some_and(|until| now < until);
                let period = if is_watched { WATCHED } else { UNWATCHED };
                tokio::select! {
                    () = sleep_until((last + period).max(earliest)) => {}
                    // Cannot fail while the sender is ours.
                    _ = watched_until.changed() => continue,
                }
                last = Instant::now();
                self.sample(picture, if self.is_watched() { Effort::Ask } else { Effort::Read }).await;
                earliest = Instant::now() + BREATH;
            }
        };
        tokio::select! {
            () = working => {}
            () = shutdown.cancelled() => {}
        }
    }

    async fn sample(&self, picture: &PictureHandle, effort: Effort) {
        let running = picture.running();
        if running.is_empty() || self.policy.check(Verb::Stats).is_err() {
            return;
        }
        match timeout(LIMIT, self.engine.figures(&running, effort)).await {
            Ok(samples) if samples.is_empty() => {}
            Ok(samples) => drop(self.samples.send_replace(Arc::new(samples))),
            Err(_) => tracing::debug!(containers = running.len(), "sampling figures took too long"),
        }
    }
}

/// What the controller was told last of each container, in one session.
#[derive(Debug, Default)]
pub struct Told {
    last: HashMap<ContainerId, Figures>,
}

impl Told {
    /// Those of `samples` that are worth telling: `all`, or what is news. They count as told from now on; what is
    /// not sampled any more is forgotten.
    pub fn worth(&mut self, samples: &[Figures], all: bool) -> Vec<Figures> {
        let running: HashSet<_> = samples.iter().map(|sample| &sample.container).collect();
        self.last.retain(|container, _| running.contains(container));
        let worth = |sample: &&Figures| all || is_news(self.last.get(&sample.container), sample);
        let news: Vec<Figures> = samples.iter().filter(worth).cloned().collect();
        self.last.extend(news.iter().map(|sample| (sample.container.clone(), sample.clone())));
        news
    }
}

/// Whether `sample` says something new after `told`: while nobody looks, an idle host's figures are not worth their
/// bytes every minute.
fn is_news(told: Option<&Figures>, sample: &Figures) -> bool {
    let Some(told) = told else { return true };
    let cpu = |figures: &Figures| figures.cpu_percent.unwrap_or(0.0);
    let memory = sample.memory_bytes.abs_diff(told.memory_bytes);
    told.cpu_percent.is_none()
        || (cpu(sample) - cpu(told)).abs() >= NEWS_CPU_PERCENT
        || memory > told.memory_bytes / NEWS_MEMORY_SHARE + NEWS_MEMORY_BYTES
        || sample.at.since(told.at) >= NEWS_AGE
}

/// Changes of processor use below this, in percent of a core, are no news.
const NEWS_CPU_PERCENT: f64 = 2.0;

/// Changes of memory below one part in so many, and so many bytes more, are no news.
const NEWS_MEMORY_SHARE: u64 = 10;
const NEWS_MEMORY_BYTES: u64 = 1 << 20;

/// After this long the same figures are told again. Whoever looks has fresh ones asked for.
const NEWS_AGE: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use roadstead_protocol::message::codec::encoded_size;
    use roadstead_protocol::message::policy::Policy;
    use roadstead_protocol::message::time::UnixMicros;
    use roadstead_protocol::message::to_controller::ToController;
    use tokio::task::JoinHandle;
    use tokio::time::advance;

    use super::*;
    use crate::engine::fake::FakeEngine;
    use crate::outbox::{DEFAULT_LIMIT, Outbox};
    use crate::watcher;

    struct Running {
        engine: FakeEngine,
        sampler: Arc<Sampler<FakeEngine>>,
        policy: Arc<PolicyCell>,
        shutdown: CancellationToken,
        task: JoinHandle<()>,
        _directory: tempfile::TempDir,
    }

    /// A sampler at work on an engine with one running container.
    async fn running() -> Running {
        let engine = FakeEngine::new();
        let container = engine.sample("a", "app:1");
        let id = container.id.clone();
        engine.add(container);
        engine.set_figures(Figures {
            container: id,
            at: UnixMicros(0),
            cpu_percent: None,
            memory_bytes: 1,
            memory_limit_bytes: None,
            network_rx_bytes: 0,
            network_tx_bytes: 0,
            block_read_bytes: 0,
            block_write_bytes: 0,
        });
        let directory = tempfile::tempdir().unwrap();
        let outbox = Outbox::open(directory.path(), DEFAULT_LIMIT).unwrap();
        let (picture, shutdown) = (PictureHandle::default(), CancellationToken::new());
        tokio::spawn(watcher::watch(Arc::new(engine.clone()), outbox, picture.clone(), shutdown.clone()));
        let (_, _, mut changes) = picture.subscribe();
        while picture.running().is_empty() {
            changes.next().await;
        }
        let policy = Arc::new(PolicyCell::new("stats".parse().unwrap()));
        let sampler = Arc::new(Sampler::new(Arc::new(engine.clone()), Arc::clone(&policy)));
        let (working, stop) = (Arc::clone(&sampler), shutdown.clone());
        let task = tokio::spawn(async move { working.run(&picture, stop).await });
        Running { engine, sampler, policy, shutdown, task, _directory: directory }
    }

    impl Running {
        /// How often figures were asked for within `seconds`.
        async fn samplings_within(&self, seconds: u32) -> u64 {
            let before = self.engine.samplings();
            for _ in 0..seconds * 4 {
                advance(Duration::from_millis(250)).await;
            }
            self.engine.samplings() - before
        }
    }

    #[tokio::test(start_paused = true)]
    async fn once_a_minute_and_every_five_seconds_while_somebody_looks() {
        let running = running().await;
        let unwatched = running.samplings_within(610).await;
        assert!((9..=10).contains(&unwatched), "{unwatched}");
        running.sampler.watch(20);
        let watched = running.samplings_within(22).await;
        assert!((4..=5).contains(&watched), "{watched}");
        assert_eq!(running.samplings_within(30).await, 0, "nobody looks any more");
        running.sampler.watch(1_000);
        running.samplings_within(10).await;
        running.sampler.watch(0);
        assert_eq!(running.samplings_within(30).await, 0);
        running.shutdown.cancel();
        running.task.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_subscriber_has_the_last_samples_at_once() {
        let running = running().await;
        running.samplings_within(61).await;
        let mut samples = running.sampler.subscribe();
        samples.changed().await.unwrap();
        assert_eq!(samples.borrow_and_update().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_owner_decides() {
        let running = running().await;
        running.policy.replace("view".parse::<Policy>().unwrap().into());
        running.sampler.watch(300);
        assert_eq!(running.samplings_within(300).await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_engine_is_asked_one_thing_at_a_time() {
        let running = running().await;
        let mut hold = running.engine.hold_when("figures");
        running.sampler.watch(300);
        hold.reached().await;
        assert_eq!(running.samplings_within(20).await, 0);
        hold.release();
        assert_eq!(running.samplings_within(4).await, 2, "the one that waited, and the next");
    }

    #[test]
    fn only_what_changed_is_news() {
        let told = Figures {
            container: "0123456789ab".parse().unwrap(),
            at: UnixMicros::from_secs(0),
            cpu_percent: Some(1.0),
            memory_bytes: 100 << 20,
            memory_limit_bytes: None,
            network_rx_bytes: 0,
            network_tx_bytes: 0,
            block_read_bytes: 0,
            block_write_bytes: 0,
        };
        let minute = Figures { at: UnixMicros::from_secs(60), network_rx_bytes: 9, ..told.clone() };
        assert!(is_news(None, &told));
        assert!(!is_news(Some(&told), &minute));
        assert!(is_news(Some(&Figures { cpu_percent: None, ..told.clone() }), &minute));
        assert!(is_news(Some(&told), &Figures { cpu_percent: Some(3.0), ..minute.clone() }));
        assert!(!is_news(Some(&told), &Figures { memory_bytes: 110 << 20, ..minute.clone() }));
        assert!(is_news(Some(&told), &Figures { memory_bytes: 112 << 20, ..minute.clone() }));
        assert!(is_news(Some(&told), &Figures { at: UnixMicros::from_secs(24 * 3600), ..minute }));
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_would_have_to_be_asked_is_asked_only_while_somebody_looks() {
        let running = running().await;
        running.engine.set_readable(false);
        running.samplings_within(600).await;
        assert!(running.sampler.subscribe().borrow().is_empty());
        assert_eq!(running.engine.asked("figures"), 0);
        running.sampler.watch(20);
        running.samplings_within(6).await;
        assert_eq!(running.sampler.subscribe().borrow().len(), 1);
        assert!((1..=2).contains(&running.engine.asked("figures")));
    }

    /// Each is so many requests to the engine: `identify` three (`_ping`, `version`, `info`), `containers` one and one
    /// for each container, `figures` at most one for each running container, the others one; `read` is none.
    /// docs/benchmarks.md has the sums.
    #[tokio::test(start_paused = true)]
    async fn how_often_an_idle_engine_is_asked() {
        const CALLS: [&str; 8] =
            ["ping", "identify", "list", "containers", "container", "events", "figures", "read"];
        let running = running().await;
        let asked = || CALLS.map(|call| running.engine.asked(call));
        let mut counted = Vec::new();
        for watched in [false, true] {
            let before = asked();
            for _ in 0..10 {
                running.sampler.watch(if watched { 70 } else { 0 });
                running.samplings_within(60).await;
            }
            counted.push(std::array::from_fn::<u64, 8, _>(|call| asked()[call] - before[call]));
        }
        for ten_minutes in &counted {
            let [ping, identify, list, containers, container, events, ..] = *ten_minutes;
            assert!(ping <= 8 && identify <= 2 && list <= 2 && container <= 2, "{ten_minutes:?}");
            assert_eq!((containers, events), (0, 0), "{ten_minutes:?}");
        }
        let [unwatched, watched] = [counted[0], counted[1]];
        assert!(unwatched[6] == 0 && (9..=10).contains(&unwatched[7]), "{unwatched:?}");
        assert!((110..=121).contains(&watched[6]), "{watched:?}");
    }

    /// Besides its heartbeats, which take 624 bytes a minute at IP level. With them it is to stay below 700.
    #[test]
    fn what_an_idle_host_tells_of_its_figures_in_a_minute() {
        // IP and TCP with timestamps, TLS record and tag, WebSocket with mask; and the empty packet that acknowledges.
        const OVERHEAD: usize = 52 + 22 + 8 + 52;
        const MINUTES: u64 = 6 * 60;
        for (count, most) in [(0, 0), (50, 70), (200, 70)] {
            let (mut told, mut bytes) = (Told::default(), 0);
            for minute in 0..MINUTES {
                // As idle containers are: a little of everything goes on, and nothing is ever quite the same.
                let wave = (minute % 7) as f64 / 10.0;
                let sample = |number: u64| Figures {
                    container: format!("{number:064x}").parse().unwrap(),
                    at: UnixMicros::from_secs(minute as i64 * 60),
                    cpu_percent: (minute > 0).then_some(0.3 + wave),
                    memory_bytes: (30 << 20) + (minute % 5) * (300 << 10),
                    memory_limit_bytes: None,
                    network_rx_bytes: minute * 4_321,
                    network_tx_bytes: minute * 1_234,
                    block_read_bytes: 4_096_000,
                    block_write_bytes: minute * 8_192,
                };
                let samples: Vec<_> = (0..count).map(sample).collect();
                for some in told.worth(&samples, false).chunks(50) {
                    let message = ToController::Figures { samples: some.to_vec() };
                    // The first two minutes are the start.
                    if minute > 1 {
                        bytes += encoded_size(&message).unwrap() + OVERHEAD;
                    }
                }
            }
            let each = bytes as u64 / (MINUTES - 2);
            assert!(each <= most, "{count} containers: {each} bytes a minute");
        }
    }
}
