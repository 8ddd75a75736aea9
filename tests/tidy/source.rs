//! Rules about one file: its length, its first line, words that must not be in it.

use crate::text::SourceFile;

/// The most lines that a source file may have.
const MOST_LINES: usize = 400;

/// Text that no code may hold, in two halves so that this table does not hold it.
const FORBIDDEN: &[(&str, &str, &str)] = &[
    ("todo", "!(", "finish it, or refuse by name what cannot be done yet"),
    ("unimplemented", "!(", "finish it, or refuse by name what cannot be done yet"),
    ("FIX", "ME", "fix it, or open an issue"),
    ("fn ge", "t_", "name it after what it gives"),
];

pub(crate) fn length(file: &SourceFile) -> Vec<String> {
    let lines = file.text.lines().count();
    let too_long = lines > MOST_LINES && !file.is_generated();
    too_long.then(|| format!("{}: {lines} lines", file.path)).into_iter().collect()
}

pub(crate) fn heading(file: &SourceFile) -> Vec<String> {
    let missing = file.is_rust() && !file.is_generated() && !file.text.starts_with("//! ");
    missing.then(|| file.path.clone()).into_iter().collect()
}

pub(crate) fn no_mod_rs(file: &SourceFile) -> Vec<String> {
    file.path.ends_with("/mod.rs").then(|| file.path.clone()).into_iter().collect()
}

/// Under paused time a sleep takes no time, so unit tests may use it there; scenarios never can.
pub(crate) fn no_sleep_in_tests(file: &SourceFile) -> Vec<String> {
    let scenario = file.path.starts_with("tests/");
    if !file.is_rust() || (!scenario && file.text.contains("start_paused = true")) {
        return Vec::new();
    }
    let call = concat!("sleep", "(");
    let lines = if scenario {
        file.text.lines().enumerate().map(|(n, line)| (n + 1, line)).collect()
    } else {
        file.test_code()
    };
    lines
        .into_iter()
        .filter(|(_, line)| line.contains(call))
        .map(|(number, line)| format!("{}:{number}: {}", file.path, line.trim()))
        .collect()
}

pub(crate) fn no_forbidden_text(file: &SourceFile) -> Vec<String> {
    let find = |(first, second, advice): &(&str, &str, &str)| {
        let word = format!("{first}{second}");
        let hits = file.text.lines().enumerate().filter(move |(_, line)| line.contains(&word));
        hits.map(|(number, _)| format!("{}:{}: {first}{second}: {advice}", file.path, number + 1))
            .collect::<Vec<_>>()
    };
    FORBIDDEN.iter().flat_map(find).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_found_unless_it_is_generated() {
        let long = "//! Long.\n".to_owned() + &"\n".repeat(MOST_LINES);
        assert_eq!(length(&SourceFile::sample("a/src/b.rs", &long)), ["a/src/b.rs: 401 lines"]);
        assert!(length(&SourceFile::sample("a/src/b.ts", &format!("// @generated\n{long}"))).is_empty());
    }

    #[test]
    fn a_file_without_heading_is_found() {
        assert_eq!(heading(&SourceFile::sample("a/src/b.rs", "use c;\n")), ["a/src/b.rs"]);
        assert!(heading(&SourceFile::sample("a/src/b.ts", "import c;\n")).is_empty());
    }

    #[test]
    fn a_mod_rs_is_found() {
        assert_eq!(no_mod_rs(&SourceFile::sample("a/src/b/mod.rs", "")), ["a/src/b/mod.rs"]);
    }

    #[test]
    fn a_sleeping_test_is_found_unless_time_is_paused() {
        let call = concat!("    sleep", "(ONE).await;\n");
        let scenario = SourceFile::sample("tests/scenarios/x.rs", call);
        assert_eq!(no_sleep_in_tests(&scenario).len(), 1);
        let beside = SourceFile::sample("agent/src/x.rs", &format!("#[cfg(test)]\nmod tests {{\n{call}}}\n"));
        assert_eq!(no_sleep_in_tests(&beside), [concat!("agent/src/x.rs:3: sleep", "(ONE).await;")]);
        let program = SourceFile::sample("agent/src/x.rs", call);
        assert!(no_sleep_in_tests(&program).is_empty());
        let paused = SourceFile::sample(
            "agent/src/x/tests.rs",
            &format!("#[tokio::test(start_paused = true)]\n{call}"),
        );
        assert!(no_sleep_in_tests(&paused).is_empty());
    }

    #[test]
    fn unfinished_code_is_found() {
        let text = concat!("fn ge", "t_x() {\n    to", "do!()\n}\n");
        assert_eq!(no_forbidden_text(&SourceFile::sample("a/src/b.rs", text)).len(), 2);
    }
}
