//! Who may import whom: the architecture as two tables.

use crate::text::SourceFile;

/// The controller's modules in rows: one imports only from rows above its own.
const CONTROLLER: &[&[&str]] = &[
    &["networks", "web_url"],
    &["model", "dial_allow", "log"],
    &["config", "store"],
    &["registry", "fleet", "identities", "relayed"],
    &["accounts", "audit", "events", "lifecycle", "enrolment", "oidc", "probes"],
    &["admission", "commands", "exposure", "rotation"],
    &["reload", "rollouts"],
    &["connect", "http", "supervised"],
    &["controller"],
    &["cli"],
    &["main", "lib"],
];

/// The agent's modules in rows.
const AGENT: &[&[&str]] = &[
    &["record", "policy"],
    &["config", "membership", "engine", "outbox", "log"],
    &["inventory", "commands", "keys"],
    &["watcher", "executor"],
    &["figures"],
    &["serving"],
    &["agent"],
    &["program"],
    &["main", "lib"],
];

/// The protocol's: what is said knows nothing of how it is carried.
const PROTOCOL: &[&[&str]] =
    &[&["message", "fuzz", "arguments", "queue"], &["masking"], &["join_token"], &["link"], &["lib"]];

/// Outside crates (and our own link) that only some paths may name: `(text, where it may be, why)`.
const CRATES: &[(&str, &[&str], &str)] = &[
    (
        "tokio_tungstenite::",
        &["protocol/src/link", "tests/benches/figures/fleet/echo"],
        "links are the protocol's business",
    ),
    ("bollard::", &["agent/src/engine/docker"], "the engine is a trait to everyone else"),
    (
        "hyper::",
        &[
            "agent/src/engine/docker",
            "controller/src/http",
            "controller/src/connect/relaying",
            "controller/src/relayed",
            // Asks the provider of sign-ins, and the one place that reads addresses.
            "controller/src/oidc/fetch",
            "controller/src/web_url",
        ],
        "the engine is a trait to everyone else, and domain modules know no transport",
    ),
    ("axum::", &["controller/src/http"], "domain modules know no transport"),
    (
        "rusqlite::",
        // The benchmark's yardstick is a bare loop of it.
        &["controller/src/store", "tests/benches/figures/intake"],
        "SQL stays in the store",
    ),
    (
        "tokio::",
        &["protocol/src/link", "protocol/src/queue", "protocol/src/fuzz", "agent/", "controller/", "tests/"],
        "messages are plain values",
    ),
    (
        "roadstead_protocol::link",
        &[
            "agent/src/agent",
            "agent/src/config",
            "agent/src/keys",
            "agent/src/main",
            "agent/src/membership",
            "agent/src/serving",
            "controller/src/config",
            "controller/src/connect",
            "controller/src/controller",
            "controller/src/enrolment/fields",
            "controller/src/identities",
            "controller/src/main",
            // Only for the certificate authorities of this system.
            "controller/src/oidc/fetch",
            "controller/src/relayed",
            // Only for its back-off.
            "controller/src/supervised",
            "tests/",
        ],
        "domain modules know messages, not links",
    ),
    ("roadstead_agent::", &["agent/src/main", "tests/"], "controller and agent share only the protocol"),
    (
        "roadstead_controller::",
        &["controller/src/main", "tests/"],
        "controller and agent share only the protocol",
    ),
];

/// Imports between modules of one crate.
pub(crate) fn modules(file: &SourceFile) -> Vec<String> {
    let tables = [("controller/src/", CONTROLLER), ("agent/src/", AGENT), ("protocol/src/", PROTOCOL)];
    let Some((rest, table)) =
        tables.into_iter().find_map(|(root, table)| Some((file.path.strip_prefix(root)?, table)))
    else {
        return Vec::new();
    };
    if file.is_test() {
        return Vec::new();
    }
    let own = rest.split(['/', '.']).next().unwrap_or_default();
    let row = |module: &str| table.iter().position(|row| row.contains(&module));
    let Some(own_row) = row(own) else {
        return vec![format!("{}: {own} has no row in the table yet", file.path)];
    };
    let problem = |(number, module): (usize, String)| {
        let place = format!("{}:{number}: {own}", file.path);
        match row(&module) {
            _ if module == own => None,
            None => Some(format!("{place} imports {module}, which has no row in the table yet")),
            Some(other) if other >= own_row => {
                Some(format!("{place} imports {module}, which is not above it"))
            }
            Some(_) => None,
        }
    };
    imported(file).into_iter().filter_map(problem).collect()
}

/// Imports of outside crates.
pub(crate) fn crates(file: &SourceFile) -> Vec<String> {
    let code = file.code();
    let problems = CRATES.iter().flat_map(|(name, places, why)| {
        let allowed = places.iter().any(|place| file.path.starts_with(place));
        let hits = code.iter().filter(move |(_, line)| !allowed && names(line, name));
        hits.map(move |(number, _)| format!("{}:{number}: {name}: {why}", file.path))
    });
    problems.collect()
}

/// Whether a line names a path that begins with `name`, not merely ends with it.
fn names(line: &str, name: &str) -> bool {
    line.match_indices(name)
        .any(|(at, _)| !line[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_'))
}

/// The top modules of its own crate that a file names, with line numbers.
fn imported(file: &SourceFile) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in file.code() {
        for (at, prefix) in line.match_indices("crate::") {
            let rest = &line[at + prefix.len()..];
            match rest.strip_prefix('{') {
                Some(group) => found.extend(group_of(group).map(|name| (number, name))),
                None => found.push((number, identifier(rest))),
            }
        }
    }
    // Macros and items of the crate's root have no row of their own.
    found.retain(|(_, name)| name.starts_with(|first: char| first.is_ascii_lowercase()));
    found
}

/// The first name of each member of `{a::b, c::{d, e}, f}`.
fn group_of(group: &str) -> impl Iterator<Item = String> {
    let (mut depth, mut names, mut start) = (0, Vec::new(), true);
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => start = true,
            _ if start && !character.is_whitespace() => {
                names.push(identifier(&group[at..]));
                start = false;
            }
            _ => {}
        }
    }
    names.into_iter()
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|character| character.is_alphanumeric() || *character == '_').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(path: &str, text: &str) -> Vec<String> {
        let file = SourceFile::sample(path, text);
        [modules(&file), crates(&file)].concat()
    }

    #[test]
    fn an_import_from_below_or_beside_is_found() {
        let found = problems("controller/src/fleet/slot.rs", "use crate::commands::Commands;\n");
        assert_eq!(found, ["controller/src/fleet/slot.rs:1: fleet imports commands, which is not above it"]);
        assert_eq!(problems("controller/src/http.rs", "use crate::{model::A, connect::{b, c}};\n").len(), 1);
        assert!(problems("controller/src/http/x.rs", "use crate::{http::A, fleet::B};\n").is_empty());
    }

    #[test]
    fn a_module_without_a_row_is_found() {
        assert_eq!(problems("agent/src/gadgets.rs", "").len(), 1);
        assert_eq!(problems("agent/src/agent.rs", "use crate::gadgets::x;\n").len(), 1);
    }

    #[test]
    fn a_crate_in_the_wrong_place_is_found() {
        assert_eq!(problems("agent/src/watcher.rs", "use hyper::Method;\n").len(), 1);
        assert!(problems("agent/src/engine/docker/pull.rs", "use hyper::Method;\n").is_empty());
        assert_eq!(problems("controller/src/http.rs", "use roadstead_protocol::link::Link;\n").len(), 1);
        assert_eq!(problems("protocol/src/message/ids.rs", "tokio::spawn(x);\n").len(), 1);
    }

    #[test]
    fn comments_and_tests_may_name_everything() {
        let text = "/// See [`crate::connect`].\n#[cfg(test)]\nmod tests {\n    use crate::connect::x;\n}\n";
        assert!(problems("controller/src/fleet.rs", text).is_empty());
        assert!(problems("controller/src/fleet/tests.rs", "use crate::connect::x;\n").is_empty());
    }
}
