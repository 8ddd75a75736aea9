//! Agents, controller and engines through many faults, then everything compared with everything.

use std::collections::HashMap;
use std::time::Duration;

use roadstead_tests::scratch::Scratch;
use roadstead_tests::vitals::Vitals;
use roadstead_tests::{ControllerProcess, Dockerd, SyntheticEngine, eventually};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::checker::{self, Absence};
use crate::fleet::{Host, Yard, populate, script, synthetic};
use crate::lanes;
use crate::leaks;
use crate::options::Options;
use crate::orders::{self, Plan};
use crate::reading;
use crate::real::{self, Life, Witness};
use crate::report::{announce, counted, first, kind, say};
use crate::schedule::{Wish, schedule};
use crate::site::{self, Site};
use crate::truth;

/// How long after the last fault everybody may take to be back: the longest pause of the back-off after the longest
/// silence that goes unnoticed, and the attempt.
const BACK: Duration = Duration::from_secs(180);

/// How long what waits may take to arrive then.
const ARRIVE: Duration = Duration::from_secs(240);

/// How long after that the picture may differ from the truth.
const QUIET: Duration = Duration::from_secs(5);

/// Agents of the real engine: one that dials and one that is dialled.
const REAL: usize = 2;

/// Most that the files of an agent may take: its outbox's bound, and room for its ledger and memory.
const AGENT_BYTES: u64 = 80 << 20;

/// Most that the controller's journal may take.
const JOURNAL_BYTES: u64 = 64 << 20;

/// Everything there is.
struct World {
    controller: ControllerProcess,
    site: Site,
    engines: Vec<SyntheticEngine>,
    real: Dockerd,
    witness: Witness,
    hosts: Vec<Host>,
    vitals: Vitals,
    _folder: Scratch,
}

impl World {
    async fn start(options: &Options, asked: usize) -> Self {
        let ((controller, site), real) = tokio::join!(site::start(), real::engine());
        let witness = Witness::of(&real);
        let folder = Scratch::new().unwrap();
        let yard = Yard { site: &site, agents: controller.agents(), script: script(folder.path()) };
        let (mut engines, mut hosts) = (Vec::new(), Vec::new());
        for number in 0..options.agents {
            // The last one forgets, as a real engine does.
            let keeps = (number + 1 == options.agents).then_some(256);
            let engine = synthetic(options.seed.wrapping_add(number as u64), keeps);
            let host = yard.host(&format!("synthetic-{number}"), engine.host(), number % 2 == 0).await;
            populate(&engine, asked);
            engines.push(engine);
            hosts.push(host);
        }
        for number in options.agents..options.agents + REAL {
            hosts.push(yard.host(&format!("real-{number}"), real.host(), number % 2 == 0).await);
        }
        let vitals = Vitals::of(controller.id()).unwrap();
        Self { controller, site, engines, real, witness, hosts, vitals, _folder: folder }
    }

    /// Waits until everybody is back and has told everything.
    async fn settle(&self) {
        for host in &self.hosts {
            let what = format!("{} to be back", host.name);
            eventually(&what, BACK, async || self.site.is_back(&host.id).await.then_some(())).await;
        }
        eventually("every command to end", ARRIVE, async || {
            let open = self.site.ask("/api/commands?unfinished=true").await?;
            open["commands"].as_array()?.is_empty().then_some(())
        })
        .await;
        for (host, engine) in self.hosts.iter().zip(&self.engines) {
            let last = engine.told().last().unwrap().at;
            eventually(&format!("the last event of {}", host.name), ARRIVE, async || {
                (reading::newest(&self.site, &host.id).await? >= last).then_some(())
            })
            .await;
        }
    }

    /// The picture of every host equals what its engine says.
    async fn pictures(&self) {
        for (host, engine) in self.hosts.iter().zip(&self.engines) {
            let truth: Vec<_> =
                engine.truth().into_iter().map(|one| (one.id, one.name, one.state.to_owned())).collect();
            eventually(&format!("the picture of {} to be true", host.name), QUIET, async || {
                let shown = self.site.api().containers(&host.id).await;
                let text = |one: &Value, field: &str| one[field].as_str().unwrap().to_owned();
                let mut shown: Vec<_> = shown
                    .iter()
                    .map(|one| (text(one, "full_id"), text(one, "name"), text(one, "state")))
                    .collect();
                shown.sort();
                (shown == truth).then_some(())
            })
            .await;
        }
        for host in &self.hosts[self.engines.len()..] {
            truth::equal(self.site.api(), &host.id, &self.real, QUIET).await;
        }
    }

    /// Everything that is wrong with the events, in words.
    async fn events(&self, engine_absences: &[Absence]) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut all = 0;
        for (number, host) in self.hosts.iter().enumerate() {
            let stored = reading::stored(&self.site, &host.id).await;
            all += stored.len();
            let gaps = reading::gaps(&self.site, &host.id).await;
            let inferred = stored.iter().filter(|one| one.inferred).count();
            let told;
            let findings = if let Some(engine) = self.engines.get(number) {
                told = reading::told(engine);
                let forgets = number + 1 == self.engines.len();
                let absences = if forgets { &host.absences[..] } else { &[] };
                if !forgets {
                    wrong.extend(gaps.iter().map(|gap| format!("{}: gap: {gap}", host.name)));
                }
                checker::compare(&told, &stored, absences, true)
            } else {
                told = self.witness.heard();
                let absences = [&host.absences, engine_absences].concat();
                checker::compare(&told, &stored, &absences, false)
            };
            wrong.extend(findings.iter().map(|finding| format!("{}: {finding:?}", host.name)));
            if let Some(engine) = self.engines.get(number) {
                wrong.extend(standing(&host.name, engine, &stored));
            }
            say(format!(
                "{}: {} events told, {} stored, {inferred} of them inferred, {} gaps",
                host.name,
                told.len(),
                stored.len(),
                gaps.len()
            ));
        }
        say(format!("{all} events of containers in the controller's log"));
        wrong
    }

    /// What is wrong with files and processes, in words.
    fn leaks(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for host in &self.hosts {
            if let Some(before) = host.vitals {
                wrong.extend(leaks::compare(&host.name, before, 32 << 10));
            }
        }
        if self.vitals.process == self.controller.id() {
            wrong.extend(leaks::compare("controller", self.vitals, 256 << 10));
        }
        for host in &self.hosts {
            let bytes = size(&host.agent.data());
            if bytes > AGENT_BYTES {
                wrong.push(format!("the files of {} take {bytes} bytes", host.name));
            }
        }
        let journals = std::fs::read_dir(self.controller.data()).unwrap().flatten();
        for file in journals.filter(|file| file.file_name().to_string_lossy().ends_with("-wal")) {
            let bytes = file.metadata().map_or(0, |data| data.len());
            say(format!("the controller's journal takes {bytes} bytes"));
            if bytes > JOURNAL_BYTES {
                wrong.push(format!("the controller's journal takes {bytes} bytes"));
            }
        }
        wrong
    }
}

/// Where the log leaves the containers of an engine, where that is not how they are.
fn standing(name: &str, engine: &SyntheticEngine, stored: &[checker::Stored]) -> Vec<String> {
    let mut standing = checker::standing(stored);
    let mut wrong = Vec::new();
    for one in engine.truth() {
        let expected = match one.state {
            "running" => "start",
            "exited" => "die",
            _ => "create",
        };
        let last = standing.remove(one.id.as_str());
        if last != Some(expected) {
            wrong.push(format!("{name}: {} is {}, and the log ends with {last:?}", one.name, one.state));
        }
    }
    wrong.extend(standing.keys().map(|id| format!("{name}: the log does not tell that {id} is gone")));
    wrong
}

/// Bytes of all files in a folder.
fn size(folder: &std::path::Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let of = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(data) if data.is_dir() => size(&entry.path()),
        Ok(data) => data.len(),
        Err(_) => 0,
    };
    entries.flatten().map(of).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_doubled_disordered_or_untrue() {
    let options = Options::read();
    let asked = options.commands.div_ceil(options.agents) + 1;
    let steps = schedule(Wish {
        seed: options.seed,
        faults: options.faults,
        hosts: options.agents + REAL,
        span: options.span,
        longest: options.longest,
    });
    announce(&options, &steps);
    let started = Instant::now();
    let mut world = World::start(&options, asked).await;
    say(format!("{} agents live after {:.1} s", world.hosts.len(), started.elapsed().as_secs_f64()));

    let ids: Vec<String> = world.hosts[..options.agents].iter().map(|host| host.id.clone()).collect();
    let begin = Instant::now();
    let plan = Plan { seed: options.seed, count: options.commands, begin, span: options.span, asked };
    let (all_done, done) = watch::channel(false);
    let World { controller, site, engines, real, hosts, .. } = &mut world;
    let site = &*site;
    let mut life = Life::new(real);
    let troubles = async {
        let (.., absences, answers) = tokio::join!(
            lanes::hosts(hosts, options.agents, &steps, begin, site),
            lanes::controller(controller, &steps, begin, site),
            lanes::engine(real, &mut life, &steps, begin, options.span),
            orders::give(site, &ids, plan),
        );
        all_done.send_replace(true);
        (absences, answers)
    };
    let (_, (absences, answers)) =
        tokio::join!(lanes::produce(engines, options.events, options.span, begin, done), troubles);
    say(format!("all faults are over after {:.1} s", begin.elapsed().as_secs_f64()));
    let over = Instant::now();
    world.settle().await;
    say(format!("everything has arrived {:.1} s later", over.elapsed().as_secs_f64()));
    world.pictures().await;

    let mut wrong = world.events(&absences).await;
    let engines = ids.iter().cloned().zip(&world.engines).collect::<HashMap<_, _>>();
    let copies = world.hosts.iter().map(|host| (host.id.as_str(), host.copies)).collect();
    let commands = orders::read(&world.site, &engines, &copies).await;
    say(format!("answers to orders: {answers:?}"));
    say(format!("{} commands: {}", commands.len(), counted(commands.iter().map(|one| &one.state))));
    wrong.extend(commands.iter().flat_map(checker::trouble));
    wrong.extend(world.hosts.iter().flat_map(|host| host.troubles.clone()));
    wrong.extend(world.leaks());
    wrong.extend(leaks::after_reconnects(&world.site, &world.hosts, world.controller.id()).await);
    say(format!("faults: {}", counted(steps.iter().map(|step| step.fault))));
    say(format!("took {:.1} s in all", started.elapsed().as_secs_f64()));
    say(format!("findings: {}", counted(wrong.iter().map(|finding| kind(finding)))));
    assert!(wrong.is_empty(), "seed {}: {} findings\n{}", options.seed, wrong.len(), first(&wrong));
}
