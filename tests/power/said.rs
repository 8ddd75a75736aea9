//! What is said on a console: a line for each acknowledgement, which ends with a full stop, so that one that was cut
//! short is not taken for another.

use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;

/// Says that something holds from now on, whatever happens.
///
/// # Errors
/// If nobody can be told.
pub fn say(words: std::fmt::Arguments<'_>) -> anyhow::Result<()> {
    let mut console = std::io::stdout().lock();
    writeln!(console, "{words} .")?;
    console.flush().context("cannot say it")
}

/// The words of each whole line of a console's log.
///
/// # Errors
/// If it cannot be read.
pub fn lines(log: &Path) -> anyhow::Result<Vec<Vec<String>>> {
    let text = std::fs::read(log).with_context(|| log.display().to_string())?;
    let text = String::from_utf8_lossy(&text);
    let whole = text.lines().filter_map(|line| line.trim_end().strip_suffix(" ."));
    Ok(whole.map(|line| line.split(' ').map(str::to_owned).collect()).collect())
}
