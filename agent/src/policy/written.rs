//! The policy as its owner writes it: in a file that only root can change, or in settings.

use std::fs::{File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use roadstead_protocol::message::codec;
use roadstead_protocol::message::policy::{Limits, Policy, UnknownVerb, Verb};
use serde::Deserialize;
use toml::Spanned;

use super::limits::plain;
use super::{Origins, Rules};

/// Largest policy as it travels, in bytes: Hello has to hold it.
const MAX_POLICY: usize = 8 * 1024;

/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// A policy that cannot be used. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// A verb is none.
    #[error("{origin}: {error}")]
    Verb {
        /// Where it is written.
        origin: String,
        /// What is wrong.
        error: UnknownVerb,
    },
    /// An entry of a list makes no sense.
    #[error("{origin}: {entry:?} {problem}")]
    Entry {
        /// Where it is written.
        origin: String,
        /// The entry.
        entry: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The policy would not fit into a message.
    #[error("the policy is larger than {MAX_POLICY} bytes; shorten its lists, for instance with `*`")]
    TooLarge,
    /// Both places say something.
    #[error("ROADSTEAD_POLICY_FILE and {setting} both set the policy; remove one of them")]
    Twice {
        /// The setting beside the file.
        setting: &'static str,
    },
    /// The file cannot be read.
    #[error("ROADSTEAD_POLICY_FILE: {path}: {error}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Others than the owner could change the file.
    #[error("ROADSTEAD_POLICY_FILE: {path}: {problem}")]
    Unsafe {
        /// Which, the file or its folder.
        path: PathBuf,
        /// Why, and what to do.
        problem: &'static str,
    },
    /// The file is not TOML or has an unknown key.
    #[error("ROADSTEAD_POLICY_FILE: {path}: {error}")]
    Parse {
        /// Which.
        path: PathBuf,
        /// What is wrong, with its place.
        error: Box<toml::de::Error>,
    },
}

/// The policy in settings: lists separated by commas or white space. None of a list means no limit.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the names are those of the lines")]
pub struct Words {
    pub allow: Option<String>,
    pub projects: Option<String>,
    pub registries: Option<String>,
    pub host_paths: Option<String>,
    pub privileged: Option<bool>,
}

/// One line of a policy, and where it is written.
struct Line<T> {
    value: Option<T>,
    origin: String,
}

struct Lines {
    allow: Line<Vec<String>>,
    projects: Line<Vec<String>>,
    registries: Line<Vec<String>>,
    host_paths: Line<Vec<String>>,
    privileged: Line<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Document {
    allow: Option<Spanned<Vec<String>>>,
    projects: Option<Spanned<Vec<String>>>,
    registries: Option<Spanned<Vec<String>>>,
    host_paths: Option<Spanned<Vec<String>>>,
    privileged: Option<Spanned<bool>>,
}

impl Rules {
    /// The policy of `file`, or of `words` where there is none.
    ///
    /// # Errors
    /// If it cannot be used, or both say something.
    pub fn written(file: Option<&Path>, words: Words) -> Result<Self, PolicyError> {
        let Some(path) = file else { return words.lines().rules() };
        let named = [
            ("ROADSTEAD_ALLOW", words.allow.is_some()),
            ("ROADSTEAD_ALLOW_PROJECTS", words.projects.is_some()),
            ("ROADSTEAD_ALLOW_REGISTRIES", words.registries.is_some()),
            ("ROADSTEAD_ALLOW_HOST_PATHS", words.host_paths.is_some()),
            ("ROADSTEAD_ALLOW_PRIVILEGED", words.privileged.is_some()),
        ];
        if let Some((setting, _)) = named.into_iter().find(|(_, set)| *set) {
            return Err(PolicyError::Twice { setting });
        }
        let text = read(path)?;
        let document: Document = toml::from_str(&text)
            .map_err(|error| PolicyError::Parse { path: path.to_owned(), error: Box::new(error) })?;
        document.lines(path, &text).rules()
    }
}

impl Words {
    fn lines(self) -> Lines {
        let list = |text: Option<String>, name: &str| {
            let words = text.map(|text| {
                let words =
                    text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty());
                words.map(str::to_owned).collect()
            });
            Line { value: words, origin: name.to_owned() }
        };
        Lines {
            allow: list(self.allow, "ROADSTEAD_ALLOW"),
            projects: list(self.projects, "ROADSTEAD_ALLOW_PROJECTS"),
            registries: list(self.registries, "ROADSTEAD_ALLOW_REGISTRIES"),
            host_paths: list(self.host_paths, "ROADSTEAD_ALLOW_HOST_PATHS"),
            privileged: Line { value: self.privileged, origin: "ROADSTEAD_ALLOW_PRIVILEGED".to_owned() },
        }
    }
}

impl Document {
    fn lines(self, path: &Path, text: &str) -> Lines {
        fn line<T>(entry: Option<Spanned<T>>, path: &Path, text: &str) -> Line<T> {
            let Some(entry) = entry else { return Line { value: None, origin: path.display().to_string() } };
            let before = text.get(..entry.span().start).unwrap_or_default();
            let number = before.matches('\n').count() + 1;
            Line { value: Some(entry.into_inner()), origin: format!("{} line {number}", path.display()) }
        }
        Lines {
            allow: line(self.allow, path, text),
            projects: line(self.projects, path, text),
            registries: line(self.registries, path, text),
            host_paths: line(self.host_paths, path, text),
            privileged: line(self.privileged, path, text),
        }
    }
}

impl Lines {
    fn rules(self) -> Result<Rules, PolicyError> {
        let mut policy = match self.allow.value {
            Some(words) => words.join(" ").parse::<Policy>().map_err(|error| {
                let origin = self.allow.origin.clone();
                PolicyError::Verb { origin, error }
            })?,
            None => Policy::default(),
        };
        // An agent is there to show its host, and one that may not is better not started.
        policy.allow.insert(Verb::View);
        policy.limits = Limits {
            projects: checked(&self.projects, "is no project", |entry| !entry.is_empty())?,
            registries: checked(&self.registries, "is no registry: leave out https://", |entry| {
                !entry.is_empty() && !entry.contains("://")
            })?,
            host_paths: checked(&self.host_paths, "is no absolute path", |entry| plain(entry).is_some())?,
            no_privileged: self.privileged.value == Some(false),
        };
        if codec::encode(&policy, MAX_POLICY).is_err() {
            return Err(PolicyError::TooLarge);
        }
        let origins = Origins {
            allow: self.allow.origin,
            projects: self.projects.origin,
            registries: self.registries.origin,
            host_paths: self.host_paths.origin,
            privileged: self.privileged.origin,
        };
        Ok(Rules { policy, origins })
    }
}

fn checked(
    line: &Line<Vec<String>>,
    problem: &'static str,
    fine: impl Fn(&str) -> bool,
) -> Result<Option<Vec<String>>, PolicyError> {
    let Some(list) = &line.value else { return Ok(None) };
    match list.iter().find(|entry| !fine(entry)) {
        Some(entry) => Err(PolicyError::Entry { origin: line.origin.clone(), entry: entry.clone(), problem }),
        None => Ok(Some(list.clone())),
    }
}

/// Reads the file, if nobody but root and whoever runs this agent can change it.
fn read(path: &Path) -> Result<String, PolicyError> {
    let failed = |error| PolicyError::Read { path: path.to_owned(), error };
    let refuse = |path: &Path, problem| PolicyError::Unsafe { path: path.to_owned(), problem };
    let mut file = File::open(path).map_err(failed)?;
    let own = rustix::process::geteuid().as_raw();
    if let Some(problem) = loose(&file.metadata().map_err(failed)?, own) {
        return Err(refuse(path, problem));
    }
    let real = std::fs::canonicalize(path).map_err(failed)?;
    if let Some(folder) = real.parent()
        && std::fs::metadata(folder).map_err(failed)?.mode() & 0o1002 == 0o0002
    {
        return Err(refuse(folder, "is a folder that anybody can write to; chmod o-w it"));
    }
    let mut text = String::new();
    file.by_ref().take(MAX_FILE).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

/// Why others could change a file, if so.
fn loose(metadata: &Metadata, own: u32) -> Option<&'static str> {
    if !metadata.is_file() {
        return Some("is not a file");
    }
    if metadata.uid() != 0 && metadata.uid() != own {
        return Some("belongs neither to root nor to the agent's user; chown root it");
    }
    if metadata.len() > MAX_FILE {
        return Some("is larger than 64 KiB");
    }
    (metadata.mode() & 0o022 != 0).then_some("can be changed by others than its owner; chmod go-w it")
}
