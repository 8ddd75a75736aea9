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

/// How well-known tokens begin, wherever that stands.
const TOKENS: [&str; 18] = [
    "ghp_",
    "gho_",
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
    "AIza",
    "dckr_pat_",
    "rsj_",
    "$2y$",
    "$2b$",
    "$apr1$",
];

/// How others begin, where no letter or digit goes before: words and names end like that.
const TOKENS_ALONE: [&str; 12] = [
    "ghs_", "ASIA", "sk-", "sk_live_", "sk_test_", "rk_live_", "npm_", "pypi-", "hvs.", "SG.", "rst_", "eyJ",
];

/// Which bytes a token begins with: most places of a text need no closer look.
const BEGINS: [bool; 256] = {
    let mut begins = [false; 256];
    let mut token = 0;
    while token < TOKENS.len() {
        begins[TOKENS[token].as_bytes()[0] as usize] = true;
        token += 1;
    }
    token = 0;
    while token < TOKENS_ALONE.len() {
        begins[TOKENS_ALONE[token].as_bytes()[0] as usize] = true;
        token += 1;
    }
    begins
};

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
/// option, an assignment or a parameter (`--password x`, `TOKEN=x`, `Authorization: Bearer x`, `?token=x`). Takes time in proportion to the text,
/// which may be as long as whoever made an image likes.
#[must_use]
pub fn hide(text: &str) -> Cow<'_, str> {
    if text.contains("-----BEGIN ") {
        return Cow::Owned(MASK.to_owned());
    }
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
    if changed { Cow::Owned(hidden) } else { Cow::Borrowed(text) }
}

/// One word, masked where needed, and whether the next one is a secret.
fn hide_word(word: &str, is_value: bool) -> (Cow<'_, str>, bool) {
    if is_scheme(word) {
        return (Cow::Borrowed(word), true);
    }
    if is_value && !word.is_empty() {
        return (Cow::Owned(MASK.to_owned()), false);
    }
    let mut rest = word;
    while let Some((name, value)) = rest.split_once('=')
        && !value.is_empty()
        && is_identifier(name)
    {
        if names_secret(name) {
            // Its name may have a token in it.
            let name = hide_tokens(&word[..word.len() - value.len()]);
            return (Cow::Owned(format!("{name}{MASK}")), is_scheme(value));
        }
        rest = value;
    }
    let option = rest.starts_with('-') && rest.len() > 2 && is_identifier(rest) && names_secret(rest);
    let header = rest.strip_suffix(':').is_some_and(|name| is_identifier(name) && names_secret(name));
    let hidden = match hide_parameters(word) {
        Cow::Borrowed(word) => hide_shape(word),
        Cow::Owned(word) => Cow::Owned(hide_shape(&word).into_owned()),
    };
    (hidden, option || header || is_scheme(rest))
}

/// Hides the values of secret names in what follows a `?`, `&` or `;`, as in URLs and the addresses of databases.
fn hide_parameters(word: &str) -> Cow<'_, str> {
    let parts: Vec<_> = word.split_inclusive(['?', '&', ';']).collect();
    let secret = |part: &str| {
        let (name, value) = part.trim_end_matches(['?', '&', ';']).split_once('=')?;
        (!value.is_empty() && is_identifier(name) && names_secret(name))
            .then_some((name.len() + 1, value.len()))
    };
    if parts.iter().skip(1).all(|part| secret(part).is_none()) {
        return Cow::Borrowed(word);
    }
    let mut hidden = String::new();
    for (number, part) in parts.into_iter().enumerate() {
        match secret(part).filter(|_| number > 0) {
            Some((begin, length)) => {
                hidden.push_str(&part[..begin]);
                hidden.push_str(MASK);
                hidden.push_str(&part[begin + length..]);
            }
            None => hidden.push_str(part),
        }
    }
    Cow::Owned(hidden)
}

/// What stands before the secret in a header.
fn is_scheme(word: &str) -> bool {
    ["bearer", "basic"].iter().any(|scheme| word.trim_matches('"').eq_ignore_ascii_case(scheme))
}

fn is_identifier(name: &str) -> bool {
    let name = name.trim_start_matches(['"', '\'', '{', '-']).trim_end_matches(['"', '\'']);
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

/// Hides what goes before the `@` of URLs, and tokens.
fn hide_shape(word: &str) -> Cow<'_, str> {
    let mut hidden = String::new();
    let (mut shown, mut from) = (0, 0);
    while let Some(found) = word[from..].find("://") {
        from += found + "://".len();
        let authority = word[from..].split(['/', '?', '#']).next().unwrap_or_default();
        if let Some((user, _)) = authority.rsplit_once('@')
            && !user.is_empty()
        {
            hidden.push_str(&word[shown..from]);
            hidden.push_str(MASK);
            from += user.len();
            shown = from;
        }
    }
    if shown == 0 {
        return hide_tokens(word);
    }
    hidden.push_str(&word[shown..]);
    Cow::Owned(hide_tokens(&hidden).into_owned())
}

fn hide_tokens(word: &str) -> Cow<'_, str> {
    let mut hidden = String::new();
    let (mut shown, mut alone) = (0, true);
    for (at, byte) in word.bytes().enumerate() {
        if at >= shown
            && BEGINS[usize::from(byte)]
            && let Some(length) = token_length(&word[at..], alone)
        {
            hidden.push_str(&word[shown..at]);
            hidden.push_str(MASK);
            shown = at + length;
        }
        alone = !byte.is_ascii_alphanumeric();
    }
    if shown == 0 {
        return Cow::Borrowed(word);
    }
    hidden.push_str(&word[shown..]);
    Cow::Owned(hidden)
}

/// The length of the token that `text` begins with, if it does; `alone` if no letter or digit goes before.
fn token_length(text: &str, alone: bool) -> Option<usize> {
    let tokens = TOKENS.iter().chain(TOKENS_ALONE.iter().filter(|_| alone));
    let prefix = tokens.copied().find(|token| text.starts_with(token))?;
    let part_of_token = |c: char| c.is_ascii_alphanumeric() || "_-.$/+=".contains(c);
    let rest = &text[prefix.len()..];
    let length = rest.find(|c| !part_of_token(c)).unwrap_or(rest.len());
    (length >= TOKEN_REST).then_some(prefix.len() + length)
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
