//! What a run says: its schedule before, its figures after.

use std::collections::BTreeMap;

use crate::options::Options;
use crate::schedule::Step;

/// Prints a line for whoever runs the suite.
#[expect(clippy::print_stderr, reason = "the schedule and the figures are what the suite is run for")]
pub fn say(line: impl AsRef<str>) {
    eprintln!("{}", line.as_ref());
}

/// Says what is going to happen, and how to have it happen again.
pub fn announce(options: &Options, steps: &[Step]) {
    say(format!("seed {}: ROADSTEAD_FAULTS_SEED={} repeats this schedule", options.seed, options.seed));
    say(format!("{options:?}"));
    for step in steps {
        say(step.to_string());
    }
}

/// How often each of these came.
pub fn counted<T: ToString>(all: impl IntoIterator<Item = T>) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for one in all {
        *counts.entry(one.to_string()).or_default() += 1;
    }
    counts.iter().map(|(what, count)| format!("{what} {count}")).collect::<Vec<_>>().join(", ")
}

/// The first few of many, one a line.
pub fn first(all: &[String]) -> String {
    let mut lines: Vec<String> = all.iter().take(30).cloned().collect();
    if all.len() > lines.len() {
        lines.push(format!("… and {} more", all.len() - lines.len()));
    }
    lines.join("\n")
}
