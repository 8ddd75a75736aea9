//! Watches the engine: keeps the picture true and records what happens.
//!
//! Events are subscribed to first and the containers listed then, so that nothing falls between; after any gap the
//! engine is asked for what it still knows of it, the containers are listed again, and what neither told is inferred
//! from the difference. An engine that does not answer is a state, not an end.

mod inspections;
mod memory;
mod picture;
mod reader;
mod recorder;
mod seen;
mod session;
mod teller;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

pub use picture::{Changes, PictureHandle};

use self::session::{Session, SessionEnd};
use self::teller::Teller;
use crate::engine::EngineView;
use crate::outbox::Outbox;

/// Pauses between attempts to reach the engine, before jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A session that lasted this long was a good one.
const HEALTHY: Duration = Duration::from_secs(10);

/// Watches `engine` until `shutdown`, then writes what is left to write. Neither a missing engine nor a full disk ends
/// it.
pub async fn watch<E: EngineView>(
    engine: Arc<E>,
    outbox: Outbox,
    picture: PictureHandle,
    shutdown: CancellationToken,
) {
    let (recorder, recording) = recorder::recording(outbox.clone(), shutdown.clone());
    let watching = async {
        let mut teller = Teller::recall(recorder, &outbox, picture.memory()).await;
        tokio::select! {
            () = keep_watching(&*engine, &picture, &mut teller) => {}
            () = shutdown.cancelled() => {}
        }
        teller.finish().await;
    };
    tokio::join!(recording.run(), watching);
}

async fn keep_watching<E: EngineView>(engine: &E, picture: &PictureHandle, teller: &mut Teller) {
    let mut pause = FIRST_PAUSE;
    loop {
        let began = Instant::now();
        match Session::new(engine, picture, teller).run().await {
            SessionEnd::Unreachable(error) => {
                teller.engine_lost(&error);
                picture.set_engine(Err(error));
            }
            SessionEnd::Broken(reason) => tracing::info!(reason, "subscribing to the engine's events again"),
        }
        teller.save_if_due();
        if began.elapsed() >= HEALTHY {
            pause = FIRST_PAUSE;
        }
        sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
