//! The documentation's transition table is the code's.

use std::fmt::Write as _;

use crate::lifecycle::transitions::{Input, Next, Phase, next};

/// `StayedUp` as `stayed up`.
fn in_words(name: &str) -> String {
    let mut words = String::new();
    for character in name.chars() {
        if character.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(character.to_lowercase());
    }
    words
}

fn rendered() -> String {
    let mut text = "| input |".to_owned();
    let words = |phase: Phase| in_words(&format!("{phase:?}"));
    for phase in Phase::ALL {
        let _ = write!(text, " {} |", words(phase));
    }
    text.push_str("\n|---|---|---|---|---|---|---|---|\n");
    for input in Input::ALL {
        let _ = write!(text, "| {} |", in_words(&format!("{input:?}")));
        for phase in Phase::ALL {
            let cell = match next(phase, input) {
                Next::Stay => "·".to_owned(),
                Next::Become(other) => words(other),
                Next::Resume => "as before".to_owned(),
            };
            let _ = write!(text, " {cell} |");
        }
        text.push('\n');
    }
    text
}

#[test]
fn the_documented_table_is_the_codes() {
    let page = include_str!("../../../../docs/lifecycle.md");
    let table = rendered();
    assert!(page.contains(&table), "docs/lifecycle.md must contain this table:\n\n{table}");
}

#[test]
fn every_input_and_phase_is_listed_once() {
    let inputs: std::collections::BTreeSet<_> = Input::ALL.map(|input| format!("{input:?}")).into();
    assert_eq!(inputs.len(), Input::ALL.len());
    let phases: std::collections::BTreeSet<_> = Phase::ALL.map(|phase| format!("{phase:?}")).into();
    assert_eq!(phases.len(), Phase::ALL.len());
}
