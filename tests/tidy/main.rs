//! What neither the compiler nor clippy can check of this repository: layout, imports, frozen bytes.
//!
//! Each rule is a function from a file to its problems, tested on a bad sample beside it.

mod documents;
mod frames;
mod imports;
mod source;
mod text;

use text::{SourceFile, repository};

/// Fails with every problem of every file.
#[track_caller]
fn expect_clean(rule: &str, problems: &[String]) {
    assert!(problems.is_empty(), "{rule}:\n  {}", problems.join("\n  "));
}

fn check(rule: &str, of_file: impl Fn(&SourceFile) -> Vec<String>) {
    let files = repository();
    assert!(files.len() > 50, "the repository was not found: only {} files", files.len());
    let problems: Vec<String> = files.iter().flat_map(of_file).collect();
    expect_clean(rule, &problems);
}

#[test]
fn files_are_short() {
    check("a source file has 400 lines at most: split it by what its parts know", source::length);
}

#[test]
fn every_file_says_what_it_is_for() {
    check("the first line of a Rust file is `//!` and says what the file is for", source::heading);
}

#[test]
fn modules_are_files_beside_their_folder() {
    check("`foo.rs` beside `foo/`, never `foo/mod.rs`", source::no_mod_rs);
}

#[test]
fn no_test_sleeps() {
    check("a test awaits conditions (tests/src/condition.rs) or pauses time", source::no_sleep_in_tests);
}

#[test]
fn nothing_is_left_for_later() {
    check("unfinished or forbidden text", source::no_forbidden_text);
}

#[test]
fn modules_import_only_from_rows_above() {
    check("the import table of tests/tidy/imports.rs", imports::modules);
}

#[test]
fn outside_crates_stay_where_they_belong() {
    check("the crate table of tests/tidy/imports.rs", imports::crates);
}

#[test]
fn every_message_has_frozen_bytes() {
    expect_clean(
        "a variant without a frozen frame in protocol/tests/wire/v1.rs",
        &frames::unfrozen(&repository()),
    );
}

#[test]
fn decisions_are_numbered_without_gap() {
    expect_clean(
        "docs/adr/NNN-title.md, from 001 without gap",
        &documents::decisions(&text::files_under("docs/adr")),
    );
}

#[test]
fn no_private_key_is_in_the_repository() {
    expect_clean("keys are generated, never committed", &documents::keys(&text::files_under(".")));
}

#[test]
fn every_direct_dependency_has_its_reason() {
    let reasons = text::text_of("docs/dependencies.md");
    let manifests = text::files_under(".")
        .into_iter()
        .filter(|path| path.ends_with("Cargo.toml") || path.ends_with("/package.json"))
        .collect::<Vec<_>>();
    assert!(manifests.len() >= 7, "{manifests:?}");
    let of_manifest = |path: &String| {
        let unexplained = documents::unexplained(&text::text_of(path), &reasons);
        unexplained.into_iter().map(|name| format!("{path}: {name}")).collect::<Vec<_>>()
    };
    expect_clean(
        "a direct dependency without its reason in docs/dependencies.md",
        &manifests.iter().flat_map(of_manifest).collect::<Vec<_>>(),
    );
}
