//! The containers of a synthetic engine and everything that happened to them. No I/O.

use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

/// Numbers the containers of all engines of this process, so that no two have one id.
static CONTAINERS: AtomicU64 = AtomicU64::new(1);

/// An event that was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// When, in microseconds since 1970; no two events of one engine have the same.
    pub at: i64,
    /// The container's whole id.
    pub container: String,
    /// The container's name.
    pub name: String,
    /// The engine's word.
    pub action: &'static str,
    /// Counts up through all events of the engine; told as `execDuration`.
    pub number: u64,
}

/// A container as it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Truth {
    /// Its whole id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The engine's word for its state.
    pub state: &'static str,
}

#[derive(Debug)]
struct Container {
    id: String,
    name: String,
    labels: Vec<(String, String)>,
    state: &'static str,
    created: i64,
    started: Option<i64>,
    finished: Option<i64>,
    restarts: u32,
}

/// The table and the log.
#[derive(Debug)]
pub(super) struct Book {
    chance: StdRng,
    /// Names of the containers that things happen to; each is there or not.
    churned: Vec<String>,
    containers: Vec<Container>,
    told: Vec<Told>,
}

impl Book {
    pub(super) fn new(seed: u64, churned: usize) -> Self {
        Self {
            chance: StdRng::seed_from_u64(seed),
            churned: (0..churned).map(|number| format!("churned-{number}")).collect(),
            containers: Vec::new(),
            told: Vec::new(),
        }
    }

    pub(super) fn told(&self) -> &[Told] {
        &self.told
    }

    /// Lets one thing happen to one of the churned containers.
    pub(super) fn happen(&mut self) {
        if self.churned.is_empty() {
            return;
        }
        let name = self.churned[self.chance.random_range(0..self.churned.len())].clone();
        let Some(place) = self.containers.iter().position(|container| container.name == name) else {
            self.create(&name, &[]);
            return;
        };
        match self.containers[place].state {
            "running" => self.end(place),
            "exited" if self.chance.random_range(0..8) == 0 => self.destroy(place),
            _ => self.begin(place),
        }
    }

    pub(super) fn run(&mut self, name: &str, labels: &[(&str, &str)]) {
        let place = self.create(name, labels);
        self.begin(place);
    }

    /// Restarts a container by id or name; false if there is none.
    pub(super) fn restart(&mut self, container: &str) -> bool {
        let Some(place) = self.place(container) else { return false };
        self.containers[place].restarts += 1;
        if self.containers[place].state == "running" {
            self.tell(place, "kill");
            self.end(place);
            self.tell(place, "stop");
        }
        self.begin(place);
        self.tell(place, "restart");
        true
    }

    pub(super) fn restarts(&self, name: &str) -> u32 {
        self.place(name).map_or(0, |place| self.containers[place].restarts)
    }

    pub(super) fn truth(&self) -> Vec<Truth> {
        let truth = |one: &Container| Truth { id: one.id.clone(), name: one.name.clone(), state: one.state };
        let mut all: Vec<_> = self.containers.iter().map(truth).collect();
        all.sort();
        all
    }

    /// The answer to `/containers/json`, as far as it is read.
    pub(super) fn list(&self) -> Value {
        let entry = |one: &Container| {
            // A real engine makes a new endpoint with each start.
            let networks = json!({ "none": { "EndpointID": one.started } });
            json!({ "Id": one.id, "Names": [format!("/{}", one.name)], "State": one.state,
                "NetworkSettings": { "Networks": networks } })
        };
        self.containers.iter().map(entry).collect()
    }

    /// The answer to `/containers/{container}/json`.
    pub(super) fn inspect(&self, container: &str) -> Option<Value> {
        let one = &self.containers[self.place(container)?];
        let time = |at: Option<i64>| at.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), rfc3339);
        let labels: serde_json::Map<_, _> =
            one.labels.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
        Some(json!({
            "Id": one.id, "Name": format!("/{}", one.name), "Created": time(Some(one.created)),
            "Path": "run", "Args": [], "Image": format!("sha256:{}", "0".repeat(64)),
            "State": { "Status": one.state, "ExitCode": 0, "OOMKilled": false,
                "StartedAt": time(one.started), "FinishedAt": time(one.finished) },
            "Config": { "Hostname": &one.id[..12], "Tty": false, "Image": "synthetic:1", "Labels": labels },
            "HostConfig": { "RestartPolicy": { "Name": "no" } },
            "Mounts": [], "NetworkSettings": { "Ports": {}, "Networks": {} },
        }))
    }

    /// The place in the log of the first event not before `since`, among the last `keeps`.
    pub(super) fn first(&self, since: i64, keeps: Option<usize>) -> usize {
        let forgotten = keeps.map_or(0, |keeps| self.told.len().saturating_sub(keeps));
        self.told.partition_point(|told| told.at < since).max(forgotten)
    }

    /// An event as the engine's stream has it, with the line end.
    pub(super) fn line(told: &Told) -> String {
        let Told { at, container, name, action, number } = told;
        let line = json!({
            "Type": "container", "Action": action, "scope": "local",
            "time": at / 1_000_000, "timeNano": at * 1_000,
            "Actor": { "ID": container, "Attributes": {
                "image": "synthetic:1", "name": name, "execDuration": number.to_string() } },
        });
        format!("{line}\n")
    }

    fn place(&self, container: &str) -> Option<usize> {
        self.containers.iter().position(|one| one.id == container || one.name == container)
    }

    fn create(&mut self, name: &str, labels: &[(&str, &str)]) -> usize {
        let number = CONTAINERS.fetch_add(1, Ordering::Relaxed);
        self.containers.push(Container {
            id: format!("{number:012x}{:052x}", 0),
            name: name.to_owned(),
            labels: labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            state: "created",
            created: Timestamp::now().as_microsecond(),
            started: None,
            finished: None,
            restarts: 0,
        });
        let place = self.containers.len() - 1;
        self.tell(place, "create");
        place
    }

    fn begin(&mut self, place: usize) {
        let at = self.tell(place, "start");
        (self.containers[place].state, self.containers[place].started) = ("running", Some(at));
    }

    fn end(&mut self, place: usize) {
        let at = self.tell(place, "die");
        (self.containers[place].state, self.containers[place].finished) = ("exited", Some(at));
    }

    fn destroy(&mut self, place: usize) {
        self.tell(place, "destroy");
        self.containers.remove(place);
    }

    fn tell(&mut self, place: usize, action: &'static str) -> i64 {
        let before = self.told.last().map_or(0, |told| told.at);
        let at = Timestamp::now().as_microsecond().max(before + 1);
        let container = &self.containers[place];
        let (id, name, number) = (container.id.clone(), container.name.clone(), self.told.len() as u64);
        self.told.push(Told { at, container: id, name, action, number });
        at
    }
}

fn rfc3339(micros: i64) -> String {
    Timestamp::from_microsecond(micros).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_makes_sense_and_is_numbered() {
        let mut book = Book::new(3, 3);
        (0..1_000).for_each(|_| book.happen());
        let told = book.told();
        assert_eq!(told.len(), 1_000);
        assert!(told.windows(2).all(|pair| pair[0].at < pair[1].at && pair[0].number + 1 == pair[1].number));
        let mut before = std::collections::HashMap::new();
        for event in told {
            let last = before.insert(&event.container, event.action);
            let fits = match event.action {
                "create" => last.is_none(),
                "start" => matches!(last, Some("create" | "die")),
                "die" => last == Some("start"),
                _ => last == Some("die"),
            };
            assert!(fits, "{} after {last:?}", event.action);
        }
        assert!(before.len() > 3, "some are destroyed and made anew");
    }

    #[test]
    fn a_past_is_kept_as_far_as_asked() {
        let mut book = Book::new(1, 1);
        (0..100).for_each(|_| book.happen());
        let (tenth, last) = (book.told()[10].at, book.told()[99].at);
        assert_eq!(book.first(tenth, None), 10);
        assert_eq!(book.first(tenth, Some(30)), 70);
        assert_eq!(book.first(last + 1, Some(30)), 100);
    }

    #[test]
    fn a_restart_is_counted_and_told() {
        let mut book = Book::new(1, 0);
        book.run("web", &[("a", "b")]);
        assert!(book.restart("web") && !book.restart("nothing"));
        assert_eq!((book.restarts("web"), book.truth()[0].state), (1, "running"));
        let actions: Vec<_> = book.told().iter().map(|told| told.action).collect();
        assert_eq!(actions, ["create", "start", "kill", "die", "stop", "start", "restart"]);
        assert_eq!(book.inspect("web").unwrap()["Config"]["Labels"]["a"], "b");
    }
}
