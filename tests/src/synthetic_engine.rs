//! A Docker engine that is none: real agents watch it, and it tells as many numbered events as a test wants.
//!
//! Its containers are a table. It speaks as much of Docker's API on a unix socket as an agent asks for, and keeps
//! everything it ever told, so that a test can compare. What of that it tells again (`since`) is a setting: a
//! `dockerd` has 256 past events, and a subscriber that does not read loses what comes meanwhile.

mod book;
mod http;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::scratch::Scratch;
use book::Book;

pub use book::{Told, Truth};

/// The label that makes a container part of a compose project.
pub const PROJECT: &str = "com.docker.compose.project";
/// The label that names its service.
pub const SERVICE: &str = "com.docker.compose.service";

/// What kind of engine a test wants.
#[derive(Debug, Clone, Copy)]
pub struct SyntheticOptions {
    /// Past events that it tells again; none for all of them.
    pub keeps: Option<usize>,
    /// Events that it tells one subscriber in a second, at most: an engine's events come no faster than its work.
    pub pace: u32,
    /// Containers that come, go, start and end.
    pub containers: usize,
    /// What its events follow from.
    pub seed: u64,
}

impl Default for SyntheticOptions {
    fn default() -> Self {
        Self { keeps: None, pace: 1_000, containers: 4, seed: 1 }
    }
}

/// A running engine; it ends on drop.
#[derive(Debug)]
pub struct SyntheticEngine {
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
    scratch: Scratch,
}

/// What the connections share.
#[derive(Debug)]
struct Shared {
    options: SyntheticOptions,
    book: Mutex<Book>,
    /// Counts up with the events.
    told: watch::Sender<usize>,
}

impl SyntheticEngine {
    /// Starts one without any container.
    ///
    /// # Panics
    /// When its socket cannot be made.
    #[must_use]
    pub fn start(options: SyntheticOptions) -> Self {
        let start = || {
            let scratch = Scratch::new()?;
            let listener = UnixListener::bind(scratch.path().join("docker.sock"))?;
            anyhow::Ok((scratch, listener))
        };
        let (scratch, listener) = start().unwrap_or_else(|error| panic!("no synthetic engine: {error:#}"));
        let book = Mutex::new(Book::new(options.seed, options.containers));
        let shared = Arc::new(Shared { options, book, told: watch::Sender::new(0) });
        let serving = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Self { shared, serving, scratch }
    }

    /// What `DOCKER_HOST` has to be for it: `unix://…`.
    #[must_use]
    pub fn host(&self) -> String {
        format!("unix://{}", self.scratch.path().join("docker.sock").display())
    }

    /// Lets so many things happen to its containers.
    pub fn happen(&self, count: usize) {
        self.change(|book| (0..count).for_each(|_| book.happen()));
    }

    /// Adds a container that runs and that nothing happens to by itself.
    pub fn run(&self, name: &str, labels: &[(&str, &str)]) {
        self.change(|book| book.run(name, labels));
    }

    /// How often it was asked to restart a container of this name.
    #[must_use]
    pub fn restarts(&self, name: &str) -> u32 {
        self.shared.book().restarts(name)
    }

    /// How many events it told.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shared.book().told().len()
    }

    /// Every event, in order.
    #[must_use]
    pub fn told(&self) -> Vec<Told> {
        self.shared.book().told().to_vec()
    }

    /// Every container that there is.
    #[must_use]
    pub fn truth(&self) -> Vec<Truth> {
        self.shared.book().truth()
    }

    fn change(&self, change: impl FnOnce(&mut Book)) {
        self.shared.change(change);
    }
}

impl Drop for SyntheticEngine {
    fn drop(&mut self) {
        // Its connections are tasks of a set that it owns.
        self.serving.abort();
    }
}

impl Shared {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Book) -> T) -> T {
        let mut book = self.book();
        let value = change(&mut book);
        let count = book.told().len();
        drop(book);
        self.told.send_replace(count);
        value
    }
}

async fn serve(listener: UnixListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                connections.spawn(http::answer(stream, Arc::clone(&shared)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}
