//! A password given as a flag: the real program, and what others on its host can read of it.
#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is a failure")]

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

const PASSWORD: &str = "seen-by-nobody-else";

#[test]
fn a_password_among_the_arguments_is_used_and_not_left_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut controller = Command::new(env!("CARGO_BIN_EXE_roadstead-controller"))
        .env_clear()
        .args(["--listen", "127.0.0.1:0", "--password", PASSWORD, "--agent-listen", "127.0.0.1:0"])
        .args(["--local-agent", "off", "--data-dir"])
        .arg(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines: Vec<String> =
        BufReader::new(controller.stdout.take().unwrap()).lines().take(2).map(Result::unwrap).collect();
    let read = |name: &str| std::fs::read(format!("/proc/{}/{name}", controller.id())).unwrap();
    let (arguments, environment) = (read("cmdline"), read("environ"));
    controller.kill().unwrap();
    controller.wait().unwrap();
    assert!(lines[0].contains("is up"), "{lines:?}");
    assert!(lines[1].contains("the password you have"), "{lines:?}");
    let arguments = String::from_utf8(arguments).unwrap();
    assert!(arguments.contains("--agent-listen") && !arguments.contains(PASSWORD), "{arguments:?}");
    assert!(
        String::from_utf8(environment).unwrap().contains(PASSWORD),
        "it is where its own user can read it"
    );
}
