//! A sync that died half way, at every point it can die at: the next one mends what it left.

use std::time::Duration;

use roadstead_agent::commands::CommandOptions;
use roadstead_agent::engine::fake::Behaviour;

use crate::support::{Bench, failure, summary, sync};

/// Lets a sync of the shop die at the call `point`, as if the agent had been killed there.
async fn dies_at(point: &str) -> Bench {
    let options = CommandOptions { stop_grace: Duration::ZERO, ..CommandOptions::default() };
    let bench = Bench::with("all", options);
    bench.shop();
    let mut hold = bench.engine.hold_when(point);
    let id = bench.begin_within(sync("shop"), 120);
    hold.reached().await;
    assert!(failure(&bench.outcome(id).await).contains("given up"), "{point}");
    hold.release();
    bench
}

const POINTS: [&str; 6] = [
    "create_like",
    "stop shop_web_1",
    "rename shop_web_1 ",
    "rename shop_web_1_roadstead_new",
    "start shop_web_1",
    "remove shop_web_1_roadstead_old",
];

#[tokio::test(start_paused = true)]
async fn the_next_sync_finishes_the_work_and_leaves_nothing_behind() {
    for point in POINTS {
        let bench = dies_at(point).await;
        let outcome = bench.run(sync("shop")).await;
        let expected = match point {
            "remove shop_web_1_roadstead_old" => "already current: nothing changed",
            _ => "updated web; db already current",
        };
        assert_eq!(summary(&outcome), expected, "{point}");
        bench.assert_runs("shop_web_1", "sha256:app-new");
    }
}

#[tokio::test(start_paused = true)]
async fn with_a_broken_new_image_the_old_container_comes_back() {
    for point in POINTS {
        let bench = dies_at(point).await;
        let old = bench.engine.list().into_iter().find(|found| found.image_id == "sha256:app-old");
        let exits = Some((Duration::from_secs(1), 1));
        bench.engine.behave("sha256:app-new", Behaviour { exits, ..Behaviour::default() });
        // One that was started already is running; this one ends as the image does.
        if let Some(new) = bench.engine.one("shop_web_1").filter(|web| web.image_id == "sha256:app-new") {
            bench.engine.change(new.id.as_str(), None, |web| {
                web.state = roadstead_protocol::message::container::ContainerState::Exited;
                web.exit_code = Some(1);
            });
        }
        let outcome = bench.run(sync("shop")).await;
        assert!(failure(&outcome).contains("code 1"), "{point}: {outcome:?}");
        bench.assert_runs("shop_web_1", "sha256:app-old");
        assert_eq!(bench.engine.one("shop_web_1").map(|web| web.id), old.map(|old| old.id), "{point}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_roll_back_that_fails_says_what_to_do_and_the_next_sync_mends_it() {
    let bench = Bench::new();
    bench.shop();
    let exits = Some((Duration::from_secs(1), 1));
    bench.engine.behave("sha256:app-new", Behaviour { exits, ..Behaviour::default() });
    let refused = roadstead_agent::engine::EngineError::Refused("not now".to_owned());
    bench.engine.fail_when("rename shop_web_1_roadstead_old", 1, refused);
    let outcome = bench.run(sync("shop")).await;
    let reason = failure(&outcome);
    assert!(reason.contains("could not be put back") && reason.contains("_roadstead_old_"), "{reason}");
    let outcome = bench.run(sync("shop")).await;
    assert!(failure(&outcome).contains("code 1"), "{outcome:?}");
    bench.assert_runs("shop_web_1", "sha256:app-old");
}
