//! The repository's source files, and what of their text is code, and what of that is test code.

use std::path::{Path, PathBuf};

/// Folders that hold nothing of ours.
const SKIPPED: &[&str] =
    &["target", "node_modules", ".git", "data", ".roadstead", "dist", "build", "out", "fuzz"];

/// The endings of source files.
const SOURCES: &[&str] = &["rs", "ts", "svelte"];

/// Lines with their numbers.
pub(crate) type Lines<'a> = Vec<(usize, &'a str)>;

/// A source file.
#[derive(Debug, Clone)]
pub(crate) struct SourceFile {
    /// Its path inside the repository, with `/`.
    pub(crate) path: String,
    /// Its text.
    pub(crate) text: String,
}

impl SourceFile {
    #[cfg(test)]
    pub(crate) fn sample(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// Whether a generator made it, by the mark in its first lines.
    pub(crate) fn is_generated(&self) -> bool {
        self.text.lines().take(5).any(|line| line.contains("@generated"))
    }

    pub(crate) fn is_rust(&self) -> bool {
        Path::new(&self.path).extension().is_some_and(|ending| ending == "rs")
    }

    /// Whether all of it is test code.
    pub(crate) fn is_test(&self) -> bool {
        let parts: Vec<&str> = self.path.split('/').collect();
        parts.iter().skip(1).any(|part| {
            matches!(
                *part,
                "tests" | "tests.rs" | "fixtures.rs" | "tidy" | "scenarios" | "faults" | "benches"
            )
        })
    }

    /// Its lines of code with their numbers: no comments, no tests.
    pub(crate) fn code(&self) -> Lines<'_> {
        if self.is_test() {
            return Vec::new();
        }
        let (code, _) = self.split();
        code
    }

    /// Its lines of test code with their numbers.
    pub(crate) fn test_code(&self) -> Lines<'_> {
        let (mut code, tests) = self.split();
        if !self.is_test() {
            return tests;
        }
        code.extend(tests);
        code
    }

    /// By this repository's habit a module of tests is the last item of its file, or a file of its own.
    fn split(&self) -> (Lines<'_>, Lines<'_>) {
        let lines = self.text.lines().enumerate().map(|(number, line)| (number + 1, line));
        let lines: Vec<_> = lines.filter(|(_, line)| !line.trim_start().starts_with("//")).collect();
        let begin = lines.windows(2).position(|pair| {
            pair[0].1.trim() == "#[cfg(test)]" && pair[1].1.starts_with("mod ") && pair[1].1.ends_with('{')
        });
        let mut code = lines;
        let tests = begin.map_or_else(Vec::new, |begin| code.split_off(begin));
        (code, tests)
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every source file of the repository, sorted by path.
pub(crate) fn repository() -> Vec<SourceFile> {
    let wanted = |path: &String| SOURCES.iter().any(|ending| path.ends_with(&format!(".{ending}")));
    let read = |path: String| SourceFile { text: text_of(&path), path };
    files_under(".").into_iter().filter(wanted).map(read).collect()
}

/// The text of one file of the repository.
pub(crate) fn text_of(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The paths of all files in a folder of the repository, sorted; none if there is no such folder.
pub(crate) fn files_under(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![PathBuf::from(folder)];
    while let Some(folder) = open.pop() {
        let Ok(entries) = std::fs::read_dir(root().join(&folder)) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let path = folder.join(&name);
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && !SKIPPED.iter().any(|skipped| name == *skipped) => {
                    open.push(path)
                }
                Ok(kind) if kind.is_file() => {
                    found.push(path.to_string_lossy().trim_start_matches("./").to_owned());
                }
                _ => {}
            }
        }
    }
    found.sort();
    found
}

#[test]
fn comments_are_no_code_and_tests_are_told_apart() {
    let text = "//! Head.\nuse a;\n#[cfg(test)]\nuse b;\n#[cfg(test)]\nmod tests {\n    use c;\n}\n";
    let file = SourceFile::sample("agent/src/x.rs", text);
    assert_eq!(file.code(), [(2, "use a;"), (3, "#[cfg(test)]"), (4, "use b;")]);
    assert!(file.test_code().contains(&(7, "    use c;")));
    let file = SourceFile::sample("agent/src/x/tests.rs", "use a;\n");
    assert!(file.code().is_empty());
    assert_eq!(file.test_code(), [(1, "use a;")]);
}
