//! Hiding what looks secret before it leaves this host: by the name of a setting, by the shape of a value. Pure.
//!
//! Rather too much than too little; the owner who wants to see it allows `view-env`.

use std::borrow::Cow;

use crate::message::command::InstallWork;
use crate::message::container::Container;
use crate::message::inspection::{ContainerDetails, Setting};

/// What stands where a secret was.
pub const MASK: &str = "••••••";

/// Parts of names whose values are secret.
const NAMES: [&str; 13] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "key",
    "credential",
    "dsn",
    "auth",
    "private",
    "salt",
    "cookie",
];

/// Names that only look like those.
const HARMLESS: [&str; 9] =
    ["author", "keyboard", "keymap", "keyspace", "monkey", "oldpwd", "authority.", "keepalive", "hotkey"];

/// Labels that programs act on by their names: what they say is a setting, unless its value is a secret by shape.
const ACTED_ON: [&str; 7] =
    ["com.docker.", "org.opencontainers.", "traefik.", "caddy", "cloudflare.", "prometheus.", "roadstead."];

/// How well-known tokens begin.
const TOKENS: [&str; 30] = [
    "ghp_",
    "gho_",
    "ghs_",
    "ghu_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "gldt-",
    "xoxb-",
    "xoxp-",
    "xoxa-",
    "xoxr-",
    "AKIA",
    "ASIA",
    "AIza",
    "sk-",
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "dckr_pat_",
    "npm_",
    "pypi-",
    "hvs.",
    "SG.",
    "rsj_",
    "rst_",
    "eyJ",
    "$2y$",
    "$2b$",
    "$apr1$",
];

/// Shortest rest of a token, in bytes: less than that is a word.
const TOKEN_REST: usize = 16;

/// Whether a setting of that name, or with that value, is to be hidden.
#[must_use]
pub fn is_secret(name: &str, value: &str) -> bool {
    !value.is_empty() && (names_secret(name) || has_secret(value))
}

fn names_secret(name: &str) -> bool {
    let mut lower = name.to_ascii_lowercase().replace("authoriz", "auth");
    for harmless in HARMLESS {
        lower = lower.replace(harmless, "");
    }
    // `PWD` alone is where a program runs, `pass` is a secret only as a word.
    lower != "pwd"
        && (NAMES.iter().any(|part| lower.contains(part))
            || lower.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == "pass"))
}

/// Whether there is a secret in `text`, wherever it is written.
fn has_secret(text: &str) -> bool {
    text.contains("-----BEGIN ") || text.contains("{SHA}") || matches!(hide(text), Cow::Owned(_))
}

/// `text` without the secrets in it: tokens of known shape, passwords in URLs, and what follows a secret's name in an
/// option or an assignment (`--password x`, `TOKEN=x`, `Authorization: Bearer x`).
#[must_use]
pub fn hide(text: &str) -> Cow<'_, str> {
    let mut hidden = String::new();
    let mut changed = false;
    let mut expect_value = false;
    for piece in text.split_inclusive(char::is_whitespace) {
        let word = piece.trim_end_matches(char::is_whitespace);
        let (masked, next) = hide_word(word, expect_value);
        // Between an option and its value may be more than one space.
        expect_value = next || (expect_value && word.is_empty());
        changed |= matches!(masked, Cow::Owned(_));
        hidden.push_str(&masked);
        hidden.push_str(&piece[word.len()..]);
    }
    if text.contains("-----BEGIN ") {
        return Cow::Owned(MASK.to_owned());
    }
    if changed { Cow::Owned(hidden) } else { Cow::Borrowed(text) }
}

/// One word, masked where needed, and whether the next one is a secret.
fn hide_word(word: &str, is_value: bool) -> (Cow<'_, str>, bool) {
    if word.is_empty() {
        return (Cow::Borrowed(word), false);
    }
    let scheme = ["bearer", "basic"].iter().any(|scheme| word.trim_matches('"').eq_ignore_ascii_case(scheme));
    if scheme {
        return (Cow::Borrowed(word), true);
    }
    if is_value {
        return (Cow::Owned(MASK.to_owned()), false);
    }
    let assignment = word.split_once('=').filter(|(name, value)| !value.is_empty() && is_identifier(name));
    if let Some((name, value)) = assignment {
        if names_secret(name) {
            return (Cow::Owned(format!("{name}={MASK}")), false);
        }
        let (value, _) = hide_word(value, false);
        let whole = match value {
            Cow::Owned(value) => Cow::Owned(format!("{name}={value}")),
            Cow::Borrowed(_) => Cow::Borrowed(word),
        };
        return (whole, false);
    }
    let option = word.starts_with('-') && word.len() > 2 && names_secret(word) && is_identifier(word);
    let header = word.ends_with(':') && names_secret(word) && is_identifier(word.trim_end_matches(':'));
    if option || header {
        return (Cow::Borrowed(word), true);
    }
    (hide_shape(word), false)
}

fn is_identifier(name: &str) -> bool {
    let name = name.trim_start_matches(['"', '\'', '{', '-']).trim_end_matches(['"', '\'']);
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

fn hide_shape(word: &str) -> Cow<'_, str> {
    if let Some((scheme, rest)) = word.split_once("://") {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if let Some((user, _)) = authority.rsplit_once('@')
            && !user.is_empty()
        {
            return Cow::Owned(format!("{scheme}://{MASK}{}", hide_tokens(&rest[user.len()..])));
        }
    }
    hide_tokens(word)
}

/// Hides tokens that begin where a word of letters and digits does.
fn hide_tokens(word: &str) -> Cow<'_, str> {
    let part_of_token = |c: char| c.is_ascii_alphanumeric() || "_-.$/+=".contains(c);
    let mut from = 0;
    while let Some(begin) =
        TOKENS.iter().filter_map(|token| Some((word[from..].find(token)? + from, token.len()))).min()
    {
        let (at, prefix) = begin;
        let alone = !word[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let rest = &word[at + prefix..];
        let length = rest.find(|c| !part_of_token(c)).unwrap_or(rest.len());
        if alone && length >= TOKEN_REST {
            let after = hide_tokens(&rest[length..]);
            return Cow::Owned(format!("{}{MASK}{after}", &word[..at]));
        }
        from = at + prefix;
    }
    Cow::Borrowed(word)
}

/// Hides the secrets of a container in detail.
pub fn mask_details(details: &mut ContainerDetails) {
    for Setting { name, value } in &mut details.env {
        if value.as_deref().is_some_and(|value| is_secret(name, value)) {
            *value = None;
        }
    }
    for Setting { name, value } in &mut details.labels {
        if value.as_deref().is_some_and(|value| is_secret_label(name, value)) {
            *value = None;
        }
    }
    // One vector: an option and its value are two entries of it.
    for list in [&mut details.entrypoint, &mut details.command, &mut details.health_check] {
        hide_arguments(list);
    }
    for entry in &mut details.health_log {
        replace(&mut entry.output);
    }
}

/// Hides the secrets of a container of the picture.
pub fn mask_container(container: &mut Container) {
    for (name, value) in &mut container.labels {
        if is_secret_label(name, value) {
            MASK.clone_into(value);
        }
    }
    replace(&mut container.command);
}

/// Hides the secrets of an order to install: every value of its environment, since it was given to the container and
/// not to whoever reads the ledger.
pub fn mask_install(install: &mut InstallWork) {
    install.env.values_mut().for_each(|value| MASK.clone_into(value));
    for (name, value) in &mut install.labels {
        if is_secret_label(name, value) {
            MASK.clone_into(value);
        }
    }
    hide_arguments(&mut install.command);
}

fn is_secret_label(name: &str, value: &str) -> bool {
    let acted_on = ACTED_ON.iter().any(|prefix| name.starts_with(prefix));
    if acted_on { has_secret(value) } else { is_secret(name, value) }
}

fn hide_arguments(arguments: &mut [String]) {
    let mut expect_value = false;
    for argument in arguments {
        let (masked, next) = if argument.contains(char::is_whitespace) && !expect_value {
            (hide(argument), false)
        } else {
            hide_word(argument, expect_value)
        };
        expect_value = next;
        if let Cow::Owned(masked) = masked {
            *argument = masked;
        }
    }
}

/// Hides the secrets in `text`, in place.
pub fn replace(text: &mut String) {
    if let Cow::Owned(hidden) = hide(text) {
        *text = hidden;
    }
}

#[cfg(test)]
mod tests;
