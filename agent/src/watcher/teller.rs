//! What the watcher tells the outbox, and what it remembers of having told.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use roadstead_protocol::message::container::Container;
use roadstead_protocol::message::event::EventKind;
use roadstead_protocol::message::ids::ContainerId;
use roadstead_protocol::message::time::UnixMicros;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, timeout};

use super::memory::Memory;
use super::recorder::{LAST_WORDS, Recorder};
use super::seen::{Seen, back};
use crate::engine::EngineError;
use crate::outbox::Outbox;

/// How long a change of the memory may wait before it is written.
const SAVE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Teller {
    recorder: Recorder,
    memory: Memory,
    seen: Seen,
    path: Option<Arc<Path>>,
    /// When the memory is to be written, if it changed.
    save_at: Option<Instant>,
    /// Holds the one write under way.
    saving: JoinSet<()>,
}

impl Teller {
    /// Remembers what was told before the agent ended: what it noted down, and what it recorded after that.
    pub async fn recall(recorder: Recorder, outbox: &Outbox, path: Option<Arc<Path>>) -> Self {
        let mut memory = path.as_deref().map(Memory::load).unwrap_or_default();
        let mut seen = Seen::default();
        if let Some(newest) = outbox.last_engine_time() {
            let since = back(newest.min(UnixMicros::now()));
            let from = memory.until.map_or(since, |until| until.min(since));
            for event in outbox.recorded_since(from).await {
                seen.is_new(event.at, &event.what);
                if memory.until.is_none_or(|until| event.at > until) {
                    memory.stories.tell(&event.what);
                }
            }
            seen.reached(newest);
        }
        Self { recorder, memory, seen, path, save_at: None, saving: JoinSet::new() }
    }

    /// From when on the engine is to tell its events; none if there was never one.
    pub fn since(&self) -> Option<UnixMicros> {
        // A clock that was set back must not make us wait for it to catch up.
        self.seen.newest().map(|newest| back(newest.min(UnixMicros::now())))
    }

    /// Whether an event of the engine was told, as far as that is still known.
    pub fn knows(&self, at: UnixMicros, what: &EventKind) -> bool {
        self.seen.knows(at, what)
    }

    /// Tells an event of the engine, unless it was told before.
    pub fn tell(&mut self, at: UnixMicros, what: EventKind) {
        if !self.seen.is_new(at, &what) {
            return;
        }
        self.memory.stories.tell(&what);
        self.memory.until = self.memory.until.max(Some(at));
        self.recorder.record(at, what);
        self.changed(SAVE);
    }

    /// Tells that events of the engine were lost.
    pub fn lost(&self, count: u64) {
        self.recorder.lose(count);
    }

    /// Whether [`infer`](Self::infer) would tell anything.
    pub fn lacks(&self, id: &ContainerId, now: Option<&Container>) -> bool {
        !self.memory.stories.missing(id, now).is_empty()
    }

    /// Tells what must have happened to a container for it to be as it is now (none: gone); returns how many events
    /// that is.
    pub fn infer(&mut self, id: &ContainerId, now: Option<&Container>) -> usize {
        let missing = self.memory.stories.infer(id, now);
        let count = missing.len();
        for what in missing {
            self.recorder.record(UnixMicros::now(), what);
        }
        if count > 0 {
            self.changed(Duration::ZERO);
        }
        count
    }

    /// From now on there is something to compare with.
    pub fn begin(&mut self) {
        if !self.memory.stories.begun() {
            self.memory.stories.begin();
            self.changed(Duration::ZERO);
        }
    }

    /// The containers of which something was told.
    pub fn containers(&self) -> Vec<ContainerId> {
        self.memory.stories.ids().cloned().collect()
    }

    /// A container was looked at.
    pub fn date(&mut self, container: &Container) {
        self.memory.stories.date(container);
    }

    /// The engine answers; tells so if the last word was that it does not.
    pub fn engine_found(&mut self, version: &str) {
        if std::mem::take(&mut self.memory.engine_lost) {
            tracing::info!(version, "the Docker engine answers again");
            self.recorder.record(UnixMicros::now(), EventKind::EngineFound { version: version.to_owned() });
            self.changed(Duration::ZERO);
        }
    }

    /// The engine does not answer; tells so once.
    pub fn engine_lost(&mut self, error: &EngineError) {
        if !std::mem::replace(&mut self.memory.engine_lost, true) {
            tracing::warn!(%error, "trying again until the engine answers");
            self.recorder.record(UnixMicros::now(), EventKind::EngineLost { reason: error.to_string() });
            self.changed(Duration::ZERO);
        }
    }

    /// When [`save_if_due`](Self::save_if_due) has something to do.
    pub fn save_at(&self) -> Option<Instant> {
        self.save_at
    }

    /// Writes the memory, beside everything else, if it is time; not before what it says was told is recorded: an agent that
    /// ended in between would not look for it again.
    pub fn save_if_due(&mut self) {
        let now = Instant::now();
        while self.saving.try_join_next().is_some() {}
        if self.save_at.is_none_or(|at| now < at) {
            return;
        }
        self.save_at = None;
        if !self.saving.is_empty() {
            self.save_at = Some(now + SAVE);
            return;
        }
        let Some(path) = self.path.clone() else { return };
        let memory = self.memory.clone();
        let recorded = self.recorder.settled();
        self.saving.spawn(async move {
            recorded.await;
            // It panics with us or not at all.
            let _ = spawn_blocking(move || save(&memory, &path)).await;
        });
    }

    /// Writes the memory for the last time, if the last events can be recorded in time.
    pub async fn finish(mut self) {
        let saved = async {
            while self.saving.join_next().await.is_some() {}
            if self.save_at.is_some() {
                self.save_at = Some(Instant::now());
                self.save_if_due();
            }
            while self.saving.join_next().await.is_some() {}
        };
        if timeout(LAST_WORDS, saved).await.is_err() {
            tracing::warn!("the watcher's memory stays as it was: not everything could be recorded");
        }
    }

    fn changed(&mut self, within: Duration) {
        let at = Instant::now() + within;
        self.save_at = Some(self.save_at.map_or(at, |before| before.min(at)));
    }
}

fn save(memory: &Memory, path: &Path) {
    if let Err(error) = memory.save(path) {
        tracing::warn!(path = %path.display(), %error, "the watcher's memory cannot be written");
    }
}
