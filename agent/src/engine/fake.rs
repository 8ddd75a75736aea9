//! A Docker engine that exists only in memory, for tests: it does what it is told, records it, and fails, stalls
//! or disappears when the script says so. Times follow tokio's clock, so that paused time works.
#![expect(clippy::expect_used, reason = "a test that scripts nonsense should stop at once")]

mod control;
mod model;
mod view;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use roadstead_protocol::message::container::{Container, Figures};
use roadstead_protocol::message::ids::ContainerId;
use roadstead_protocol::message::time::UnixMicros;
use tokio::sync::watch;

use super::{EngineError, EngineEvent, EngineInfo, Image};
use crate::policy::Reach;
use model::Model;
pub use model::{Behaviour, RegistryImage};

/// The fake; a clone is another handle on the same engine.
///
/// Each call is known by one line of text, `pull app:1`, `layer app:1 <layer>`, `stop web`, `start web`,
/// `rename web web2`, `create_like web web2 app:1`, `containers`, `container web`, `events`, …: what
/// [`fail_when`](Self::fail_when) and [`hold_when`](Self::hold_when) look at.
#[derive(Clone, Default)]
pub struct FakeEngine {
    model: Arc<Mutex<Model>>,
}

/// A call that was told to wait; it goes on when this is released or dropped.
pub struct Hold {
    reached: watch::Receiver<bool>,
    open: watch::Sender<bool>,
}

impl Hold {
    /// Returns when a call waits here.
    pub async fn reached(&mut self) {
        let _ = self.reached.wait_for(|reached| *reached).await;
    }

    /// Lets it go on, and every later one.
    pub fn release(self) {
        self.open.send_replace(true);
    }
}

impl FakeEngine {
    /// An empty engine that answers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A running container as the engine would list it, to adjust and [`add`](Self::add).
    #[must_use]
    pub fn sample(&self, name: &str, image: &str) -> Container {
        let mut model = self.model();
        let image_id = model.images.get(image).map_or_else(|| format!("sha256:{image}"), |i| i.id.clone());
        model.blank(name, image, &image_id)
    }

    /// A running container of a compose project, to adjust and [`add`](Self::add).
    #[must_use]
    pub fn compose_sample(&self, project: &str, service: &str, image: &str) -> Container {
        let mut container = self.sample(&format!("{project}_{service}_1"), image);
        for (label, value) in [("project", project), ("service", service), ("oneoff", "False")] {
            container.labels.insert(format!("com.docker.compose.{label}"), value.to_owned());
        }
        container
    }

    /// Puts a container there and tells of it as if somebody had created it.
    pub fn add(&self, container: Container) {
        let mut model = self.model();
        let id = model.insert(container);
        model.tell(&id, "create");
    }

    /// Changes a container in place and tells `action` of it; without an action nobody is told.
    ///
    /// # Panics
    /// If there is no such container.
    pub fn change(&self, container: &str, action: Option<&str>, change: impl FnOnce(&mut Container)) {
        let mut model = self.model();
        let id = model.find(container).expect("the script names a container that exists");
        let now = model.now();
        let held = model.containers.get_mut(&id).expect("found just now");
        // What the clock has made of it so far becomes what is.
        held.container = held.observe(now);
        change(&mut held.container);
        held.started = None;
        if let Some(action) = action {
            model.tell(&id, action);
        }
    }

    /// Takes a container away; with `told` the engine says so.
    pub fn take(&self, container: &str, told: bool) {
        let mut model = self.model();
        let Some(id) = model.find(container) else { return };
        if told {
            model.tell(&id, "destroy");
        }
        model.containers.remove(&id);
    }

    /// Tells an event to everybody who reads events.
    pub fn emit(&self, event: EngineEvent) {
        self.model().emit(event);
    }

    /// From now on events are told late: only once it catches up.
    pub fn fall_behind(&self) {
        self.model().behind = Some(Vec::new());
    }

    /// Tells the events of the time in which it was behind.
    pub fn catch_up(&self) {
        self.model().catch_up();
    }

    /// From now on every call fails as unreachable, and every event stream ends with that error.
    pub fn go_away(&self, reason: &str) {
        self.model().go_away(reason);
    }

    /// Answers again. What happened meanwhile is in the history that `events` replays.
    pub fn come_back(&self) {
        self.model().away = None;
    }

    /// Forgets the events told so far, as a restarted engine does.
    pub fn forget_events(&self) {
        self.model().history.clear();
    }

    /// How many event streams are open.
    #[must_use]
    pub fn subscriptions(&self) -> usize {
        let mut model = self.model();
        model.subscribers.retain(|subscriber| !subscriber.is_closed());
        model.subscribers.len()
    }

    /// What [`identify`](super::EngineView::identify) answers.
    pub fn set_info(&self, info: EngineInfo) {
        self.model().info = info;
    }

    /// What the next samplings of this container yield.
    pub fn set_figures(&self, figures: Figures) {
        self.model().figures.insert(figures.container.as_str().to_owned(), figures);
    }

    /// What a container has of its host, and its environment, as [`inspect`](super::EngineView::inspect) tells them.
    pub fn set_inspection(&self, container: &str, reach: Reach, env: &[(&str, &str)]) {
        let mut model = self.model();
        let Some(id) = model.find(container) else { return };
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        model.inspections.insert(id, (reach, env));
    }

    /// Whether figures can be had without asking it; they can from the start.
    pub fn set_readable(&self, readable: bool) {
        self.model().readable = readable;
    }

    /// How often figures were read or asked for.
    #[must_use]
    pub fn samplings(&self) -> u64 {
        self.model().samplings
    }

    /// How often a call was made, by its first word (`identify`, `containers`, `figures`, …).
    #[must_use]
    pub fn asked(&self, word: &str) -> u64 {
        self.model().asked.get(word).copied().unwrap_or(0)
    }

    /// The container the agent believes it runs in.
    pub fn set_own_container(&self, id: Option<ContainerId>) {
        self.model().own = id;
    }

    /// Makes an image known locally.
    pub fn set_image(&self, reference: &str, id: &str) {
        let digest = format!("{}@{id}", model::repository(reference));
        self.set_image_with(
            reference,
            Image { id: id.to_owned(), repo_digests: vec![digest], ..Image::default() },
        );
    }

    /// Makes an image known locally, with the repository digests given (none: it was never in a registry).
    pub fn set_image_with(&self, reference: &str, image: Image) {
        self.model().images.insert(reference.to_owned(), image);
    }

    /// What the registry has for `reference` from now on.
    pub fn publish(&self, reference: &str, image: RegistryImage) {
        self.model().registry.insert(reference.to_owned(), image);
    }

    /// How containers of this image id behave that start from now on.
    pub fn behave(&self, image_id: &str, behaviour: Behaviour) {
        self.model().behaviours.insert(image_id.to_owned(), behaviour);
    }

    /// Lines a container has logged.
    pub fn set_log(&self, container: &str, lines: &[&str]) {
        let mut model = self.model();
        let Some(id) = model.find(container) else { return };
        if let Some(held) = model.containers.get_mut(&id) {
            held.log = lines.iter().map(|line| (*line).to_owned()).collect();
        }
    }

    /// The next `times` calls whose line contains `text` fail with `error`.
    pub fn fail_when(&self, text: &str, times: usize, error: EngineError) {
        self.model().failures.push((text.to_owned(), times, error));
    }

    /// Every call whose line contains `text` panics.
    pub fn panic_when(&self, text: &str) {
        self.model().panics.push(text.to_owned());
    }

    /// Calls whose line contains `text` wait until the hold is released or dropped.
    #[must_use]
    pub fn hold_when(&self, text: &str) -> Hold {
        let (reached_sender, reached) = watch::channel(false);
        let (open, opened) = watch::channel(false);
        self.model().holds.push((text.to_owned(), reached_sender, opened));
        Hold { reached, open }
    }

    /// The calls that changed or pulled something, or tried to, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        self.model().calls.clone()
    }

    /// Every container now, by name.
    #[must_use]
    pub fn list(&self) -> Vec<Container> {
        let mut all = self.model().observe_all();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// One container now, by name or id.
    #[must_use]
    pub fn one(&self, container: &str) -> Option<Container> {
        let model = self.model();
        let id = model.find(container)?;
        model.containers.get(&id).map(|held| held.observe(model.now()))
    }

    /// The engine's clock.
    #[must_use]
    pub fn now(&self) -> UnixMicros {
        self.model().time()
    }

    fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a call where it changes something, waits where a hold says so, fails where the script says so.
    async fn call(&self, line: &str, changes: bool) -> Result<(), EngineError> {
        let waits = {
            let mut model = self.model();
            let word = line.split(' ').next().unwrap_or_default();
            *model.asked.entry(word.to_owned()).or_default() += 1;
            if changes {
                model.calls.push(line.to_owned());
            }
            let panics = model.panics.iter().any(|text| line.contains(text));
            let holds = model.holds_of(line);
            drop(model);
            assert!(!panics, "the script says that `{line}` panics");
            holds
        };
        for (reached, mut opened) in waits {
            reached.send_replace(true);
            let _ = opened.wait_for(|open| *open).await;
        }
        self.model().failure_of(line)
    }
}
