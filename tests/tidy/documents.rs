//! Rules about files that are no source: decision records, keys, and the reasons of dependencies.

/// Problems with the names of decision records, given the paths in their folder.
pub(crate) fn decisions(paths: &[String]) -> Vec<String> {
    let mut problems = Vec::new();
    let names =
        paths.iter().filter_map(|path| path.strip_prefix("docs/adr/")).filter(|name| *name != "README.md");
    for (count, name) in names.enumerate() {
        let expected = format!("{:03}-", count + 1);
        if !name.starts_with(&expected) || !name.ends_with(".md") {
            problems.push(format!("{name}: expected {expected}title.md"));
        }
    }
    problems
}

/// Files that hold, or by their name would hold, a certificate or a key.
pub(crate) fn keys(paths: &[String]) -> Vec<String> {
    paths
        .iter()
        .filter(|path| [".pem", ".key", ".p12", ".der"].iter().any(|end| path.ends_with(end)))
        .cloned()
        .collect()
}

/// Direct dependencies, of a `Cargo.toml` or a `package.json`, that `reasons` does not name.
pub(crate) fn unexplained(manifest: &str, reasons: &str) -> Vec<String> {
    let names =
        if manifest.trim_start().starts_with('{') { of_package(manifest) } else { of_cargo(manifest) };
    let word = |c: char| c.is_alphanumeric() || "-_@/".contains(c);
    let explained: Vec<&str> = reasons.split(|c| !word(c)).collect();
    names
        .into_iter()
        .filter(|name| !name.starts_with("roadstead-") && !explained.contains(&name.as_str()))
        .collect()
}

/// The keys of every table of dependencies.
fn of_cargo(manifest: &str) -> Vec<String> {
    let mut within = false;
    let mut names = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            within = line.trim_end().ends_with("dependencies]");
        } else if within && line.starts_with(|c: char| c.is_alphanumeric()) {
            names.extend(line.split(['.', ' ', '=']).next().map(str::to_owned));
        }
    }
    names
}

fn of_package(manifest: &str) -> Vec<String> {
    let package: serde_json::Value =
        serde_json::from_str(manifest).unwrap_or_else(|error| panic!("package.json: {error}"));
    let tables = ["dependencies", "devDependencies"].map(|table| package[table].as_object().cloned());
    tables.into_iter().flatten().flat_map(|table| table.into_iter().map(|(name, _)| name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_without_a_reason_is_found() {
        let cargo = "[package]\nname = \"x\"\n[dev-dependencies]\nserde.workspace = true\nrand = \"1\"\n[lints]\nw = 1\n";
        assert_eq!(unexplained(cargo, "| serde, rmp-serde | x |"), ["rand"]);
        assert_eq!(unexplained(cargo, "| rand_core, serde-x | x |"), ["serde", "rand"]);
        let package = r#"{ "devDependencies": { "@types/node": "1", "vite": "8" } }"#;
        assert_eq!(unexplained(package, "| vite, @types/node-x |"), ["@types/node"]);
    }

    #[test]
    fn gaps_and_doubles_are_found() {
        let paths = |names: &[&str]| names.iter().map(|name| format!("docs/adr/{name}")).collect::<Vec<_>>();
        assert!(decisions(&paths(&["001-a.md", "002-b.md"])).is_empty());
        assert_eq!(decisions(&paths(&["001-a.md", "001-b.md"])).len(), 1);
        assert_eq!(decisions(&paths(&["001-a.md", "003-b.md"])).len(), 1);
    }

    #[test]
    fn a_key_is_found() {
        assert_eq!(keys(&["docker/server.pem".to_owned(), "README.md".to_owned()]), ["docker/server.pem"]);
    }
}
