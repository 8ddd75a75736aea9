//! What containers and projects go through, and that only what happened decides, not the order of its arrival.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use roadstead_protocol::message::container::{ContainerHealth, ContainerState};
use roadstead_protocol::message::time::UnixMicros;
use uuid::Uuid;

use super::fact::{Fact, Moment, What};
use super::history::{History, MAX_FACTS};
use super::machine::{Lifecycle, Machine, Reason, Status};
use super::{picture, project};
use crate::fixtures::{container, kept};

mod keeping;
mod lives;
mod table;

const SECOND: i64 = 1_000_000;

fn seconds(count: i64) -> UnixMicros {
    UnixMicros::from_secs(1000 + count)
}

/// A fact `at` tenths of seconds, the `seq`th of its outbox.
fn fact(tenths: i64, seq: u64, what: What) -> Fact {
    let at = UnixMicros(1000 * SECOND + tenths * SECOND / 10);
    Fact { moment: Moment { at, source: Uuid::from_u128(7), seq }, heard: at, what }
}

/// Facts at whole seconds, in order.
fn facts(told: &[(i64, What)]) -> Vec<Fact> {
    told.iter().zip(1..).map(|((at, what), seq)| fact(at * 10, seq, what.clone())).collect()
}

fn history(told: &[(i64, What)]) -> History {
    facts(told).into_iter().collect()
}

/// Status and reason `now` seconds in.
fn seen(told: &[(i64, What)], now: i64) -> (Status, Option<Reason>, i64) {
    let lifecycle = Machine::after(&history(told)).at(seconds(now)).unwrap();
    (lifecycle.status, lifecycle.reason, lifecycle.since.as_secs() - 1000)
}

/// Lightd's names for what a panel is told, and the status each must lead to.
#[test]
fn the_mapping_of_the_contract() {
    let before = [(0, What::Start), (20, What::Ask), (21, What::Die(Some(0)))];
    let after = |what| {
        let told: Vec<_> = before.iter().cloned().chain([(30, what)]).collect();
        seen(&told, 31).0
    };
    assert_eq!(after(What::Start), Status::Installing, "Started");
    assert_eq!(seen(&[(0, What::Create)], 1).0, Status::Installing, "CreatingContainer");
    assert_eq!(after(What::CommandStarted), Status::Installing, "ReinstallStarted");
    let install = |end| vec![(0, What::CommandStarted), (1, What::Create), (2, What::Start), (3, end)];
    assert_eq!(seen(&install(What::CommandSucceeded), 4).0, Status::Ready, "Ready");
    assert_eq!(seen(&install(What::CommandFailed("x".to_owned())), 4).0, Status::Failed, "Error");
}

/// As observed of Lightd: about 2.4 s after "ready" a step tells "started" once more.
#[test]
fn a_trailing_installing_regresses_nothing() {
    let told =
        facts(&[(0, What::CommandStarted), (1, What::Create), (2, What::Start), (5, What::CommandSucceeded)]);
    let status = |facts: &[Fact]| {
        let history: History = facts.iter().cloned().collect();
        Machine::after(&history).at(seconds(8)).map(|lifecycle| (lifecycle.status, lifecycle.since))
    };
    let ready = Some((Status::Ready, seconds(5)));
    for late in &told[..3] {
        let again = Fact { heard: seconds(7), ..late.clone() };
        assert_eq!(status(&[told.as_slice(), &[again]].concat()), ready, "an old report that comes late");
    }
    let repeated = [told.as_slice(), &[fact(74, 9, What::Start)]].concat();
    assert_eq!(status(&repeated), ready, "the start of what runs already");
}

#[test]
fn a_host_whose_clock_is_ahead_waits_no_longer() {
    let heard = seconds(-3600);
    let start = Fact { heard, ..fact(0, 1, What::Start) };
    let machine = Machine::after(&[start].into_iter().collect());
    assert_eq!(machine.due(), Some(seconds(-3590)));
    assert_eq!(machine.at(seconds(-3589)).unwrap().status, Status::Ready);
}

#[test]
fn the_picture_has_the_last_word() {
    let running = |health| {
        let mut running = container(1, ContainerState::Running);
        (running.created_at, running.started_at, running.health) = (seconds(0), Some(seconds(1)), health);
        running
    };
    let exited = |code| {
        let mut exited = running(ContainerHealth::None);
        (exited.state, exited.finished_at, exited.exit_code) =
            (ContainerState::Exited, Some(seconds(50)), Some(code));
        exited
    };
    let nothing = History::default();
    let up = history(&[(0, What::Create), (1, What::Start)]);
    let asked = up.with(&facts(&[(45, What::Ask)]));
    let dead = up.with(&[fact(300, 9, What::Die(Some(1)))]);
    let set_back = history(&[(5000, What::Start)]);
    let failed = |reason| (Status::Failed, Some(reason));
    let (installing, ready, stopped) =
        ((Status::Installing, None), (Status::Ready, None), (Status::Stopped, None));
    let cases = [
        (&nothing, running(ContainerHealth::None), ready.clone()),
        (&nothing, running(ContainerHealth::Starting), installing.clone()),
        (&up, running(ContainerHealth::Starting), installing),
        (&up, running(ContainerHealth::Healthy), ready.clone()),
        (&up, running(ContainerHealth::Unhealthy), failed(Reason::Unhealthy)),
        (&dead, running(ContainerHealth::None), ready),
        (&nothing, exited(0), stopped.clone()),
        (&nothing, exited(143), stopped.clone()),
        (&nothing, exited(3), failed(Reason::Exit(3))),
        (&up, exited(3), failed(Reason::Exit(3))),
        (&asked, exited(3), stopped.clone()),
        (&set_back, exited(0), stopped),
    ];
    for (told, shown, expected) in cases {
        let (lifecycle, _) = picture::lifecycle(told, &kept(shown.clone()), seconds(100));
        assert_eq!((lifecycle.status, lifecycle.reason), expected, "{told:?} {shown:?}");
    }
}

#[test]
fn a_project_follows_its_containers_and_its_last_command() {
    let member = |name: &str, status, since| {
        let reason = (status == Status::Failed).then_some(Reason::Exit(1));
        let lifecycle = Lifecycle { status, reason, since: seconds(since) };
        project::Member { name: name.to_owned(), lifecycle, begun_at: Some(seconds(since)) }
    };
    let (web, db) = (member("web", Status::Ready, 5), member("db", Status::Ready, 9));
    let job = member("job", Status::Stopped, 20);
    let of = |members: &[project::Member], told: &[(i64, What)]| {
        let lifecycle = project::lifecycle(members, &history(told));
        (lifecycle.status, lifecycle.reason, lifecycle.since.as_secs() - 1000)
    };
    let all = [web.clone(), db, job.clone()];
    assert_eq!(of(&all, &[]), (Status::Ready, None, 9));
    assert_eq!(of(&all, &[(30, What::CommandStarted)]), (Status::Installing, None, 30));
    let done = [(30, What::CommandStarted), (40, What::CommandSucceeded)];
    assert_eq!(of(&all, &done), (Status::Ready, None, 9));
    let undone = [(30, What::CommandStarted), (40, What::CommandFailed("no".to_owned()))];
    assert_eq!(of(&all, &undone), (Status::Failed, Some(Reason::Command("no".to_owned())), 40));
    let mended = [web.clone(), member("db", Status::Installing, 41)];
    assert_eq!(of(&mended, &undone), (Status::Installing, None, 41), "somebody began something since");
    let broken = Some(Reason::Member("db".to_owned(), Box::new(Reason::Exit(1))));
    assert_eq!(of(&[web, member("db", Status::Failed, 7)], &[]), (Status::Failed, broken, 7));
    assert_eq!(of(&[job], &[]), (Status::Stopped, None, 20));
    assert_eq!(of(&[], &done).0, Status::Removed);
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![
        Just(What::Create),
        Just(What::Start),
        Just(What::Start),
        Just(What::Ask),
        (0..4_i64).prop_map(|code| What::Die(Some(code))),
        Just(What::Die(None)),
        Just(What::Stop),
        Just(What::OutOfMemory),
        Just(What::Healthy),
        Just(What::Unhealthy),
        Just(What::Pause),
        Just(What::Unpause),
        Just(What::Destroy),
        Just(What::CommandStarted),
        Just(What::CommandSucceeded),
        Just(What::CommandFailed("no".to_owned())),
        Just(What::CommandOver),
    ]
}

/// Facts from two outboxes, often at the same time.
fn any_facts() -> impl Strategy<Value = Vec<Fact>> {
    vec((0..600_i64, 0..2_u128, what()), 0..50).prop_map(|told| {
        let facts = told.into_iter().zip(1..).map(|((tenths, outbox, what), seq)| {
            let mut fact = fact(tenths, seq, what);
            fact.moment.source = Uuid::from_u128(outbox);
            fact
        });
        facts.collect()
    })
}

/// What an engine can tell of a container: runs, each begun, checked, perhaps asked to end, and ended.
fn told_by_an_engine() -> impl Strategy<Value = Vec<Fact>> {
    let run = (0..200_i64, 0..3_usize, any::<bool>(), 0..3_i64, 1..2000_i64);
    vec(run, 1..20).prop_map(|runs| {
        let (mut at, mut told) = (0, vec![(0, What::Create)]);
        for (gap, checks, asked, code, length) in runs {
            at += gap + 1;
            told.push((at, What::Start));
            told.extend([What::Unhealthy, What::Healthy].into_iter().take(checks).map(|what| (at, what)));
            at += length;
            told.extend(asked.then_some((at, What::Ask)));
            told.push((at, What::Die(Some(code))));
        }
        told.into_iter().zip(1..).map(|((at, what), seq)| fact(at, seq, what)).collect()
    })
}

/// Everything that is shown of these facts, taken in this order.
fn shown(facts: &[Fact], now: UnixMicros) -> (Option<Lifecycle>, String, Option<UnixMicros>) {
    let history: History = facts.iter().cloned().collect();
    let machine = Machine::after(&history);
    let (due, spans) = (machine.due(), machine.clone().spans(now));
    (machine.at(now), format!("{spans:?} {}", history.shortened()), due)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_same_facts_make_the_same_life_in_whatever_order_and_however_often(
        (told, arrived) in any_facts().prop_flat_map(|told| {
            let arrived = vec(any::<prop::sample::Index>(), 0..50).prop_map({
                let told = told.clone();
                move |again| {
                    let repeated = again.iter().filter(|_| !told.is_empty()).map(|index| index.get(&told).clone());
                    told.iter().cloned().chain(repeated).collect::<Vec<_>>()
                }
            });
            (Just(told), arrived.prop_shuffle())
        }),
        now in 0..120_i64,
    ) {
        prop_assert_eq!(shown(&told, seconds(now)), shown(&arrived, seconds(now)));
    }

    #[test]
    fn two_histories_of_parts_make_the_history_of_the_whole(told in any_facts(), split in vec(0..3_u8, 50)) {
        let part = |of: u8| -> History {
            told.iter().zip(&split).filter(|(_, side)| **side == of || **side == 2).map(|(fact, _)| fact.clone()).collect()
        };
        let whole: History = told.iter().cloned().collect();
        let joined = part(0).with(part(1).facts());
        prop_assert_eq!(joined.facts(), whole.facts());
    }

    #[test]
    fn forgetting_old_facts_changes_nothing(told in told_by_an_engine(), now in 0..5000_i64) {
        let checked = told.iter().any(|fact| matches!(fact.what, What::Healthy | What::Unhealthy));
        let mut unlimited = Machine::new(checked);
        told.iter().for_each(|fact| unlimited.see(fact));
        let history: History = told.iter().cloned().collect();
        prop_assert!(history.facts().len() <= MAX_FACTS);
        let now = seconds(now);
        let (kept, all) = (Machine::after(&history).at(now), unlimited.at(now));
        prop_assert_eq!(kept, all);
    }

    #[test]
    fn spans_join_and_end_with_the_present(told in any_facts(), now in 60..120_i64) {
        let history: History = told.into_iter().collect();
        let (machine, now) = (Machine::after(&history), seconds(now));
        let spans = machine.clone().spans(now);
        for pair in spans.windows(2) {
            prop_assert_eq!(pair[0].until, Some(pair[1].lifecycle.since));
            prop_assert!(pair[0].lifecycle.since < pair[1].lifecycle.since);
        }
        prop_assert_eq!(spans.last().map(|span| span.lifecycle.clone()), machine.at(now));
        prop_assert!(spans.len() <= 2 * MAX_FACTS + 1);
    }

    #[test]
    fn a_failure_always_has_a_reason(told in any_facts(), now in 0..120_i64) {
        let history: History = told.into_iter().collect();
        if let Some(lifecycle) = Machine::after(&history).at(seconds(now)) {
            prop_assert!(lifecycle.status != Status::Failed || lifecycle.reason.is_some());
        }
    }
}

#[test]
fn statuses_have_words() {
    let words: BTreeMap<_, _> =
        [Status::Installing, Status::Ready, Status::Failed, Status::Stopped, Status::Removed]
            .map(|status| (status.as_str(), status))
            .into();
    assert_eq!(words.len(), 5);
}
