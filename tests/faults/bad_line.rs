//! A line that loses 30 % of its packets, carries 100 kbit/s and delays by 300 ms is of use all the same.

use std::time::Duration;

use roadstead_tests::eventually;
use roadstead_tests::scratch::Scratch;
use serde_json::json;
use tokio::time::Instant;

use crate::fleet::{COUNTS_TO, Yard, populate, script, synthetic};
use crate::report::say;
use crate::site;

/// Containers of the host.
const CONTAINERS: usize = 50;

/// How late what is asked for may come over such a line.
const LATE: Duration = Duration::from_secs(120);

#[tokio::test]
async fn a_bad_line_carries_the_list_and_the_progress_of_a_sync() {
    for dials in [true, false] {
        let (controller, site) = site::start().await;
        let folder = Scratch::new().unwrap();
        let yard = Yard { site: &site, agents: controller.agents(), script: script(folder.path()) };
        let engine = synthetic(1, None);
        populate(&engine, CONTAINERS);
        let mut host = yard.host("host", engine.host(), dials).await;
        host.agent.kill().await;
        host.worsen().await;
        let began = Instant::now();
        engine.run("new", &[]);
        host.agent.start_again().await;
        eventually("the list over a bad line", LATE, async || {
            let shown = site.api().containers(&host.id).await;
            (shown.len() == CONTAINERS + 2 && site.is_back(&host.id).await).then_some(())
        })
        .await;
        let list = began.elapsed();
        let began = Instant::now();
        engine.run("newer", &[]);
        eventually("a change over a bad line", LATE, async || {
            (site.api().containers(&host.id).await.len() == CONTAINERS + 3).then_some(())
        })
        .await;
        let change = began.elapsed();

        let began = Instant::now();
        let id = site.api().sync(&host.id, &json!({ "project": "shop", "strategy": "script" })).await;
        let path = format!("/api/commands/{id}/log");
        let first = eventually("the first line of a sync", LATE, async || {
            let log = site.ask(&path).await?;
            log["lines"].to_string().contains("counted 1").then(|| began.elapsed())
        })
        .await;
        let end = site.api().wait_command(&id, LATE).await;
        let last = began.elapsed();
        let log = site.api().get(&path).await.expect_status(200)["lines"].to_string();
        assert!(log.contains(&format!("counted {COUNTS_TO}\"")), "{end}: {log}");
        say(format!(
            "agent {}: new session and list of {} containers {:.1} s, a change {:.1} s, first output of a sync {:.1} s, \
             its end {:.1} s (2 s of them the script's own)",
            if dials { "dials" } else { "is dialled" },
            CONTAINERS + 2,
            list.as_secs_f64(),
            change.as_secs_f64(),
            first.as_secs_f64(),
            last.as_secs_f64()
        ));
    }
}
