//! What a rollout makes of what it hears.

use roadstead_protocol::message::command::{SyncWork, Work};

use super::*;
use crate::fixtures::instance;
use crate::model::rollout::RolloutId;

const NOW: UnixMicros = UnixMicros(100);

fn rollout(steps: usize, batch_size: u32, stop_on_failure: bool) -> RolloutRecord {
    let step = |number: usize| RolloutStep {
        instance: instance(&format!("host-{number}")),
        name: format!("host-{number}"),
        project: "shop".to_owned(),
        state: StepState::Waiting,
        command: None,
        reason: None,
    };
    RolloutRecord {
        id: RolloutId::generate(),
        issued_by: "admin".to_owned(),
        issued_at: UnixMicros(1),
        batch_size,
        stop_on_failure,
        queue_secs: Some(60),
        strategy: None,
        verify_secs: 60,
        stopped: None,
        ended_at: None,
        steps: (0..steps).map(step).collect(),
    }
}

/// Begins what is due.
fn begin(rollout: &mut RolloutRecord) -> Vec<usize> {
    let due = rollout.due();
    for place in &due {
        rollout.begin(*place, CommandId::generate());
    }
    due
}

fn hear(rollout: &mut RolloutRecord, place: usize, state: CommandState) {
    let command = CommandRecord {
        id: rollout.steps[place].command.unwrap(),
        instance: rollout.steps[place].instance.clone(),
        work: Work::Sync(SyncWork {
            project: "shop".to_owned(),
            services: Vec::new(),
            strategy: None,
            verify_secs: 60,
        }),
        issued_by: "admin".to_owned(),
        issued_at: UnixMicros(1),
        state,
        queue_until: Some(UnixMicros(1000)),
        deadline_secs: 60,
        boot: None,
        sent_at: None,
        started_at: None,
        ended_at: state.is_final().then_some(NOW),
        cancel_requested: false,
        outcome: None,
        reason: state.is_final().then(|| format!("it {}", state.as_str())),
    };
    rollout.heard(&command, NOW);
}

fn states(rollout: &RolloutRecord) -> Vec<&'static str> {
    rollout.steps.iter().map(|step| step.state.as_str()).collect()
}

#[test]
fn a_batch_begins_when_the_one_before_has_ended() {
    let mut rollout = rollout(5, 2, true);
    assert_eq!(begin(&mut rollout), [0, 1]);
    assert!(rollout.due().is_empty());
    hear(&mut rollout, 1, CommandState::Succeeded);
    assert!(rollout.due().is_empty(), "one of the batch still runs");
    hear(&mut rollout, 0, CommandState::Succeeded);
    assert_eq!(begin(&mut rollout), [2, 3]);
    hear(&mut rollout, 2, CommandState::Succeeded);
    hear(&mut rollout, 3, CommandState::Succeeded);
    assert_eq!(begin(&mut rollout), [4]);
    assert_eq!(rollout.state(), RolloutState::Running);
    hear(&mut rollout, 4, CommandState::Succeeded);
    assert_eq!((rollout.state(), rollout.ended_at), (RolloutState::Succeeded, Some(NOW)));
}

#[test]
fn the_projects_of_one_host_have_their_turns_one_after_another() {
    let mut rollout = rollout(7, 6, true);
    for (place, step) in rollout.steps.iter_mut().enumerate() {
        step.instance = instance(if place == 5 { "other" } else { "host" });
        step.project = format!("project-{place}");
    }
    assert_eq!(begin(&mut rollout), [0, 5], "another host need not wait");
    for place in 0..5 {
        assert!(rollout.due().is_empty(), "{place} is only begun");
        hear(&mut rollout, place, CommandState::Running);
        assert!(rollout.due().is_empty(), "{place} runs");
        hear(&mut rollout, place, CommandState::Succeeded);
        assert_eq!(begin(&mut rollout).first().copied(), (place < 4).then_some(place + 1));
    }
    hear(&mut rollout, 5, CommandState::Succeeded);
    assert_eq!(begin(&mut rollout), [6], "the next batch has its turn after all of them");
    hear(&mut rollout, 6, CommandState::Succeeded);
    assert_eq!(rollout.state(), RolloutState::Succeeded);
}

#[test]
fn a_failure_begins_nothing_more_and_lets_end_what_runs() {
    for failure in [CommandState::Failed, CommandState::Lost, CommandState::Cancelled] {
        let mut rollout = rollout(4, 2, true);
        begin(&mut rollout);
        hear(&mut rollout, 0, CommandState::Running);
        hear(&mut rollout, 1, failure);
        assert_eq!(rollout.state(), RolloutState::Stopping);
        assert_eq!(states(&rollout)[2..], ["skipped", "skipped"]);
        assert!(rollout.steps[3].reason.as_deref().unwrap().contains("host-1 failed"));
        assert!(rollout.to_withdraw().is_empty(), "what runs is not cancelled");
        hear(&mut rollout, 0, CommandState::Succeeded);
        assert_eq!(rollout.state(), RolloutState::Failed);
    }
}

#[test]
fn where_failures_do_not_stop_it_the_rest_goes_on_and_the_whole_still_failed() {
    let mut rollout = rollout(2, 1, false);
    begin(&mut rollout);
    hear(&mut rollout, 0, CommandState::Failed);
    assert_eq!(begin(&mut rollout), [1]);
    hear(&mut rollout, 1, CommandState::Succeeded);
    assert_eq!(rollout.state(), RolloutState::Failed);
    assert_eq!(rollout.stopped, None);
}

#[test]
fn a_host_that_is_waited_for_does_not_hold_up_the_others() {
    let mut rollout = rollout(2, 1, true);
    begin(&mut rollout);
    hear(&mut rollout, 0, CommandState::Issued);
    assert_eq!(states(&rollout), ["queued", "waiting"]);
    assert_eq!(begin(&mut rollout), [1]);
    hear(&mut rollout, 1, CommandState::Succeeded);
    assert_eq!(rollout.state(), RolloutState::Running);
    hear(&mut rollout, 0, CommandState::Running);
    hear(&mut rollout, 0, CommandState::Succeeded);
    assert_eq!(rollout.state(), RolloutState::Succeeded);
}

#[test]
fn a_stop_withdraws_what_waits_for_its_agent_and_finishes_what_runs() {
    let mut rollout = rollout(3, 2, true);
    begin(&mut rollout);
    hear(&mut rollout, 0, CommandState::Issued);
    hear(&mut rollout, 1, CommandState::Running);
    rollout.stop(Stopped::Person { name: "anna".to_owned() }, NOW);
    assert_eq!(rollout.to_withdraw(), [rollout.steps[0].command.unwrap()]);
    hear(&mut rollout, 0, CommandState::Cancelled);
    assert_eq!(states(&rollout), ["skipped", "running", "skipped"]);
    assert_eq!(rollout.state(), RolloutState::Stopping);
    hear(&mut rollout, 1, CommandState::Succeeded);
    assert_eq!(rollout.state(), RolloutState::Stopped);
    let ended = rollout.clone();
    rollout.stop(Stopped::Person { name: "bert".to_owned() }, UnixMicros(999));
    assert_eq!(rollout, ended, "it was stopped before");
}

#[test]
fn hosts_left_out_make_it_incomplete_not_failed() {
    let mut rollout = rollout(2, 2, true);
    begin(&mut rollout);
    rollout.skip(0, "the agent was not connected at its turn", NOW);
    hear(&mut rollout, 1, CommandState::Succeeded);
    assert_eq!(rollout.state(), RolloutState::Incomplete);
}

#[test]
fn what_has_ended_is_not_changed_by_later_news() {
    let mut rollout = rollout(1, 1, true);
    begin(&mut rollout);
    hear(&mut rollout, 0, CommandState::Succeeded);
    let ended = rollout.clone();
    for late in [CommandState::Running, CommandState::Failed] {
        hear(&mut rollout, 0, late);
        assert_eq!(rollout, ended);
    }
}

#[test]
fn whatever_the_order_of_what_is_heard_no_batch_begins_early_and_all_of_them_end() {
    // Every way in which three steps of two batches can end, one after another or not.
    let ends = [CommandState::Succeeded, CommandState::Failed, CommandState::Issued];
    for code in 0..27_usize {
        let mut rollout = rollout(3, 2, false);
        let of = |place: usize| ends[code / 3_usize.pow(u32::try_from(place).unwrap()) % 3];
        let mut begun = begin(&mut rollout);
        let mut turn = 0;
        while turn < begun.len() {
            let place = begun[turn];
            hear(&mut rollout, place, of(place));
            let due = begin(&mut rollout);
            if due.contains(&2) {
                let early = rollout.steps[..2].iter().any(|step| step.state == StepState::Running);
                assert!(!early, "{:?}", states(&rollout));
            }
            begun.extend(due);
            turn += 1;
        }
        assert_eq!(begun, [0, 1, 2]);
        for place in 0..3 {
            hear(&mut rollout, place, CommandState::Succeeded);
        }
        assert!(rollout.ended_at.is_some());
    }
}
