//! What engines told beside what the controller has: lost, doubled, out of order, made up. Pure.

use std::collections::{HashMap, HashSet};

/// An event as an engine told it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Told {
    /// In microseconds since 1970.
    pub at: i64,
    pub container: String,
    pub action: String,
    /// The engine's own number of it, where it has one.
    pub number: Option<u64>,
}

/// An event as it lies in the controller's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub what: Told,
    /// Whether the agent inferred it.
    pub inferred: bool,
}

/// A time in which nobody could read what an engine told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Absence {
    /// In microseconds since 1970.
    pub from: i64,
    pub to: i64,
    /// Past events that the engine told afterwards.
    pub kept: usize,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The engine told it, and the controller does not have it.
    Lost(Told),
    /// The controller has it more than once.
    Doubled(Told),
    /// It came after a later one of the same container.
    Disordered(Told),
    /// The engine never told it.
    Invented(Told),
    /// It was inferred, though the engine tells everything.
    Inferred(Told),
}

type Key<'a> = (&'a str, i64, &'a str);

fn key(told: &Told) -> Key<'_> {
    (&told.container, told.at, &told.action)
}

/// Compares what one engine told with what the controller stored of it, in order of its log. An event may be missing
/// only where an absence excuses it. `whole` says that everything that was told is known here.
pub fn compare(told: &[Told], stored: &[Stored], absences: &[Absence], whole: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let places: HashMap<Key<'_>, usize> =
        told.iter().enumerate().map(|(place, told)| (key(told), place)).collect();
    let mut seen: HashSet<Key<'_>> = HashSet::new();
    let mut latest: HashMap<&str, i64> = HashMap::new();
    for Stored { what, inferred } in stored {
        if *inferred {
            if absences.is_empty() {
                findings.push(Finding::Inferred(what.clone()));
            }
            continue;
        }
        if !seen.insert(key(what)) {
            findings.push(Finding::Doubled(what.clone()));
            continue;
        }
        let place = places.get(&key(what));
        if whole && place.is_none_or(|place| told[*place].number != what.number) {
            findings.push(Finding::Invented(what.clone()));
        }
        let latest = latest.entry(&what.container).or_insert(i64::MIN);
        if *latest > what.at {
            findings.push(Finding::Disordered(what.clone()));
        }
        *latest = what.at.max(*latest);
    }
    let missing = told.iter().enumerate().filter(|(_, told)| !seen.contains(&key(told)));
    let lost =
        missing.filter(|(place, one)| !absences.iter().any(|absence| absence.excuses(told, *place, one)));
    findings.extend(lost.map(|(_, told)| Finding::Lost(told.clone())));
    findings
}

impl Absence {
    /// Whether the event at `place` could not be had: it fell into this absence, and so much came after it that the
    /// engine no longer had it at its end.
    fn excuses(&self, told: &[Told], place: usize, one: &Told) -> bool {
        let later = told[place..].iter().take_while(|later| later.at <= self.to).count();
        (self.from..=self.to).contains(&one.at) && later > self.kept
    }
}

/// Where the log leaves each container: the last action that says how it stands.
pub fn standing<'a>(stored: impl IntoIterator<Item = &'a Stored>) -> HashMap<&'a str, &'a str> {
    let mut standing = HashMap::new();
    for Stored { what, .. } in stored {
        let container = what.container.as_str();
        match what.action.as_str() {
            "destroy" => {
                standing.remove(container);
            }
            action @ ("create" | "start" | "die") => {
                standing.insert(container, action);
            }
            _ => {}
        }
    }
    standing
}

/// A command as the controller's ledger has it, with what else is known of it.
#[derive(Debug, Clone, Default)]
pub struct Command {
    pub id: String,
    pub state: String,
    pub has_outcome: bool,
    /// Events of its end in the log.
    pub ends: usize,
    /// How often its host was copied: each copy may have found it in its ledger and told an end of its own.
    pub copies: usize,
    /// Numbers of its log's lines, in order.
    pub lines: Vec<u64>,
    /// Lines that its log says were dropped.
    pub dropped: bool,
    /// What its script printed, a number each time, and none for "begins again".
    pub counted: Vec<Option<u64>>,
    /// How far the script counts.
    pub counts_to: u64,
    /// How often it was carried out, where that can be counted.
    pub ran: Option<u32>,
}

const FINAL: [&str; 4] = ["succeeded", "failed", "cancelled", "lost"];

/// What is wrong with a command, in words.
pub fn trouble(command: &Command) -> Vec<String> {
    let mut found = Vec::new();
    let Command { id, state, ends, .. } = command;
    if !FINAL.contains(&state.as_str()) {
        found.push(format!("{id} never ended: it is {state}"));
    }
    if *ends > 1 + command.copies || (command.has_outcome && *ends == 0) {
        found.push(format!("{id} is {state}, and its end was told {ends} times"));
    }
    if !command.lines.iter().copied().eq(0..command.lines.len() as u64) {
        found.push(format!("the lines of {id} are {:?}", command.lines));
    }
    if command.dropped {
        found.push(format!("lines of {id} were dropped"));
    }
    if let Some(ran) = command.ran
        && (ran > 1 || (state == "succeeded" && ran == 0))
    {
        found.push(format!("{id} is {state} and was carried out {ran} times"));
    }
    let mut next = 1;
    for count in &command.counted {
        match count {
            None => next = 1,
            Some(count) if *count == next => next += 1,
            Some(count) => {
                found.push(format!("the script of {id} printed {count} where {next} was next"));
                break;
            }
        }
    }
    if state == "succeeded" && !command.counted.is_empty() && next != command.counts_to + 1 {
        found.push(format!("the script of {id} succeeded, and its log ends before {next}"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(container: &str, at: i64, action: &str) -> Told {
        Told { at, container: container.to_owned(), action: action.to_owned(), number: Some(at as u64) }
    }

    fn life() -> Vec<Told> {
        [("a", "create"), ("b", "create"), ("a", "start"), ("a", "die"), ("b", "start")]
            .into_iter()
            .zip(1..)
            .map(|((container, action), at)| told(container, at, action))
            .collect()
    }

    fn stored(told: &[Told]) -> Vec<Stored> {
        told.iter().map(|what| Stored { what: what.clone(), inferred: false }).collect()
    }

    #[test]
    fn what_is_whole_is_no_finding() {
        assert_eq!(compare(&life(), &stored(&life()), &[], true), []);
        let mut mixed = stored(&life());
        mixed.swap(0, 1);
        assert_eq!(compare(&life(), &mixed, &[], true), [], "there is no order between containers");
    }

    #[test]
    fn a_loss_is_found() {
        for place in 0..5 {
            let mut log = stored(&life());
            let gone = log.remove(place).what;
            assert_eq!(compare(&life(), &log, &[], true), [Finding::Lost(gone)]);
        }
    }

    #[test]
    fn a_double_is_found() {
        for place in 0..5 {
            let mut log = stored(&life());
            log.push(log[place].clone());
            assert_eq!(compare(&life(), &log, &[], true), [Finding::Doubled(life()[place].clone())]);
        }
    }

    #[test]
    fn disorder_is_found() {
        let mut log = stored(&life());
        log.swap(2, 3);
        assert_eq!(compare(&life(), &log, &[], true), [Finding::Disordered(told("a", 3, "start"))]);
    }

    #[test]
    fn what_nobody_told_is_found() {
        let mut log = stored(&life());
        log.push(Stored { what: told("b", 9, "die"), inferred: false });
        assert_eq!(compare(&life(), &log, &[], true), [Finding::Invented(told("b", 9, "die"))]);
        assert_eq!(compare(&life(), &log, &[], false), []);
        let mut log = stored(&life());
        log[1].what.number = Some(77);
        assert!(matches!(compare(&life(), &log, &[], true)[..], [Finding::Invented(_)]));
        let mut log = stored(&life());
        log.push(Stored { what: told("b", 9, "die"), inferred: true });
        assert!(matches!(compare(&life(), &log, &[], true)[..], [Finding::Inferred(_)]));
    }

    #[test]
    fn an_absence_excuses_what_the_engine_forgot_and_nothing_else() {
        let absence = Absence { from: 1, to: 4, kept: 2 };
        let without = |gone: usize| {
            let mut log = stored(&life());
            log.remove(gone);
            compare(&life(), &log, &[absence], true).len()
        };
        assert_eq!([0, 1, 2, 3, 4].map(without), [0, 0, 1, 1, 1]);
    }

    #[test]
    fn the_last_word_on_each_container_counts() {
        let mut log = stored(&life());
        log.push(Stored { what: told("a", 8, "destroy"), inferred: true });
        log.push(Stored { what: told("b", 9, "exec"), inferred: false });
        assert_eq!(standing(&log), HashMap::from([("b", "start")]));
    }

    #[test]
    fn commands_end_once_run_once_and_say_everything_once() {
        let good = Command {
            id: "c".to_owned(),
            state: "succeeded".to_owned(),
            has_outcome: true,
            ends: 1,
            lines: vec![0, 1, 2],
            ran: Some(1),
            counted: vec![Some(1), Some(2), None, Some(1), Some(2), Some(3)],
            counts_to: 3,
            ..Command::default()
        };
        assert_eq!(trouble(&good), [""; 0]);
        let bad = [
            Command { state: "running".to_owned(), ..good.clone() },
            Command { ends: 2, ..good.clone() },
            Command { ends: 0, ..good.clone() },
            Command { lines: vec![0, 2], ..good.clone() },
            Command { lines: vec![0, 1, 1], ..good.clone() },
            Command { lines: vec![1, 2], ..good.clone() },
            Command { dropped: true, ..good.clone() },
            Command { ran: Some(2), ..good.clone() },
            Command { ran: Some(0), ..good.clone() },
            Command { counted: vec![Some(1), Some(3)], ..good.clone() },
            Command { counted: vec![Some(1), Some(1), Some(2), Some(3)], ..good.clone() },
            Command { counted: vec![Some(1), Some(2)], ..good.clone() },
        ];
        for command in bad {
            assert!(!trouble(&command).is_empty(), "{command:?}");
        }
    }
}
