//! YAML of a size and a depth that a project may have.

use std::collections::BTreeMap;

use serde_json::Value;
use yaml_rust2::parser::{Event, Parser};
use yaml_rust2::{Yaml, YamlLoader};

/// Longest text in bytes. A program's output is cut well beyond that, never before.
const MAX_TEXT: usize = 1 << 20;

/// Most memory in bytes, roughly, with everything that is repeated by its name.
const MAX_GROWN: usize = 16 << 20;

/// Deepest nesting; the loader takes a step down the stack for each level.
const MAX_DEPTH: usize = 64;

/// What any value takes up, roughly, in bytes.
const NODE: usize = 100;

/// Reads the first document.
///
/// # Errors
/// What is wrong with it, or which of the limits it exceeds.
pub(super) fn from_yaml(text: &str) -> Result<Value, String> {
    check(text)?;
    let documents = YamlLoader::load_from_str(text).map_err(|error| error.to_string())?;
    Ok(documents.into_iter().next().map_or(Value::Null, value))
}

/// Goes through the text without keeping what it says, and adds up what it would take up.
fn check(text: &str) -> Result<(), String> {
    if text.len() > MAX_TEXT {
        return Err(format!("it is longer than {MAX_TEXT} bytes"));
    }
    let mut parser = Parser::new_from_str(text);
    let mut open: Vec<Part> = Vec::new();
    let mut named = BTreeMap::new();
    let mut total = 0_usize;
    loop {
        let (event, mark) = parser.next_token().map_err(|error| error.to_string())?;
        let mut part = match event {
            Event::StreamEnd => return Ok(()),
            Event::SequenceStart(name, _) | Event::MappingStart(name, _) => {
                if open.len() == MAX_DEPTH {
                    return Err(format!(
                        "it is nested deeper than {MAX_DEPTH} levels in line {}",
                        mark.line()
                    ));
                }
                open.push(Part { name, size: NODE, new: NODE });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => open.pop().unwrap_or_default(),
            Event::Scalar(text, _, name, _) => Part::leaf(name, NODE + text.len()),
            Event::Alias(name) => Part::leaf(0, named.get(&name).copied().unwrap_or(NODE)),
            Event::Nothing | Event::StreamStart | Event::DocumentStart | Event::DocumentEnd => continue,
        };
        if part.name > 0 {
            // The loader keeps a copy.
            named.insert(part.name, part.size);
            part.new += part.size;
        }
        total += part.new;
        if let Some(outer) = open.last_mut() {
            outer.size += part.size;
        }
        if total > MAX_GROWN {
            return Err(format!("it grows beyond {MAX_GROWN} bytes in line {}", mark.line()));
        }
    }
}

/// A value on its way.
#[derive(Default)]
struct Part {
    /// The number of its name; 0 for none.
    name: usize,
    /// What it takes up with everything in it.
    size: usize,
    /// What of that was not counted yet.
    new: usize,
}

impl Part {
    const fn leaf(name: usize, size: usize) -> Self {
        Self { name, size, new: size }
    }
}

fn value(yaml: Yaml) -> Value {
    match yaml {
        Yaml::String(text) | Yaml::Real(text) => Value::String(text),
        Yaml::Integer(number) => Value::from(number),
        Yaml::Boolean(truth) => Value::Bool(truth),
        Yaml::Array(list) => list.into_iter().map(value).collect(),
        Yaml::Hash(map) => {
            let entries = map.into_iter().map(|(key, entry)| (word(&value(key)), value(entry)));
            Value::Object(entries.collect())
        }
        Yaml::Null | Yaml::Alias(_) | Yaml::BadValue => Value::Null,
    }
}

/// A key, which YAML lets be a number.
fn word(key: &Value) -> String {
    key.as_str().map_or_else(|| key.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use roadstead_protocol::fuzz::{fuzz, text};

    use super::*;

    fn refused(text: &str, why: &str) {
        let error = from_yaml(text).unwrap_err();
        assert!(error.contains(why), "{error}");
    }

    #[test]
    fn what_is_repeated_by_name_is_read() {
        let text = "services:\n  a:\n    logging: &id001\n      driver: local\n  b:\n    logging: *id001\n";
        assert_eq!(from_yaml(text).unwrap()["services"]["b"]["logging"]["driver"], "local");
        assert_eq!(from_yaml("").unwrap(), Value::Null);
    }

    #[test]
    fn deep_nesting_is_refused() {
        assert!(from_yaml(&"- ".repeat(MAX_DEPTH)).is_ok());
        refused(&"- ".repeat(MAX_DEPTH + 1), "deeper");
        refused(&"- ".repeat(200_000), "deeper");
        refused(&"[".repeat(200_000), "");
        refused(&"{a: ".repeat(100_000), "");
        refused(&"? ".repeat(200_000), "");
        let stairs: String = (0..1_000).map(|step| format!("{}a:\n", " ".repeat(step))).collect();
        refused(&stairs, "deeper");
    }

    #[test]
    fn what_grows_by_its_names_is_refused() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let parts = vec![format!("*a{}", level - 1); 10].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{parts}]\n"));
        }
        refused(&bomb, "grows");
        let long = format!("a: &a {}\nb:\n{}", "x".repeat(500_000), "  - *a\n".repeat(1_000));
        refused(&long, "grows");
    }

    #[test]
    fn long_texts_are_refused_and_common_ones_are_not() {
        refused(&"x".repeat(MAX_TEXT + 1), "longer");
        let service = "  s:\n    image: app:1\n    environment:\n      A: b\n";
        let services: String =
            (0..1_000).map(|number| service.replacen('s', &format!("s{number}"), 1)).collect();
        let read = from_yaml(&format!("services:\n{services}")).unwrap();
        assert_eq!(read["services"].as_object().unwrap().len(), 1_000);
    }

    #[test]
    fn fuzz_yaml() {
        let samples = ["a: &a\n  - b\n  - [c, {d: e}]\nf: *a\ng:\n  h: |\n    text\n", "- &x 1\n- *x\n"];
        fuzz("yaml", &text(&samples, &["&a ", "*a", "- ", "? ", "[", "{", "<<: *a"]), |text| {
            from_yaml(&text).is_ok()
        });
    }
}
