//! Names and references that callers pass: checked before they become part of a path in the engine's API.

use crate::engine::EngineError;

/// Longest name or reference accepted, in bytes.
const MAX_LENGTH: usize = 512;

/// A container's name or id, or a network's or volume's name, as the engine's own rule has it.
pub(super) fn checked(name: &str) -> Result<&str, EngineError> {
    let mut bytes = name.bytes();
    let fits = name.len() <= MAX_LENGTH
        && bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    if fits { Ok(name) } else { Err(EngineError::Refused(format!("{name:?} is not a valid name or id"))) }
}

/// An image reference, split where the engine's pull wants it split.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ImageReference<'a> {
    /// Registry and repository: `127.0.0.1:5000/team/web`.
    pub(super) repository: &'a str,
    /// Tag or digest; `latest` if neither was given.
    pub(super) version: &'a str,
}

impl<'a> ImageReference<'a> {
    /// Reads `repository[:tag][@digest]`. A digest wins over a tag beside it.
    pub(super) fn parse(text: &'a str) -> Result<Self, EngineError> {
        let invalid = || EngineError::Refused(format!("{text:?} is not a valid image reference"));
        checked_image(text)?;
        let (tagged, digest) = match text.split_once('@') {
            Some((tagged, digest)) => (tagged, Some(digest)),
            None => (text, None),
        };
        let (repository, tag) = match tagged.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
            _ => (tagged, None),
        };
        let version = digest.or(tag).unwrap_or("latest");
        // What is left of a part without its tag or digest may lead elsewhere although the part did not.
        if !repository.split('/').all(is_segment) || !is_segment(version) || version.contains('/') {
            return Err(invalid());
        }
        Ok(Self { repository, version })
    }
}

/// An image's reference or id, fit for a path: no empty, `.` or `..` segment and only the characters references have.
pub(super) fn checked_image(text: &str) -> Result<&str, EngineError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-:@/[]".contains(&byte);
    let fits = text.len() <= MAX_LENGTH && text.bytes().all(plain) && text.split('/').all(is_segment);
    if fits {
        Ok(text)
    } else {
        Err(EngineError::Refused(format!("{text:?} is not a valid image reference")))
    }
}

/// Whether a part of a reference stays where it is in a path.
fn is_segment(part: &str) -> bool {
    !part.is_empty() && !part.bytes().all(|byte| byte == b'.')
}

#[cfg(test)]
mod tests {
    use roadstead_protocol::fuzz::{fuzz, text};

    use super::*;

    #[test]
    fn names_that_could_leave_their_place_in_a_path_are_refused() {
        for good in ["web", "web_1", "a.b-c", "0123456789ab"] {
            assert_eq!(checked(good), Ok(good));
        }
        for bad in
            ["", ".", "..", "../version", "a/b", "a%2f..", "a?x=1", "a#b", "-a", "_a", "a b", "ä", "a\n"]
        {
            assert!(checked(bad).is_err(), "{bad:?}");
        }
        assert!(checked(&"a".repeat(513)).is_err());
    }

    #[test]
    fn references_are_split_like_the_engine_does() {
        let table = [
            ("alpine", "alpine", "latest"),
            ("alpine:3", "alpine", "3"),
            ("team/web:v1.2", "team/web", "v1.2"),
            ("127.0.0.1:5000/web", "127.0.0.1:5000/web", "latest"),
            ("127.0.0.1:5000/web:2", "127.0.0.1:5000/web", "2"),
            ("[::1]:5000/web:2", "[::1]:5000/web", "2"),
            ("web@sha256:ab", "web", "sha256:ab"),
            ("web:1@sha256:ab", "web", "sha256:ab"),
        ];
        for (text, repository, version) in table {
            assert_eq!(ImageReference::parse(text), Ok(ImageReference { repository, version }), "{text}");
        }
        for bad in [
            "",
            ":1",
            "web:",
            "web@",
            "../x",
            "a/../b",
            "a//b",
            "/a",
            "a/",
            "a b",
            "a?b",
            "web%2f",
            "./a",
            "..:1",
            "a/..:1",
            "a/..@sha256:ab",
            "a/:1",
            "a/@sha256:ab",
            "web:..",
            "web@.",
        ] {
            assert!(ImageReference::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn fuzz_image_references() {
        let samples = ["alpine", "127.0.0.1:5000/team/web:v1.2", "[::1]:5000/web:2", "web:1@sha256:ab"];
        fuzz("image references", &text(&samples, &["../", "/./", "@sha256:", ":latest", "%2f"]), |text| {
            // Neither may lead elsewhere in the engine's API.
            let safe = |text: &str| {
                assert!(
                    text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#%\\".contains(&byte)),
                    "{text:?}"
                );
                assert!(text.split('/').all(|part| !matches!(part, "" | "." | "..")), "{text:?}");
            };
            let name = checked(&text).map(|name| {
                safe(name);
                assert!(!name.contains('/'), "{name:?}");
            });
            let image = ImageReference::parse(&text).map(|image| {
                safe(image.repository);
                safe(image.version);
                assert!(!image.version.contains('/'), "{image:?}");
            });
            name.is_ok() || image.is_ok()
        });
    }
}
