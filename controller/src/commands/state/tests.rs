//! Every input in every state, and random histories.

use std::time::Duration;

use proptest::prelude::*;
use roadstead_protocol::message::command::{OrderRefusal, Work};
use roadstead_protocol::message::ids::{CommandId, InstanceId, SessionId};
use roadstead_protocol::message::policy::Verb;

use super::CommandState::{Cancelled, Failed, Issued, Lost, Running, Sent, Succeeded};
use super::*;

mod simulation;

const NOW: UnixMicros = UnixMicros::from_secs(1_000_000);

fn boot(number: u128) -> BootId {
    BootId(uuid::Uuid::from_u128(number))
}

pub(super) fn tracked(state: CommandState) -> Tracked {
    let out = matches!(state, Sent | Running);
    let record = CommandRecord {
        id: CommandId(uuid::Uuid::from_u128(7)),
        instance: "host".parse::<InstanceId>().unwrap(),
        work: Work::Check { project: "shop".to_owned() },
        issued_by: "admin".to_owned(),
        issued_at: NOW,
        state,
        queue_until: None,
        deadline_secs: 300,
        boot: out.then(|| boot(1)),
        sent_at: out.then_some(NOW),
        started_at: (state == Running).then_some(NOW),
        ended_at: state.is_final().then_some(NOW),
        cancel_requested: false,
        outcome: None,
        reason: None,
    };
    Tracked::new(record, NOW)
}

fn answer(boot_number: u128, standing: Standing, drained: bool) -> Input {
    Input::Standing { boot: boot(boot_number), standing, drained, heard: Heard::WithoutOrder }
}

fn ended(outcome: Outcome) -> Input {
    Input::Ended { at: NOW, outcome }
}

fn succeeded() -> Outcome {
    Outcome::Succeeded { summary: "done".to_owned(), services: Vec::new() }
}

fn failed() -> Outcome {
    Outcome::Failed { reason: "web did not start".to_owned(), services: Vec::new() }
}

fn cancelled() -> Outcome {
    Outcome::Cancelled { summary: "nothing done".to_owned(), services: Vec::new() }
}

fn refused(refusal: OrderRefusal) -> Outcome {
    Outcome::Refused { refusal }
}

fn cancel() -> Input {
    Input::CancelAsked { by: "admin".to_owned() }
}

const RUNNING: Standing = Standing::Running { since: NOW };

type Becomes = (CommandState, &'static [Effect]);

/// Input, then what becomes of an issued, a sent and a running command.
fn table() -> Vec<(Input, Becomes, Becomes, Becomes)> {
    use Effect::{Cancel, Enquire, Send};
    let issued: Becomes = (Issued, &[]);
    let sent: Becomes = (Sent, &[]);
    let running: Becomes = (Running, &[]);
    let lost: Becomes = (Lost, &[]);
    let all = |state| [(state, &[] as &[Effect]); 3];
    let everywhere = |input, state| {
        let [first, second, third] = all(state);
        (input, first, second, third)
    };
    vec![
        (Input::Connected { boot: boot(1) }, (Sent, &[Send]), (Sent, &[Enquire]), (Running, &[Enquire])),
        (Input::Connected { boot: boot(2) }, (Sent, &[Send]), (Sent, &[Enquire]), (Running, &[Enquire])),
        (Input::NotSent, issued, (Issued, &[]), running),
        everywhere(answer(1, RUNNING, false), Running),
        everywhere(answer(2, RUNNING, true), Running),
        (answer(1, Standing::Ended, true), issued, sent, running),
        (answer(1, Standing::NeverSeen, false), issued, (Sent, &[Send]), running),
        (answer(1, Standing::NeverSeen, true), issued, (Sent, &[Send]), lost),
        (answer(2, Standing::NeverSeen, false), issued, sent, running),
        (answer(2, Standing::NeverSeen, true), issued, lost, lost),
        (answer(1, Standing::Unknown, true), issued, sent, running),
        everywhere(Input::Progressed { at: NOW }, Running),
        everywhere(ended(succeeded()), Succeeded),
        everywhere(ended(failed()), Failed),
        everywhere(ended(cancelled()), Cancelled),
        everywhere(ended(refused(OrderRefusal::Unsupported)), Failed),
        everywhere(ended(Outcome::Unknown), Lost),
        (cancel(), (Cancelled, &[]), (Sent, &[Cancel]), (Running, &[Cancel])),
        (Input::OutboxDrained, issued, sent, running),
        (Input::DoubtLasted, issued, sent, running),
        (Input::Silent, issued, (Sent, &[Enquire]), (Running, &[Enquire])),
        (Input::Expired, issued, sent, running),
        (Input::AwayTooLong, issued, lost, lost),
        (Input::Removed, (Cancelled, &[]), lost, lost),
    ]
}

#[test]
fn every_input_in_every_state() {
    for (input, issued, sent, running) in table() {
        for (state, expected) in [(Issued, issued), (Sent, sent), (Running, running)] {
            let (after, effects) = step(tracked(state), input.clone(), NOW);
            assert_eq!((after.record.state, effects.as_slice()), expected, "{state:?} and {input:?}");
            assert_eq!(after.record.state.is_final(), after.record.ended_at.is_some());
        }
        for state in [Succeeded, Failed, Cancelled, Lost] {
            let before = tracked(state);
            assert_eq!(step(before.clone(), input.clone(), NOW), (before, Vec::new()), "{input:?}");
        }
    }
}

#[test]
fn an_order_to_install_loses_its_secrets_with_its_end() {
    let install =
        serde_json::json!({ "work": "install", "name": "app", "image": "app:1", "env": { "A": "hunter2" } });
    let mut running = tracked(Running);
    running.record.work = serde_json::from_value(install).unwrap();
    let (running, _) = step(running, Input::Silent, NOW);
    assert!(format!("{:?}", running.record.work).contains("hunter2"), "it may have to be sent again");
    for (input, ..) in table() {
        let (after, _) = step(running.clone(), input, NOW);
        assert_ne!(after.record.state.is_final(), format!("{:?}", after.record.work).contains("hunter2"));
    }
}

#[test]
fn a_queued_command_that_waited_too_long_is_not_sent() {
    let mut queued = tracked(Issued);
    queued.record.queue_until = Some(NOW.plus(Duration::from_secs(24 * 3600)));
    let late = NOW.plus(Duration::from_secs(24 * 3600));
    assert_eq!(due(&queued, Presence::Away { since: NOW }, NOW), None);
    assert_eq!(due(&queued, Presence::Away { since: NOW }, late), Some(Input::Expired));
    let (after, effects) = step(queued, Input::Connected { boot: boot(1) }, late);
    assert_eq!((after.record.state, effects), (Failed, Vec::new()));
    assert_eq!(
        after.record.reason.as_deref(),
        Some("not begun: the agent did not come back, or took no order, within 24 hours")
    );
}

#[test]
fn a_doubt_ends_with_the_outcome_or_in_lost() {
    let (doubting, _) = step(tracked(Running), answer(2, Standing::NeverSeen, false), NOW);
    let (told, _) = step(doubting.clone(), ended(succeeded()), NOW);
    assert_eq!(told.record.state, Succeeded);
    let (drained, _) = step(doubting.clone(), Input::OutboxDrained, NOW);
    assert_eq!(drained.record.state, Lost);
    assert!(drained.record.reason.unwrap().contains("restarted"));

    let here = Presence::Connected { boot: boot(2) };
    assert_eq!(due(&doubting, here, NOW.plus(DOUBT_FOR)), Some(Input::DoubtLasted));
    let (lasted, _) = step(doubting.clone(), Input::DoubtLasted, NOW);
    assert_eq!(lasted.record.state, Lost);
    let (again, _) = step(doubting, Input::Connected { boot: boot(2) }, NOW);
    assert_eq!(again.doubt, None, "a new session begins with a new question");
}

#[test]
fn ended_without_an_outcome_is_doubted_for_ten_minutes() {
    let (doubting, _) = step(tracked(Running), answer(1, Standing::Ended, true), NOW);
    let (drained, _) = step(doubting.clone(), Input::OutboxDrained, NOW);
    assert_eq!(drained.record.state, Running, "how it ended may be on its way");
    let (asked_again, _) = step(drained, answer(1, Standing::Ended, true), NOW.plus(ANSWER_WITHIN));
    assert_eq!(asked_again.doubt, doubting.doubt, "the doubt does not begin anew");
    let (lasted, _) = step(asked_again, Input::DoubtLasted, NOW);
    assert_eq!(lasted.record.state, Lost);
}

#[test]
fn a_cancelled_order_that_never_arrived_is_not_sent_again() {
    let (asked, _) = step(tracked(Sent), cancel(), NOW);
    let (after, effects) = step(asked.clone(), answer(1, Standing::NeverSeen, false), NOW);
    assert_eq!((after.record.state, effects), (Cancelled, Vec::new()));
    let (_, effects) = step(asked, Input::Connected { boot: boot(1) }, NOW);
    assert_eq!(effects, [Effect::Enquire, Effect::Cancel], "the wish outlives the session");
}

fn never_seen(heard: Heard) -> Input {
    Input::Standing { boot: boot(1), standing: Standing::NeverSeen, drained: true, heard }
}

#[test]
fn an_answer_from_before_the_order_is_stale() {
    let (asked, _) = step(tracked(Sent), cancel(), NOW);
    for before in [tracked(Sent), asked] {
        let (after, effects) = step(before.clone(), never_seen(Heard::BeforeOrder), NOW);
        assert_eq!((after.record, effects), (before.record, Vec::new()), "the order is on its way by now");
    }
}

#[test]
fn an_order_that_the_agent_declines_waits() {
    let (waiting, effects) = step(tracked(Sent), never_seen(Heard::AfterOrder), NOW);
    assert_eq!((waiting.record.state, waiting.record.boot, effects), (Issued, None, Vec::new()));
    let here = Presence::Connected { boot: boot(1) };
    assert_eq!(due(&waiting, here, NOW), Some(Input::Connected { boot: boot(1) }));
    let (asked, _) = step(tracked(Sent), cancel(), NOW);
    assert_eq!(step(asked, never_seen(Heard::AfterOrder), NOW).0.record.state, Cancelled);
}

#[test]
fn answers_are_told_apart_by_their_order() {
    let (one, two) = (SessionId::generate(), SessionId::generate());
    let mut answers = Answers::default();
    assert_eq!(answers.answered(one), Heard::WithoutOrder);
    for effect in [Effect::Enquire, Effect::Enquire, Effect::Send, Effect::Cancel, Effect::Enquire] {
        answers.asked(one, effect);
    }
    assert_eq!(answers.answered(two), Heard::WithoutOrder, "another session");
    let heard = [(); 5].map(|()| answers.answered(one));
    assert_eq!(heard[..2], [Heard::BeforeOrder; 2]);
    assert_eq!(heard[2..], [Heard::AfterOrder; 3]);
    answers.asked(two, Effect::Enquire);
    assert_eq!(answers.answered(two), Heard::WithoutOrder);
}

#[test]
fn silence_is_asked_about() {
    let here = Presence::Connected { boot: boot(1) };
    let (sent, _) = step(tracked(Issued), Input::Connected { boot: boot(1) }, NOW);
    assert_eq!(due(&sent, here, NOW), None);
    assert_eq!(due(&sent, here, NOW.plus(ANSWER_WITHIN)), Some(Input::Silent));
    let (running, _) = step(sent, answer(1, RUNNING, false), NOW);
    let deadline = NOW.plus(Duration::from_secs(300));
    assert_eq!(due(&running, here, deadline), None);
    assert_eq!(due(&running, here, deadline.plus(OVERDUE_AFTER)), Some(Input::Silent));
    assert_eq!(due(&running, Presence::Away { since: deadline }, deadline.plus(OVERDUE_AFTER)), None);
    let (cancelling, _) = step(running, cancel(), NOW);
    assert_eq!(due(&cancelling, here, NOW.plus(REMIND_EVERY)), Some(Input::Silent));
}

#[test]
fn an_agent_away_for_a_day_loses_what_it_was_given() {
    let away = Presence::Away { since: NOW };
    for state in [Sent, Running] {
        assert_eq!(due(&tracked(state), away, NOW.plus(AWAY_FOR)), Some(Input::AwayTooLong));
    }
    assert_eq!(due(&tracked(Issued), away, NOW), None);
    assert_eq!(due(&tracked(Issued), away, NOW.plus(SEND_WITHIN)), Some(Input::Expired));
}

#[test]
fn refusals_are_told_in_words() {
    let running = CommandId(uuid::Uuid::from_u128(9));
    let cases = [
        (OrderRefusal::Busy { running }, running.to_string()),
        (OrderRefusal::Policy { verb: Verb::Sync, rule: None }, "`sync`".to_owned()),
        (OrderRefusal::TooMany { limit: 4 }, "4 commands".to_owned()),
        (OrderRefusal::Invalid { reason: "no such project".to_owned() }, "no such project".to_owned()),
        (OrderRefusal::Unsupported, "too old".to_owned()),
        (OrderRefusal::Unknown, "too old".to_owned()),
    ];
    for (refusal, words) in cases {
        let (after, _) = step(tracked(Sent), ended(refused(refusal.clone())), NOW);
        assert_eq!(after.record.state, Failed);
        assert!(after.record.reason.as_ref().unwrap().contains(&words), "{:?}", after.record.reason);
        assert_eq!(after.record.outcome, Some(refused(refusal)));
    }
}

fn any_input() -> impl Strategy<Value = Input> {
    let number = 0..table().len();
    number.prop_map(|number| table().swap_remove(number).0)
}

proptest! {
    /// Whatever arrives in whatever order and however often: one final state at most, and it stays.
    #[test]
    fn final_states_stay(inputs in prop::collection::vec((any_input(), 1_usize..3), 0..40)) {
        let mut command = tracked(Issued);
        let mut last_words = None;
        for (input, times) in inputs {
            for _ in 0..times {
                let before = command.record.state;
                let (after, effects) = step(command, input.clone(), NOW);
                if let Some(words) = &last_words {
                    prop_assert_eq!(&after.record, words);
                    prop_assert!(effects.is_empty());
                }
                if effects.contains(&Effect::Send) {
                    prop_assert!(matches!(before, Issued | Sent), "sent while {:?}", before);
                }
                if after.record.state.is_final() {
                    prop_assert!(after.record.reason.is_some() || after.record.outcome.is_some());
                    last_words = Some(after.record.clone());
                }
                command = after;
            }
        }
        let (end, _) = step(command, Input::Removed, NOW);
        prop_assert!(end.record.state.is_final());
    }
}
