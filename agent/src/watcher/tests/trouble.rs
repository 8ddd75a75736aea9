//! Full disks, floods, hung and half-dead engines.

use std::fs;

use super::*;
use crate::engine::EngineError;

#[tokio::test(start_paused = true)]
async fn a_disk_that_cannot_be_written_stops_neither_picture_nor_engine() {
    let engine = engine_with(&["a"]);
    let watched = Watched::new(&engine);
    // Something else lies where the outbox wants to write.
    let obstacle = watched.directory.path().join("outbox/00000000000000000001.log");
    fs::create_dir(&obstacle).unwrap();
    watched.truth().await;
    engine.change("a", Some("die"), stopped);
    watched.truth().await;
    // More than can wait.
    for burst in 0..4_u64 {
        // No two updates at the same moment: they would be one told twice.
        advance(Duration::from_millis(1)).await;
        for number in 0..500 {
            marker(&engine, &(burst * 500 + number).to_string());
        }
        engine.change("a", Some("update"), |c| c.image = format!("app:{burst}"));
        watched.truth().await;
    }
    assert_eq!(watched.outbox.last(), EventSeq(0));
    fs::remove_dir(&obstacle).unwrap();
    let first = watched.events("mark 700").await;
    assert_eq!(first[..2], ["die a 3", "mark 0"], "what could wait is there, in order");
    let lines = timeout(PATIENCE, async {
        let mut after = watched.outbox.last();
        loop {
            let event = watched.outbox.next_batch(EventSeq(after.0 - 1), 1).await.remove(0);
            if let EventKind::Gap { count, .. } = event.what {
                return count + event.seq.0 - 1;
            }
            after = after.next();
        }
    });
    assert_eq!(lines.await.unwrap(), 2_000 + 4 + 1, "recorded and counted ones are all there were");
    marker(&engine, "afterwards");
    watched.events("mark afterwards").await;
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_recorded_is_not_remembered_as_told() {
    let watched = settled(&["a"]).await;
    let obstacle = watched.directory.path().join("outbox/00000000000000000001.log");
    fs::create_dir(&obstacle).unwrap();
    watched.engine.change("a", Some("die"), stopped);
    watched.truth().await;
    pass(Duration::from_secs(20)).await;
    // Killed.
    let Watched { engine, outbox, directory, task, .. } = watched;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    outbox.settle().await;
    drop(outbox);
    fs::remove_dir(&obstacle).unwrap();
    engine.forget_events();
    let watched = Watched::within(&engine, directory);
    assert_eq!(watched.events("~die a 3").await, ["~die a 3"]);
}

#[tokio::test(start_paused = true)]
async fn a_flood_that_cannot_be_processed_is_counted_and_reconciled() {
    let engine = engine_with(&["a", "b"]);
    let mut hold = engine.hold_when("containers");
    let watched = Watched::new(&engine);
    hold.reached().await;
    for number in 0..1_500 {
        marker(&engine, &number.to_string());
        tokio::task::yield_now().await;
    }
    engine.change("a", Some("die"), stopped);
    tokio::task::yield_now().await;
    hold.release();
    watched.truth().await;
    let events = watched.events(&format!("gap {}", 1_501 - reader::ROOM)).await;
    assert_eq!(events.len(), reader::ROOM + 1);
}

#[tokio::test(start_paused = true)]
async fn a_container_in_a_crash_loop_starves_nobody() {
    let watched = settled(&["loop", "quiet"]).await;
    let engine = &watched.engine;
    for _ in 0..50 {
        engine.change("loop", Some("die"), stopped);
        engine.change("loop", Some("start"), |c| {
            c.state = ContainerState::Running;
            restarted(c);
        });
    }
    engine.change("quiet", Some("die"), stopped);
    let before = Instant::now();
    watched
        .picture(|_, containers| containers.iter().any(|c| c.name == "quiet" && c.exit_code == Some(3)))
        .await;
    assert!(before.elapsed() < Duration::from_millis(100));
    watched.truth().await;
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_went_deaf_is_noticed_by_the_routine_list() {
    let watched = settled(&["a"]).await;
    let engine = &watched.engine;
    engine.change("a", None, stopped);
    watched.truth().await;
    assert_eq!(watched.events("~die a 3").await, ["~die a 3"]);
    pass(Duration::from_secs(1)).await;
    assert_eq!(engine.subscriptions(), 1, "it subscribed anew");
}

#[tokio::test(start_paused = true)]
async fn a_look_that_fails_is_made_up_for() {
    let watched = settled(&["a"]).await;
    let refused = EngineError::Refused("busy".to_owned());
    watched.engine.fail_when("container a", 1, refused);
    watched.engine.change("a", Some("die"), stopped);
    watched.truth().await;
}

/// Half-removed containers, or those whose lock somebody holds, cannot be inspected, some of them for ever.
#[tokio::test(start_paused = true)]
async fn one_container_that_cannot_be_looked_at_takes_nobody_else_with_it() {
    let watched = settled(&["a", "b"]).await;
    let engine = &watched.engine;
    let refused = || EngineError::Refused("RWLayer is unexpectedly nil".to_owned());
    engine.fail_when("survey b", usize::MAX, refused());
    engine.fail_when("container b", usize::MAX, refused());
    // A subscription that is made anew finds it so.
    let subscriptions = engine.asked("events");
    engine.go_away("restarted");
    engine.come_back();
    while engine.asked("events") == subscriptions {
        pass(Duration::from_secs(1)).await;
    }
    engine.change("a", Some("die"), stopped);
    watched
        .picture(|engine, containers| {
            engine.state == EngineState::Reachable
                && containers.len() == 2
                && containers.iter().any(|c| c.name == "a" && c.state == ContainerState::Exited)
        })
        .await;
    // It is asked for again and again, and less and less often, while the list comes as ever.
    let (looks, lists) = (engine.asked("container"), engine.asked("list"));
    pass(Duration::from_secs(3600)).await;
    let (looks, lists) = (engine.asked("container") - looks, engine.asked("list") - lists);
    assert!((8..=40).contains(&looks) && lists <= 13, "{looks} looks, {lists} lists");
    marker(engine, "end");
    let told = watched.events("mark end").await;
    assert!(!told.iter().any(|line| line.contains(" b ")), "nothing is inferred of it: {told:?}");
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_hangs_is_found_out_within_about_a_minute_and_one_of_its_parts_within_five() {
    for (call, most) in [("ping", 75), ("identify", 315)] {
        let watched = settled(&["a"]).await;
        let hold = watched.engine.hold_when(call);
        let before = Instant::now();
        watched.picture(|engine, _| engine.state != EngineState::Reachable).await;
        assert!(before.elapsed() < Duration::from_secs(most), "{call}");
        hold.release();
        watched.truth().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_no_list_shows_is_seen_within_the_hour() {
    let watched = settled(&["a", "b"]).await;
    let lists = watched.engine.asked("list");
    for name in ["a", "b"] {
        watched.engine.change(name, None, |c| c.restart_policy = "always".to_owned());
    }
    // Within `PATIENCE`, which is an hour.
    watched.picture(|_, containers| containers.iter().all(|c| c.restart_policy == "always")).await;
    assert_eq!(watched.engine.asked("containers"), 1);
    assert!(watched.engine.asked("list") - lists <= 12);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_is_behind_does_not_have_its_events_inferred_as_well() {
    let watched = settled(&["a", "b"]).await;
    let engine = &watched.engine;
    engine.fall_behind();
    engine.change("a", Some("die"), stopped);
    engine.take("b", true);
    watched.truth().await;
    pass(Duration::from_secs(10)).await;
    engine.catch_up();
    marker(engine, "x");
    assert_eq!(watched.events("mark x").await, ["die a 3", "destroy b", "mark x"]);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_stays_behind_is_made_anew() {
    let watched = settled(&["a"]).await;
    let engine = &watched.engine;
    engine.fall_behind();
    engine.change("a", Some("die"), stopped);
    watched.truth().await;
    pass(Duration::from_secs(90)).await;
    marker(engine, "x");
    engine.catch_up();
    assert_eq!(watched.events("mark x").await, ["die a 3", "mark x"]);
}
