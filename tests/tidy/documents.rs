//! Rules about files that are no source: decision records and keys.

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

#[cfg(test)]
mod tests {
    use super::*;

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
