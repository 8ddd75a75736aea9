//! Running the tools that the tests need, and naming the package of one that is missing.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::process::Command;

/// How long a tool may take before it counts as hanging.
const DEADLINE: Duration = Duration::from_secs(120);

/// Each tool and the Debian package that has it.
const PACKAGES: &[(&str, &str)] = &[
    ("dockerd", "docker.io"),
    ("docker", "docker.io"),
    ("docker-registry", "docker-registry"),
    ("docker-compose", "docker-compose"),
    ("busybox", "busybox-static"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("strace", "strace"),
    ("faketime", "faketime"),
    ("nginx", "nginx-light"),
    ("haproxy", "haproxy"),
];

/// Where `program` is, looked for on the path and in the folders of system programs.
///
/// # Errors
/// When it is nowhere; the error says how to install it.
pub fn find(program: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file());
    match (found, PACKAGES.iter().find(|(name, _)| *name == program)) {
        (Some(found), _) => Ok(found),
        (None, Some((_, package))) => bail!("{program} is missing: run `apt-get install {package}`"),
        (None, None) => bail!("{program} is missing on this machine"),
    }
}

/// The library that makes programs see another time, beside the `faketime` that is installed.
///
/// # Errors
/// When it is not there.
pub fn faketime_library(program: &Path) -> anyhow::Result<PathBuf> {
    let machine = std::env::consts::ARCH;
    let root = program.parent().and_then(Path::parent).unwrap_or(Path::new("/usr"));
    let library = root.join(format!("lib/{machine}-linux-gnu/faketime/libfaketimeMT.so.1"));
    anyhow::ensure!(library.is_file(), "{} is missing: run `apt-get install faketime`", library.display());
    Ok(library)
}

/// A command for `program`, which a dropped future kills.
///
/// # Errors
/// When the program is missing.
pub fn command(program: &str) -> anyhow::Result<Command> {
    let mut command = Command::new(find(program)?);
    command.stdin(Stdio::null()).kill_on_drop(true);
    Ok(command)
}

/// Runs `program` with `arguments` and gives its standard output without the last line end.
///
/// # Errors
/// When it is missing, cannot be started, takes too long or fails; the error holds its standard error.
pub async fn run<I, S>(program: &str, arguments: I) -> anyhow::Result<String>
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let mut command = command(program)?;
    command.args(arguments);
    succeed(&mut command).await
}

/// Runs `command` to its end, whatever that is.
///
/// # Errors
/// When it cannot be started or takes too long.
pub async fn output(command: &mut Command) -> anyhow::Result<Output> {
    tokio::time::timeout(DEADLINE, command.output())
        .await
        .with_context(|| format!("{command:?} took more than {DEADLINE:?}"))?
        .with_context(|| format!("cannot run {command:?}"))
}

/// Runs `command` and gives its standard output without the last line end.
///
/// # Errors
/// As [`run`].
pub async fn succeed(command: &mut Command) -> anyhow::Result<String> {
    let output = output(command).await?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?}: {}\n{stderr}", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

/// The last lines of a log file, for the message of a failure.
#[must_use]
pub fn tail(log: &Path, lines: usize) -> String {
    match std::fs::read(log) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let all: Vec<&str> = text.lines().collect();
            all[all.len().saturating_sub(lines)..].join("\n")
        }
        Err(error) if error.kind() == ErrorKind::NotFound => "(no log)".to_owned(),
        Err(error) => format!("(cannot read {}: {error})", log.display()),
    }
}

/// Fails unless this process is root, which engines and network namespaces need.
///
/// # Errors
/// When it is not.
pub fn require_root() -> anyhow::Result<()> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let effective = status.lines().find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().nth(1));
    if effective != Some("0") {
        bail!("this test starts a Docker engine and needs root: run `make test`, which uses sudo");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_tool_is_named_with_what_installs_it() {
        assert!(PACKAGES.iter().all(|(program, package)| !program.is_empty() && !package.is_empty()));
        let error = find("no-such-tool").expect_err("it does not exist");
        assert!(error.to_string().contains("no-such-tool is missing"));
    }

    #[tokio::test]
    async fn a_failing_tool_shows_what_it_said() {
        let error = run("sh", ["-c", "echo out; echo why >&2; exit 3"]).await.expect_err("it fails");
        assert!(error.to_string().contains("why") && error.to_string().contains('3'), "{error}");
    }
}
