//! The list of a host's containers: from the controller's picture, and from the engine itself.

use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::Value;
use tokio::time::Instant;

use crate::engine_client::ask;
use crate::report::{Row, Section, say};
use crate::stage::Fleet;
use crate::statistics::Samples;

/// How often each is asked, in turns, so that all meet the same machine.
const ROUNDS: usize = 50;

/// Asks all three in turns.
///
/// # Errors
/// When one does not list all of them.
pub async fn measure(fleet: &Fleet) -> anyhow::Result<Section> {
    let member = fleet.largest().context("no host to list")?;
    let (engine, count) = (&member.host.engine, member.host.containers);
    say(&format!("lists of {count} containers, {ROUNDS} times"));
    let path = format!("/api/instances/{}/containers", member.instance);
    let (mut api, mut raw, mut cli) = (Samples::default(), Samples::default(), Samples::default());
    let (mut api_bytes, mut raw_bytes) = (0, 0);
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let answer = fleet.api.request(Method::GET, &path).send().await?.bytes().await?;
        api.add(milliseconds(began));
        let view: Value = serde_json::from_slice(&answer)?;
        ensure!(view["containers"].as_array().map(Vec::len) == Some(count), "the API lists others: {view}");
        api_bytes = answer.len();

        let began = Instant::now();
        let answer = ask(&engine.socket(), "GET", "/containers/json?all=true", None).await?;
        raw.add(milliseconds(began));
        let view: Value = serde_json::from_slice(&answer)?;
        ensure!(view.as_array().map(Vec::len) == Some(count), "the engine lists others");
        raw_bytes = answer.len();

        let began = Instant::now();
        let printed = engine.docker(["ps", "--all"]).await;
        cli.add(milliseconds(began));
        ensure!(printed.lines().count() == count + 1, "docker ps lists others");
    }
    let mut section = Section::new(&format!("List of {count} containers"));
    section.note(format!(
        "{ROUNDS} times each, in turns; {api_bytes} bytes from the API, {raw_bytes} from the engine"
    ));
    let fastest = raw.percentile(50).min(cli.percentile(50));
    section.add(Row::new("controller's API, p50".to_owned(), api.percentile(50), "ms").at_most(fastest));
    section.add(Row::new("engine's API, p50".to_owned(), raw.percentile(50), "ms"));
    section.add(Row::new("`docker ps --all`, p50".to_owned(), cli.percentile(50), "ms"));
    section.add(Row::new("controller's API, p99".to_owned(), api.percentile(99), "ms"));
    section.add(Row::new("engine's API, p99".to_owned(), raw.percentile(99), "ms"));
    section.add(Row::new("`docker ps --all`, p99".to_owned(), cli.percentile(99), "ms"));
    Ok(section)
}

fn milliseconds(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1000.0
}
