//! Container figures: once a minute, and every five seconds while somebody looks.

use std::sync::Arc;
use std::time::Duration;

use roadstead_protocol::message::container::Figures;
use roadstead_protocol::message::policy::Verb;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::engine::EngineView;
use crate::policy::PolicyCell;
use crate::watcher::PictureHandle;

/// Samples and publishes figures.
pub struct Sampler<E> {
    engine: Arc<E>,
    policy: Arc<PolicyCell>,
    until: watch::Sender<Instant>,
    samples: watch::Sender<Arc<Vec<Figures>>>,
}

impl<E: EngineView> Sampler<E> {
    /// A sampler that nobody watches.
    #[must_use]
    pub fn new(engine: Arc<E>, policy: Arc<PolicyCell>) -> Self {
        Self { engine, policy, until: watch::Sender::new(Instant::now()), samples: watch::Sender::default() }
    }

    /// Samples often for the next `seconds`; 0 stops it.
    pub fn watch(&self, seconds: u32) {
        self.until.send_replace(Instant::now() + Duration::from_secs(seconds.into()));
    }

    /// The newest samples, told anew each time.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<Vec<Figures>>> {
        self.samples.subscribe()
    }

    /// Samples until `shutdown`.
    pub async fn run(&self, picture: &PictureHandle, shutdown: CancellationToken) {
        let mut until = self.until.subscribe();
        loop {
            if self.policy.check(Verb::Stats).is_ok() {
                let samples = self.engine.figures(&picture.running()).await;
                self.samples.send_replace(Arc::new(samples));
            }
            let every = if *until.borrow() > Instant::now() { 5 } else { 60 };
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = until.changed() => {}
                () = tokio::time::sleep(Duration::from_secs(every)) => {}
            }
        }
    }
}
