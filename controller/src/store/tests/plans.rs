//! Which way SQLite takes to what it is asked for: no statement of the store may read a large table from end to end.

use std::path::Path;

use rusqlite::{Connection, StatementStatus};

use crate::fixtures::store;
use crate::store::events::JOINS;

/// Tables that grow with time or with the fleet.
const LARGE: [&str; 7] =
    ["events", "events_of", "event_subjects", "event_marks", "commands", "command_lines", "audit"];

/// Statements that read all of a large table, and why they may.
const ALLOWED: [(&str, &str); 7] = [
    ("FROM event_subjects ORDER BY id LIMIT", "the oldest few"),
    ("FROM commands WHERE TRUE", "the beginning of a page's statement, which goes on with order and limit"),
    ("ended_at IS NULL OR ended_at > ?1", "once, when the controller starts"),
    (
        "SELECT state, count(*) FROM commands GROUP BY state",
        "metrics count them all; there is a bounded number an instance",
    ),
    (
        "SELECT instance, sum(1 + more) FROM events_of",
        "every ten minutes, if the log is too long: 25 MB of two million",
    ),
    ("FROM event_subjects WHERE last <= ?1", "as that, and not by the writer"),
    ("FROM (SELECT DISTINCT instance FROM commands)", "once an hour, through the index of instances"),
];

/// The steps of a statement's plan.
fn plan(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
    let parameters = vec![1; statement.parameter_count()];
    statement.query_map(rusqlite::params_from_iter(parameters), |row| row.get("detail"))?.collect()
}

/// Whether a step reads the whole of a large table, or of one of its indexes.
fn reads_all(step: &str) -> bool {
    let table = step.strip_prefix("SCAN ").and_then(|rest| rest.split(' ').next());
    table.is_some_and(|table| LARGE.contains(&table))
}

#[tokio::test]
async fn no_statement_of_the_store_reads_all_of_a_large_table() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let mut statements = Vec::new();
    collect(&folder, &mut statements);
    assert!(statements.len() > 60, "only {} statements were found", statements.len());
    let (store, _directory) = store();
    store
        .read(move |connection| {
            let mut found = Vec::new();
            for sql in statements {
                // Only a part of a statement, or one that is put together.
                let Ok(plan) = plan(connection, &sql) else { continue };
                let allowed = ALLOWED.iter().any(|(part, _)| sql.contains(part));
                if !allowed && plan.iter().any(|step| reads_all(step)) {
                    found.push(format!("{sql}: {plan:?}"));
                }
            }
            assert!(found.is_empty(), "{found:#?}");
            Ok(())
        })
        .await
        .unwrap();
}

/// Every SQL statement in the source files of a folder.
fn collect(folder: &Path, statements: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            collect(&path, statements);
        } else if name.ends_with(".rs")
            && !["tests.rs", "plans.rs", "corruptions.rs", "together.rs"].contains(&name.as_str())
        {
            let text = std::fs::read_to_string(path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            statements.extend(literals(code).filter(|text| is_statement(text)));
        }
    }
}

fn is_statement(text: &str) -> bool {
    ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH "].iter().any(|word| text.starts_with(word))
}

/// The string literals of source code, as the compiler sees them.
fn literals(code: &str) -> impl Iterator<Item = String> {
    let text = code.replace("\\\"", "'");
    let parts: Vec<String> = text.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    parts.into_iter().map(|part| {
        let lines: Vec<&str> = part.split("\\\n").map(str::trim_start).collect();
        lines.concat().replace("{COLUMNS}", "*").replace("{JOINS}", JOINS)
    })
}

#[tokio::test]
async fn what_is_prepared_stays_prepared_whatever_its_values() {
    let (store, _directory) = store();
    let anew = |connection: &Connection| {
        let mut statement = connection.prepare(
            "SELECT id FROM commands WHERE ended_at IS NULL AND instance = ?1 ORDER BY id LIMIT ?2",
        )?;
        for limit in 1..=5 {
            statement.query_map((limit.to_string(), limit), |row| row.get::<_, Vec<u8>>(0))?.count();
        }
        Ok(statement.get_status(StatementStatus::RePrepare))
    };
    assert_eq!(store.read(anew).await.unwrap(), 0);
    assert_eq!(store.write(move |connection| anew(connection)).await.unwrap(), 0);
}
