//! Secrets among a program's arguments. Everybody on a host can read the arguments of every process, but only its own user
//! its environment: so the program starts itself once more, with the secret there.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Starts this program anew, as the same process, if a secret is among its arguments (`--flag SECRET`, `--flag=SECRET`):
/// without it, and with `variable` of the environment set to it. For a moment it was there to be read, and it stays in
/// the history of whoever typed it.
///
/// # Errors
/// If it cannot be started anew; then the arguments stay as they are.
pub fn hide(flag: &str, variable: &str) -> io::Result<()> {
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_default();
    let Some((secret, rest)) = take_out(arguments, flag) else { return Ok(()) };
    let mut again = Command::new(std::env::current_exe()?);
    Err(again.arg0(name).args(rest).env(variable, secret).exec())
}

/// The first value given for `flag`, and the other arguments.
fn take_out(mut arguments: impl Iterator<Item = OsString>, flag: &str) -> Option<(OsString, Vec<OsString>)> {
    let mut rest = Vec::new();
    while let Some(argument) = arguments.next() {
        let value = match argument.as_bytes().strip_prefix(flag.as_bytes()) {
            Some([]) => arguments.next(),
            Some([b'=', value @ ..]) => Some(OsStr::from_bytes(value).to_owned()),
            _ => {
                rest.push(argument);
                continue;
            }
        };
        rest.extend(arguments);
        return Some((value?, rest));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(line: &str) -> Option<(String, String)> {
        let (secret, rest) = take_out(line.split(' ').map(OsString::from), "--password")?;
        Some((secret.into_string().unwrap(), rest.join(OsStr::new(" ")).into_string().unwrap()))
    }

    #[test]
    fn a_secret_is_taken_out_and_the_rest_stays_in_order() {
        let found = |secret: &str, rest: &str| Some((secret.to_owned(), rest.to_owned()));
        assert_eq!(
            taken("--listen x --password s3cret users list"),
            found("s3cret", "--listen x users list")
        );
        assert_eq!(taken("--password=a=b --listen x"), found("a=b", "--listen x"));
        assert_eq!(taken("--password one --password two"), found("one", "--password two"));
        for none in ["--password-file x", "--listen x", "--password", "password x"] {
            assert_eq!(taken(none), None, "{none}");
        }
    }
}
