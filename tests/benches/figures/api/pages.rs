//! Pages of the containers of all hosts, and all of them as a stream.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use futures_util::future::try_join_all;
use reqwest::Method;
use reqwest::header::SET_COOKIE;
use roadstead_tests::processes::PASSWORD;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::bare::Bare;
use super::client::{Client, get};
use super::{CONTAINERS, HOSTS};
use crate::fleet::crowd::{Crowd, pause};
use crate::processes::{memory, reset_peak};
use crate::report::{Row, Section, say};
use crate::statistics::Samples;

/// Rows of a page.
const PAGE: usize = 100;

/// Pages a second while their latency is measured.
const PACE: u32 = 200;

/// Connections that ask.
const CONNECTIONS: usize = 8;

/// Times that the whole list is streamed.
const WHOLE: usize = 10;

/// Measures pages for `time` each way, and the stream.
///
/// # Errors
/// When an answer is refused, or not what it should be.
pub async fn measure(time: Duration, keys: &Path) -> anyhow::Result<Section> {
    let total = HOSTS * CONTAINERS;
    say(&format!("{HOSTS} agents with {CONTAINERS} containers each"));
    let crowd = Crowd::start(HOSTS, CONTAINERS, keys).await?;
    pause(Duration::from_secs(5)).await;
    let cookie = cookie(&crowd).await?;
    let (requests, page) = every_page(crowd.controller.web(), &cookie).await?;
    ensure!(requests.len() == total / PAGE, "{} pages", requests.len());
    let mut section = Section::new(&format!("Pages of {total} containers through the API"));
    section.note(format!(
        "{PAGE} rows a page, {} bytes; {CONNECTIONS} connections that keep alive, on the same machine; the bare server \
         is axum in a process of its own that answers with the bytes of one page, and ran before and after",
        page.len()
    ));

    say(&format!("{PACE} pages a second"));
    let took = paced(crowd.controller.web(), &requests, time).await?;
    section.add(Row::new(format!("a page, at {PACE} a second, p50"), took.percentile(50), "ms").at_most(1.5));
    section
        .add(Row::new(format!("a page, at {PACE} a second, p99"), took.percentile(99), "ms").at_most(10.0));
    let word = get("/api/containers?limit=100&q=no-such-container", &cookie);
    let took = paced(crowd.controller.web(), &[word], time / 4).await?;
    section.add(Row::new("a word that is in none of them, p50".to_owned(), took.percentile(50), "ms"));

    say("as many pages as there can be");
    let file = keys.join("page.json");
    std::fs::write(&file, &page)?;
    let bare = Bare::start(&file).await?;
    let front = [get("/", "")];
    let before = rate(bare.address, &front, time / 2).await?;
    let pages = rate(crowd.controller.web(), &requests, time).await?;
    let yardstick = f64::midpoint(before, rate(bare.address, &front, time / 2).await?);
    section.add(Row::new("bare axum, answers with the same bytes".to_owned(), yardstick, "/s"));
    section.add(Row::new("pages".to_owned(), pages, "/s"));
    section.add(
        Row::new("share of the bare server's".to_owned(), pages / yardstick * 100.0, "%").at_least(30.0),
    );

    say("all of them as a stream");
    let id = crowd.controller.id();
    streamed(&crowd, total).await?;
    let before = memory(id)?.resident;
    reset_peak(id)?;
    let mut took = Samples::default();
    for _ in 0..WHOLE {
        took.add(streamed(&crowd, total).await?);
    }
    let grown = memory(id)?.peak.saturating_sub(before);
    section.add(Row::new(format!("all {total} streamed, p50"), took.percentile(50), "ms").at_most(60.0));
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52 KiB")]
    let row = Row::new("most memory meanwhile, beyond that before".to_owned(), grown as f64, "KiB");
    section.add(row.at_most(2048.0));
    crowd.fleet.stop().await;
    Ok(section)
}

/// What the browser of an administrator would send.
async fn cookie(crowd: &Crowd) -> anyhow::Result<String> {
    let login = crowd.api.request(Method::POST, "/api/login").json(&json!({ "password": PASSWORD }));
    let answer = login.send().await?;
    let cookies = answer.headers().get_all(SET_COOKIE).iter();
    let pairs = cookies.filter_map(|cookie| cookie.to_str().ok()?.split(';').next().map(str::to_owned));
    let pairs: Vec<String> = pairs.collect();
    ensure!(!pairs.is_empty(), "no cookie");
    Ok(pairs.join("; "))
}

/// The request of each page, and the bytes of one.
async fn every_page(server: SocketAddr, cookie: &str) -> anyhow::Result<(Vec<Vec<u8>>, Vec<u8>)> {
    let mut client = Client::connect(server).await?;
    let (mut requests, mut sample) = (Vec::new(), Vec::new());
    let mut path = format!("/api/containers?limit={PAGE}");
    loop {
        let request = get(&path, cookie);
        let body = client.ask(&request).await?;
        let page: Value = serde_json::from_slice(body)?;
        ensure!(page["containers"].as_array().map(Vec::len) == Some(PAGE), "a page of others: {page}");
        sample.clear();
        sample.extend_from_slice(body);
        requests.push(request);
        let Some(next) = page["next"].as_str() else { return Ok((requests, sample)) };
        path = format!("/api/containers?limit={PAGE}&cursor={next}");
    }
}

/// Milliseconds of each page when they are asked for at a steady pace, counted from when it was due.
async fn paced(server: SocketAddr, requests: &[Vec<u8>], time: Duration) -> anyhow::Result<Samples> {
    let began = Instant::now();
    let every = Duration::from_secs(1) / PACE;
    let some = (0..CONNECTIONS).map(|connection| async move {
        let mut client = Client::connect(server).await?;
        let mut took = Vec::new();
        for turn in (connection..).step_by(CONNECTIONS) {
            let due = began + every * u32::try_from(turn)?;
            if due > began + time {
                return anyhow::Ok(took);
            }
            sleep_until(due).await;
            // Far from each other, as people's are.
            client.ask(request(requests, turn * 37)?).await?;
            took.push(due.elapsed().as_secs_f64() * 1000.0);
        }
        Ok(took)
    });
    Ok(try_join_all(some).await?.into_iter().flatten().collect())
}

/// Answers a second when each connection asks again as soon as it has its answer.
async fn rate(server: SocketAddr, requests: &[Vec<u8>], time: Duration) -> anyhow::Result<f64> {
    let began = Instant::now();
    let some = (0..CONNECTIONS).map(|connection| async move {
        let mut client = Client::connect(server).await?;
        let mut count = 0_u32;
        while began.elapsed() < time {
            client.ask(request(requests, connection * 37 + count as usize)?).await?;
            count += 1;
        }
        anyhow::Ok(count)
    });
    let count: u32 = try_join_all(some).await?.into_iter().sum();
    Ok(f64::from(count) / began.elapsed().as_secs_f64())
}

fn request(requests: &[Vec<u8>], turn: usize) -> anyhow::Result<&[u8]> {
    requests.get(turn % requests.len()).map(Vec::as_slice).context("no request")
}

/// Milliseconds until every line was there.
async fn streamed(crowd: &Crowd, total: usize) -> anyhow::Result<f64> {
    let began = Instant::now();
    let mut answer = crowd.api.request(Method::GET, "/api/containers/all").send().await?;
    let mut lines = 0;
    while let Some(chunk) = answer.chunk().await? {
        lines += chunk.iter().filter(|byte| **byte == b'\n').count();
    }
    ensure!(lines == total, "{lines} lines");
    Ok(began.elapsed().as_secs_f64() * 1000.0)
}
