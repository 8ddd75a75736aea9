//! Lives of containers: what was told, when one looks, and what is shown.

use super::{Reason, Status, What, seen};
use Status::{Failed, Installing, Ready, Removed, Stopped};
use What::{
    Ask, CommandFailed, CommandOver, CommandStarted, CommandSucceeded, Create, Destroy, Die, Healthy,
    OutOfMemory, Pause, Start, Starting, Stop, Unhealthy, Unpause,
};

/// What it is; facts at seconds; when one looks; status, reason and since when.
type Case<'a> = (&'a str, Vec<(i64, What)>, i64, (Status, Option<Reason>, i64));

fn check(cases: Vec<Case<'_>>) {
    for (what, told, now, expected) in cases {
        assert_eq!(seen(&told, now), expected, "{what}");
    }
}

fn exit(code: i64) -> Option<Reason> {
    Some(Reason::Exit(code))
}

fn looping(code: i64) -> Option<Reason> {
    Some(Reason::RestartLoop(Some(code)))
}

#[test]
fn coming_up() {
    check(vec![
        ("created", vec![(0, Create)], 1, (Installing, None, 0)),
        ("created and left", vec![(0, Create)], 601, (Stopped, None, 600)),
        ("just started", vec![(0, Create), (1, Start)], 5, (Installing, None, 0)),
        ("stays up", vec![(0, Create), (1, Start)], 12, (Ready, None, 11)),
        ("its check has no result", vec![(0, Start), (0, Starting)], 60, (Installing, None, 0)),
        ("healthy", vec![(0, Start), (5, Healthy)], 6, (Ready, None, 5)),
        (
            "unhealthy",
            vec![(0, Start), (5, Healthy), (9, Unhealthy)],
            60,
            (Failed, Some(Reason::Unhealthy), 9),
        ),
        ("healthy again", vec![(0, Start), (9, Unhealthy), (20, Healthy)], 60, (Ready, None, 20)),
    ]);
}

#[test]
fn ending() {
    check(vec![
        ("stopped", vec![(0, Start), (50, Ask), (51, Die(Some(137))), (51, Stop)], 60, (Stopped, None, 51)),
        ("stopped with any code", vec![(0, Start), (50, Ask), (51, Die(Some(3)))], 60, (Stopped, None, 51)),
        ("stopped, as told late", vec![(0, Start), (51, Die(Some(3))), (52, Stop)], 60, (Stopped, None, 52)),
        ("asked long ago", vec![(0, Start), (1, Ask), (700, Die(Some(3)))], 800, (Failed, exit(3), 700)),
        ("ended well", vec![(0, Start), (5, Die(Some(0)))], 60, (Stopped, None, 5)),
        ("killed by somebody unknown", vec![(0, Start), (50, Die(Some(137)))], 60, (Failed, exit(137), 50)),
        ("ended badly", vec![(0, Start), (50, Die(Some(2)))], 60, (Failed, exit(2), 50)),
        (
            "out of memory",
            vec![(0, Start), (50, OutOfMemory), (51, Die(Some(137)))],
            60,
            (Failed, Some(Reason::OutOfMemory), 51),
        ),
        (
            "out of memory, told after the end",
            vec![(0, Start), (51, Die(Some(137))), (52, OutOfMemory)],
            60,
            (Failed, Some(Reason::OutOfMemory), 51),
        ),
        (
            "a process in it ran out of memory long before",
            vec![(0, Start), (50, OutOfMemory), (500, Die(Some(1)))],
            600,
            (Failed, exit(1), 500),
        ),
    ]);
}

#[test]
fn crashing() {
    check(vec![
        ("crashed once", vec![(0, Start), (50, Die(Some(2))), (51, Start)], 55, (Installing, None, 51)),
        (
            "crashes again and again",
            vec![(0, Start), (1, Die(Some(2))), (2, Start), (3, Die(Some(4))), (4, Start)],
            5,
            (Failed, looping(4), 1),
        ),
        (
            "between two crashes",
            vec![(0, Start), (1, Die(Some(2))), (2, Start), (3, Die(Some(4)))],
            5,
            (Failed, looping(4), 1),
        ),
        ("stays up at last", vec![(0, Start), (1, Die(Some(2))), (2, Start)], 13, (Ready, None, 12)),
        (
            "started by a person",
            vec![(0, Start), (1, Die(Some(2))), (200, Start)],
            203,
            (Installing, None, 200),
        ),
        (
            "a loop that was stopped",
            vec![(0, Start), (1, Die(Some(2))), (2, Start), (3, Ask), (3, Die(Some(137)))],
            5,
            (Stopped, None, 3),
        ),
    ]);
}

#[test]
fn being_frozen_removed_and_worked_on() {
    let why = || CommandFailed("no such image".to_owned());
    check(vec![
        ("frozen", vec![(0, Start), (50, Pause)], 60, (Stopped, Some(Reason::Paused), 50)),
        ("runs on", vec![(0, Start), (50, Pause), (55, Unpause)], 60, (Ready, None, 55)),
        (
            "frozen while unhealthy",
            vec![(0, Start), (9, Unhealthy), (50, Pause), (55, Unpause)],
            60,
            (Failed, Some(Reason::Unhealthy), 55),
        ),
        ("removed", vec![(0, Start), (50, Ask), (51, Die(None)), (52, Destroy)], 60, (Removed, None, 52)),
        (
            "removed, with an afterword",
            vec![(0, Start), (52, Destroy), (53, Die(Some(1)))],
            60,
            (Removed, None, 52),
        ),
        ("there again", vec![(0, Start), (52, Destroy), (60, Create)], 61, (Installing, None, 60)),
        ("a command works on it", vec![(0, Start), (50, CommandStarted)], 90, (Installing, None, 50)),
        (
            "installed",
            vec![(0, CommandStarted), (5, Create), (6, Start), (9, CommandSucceeded)],
            10,
            (Ready, None, 9),
        ),
        (
            "not installed",
            vec![(0, CommandStarted), (5, Create), (9, why())],
            10,
            (Failed, Some(Reason::Command("no such image".to_owned())), 9),
        ),
        ("cancelled", vec![(0, Start), (50, CommandStarted), (55, CommandOver)], 60, (Ready, None, 55)),
    ]);
}
