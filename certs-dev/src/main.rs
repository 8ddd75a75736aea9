//! `certs-dev <folder> [--force] [name…]`: development certificates for this machine.

use std::path::PathBuf;

use anyhow::bail;
use roadstead_certs_dev::{Request, generate, names_here};

const USAGE: &str = "usage: certs-dev <folder> [--force] [host name or address …]";

#[expect(clippy::print_stdout, reason = "a command-line tool that prints what it made")]
fn main() -> anyhow::Result<()> {
    let mut request = Request::default();
    let mut folder = None;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--force" => request.force = true,
            "--help" | "-h" => {
                println!("{USAGE}");
                return Ok(());
            }
            flag if flag.starts_with('-') => bail!("unknown flag {flag}\n{USAGE}"),
            _ if folder.is_none() => folder = Some(PathBuf::from(argument)),
            _ => request.names.push(argument),
        }
    }
    let Some(folder) = folder else { bail!("{USAGE}") };
    let made = generate(&folder, &request)?;
    println!(
        "server (for {} {}): {}",
        names_here().join(" "),
        request.names.join(" "),
        made.server.folder.display()
    );
    println!("client (DOCKER_CERT_PATH): {}", made.client.folder.display());
    Ok(())
}
