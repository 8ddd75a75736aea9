//! Every message variant has frozen bytes in the wire test of its protocol version.

use crate::text::SourceFile;

/// The files with the messages, and the enums in them that go over the wire as a whole frame.
const MESSAGES: &[(&str, &[&str])] = &[
    ("protocol/src/message/to_agent.rs", &["ToAgent"]),
    ("protocol/src/message/to_controller.rs", &["ToController"]),
    ("protocol/src/message/hello.rs", &["Reply", "Refusal"]),
];

const FROZEN: &str = "protocol/tests/wire/v1.rs";

/// Variants that the wire test does not name.
pub(crate) fn unfrozen(files: &[SourceFile]) -> Vec<String> {
    let text = |path: &str| files.iter().find(|file| file.path == path).map_or("", |file| file.text.as_str());
    let frozen = text(FROZEN);
    let mut missing = Vec::new();
    for (path, enums) in MESSAGES {
        for name in *enums {
            let variants = variants(text(path), name);
            if variants.is_empty() {
                missing.push(format!("{path} has no enum {name}"));
            }
            let unnamed = variants.into_iter().map(|variant| format!("{name}::{variant}"));
            missing.extend(unnamed.filter(|variant| !names(frozen, variant)));
        }
    }
    missing
}

/// Whether `text` holds this path and not only a longer one.
fn names(text: &str, path: &str) -> bool {
    text.match_indices(path).any(|(at, _)| !text[at + path.len()..].starts_with(char::is_alphanumeric))
}

/// The variants of an enum as rustfmt writes it, without the catch-all `Unknown`.
fn variants(text: &str, name: &str) -> Vec<String> {
    let begin = format!("pub enum {name} {{");
    let body = text.lines().skip_while(|line| *line != begin).skip(1).take_while(|line| *line != "}");
    let variants = body.filter_map(|line| {
        let line = line.strip_prefix("    ")?;
        line.starts_with(|first: char| first.is_ascii_uppercase())
            .then(|| line.chars().take_while(|character| character.is_alphanumeric()).collect::<String>())
    });
    variants.filter(|variant| variant != "Unknown").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "\
pub enum ToAgent {
    /// Doc.
    Order(Box<Order>),
    Cancel {
        /// Field.
        command: CommandId,
    },
    #[serde(other)]
    Unknown,
}
";

    #[test]
    fn variants_are_read() {
        assert_eq!(variants(SAMPLE, "ToAgent"), ["Order", "Cancel"]);
    }

    #[test]
    fn a_variant_without_frame_is_found() {
        let files = [
            SourceFile::sample("protocol/src/message/to_agent.rs", SAMPLE),
            SourceFile::sample(
                "protocol/src/message/to_controller.rs",
                "pub enum ToController {\n    Bye,\n}\n",
            ),
            SourceFile::sample(FROZEN, "ToAgent::Order(order), ToAgent::Cancelled, ToController::Bye"),
        ];
        let missing = unfrozen(&files);
        assert!(missing.contains(&"ToAgent::Cancel".to_owned()), "{missing:?}");
        assert!(!missing.contains(&"ToAgent::Order".to_owned()));
        assert!(missing.iter().any(|line| line.contains("has no enum Reply")));
    }
}
