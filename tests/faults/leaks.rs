//! Whether programs keep more than they need: as they are after everything, and while their links come and go again.

use std::time::Duration;

use roadstead_tests::eventually;
use roadstead_tests::vitals::Vitals;

use crate::fleet::Host;
use crate::report::say;
use crate::site::Site;

/// How often every link is cut.
const CUTS: usize = 3;

/// How long everybody may take to be back after each.
const BACK: Duration = Duration::from_secs(90);

/// Descriptors and tasks that may be more without being a leak; fewer than there are links to be cut.
const MARGIN: usize = 8;

/// Threads that may be more: those that wait for the disk come and go.
const THREADS: usize = 16;

/// How much more memory agents and controller may have after the cuts, in KiB.
const AGENT: usize = 8 << 10;
const CONTROLLER: usize = 64 << 10;

/// What is wrong with a process that held `before` and may hold so many KiB more now.
pub fn compare(name: &str, before: Vitals, resident: usize) -> Option<String> {
    let after = Vitals::of(before.process).ok()?;
    say(format!("{name}: {before:?} -> {after:?}"));
    let grown = after.descriptors > before.descriptors + MARGIN
        || after.threads > before.threads + THREADS
        || after.resident > before.resident + resident;
    grown.then(|| format!("{name} has grown from {before:?} to {after:?}"))
}

/// Cuts every link again and again, and looks at what that leaves in the programs as they run now, whatever became of
/// earlier ones.
pub async fn after_reconnects(site: &Site, hosts: &[Host], controller: u32) -> Vec<String> {
    // The first time brings what there is one of.
    cut_all(site, hosts).await;
    let before: Vec<_> = hosts.iter().filter_map(|host| Vitals::of(host.agent.id()).ok()).collect();
    let (controller, tasks) = (Vitals::of(controller).unwrap(), site.tasks().await);
    for _ in 1..CUTS {
        cut_all(site, hosts).await;
    }
    let agents = hosts.iter().zip(&before);
    let mut wrong: Vec<_> = agents.filter_map(|(host, before)| compare(&host.name, *before, AGENT)).collect();
    wrong.extend(compare("controller", controller, CONTROLLER));
    let now = site.tasks().await;
    say(format!("tasks of the controller: {tasks} -> {now}"));
    // Each link has a task at least: fewer would mean that they are not counted.
    if tasks < hosts.len() {
        wrong.push(format!("the controller says that it has {tasks} tasks with {} links", hosts.len()));
    }
    if now > tasks + MARGIN {
        wrong.push(format!("the controller has {now} tasks and had {tasks} before its links were cut"));
    }
    wrong
}

async fn cut_all(site: &Site, hosts: &[Host]) {
    let mut before = Vec::new();
    for host in hosts {
        before.push(site.linked_since(&host.id).await);
        host.line.cut();
    }
    for (host, before) in hosts.iter().zip(before) {
        eventually(&format!("{} to be back after a cut", host.name), BACK, async || {
            (site.is_back(&host.id).await && site.linked_since(&host.id).await != before).then_some(())
        })
        .await;
    }
}
