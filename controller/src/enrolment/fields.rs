//! The fields of an instance as people and agents give them: checked and brought into one form.

use roadstead_protocol::link::address::{AgentAddress, InvalidAddress};

use crate::store::instances::MAX_NAME;

/// Longest description in characters.
const MAX_DESCRIPTION: usize = 500;

/// Longest environment label or tag in characters.
const MAX_LABEL: usize = 32;

/// Most tags of an instance.
const MAX_TAGS: usize = 16;

/// A field that cannot be as it was given. Whoever gave it must change it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct InvalidField {
    /// Which field, by its name in the API.
    pub field: &'static str,
    /// What is wrong and what would be right, in a sentence.
    pub problem: String,
}

impl InvalidField {
    pub(super) fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into() }
    }
}

/// A name: 1 to 64 characters, none of them control characters.
///
/// # Errors
/// If it is not.
pub fn name(text: &str) -> Result<String, InvalidField> {
    let text = text.trim();
    if text.is_empty() {
        return Err(InvalidField::new("name", "The name is empty. Give the instance a name."));
    }
    visible("name", "name", text, MAX_NAME)
}

/// A description: at most 500 characters; lines may break.
///
/// # Errors
/// If it is not.
pub fn description(text: &str) -> Result<String, InvalidField> {
    let text = text.trim();
    let field = "description";
    if text.chars().count() > MAX_DESCRIPTION {
        return Err(too_long(field, "description", MAX_DESCRIPTION));
    }
    if text.chars().any(|c| is_invisible(c) && c != '\n' && c != '\t') {
        return Err(invisible(field, "description"));
    }
    Ok(text.to_owned())
}

/// An environment label: at most 32 characters; an empty one is none.
///
/// # Errors
/// If it is not.
pub fn environment(text: Option<&str>) -> Result<Option<String>, InvalidField> {
    match text.map(str::trim) {
        None | Some("") => Ok(None),
        Some(text) => visible("environment", "environment", text, MAX_LABEL).map(Some),
    }
}

/// Tags: at most 16 of at most 32 characters, sorted, without doubles and empty ones.
///
/// # Errors
/// If they are not.
pub fn tags(given: &[String]) -> Result<Vec<String>, InvalidField> {
    let mut tags = Vec::new();
    for tag in given.iter().map(|tag| tag.trim()).filter(|tag| !tag.is_empty()) {
        tags.push(visible("tags", "tag", tag, MAX_LABEL)?);
    }
    tags.sort();
    tags.dedup();
    if tags.len() > MAX_TAGS {
        return Err(InvalidField::new(
            "tags",
            format!("There are {} tags; the most is {MAX_TAGS}. Leave some out.", tags.len()),
        ));
    }
    Ok(tags)
}

/// An agent's address: `wss://host:port` and nothing more.
///
/// # Errors
/// If it is not.
pub fn url(text: &str) -> Result<AgentAddress, InvalidField> {
    text.parse().map_err(|error: InvalidAddress| InvalidField::new("url", format!("{error}.")))
}

fn visible(field: &'static str, what: &str, text: &str, limit: usize) -> Result<String, InvalidField> {
    if text.chars().count() > limit {
        return Err(too_long(field, what, limit));
    }
    if text.chars().any(is_invisible) {
        return Err(invisible(field, what));
    }
    Ok(text.to_owned())
}

/// Control characters, and those that make one text look like another: zero-width ones and changes of direction.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn too_long(field: &'static str, what: &str, limit: usize) -> InvalidField {
    InvalidField::new(field, format!("The {what} is too long; the most is {limit} characters. Shorten it."))
}

fn invisible(field: &'static str, what: &str) -> InvalidField {
    InvalidField::new(field, format!("The {what} contains a character that cannot be seen. Leave it out."))
}
