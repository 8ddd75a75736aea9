//! Commands asked for while things go wrong, and what became of them.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use roadstead_tests::SyntheticEngine;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use crate::checker::Command;
use crate::fleet::{COUNTS_TO, asked_name};
use crate::site::Site;

/// How the controller answered to what was asked for: how often with each status, 0 being no answer at all.
pub type Answers = BTreeMap<u16, usize>;

/// How much is asked for, and when.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub seed: u64,
    pub count: usize,
    pub begin: Instant,
    pub span: Duration,
    /// Containers of each host that may be restarted, once each.
    pub asked: usize,
}

/// Asks hosts, by the ids of their instances, for restarts, syncs and checks, spread over the time. Absent ones have
/// time to come back.
pub async fn give(site: &Site, hosts: &[String], plan: Plan) -> Answers {
    let mut chance = StdRng::seed_from_u64(plan.seed);
    let mut restarted = vec![0; hosts.len()];
    let mut answers = Answers::new();
    for number in 0..plan.count {
        sleep_until(plan.begin + plan.span.mul_f64(number as f64 / plan.count as f64)).await;
        let host = chance.random_range(0..hosts.len());
        let id = &hosts[host];
        let project = json!({ "project": "shop", "queue_for": "120s" });
        let (path, body) = match chance.random_range(0..4) {
            0 | 1 if restarted[host] < plan.asked => {
                let name = asked_name(restarted[host]);
                restarted[host] += 1;
                (format!("/api/instances/{id}/containers/{name}/restart"), json!({ "queue_for": "120s" }))
            }
            2 => (
                format!("/api/instances/{id}/sync"),
                json!({ "project": "shop", "strategy": "script", "queue_for": "120s" }),
            ),
            _ => (format!("/api/instances/{id}/check"), project),
        };
        let status = site.order(&path, &body).await.unwrap_or(0);
        *answers.entry(status).or_default() += 1;
    }
    answers
}

/// Every command of the ledger with its log. `engines` are those of the instances, by id, and `copies` is how often each
/// was copied.
pub async fn read(
    site: &Site,
    engines: &HashMap<String, &SyntheticEngine>,
    copies: &HashMap<&str, usize>,
) -> Vec<Command> {
    let ends = site.pages("/api/events?kind=command_ended&limit=500", "events", |event| {
        event["what"]["command"].as_str().unwrap().to_owned()
    });
    let mut told: HashMap<String, usize> = HashMap::new();
    for id in ends.await {
        *told.entry(id).or_default() += 1;
    }
    let mut commands = Vec::new();
    for record in site.pages("/api/commands?limit=200", "commands", Value::clone).await {
        let id = record["id"].as_str().unwrap().to_owned();
        let ran = restarts(&record, engines);
        let lines = log(site, &id).await;
        let is_sync = record["work"]["work"] == "sync";
        commands.push(Command {
            state: record["state"].as_str().unwrap().to_owned(),
            has_outcome: !record["outcome"].is_null(),
            ends: told.get(&id).copied().unwrap_or(0),
            copies: record["instance"].as_str().and_then(|id| copies.get(id)).copied().unwrap_or(0),
            lines: lines.iter().map(|line| line["line"].as_u64().unwrap()).collect(),
            dropped: lines.iter().any(|line| line["entry"]["progress"] == "dropped"),
            counted: if is_sync { lines.iter().filter_map(counted).collect() } else { Vec::new() },
            counts_to: COUNTS_TO,
            ran,
            id,
        });
    }
    commands
}

/// How often the container of a restart was restarted; none for other commands.
fn restarts(record: &Value, engines: &HashMap<String, &SyntheticEngine>) -> Option<u32> {
    let container = record["work"]["container"].as_str()?;
    let engine = engines.get(record["instance"].as_str()?)?;
    let truth = engine.truth().into_iter().find(|one| one.id == container || one.name == container)?;
    Some(engine.restarts(&truth.name))
}

async fn log(site: &Site, id: &str) -> Vec<Value> {
    let mut lines: Vec<Value> = Vec::new();
    loop {
        let path = format!("/api/commands/{id}/log?limit=1000&from={}", lines.len());
        let page = site.api().get(&path).await.expect_status(200);
        let more = page["lines"].as_array().unwrap();
        if more.is_empty() {
            return lines;
        }
        lines.extend(more.iter().cloned());
    }
}

/// The number that a line of the script's output says; an inner none where it begins again.
fn counted(line: &Value) -> Option<Option<u64>> {
    let text = line["entry"]["text"].as_str()?;
    if text.contains("the command begins again") {
        return Some(None);
    }
    text.strip_prefix("counted ").map(|number| number.parse().ok())
}
