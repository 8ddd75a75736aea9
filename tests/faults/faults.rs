//! Doing each fault, and mending it.

use std::time::Duration;

use jiff::Timestamp;
use roadstead_tests::condition::try_eventually;
use roadstead_tests::netns::Way;
use roadstead_tests::vitals::Vitals;
use roadstead_tests::{AgentOptions, ControllerProcess, Dockerd};
use tokio::time::{Instant, sleep_until};

use crate::checker::Absence;
use crate::fleet::Host;
use crate::schedule::{HostFault, ProgramFault};
use crate::site::Site;

/// How long somebody may take to come back after a fault: the longest pause of the back-off, and the attempt.
const BACK: Duration = Duration::from_secs(90);

/// How long two machines with one identity may go unnoticed: they take each other's place three times, with the
/// longest pause of the back-off before each, and a controller that ends meanwhile forgets what it saw.
const FOUND: Duration = Duration::from_secs(480);

/// The delay of a bad line in each direction.
pub const DELAY: Duration = Duration::from_millis(300);

/// Where a copy of an agent looks for its engine in vain: it has nothing to tell but that.
const NO_ENGINE: &str = "unix:///nowhere/docker.sock";

/// Past events that an engine surely tells to one that was away.
pub const SURELY_KEPT: usize = 200;

/// Past events of the real engine that surely are the containers' own: others have a place among its 256 too.
pub const SURELY_KEPT_BY_DOCKER: usize = 60;

/// What an engine told so shortly before an agent was killed or frozen may have been on its way, in microseconds: a busy
/// machine's agent is a second or more behind. An engine that forgets then does not tell it again.
const ON_ITS_WAY: i64 = 5_000_000;

/// Lets the fault last.
async fn last(lasting: Duration) {
    sleep_until(Instant::now() + lasting).await;
}

/// Now, in microseconds since 1970.
pub fn now() -> i64 {
    Timestamp::now().as_microsecond()
}

impl Host {
    /// Does a fault to this host, lets it last, and mends it. `kept` are the past events
    /// that its engine surely tells afterwards.
    pub async fn suffer(&mut self, fault: HostFault, lasting: Duration, site: &Site, kept: usize) {
        let from = now() - ON_ITS_WAY;
        match fault {
            HostFault::Kill => {
                self.agent.kill().await;
                last(lasting).await;
                self.agent.start_again().await;
                self.back(site).await;
                self.vitals = Vitals::of(self.agent.id()).ok();
                self.absences.push(Absence { from, to: now(), kept });
            }
            HostFault::Freeze => {
                self.agent.freeze().await;
                last(lasting).await;
                self.agent.resume().await;
                self.back(site).await;
                self.absences.push(Absence { from, to: now(), kept });
            }
            HostFault::CableOut => {
                self.machine.link_down().await;
                last(lasting).await;
                self.machine.link_up().await;
            }
            HostFault::BadLine => {
                self.worsen().await;
                last(lasting).await;
                self.mend().await;
            }
            HostFault::Deaf | HostFault::Mute => {
                let way = if fault == HostFault::Deaf { Way::In } else { Way::Out };
                self.machine.lose_all(way).await;
                last(lasting).await;
                self.machine.lose(0).await;
            }
            HostFault::Cut => self.line.cut(),
            HostFault::Copy => self.copied(site, kept).await,
        }
    }

    /// Makes the line bad: 30 % of the packets lost, 100 kbit/s, a delay.
    pub async fn worsen(&self) {
        self.machine.lose(30).await;
        self.machine.limit_rate(100).await;
        self.line.delay(DELAY);
    }

    /// A good line again.
    pub async fn mend(&self) {
        self.machine.lose(0).await;
        self.machine.unlimit_rate().await;
        self.line.heal();
    }

    /// A second machine with this one's identity, until it is found out.
    async fn copied(&mut self, site: &Site, kept: usize) {
        let options = AgentOptions { engine: NO_ENGINE.to_owned(), ..self.agent.options.clone() };
        self.copies += 1;
        let from = now() - ON_ITS_WAY;
        // Copied while it is off, as machines are; then both start, and neither has a reason to wait.
        self.agent.kill().await;
        let mut copy = self.agent.start_copy(options).await;
        self.agent.start_again().await;
        let path = format!("/api/instances/{}", self.id);
        let found = try_eventually(FOUND, async || {
            let instance = site.ask(&path).await.ok_or("no answer".to_owned())?;
            let said = instance.to_string();
            if said.contains("another machine") { Ok(()) } else { Err(said) }
        });
        if let Err(last) = found.await {
            self.troubles.push(format!("{}: its copy was not found out in {FOUND:?}: {last:?}", self.name));
        }
        copy.kill().await;
        self.back(site).await;
        self.vitals = Vitals::of(self.agent.id()).ok();
        self.absences.push(Absence { from, to: now(), kept });
    }

    /// Waits a while until the host is back; others' faults may well prevent that.
    async fn back(&self, site: &Site) {
        let _ = try_eventually(BACK, async || site.is_back(&self.id).await.then_some(()).ok_or(())).await;
    }
}

/// Does a fault to the controller.
pub async fn controller_suffers(
    controller: &mut ControllerProcess,
    fault: ProgramFault,
    lasting: Duration,
    site: &Site,
) {
    match fault {
        ProgramFault::Kill | ProgramFault::Stop => {
            match fault {
                ProgramFault::Kill => controller.kill().await,
                _ => drop(controller.stop().await),
            }
            last(lasting).await;
            controller.start_again().await;
        }
        ProgramFault::Freeze => {
            controller.freeze().await;
            last(lasting).await;
            controller.resume().await;
        }
    }
    site.answers(BACK).await;
}

/// Does a fault to a real engine.
pub async fn engine_suffers(engine: &mut Dockerd, fault: ProgramFault, lasting: Duration) {
    match fault {
        ProgramFault::Kill | ProgramFault::Stop => {
            match fault {
                ProgramFault::Kill => engine.kill().await,
                _ => engine.stop().await,
            }
            last(lasting).await;
            engine.start_again().await;
        }
        ProgramFault::Freeze => {
            engine.freeze().await;
            last(lasting).await;
            engine.resume().await;
        }
    }
}
