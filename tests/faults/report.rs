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

/// What a finding is of and about, without its particulars.
pub fn kind(finding: &str) -> &str {
    finding.split(['(', '{']).next().unwrap_or_default()
}

/// The first few of each kind, one a line.
pub fn first(all: &[String]) -> String {
    const OF_EACH: usize = 12;
    let mut shown: BTreeMap<&str, usize> = BTreeMap::new();
    let few = all.iter().filter(|finding| {
        let count = shown.entry(kind(finding)).or_default();
        *count += 1;
        *count <= OF_EACH
    });
    few.cloned().collect::<Vec<_>>().join("\n")
}
