//! The compose program that a project was made with, if it is here.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::commands::CommandOptions;
use crate::commands::program::{Program, find};
use crate::commands::sync::plan::{Files, Project};

/// How long a compose program may take to say which version it is.
const VERSION_LIMIT: Duration = Duration::from_secs(20);

/// A compose program, bound to one project.
pub(in crate::commands::sync) struct Tool {
    /// The program, and `compose` where it is docker's plugin.
    argv: Vec<OsString>,
    version: String,
    project: String,
    files: Files,
    env: Vec<(OsString, OsString)>,
}

impl Tool {
    /// The program for this project, whose containers have these labels from their `image`: of the generation that
    /// created it, since each generation takes the other's containers for changed ones.
    ///
    /// # Errors
    /// If the labels name no files, a file cannot be read here, or there is no such program; in words.
    pub async fn find(
        options: &CommandOptions,
        project: &Project,
        image: &BTreeMap<String, String>,
    ) -> Result<Self, String> {
        let mut files = project.files(image)?;
        let directory = files.directory.clone();
        for file in files.files.iter_mut().chain(&mut files.env_files) {
            *file = readable(&directory, file)?;
        }
        let env = options.docker_env.iter().map(|(name, value)| (name.into(), value.into())).collect();
        let mut tool =
            Self { argv: Vec::new(), version: String::new(), project: project.name.clone(), files, env };
        let plugin =
            find("docker", options.search_path.as_ref()).map(|docker| vec![docker, PathBuf::from("compose")]);
        let standalone = find("docker-compose", options.search_path.as_ref()).map(|program| vec![program]);
        let mut seen = Vec::new();
        for argv in [plugin, standalone].into_iter().flatten() {
            tool.argv = argv.into_iter().map(OsString::from).collect();
            let Some(version) = tool.ask_version().await else { continue };
            if generation(&version) == generation(&tool.files.version) {
                tool.version = version;
                return Ok(tool);
            }
            seen.push(format!("{} {version}", tool.program()));
        }
        let made = &tool.files.version;
        Err(if seen.is_empty() {
            "there is neither `docker compose` nor `docker-compose` here".to_owned()
        } else {
            format!("the project was made by compose {made}, but here is only {}", seen.join(" and "))
        })
    }

    /// The program and its version, for people.
    pub fn describe(&self) -> String {
        format!("{} {}", self.program(), self.version)
    }

    /// Whether it is of the first generation, written in Python.
    pub fn is_first(&self) -> bool {
        generation(&self.version) == 1
    }

    /// `config`: the project's files as compose understands them.
    pub fn config(&self) -> Program {
        let arguments: &[&str] = if self.is_first() { &["config"] } else { &["config", "--format", "json"] };
        self.program_with(arguments)
    }

    /// `up` for these services, or for all if none is named. Recreates only what changed; pulls and builds nothing
    /// that is there; leaves what the files no longer name alone.
    pub fn up(&self, services: &[&str]) -> Program {
        let mut arguments = vec!["up", "-d", "--no-build"];
        if !services.is_empty() {
            arguments.push("--no-deps");
        }
        arguments.extend(services);
        self.program_with(&arguments)
    }

    fn program_with(&self, arguments: &[&str]) -> Program {
        let mut argv = self.argv.clone();
        argv.extend(["--ansi", "never", "-p"].map(OsString::from));
        argv.push(self.project.clone().into());
        for file in &self.files.files {
            argv.extend(["-f".into(), file.into()]);
        }
        for file in &self.files.env_files {
            argv.extend(["--env-file".into(), file.into()]);
        }
        argv.extend(["--project-directory".into(), self.files.directory.clone().into()]);
        argv.extend(arguments.iter().map(OsString::from));
        Program { argv, directory: Some(self.files.directory.clone()), env: self.env.clone() }
    }

    async fn ask_version(&self) -> Option<String> {
        let mut argv = self.argv.clone();
        argv.extend(["version", "--short"].map(OsString::from));
        let program = Program { argv, directory: None, env: self.env.clone() };
        let answer = program.capture(VERSION_LIMIT).await.ok().filter(|answer| answer.status.success())?;
        let version = answer.stdout.trim().trim_start_matches('v').to_owned();
        (!version.is_empty()).then_some(version)
    }

    fn program(&self) -> String {
        let name = self.argv.first().map(PathBuf::from);
        let name = name.and_then(|path| path.file_name().map(|name| name.to_string_lossy().into_owned()));
        let plugin = if self.argv.len() > 1 { " compose" } else { "" };
        name.unwrap_or_default() + plugin
    }
}

/// The file in words that mean it in `directory`: as given if possible, since compose writes those words into labels.
fn readable(directory: &Path, file: &Path) -> Result<PathBuf, String> {
    let error = match std::fs::File::open(directory.join(file)) {
        Ok(_) => return Ok(file.to_path_buf()),
        Err(error) => error,
    };
    // Given relative to another directory that compose ran in: the project's directory is the first file's own.
    let name = file.file_name().map(PathBuf::from).filter(|_| file.is_relative());
    let name = name.filter(|name| std::fs::File::open(directory.join(name)).is_ok());
    name.ok_or_else(|| format!("{} cannot be read here: {error}", directory.join(file).display()))
}

/// 1 for the Python program, 2 for everything after it.
fn generation(version: &str) -> u32 {
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse().ok());
    if major == Some(1) { 1 } else { 2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_where_their_words_lead_or_by_name_in_the_projects_directory() {
        let directory = tempfile::tempdir().unwrap();
        let (path, file) = (directory.path(), directory.path().join("shop.yml"));
        std::fs::write(&file, "").unwrap();
        assert_eq!(readable(path, Path::new("shop.yml")), Ok("shop.yml".into()));
        assert_eq!(readable(path, &file), Ok(file.clone()));
        assert_eq!(readable(path, Path::new("stacks/shop.yml")), Ok("shop.yml".into()));
        assert!(
            readable(path, Path::new("/elsewhere/shop.yml")).unwrap_err().starts_with("/elsewhere/shop.yml")
        );
    }

    #[test]
    fn generations_are_told_apart() {
        let generations = ["1.29.2", "2.29.1", "v2.3.0", "5.0.0", "dev"].map(generation);
        assert_eq!(generations, [1, 2, 2, 2, 2]);
    }
}
