//! Whether a project, an image or a path is within a limit.

use std::path::{Component, Path, PathBuf};

/// Whether `name` is `pattern`, or begins as a pattern that ends in `*` does.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(begin) => name.starts_with(begin),
        None => name == pattern,
    }
}

/// Registries, or paths in them, that images may come from.
pub(super) struct Images<'a>(pub &'a [String]);

impl Images<'_> {
    /// Whether `reference` names an image in one of them.
    pub fn allow(&self, reference: &str) -> bool {
        let Some(repository) = repository(reference) else { return false };
        self.0.iter().any(|allowed| {
            let allowed = with_registry(allowed.trim_end_matches('/'));
            repository
                .strip_prefix(allowed.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }
}

/// The repository of an image with its registry, `docker.io/library/alpine` for `alpine:3`; none for a bare id, which
/// comes from no registry.
fn repository(reference: &str) -> Option<String> {
    if reference.starts_with("sha256:") {
        return None;
    }
    let tagged = reference.split_once('@').map_or(reference, |(tagged, _)| tagged);
    let path = match tagged.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => path,
        _ => tagged,
    };
    let full = with_registry(path);
    let short = full.strip_prefix("docker.io/").filter(|rest| !rest.contains('/'));
    Some(short.map_or_else(|| full.clone(), |name| format!("docker.io/library/{name}")))
}

/// `path` with its registry in front, which the engine takes to be Docker Hub where the first part is no host.
fn with_registry(path: &str) -> String {
    let (first, rest) = path.split_once('/').map_or((path, None), |(first, rest)| (first, Some(rest)));
    // A name in a registry has no capitals: what has some is a host.
    let capital = rest.is_some() && first.contains(|c: char| c.is_ascii_uppercase());
    let host = first.contains(['.', ':']) || first == "localhost" || capital;
    if !host {
        return format!("docker.io/{path}");
    }
    let host = match first.to_ascii_lowercase() {
        hub if hub == "index.docker.io" || hub == "registry-1.docker.io" => "docker.io".to_owned(),
        host => host,
    };
    rest.map_or_else(|| host.clone(), |rest| format!("{host}/{rest}"))
}

/// Folders and files of the host that may be mounted.
pub(super) struct Paths<'a>(pub &'a [String]);

impl Paths<'_> {
    /// Whether `path` is one of them or below one, also after the links that this program can see. An agent in a
    /// container sees its own files only, so that there the words of the path alone decide.
    pub fn allow(&self, path: &str) -> bool {
        self.allow_with(path, |path| std::fs::canonicalize(path).ok())
    }

    fn allow_with(&self, path: &str, resolve: impl Fn(&Path) -> Option<PathBuf>) -> bool {
        let Some(path) = plain(path) else { return false };
        let roots: Vec<_> = self.0.iter().filter_map(|root| plain(root)).collect();
        if !roots.iter().any(|root| path.starts_with(root)) {
            return false;
        }
        // The deepest part that exists tells where the engine would end up.
        let Some(real) =
            path.ancestors().find_map(|part| Some(resolve(part)?.join(path.strip_prefix(part).ok()?)))
        else {
            return true;
        };
        roots.iter().any(|root| real.starts_with(resolve(root).as_ref().unwrap_or(root)))
    }
}

/// An absolute path without `.` and doubled slashes; none for one that is not absolute, or goes up.
pub(super) fn plain(path: &str) -> Option<PathBuf> {
    let path = Path::new(path);
    let fine = |part| matches!(part, Component::RootDir | Component::Normal(_) | Component::CurDir);
    let whole = path.is_absolute() && !path.as_os_str().as_encoded_bytes().contains(&0);
    (whole && path.components().all(fine)).then(|| path.components().collect())
}

#[cfg(test)]
mod tests {
    use roadstead_protocol::fuzz::{fuzz, text};

    use super::*;

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn a_star_stands_for_any_rest() {
        assert!(fits("shop", "shop") && fits("shop-*", "shop-eu") && fits("*", "x"));
        assert!(!fits("shop", "shop2") && !fits("shop-*", "shop") && !fits("", "x"));
    }

    #[test]
    fn images_are_told_by_their_registry_and_path_as_the_engine_reads_them() {
        let table = [
            ("ghcr.io/acme", "ghcr.io/acme/web:1", true),
            ("ghcr.io/acme", "GHCR.io/acme/web", true),
            ("ghcr.io/acme", "ghcr.io/acme-evil/web", false),
            ("ghcr.io/acme", "ghcr.io/acme.evil.example/web", false),
            ("ghcr.io", "ghcr.io.evil.example/web", false),
            ("ghcr.io", "evil.example/ghcr.io/web", false),
            ("registry:5000", "registry:5000/web@sha256:00", true),
            ("registry:5000", "registry:5001/web", false),
            ("registry", "registry:5000/web", false),
            ("docker.io", "alpine", true),
            ("docker.io", "EVIL/web", false),
            ("docker.io/library", "alpine:3", true),
            ("docker.io/library", "acme/web", false),
            ("acme", "acme/web", true),
            ("docker.io/library/", "index.docker.io/library/alpine", true),
            ("docker.io", "sha256:0123", false),
            ("localhost", "localhost/web", true),
        ];
        for (allowed, reference, expected) in table {
            assert_eq!(Images(&strings(&[allowed])).allow(reference), expected, "{allowed} {reference}");
        }
        assert!(!Images(&[]).allow("alpine"));
    }

    #[test]
    fn paths_stay_below_their_roots_whatever_tricks_are_tried() {
        let roots = strings(&["/srv/data", "/etc/localtime"]);
        let nothing = |_: &Path| None;
        for good in ["/srv/data", "/srv/data/x", "/srv//data/./x/", "/etc/localtime"] {
            assert!(Paths(&roots).allow_with(good, nothing), "{good}");
        }
        for bad in [
            "/",
            "/srv",
            "/srv/data2",
            "/srv/data/../../etc",
            "srv/data",
            "../srv/data",
            "",
            "/srv/data\0/x",
            "~",
        ] {
            assert!(!Paths(&roots).allow_with(bad, nothing), "{bad:?}");
        }
        assert!(Paths(&strings(&["/"])).allow_with("/etc", nothing));
    }

    #[test]
    fn a_link_that_leads_out_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("data");
        std::fs::create_dir(&root).unwrap();
        std::os::unix::fs::symlink("/etc", root.join("way-out")).unwrap();
        std::os::unix::fs::symlink(&root, folder.path().join("alias")).unwrap();
        let under = |base: &Path, path: &str| {
            let roots = [base.to_string_lossy().into_owned()];
            Paths(&roots).allow(&base.join(path).to_string_lossy())
        };
        assert!(under(&root, "new/folder"));
        assert!(
            !under(&root, "way-out") && !under(&root, "way-out/shadow") && !under(&root, "way-out/none/x")
        );
        assert!(under(&folder.path().join("alias"), "new"));
    }

    #[test]
    fn fuzz_images_and_paths() {
        let (images, paths) = (strings(&["ghcr.io/team"]), strings(&["/srv"]));
        let samples = [
            "ghcr.io/team/web:1",
            "ghcr.io/teamwork/web",
            "team/web@sha256:ab",
            "/srv/shop/data",
            "/srv/../etc",
        ];
        fuzz(
            "images and paths of a policy",
            &text(&samples, &["ghcr.io/team", "/srv", "/../", "/./", "//"]),
            |text| {
                let image = Images(&images).allow(&text);
                assert!(!image || text.to_ascii_lowercase().starts_with("ghcr.io/team"), "{text:?}");
                let path = Paths(&paths).allow_with(&text, |_| None);
                assert!(
                    !path || (Path::new(&text).starts_with("/srv") && !text.contains("/../")),
                    "{text:?}"
                );
                image || path
            },
        );
    }
}
