//! F: what the disk itself takes to make a small append durable, probed while the rest is measured.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::statistics::Samples;

/// As large as an event with its frame.
const RECORD: usize = 512;

/// Seldom enough to leave the disk to those who are measured.
const EVERY: Duration = Duration::from_millis(250);

/// A running probe.
pub struct Probe {
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<Samples>>,
}

impl Probe {
    /// Begins to append to a file in `folder`.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn start(folder: &Path) -> anyhow::Result<Self> {
        let mut file = File::create(folder.join("fsync-probe"))?;
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let mut samples = Samples::default();
            let mut ticks = interval(EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while stopped.run_until_cancelled(ticks.tick()).await.is_some() {
                let (next, took) = tokio::task::spawn_blocking(move || append(file)).await??;
                file = next;
                samples.add(took);
            }
            Ok(samples)
        });
        Ok(Self { stop, task })
    }

    /// Ends it, and gives what each append took, in milliseconds.
    ///
    /// # Errors
    /// When an append failed.
    pub async fn end(self) -> anyhow::Result<Samples> {
        self.stop.cancel();
        self.task.await?
    }
}

fn append(mut file: File) -> anyhow::Result<(File, f64)> {
    file.write_all(&[7; RECORD])?;
    let began = Instant::now();
    file.sync_data()?;
    Ok((file, began.elapsed().as_secs_f64() * 1000.0))
}
