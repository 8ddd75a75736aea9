//! The threads that serve people.

use anyhow::Context as _;
use tokio::runtime::{Builder, Handle, Runtime};

/// How many there are.
const THREADS: usize = 2;

/// Threads of API and web UI. They are theirs alone: a fleet that comes back keeps all others busy for seconds, and people
/// do not wait behind it. They end with this.
pub(super) struct People {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl People {
    pub(super) fn start() -> anyhow::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("people")
            .enable_all()
            .build()
            .context("cannot start the threads of API and web UI")?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// Where to run what serves them.
    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for People {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
