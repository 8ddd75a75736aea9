//! What a machine runs whose power is cut: writes through the controller's store or the agent's outbox, and says on the
//! console what was acknowledged. Afterwards the same program, on another machine, holds the disk against what was said.
//! `scripts/power-cuts.sh` is what cuts.

mod outbox;
mod said;
mod store;

use std::path::{Path, PathBuf};

use anyhow::bail;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["write", "store", directory] => store::write(Path::new(directory), false).await,
        ["write", "careless-store", directory] => store::write(Path::new(directory), true).await,
        ["write", "outbox", directory] => outbox::write(Path::new(directory)).await,
        ["check", "store" | "careless-store", directory, logs @ ..] => {
            store::check(Path::new(directory), &paths(logs)).await
        }
        ["check", "outbox", directory, logs @ ..] => outbox::check(Path::new(directory), &paths(logs)).await,
        _ => bail!(
            "say `write|check store|careless-store|outbox DIRECTORY`, for a check with the consoles' logs"
        ),
    }
}

fn paths(logs: &[&str]) -> Vec<PathBuf> {
    logs.iter().map(PathBuf::from).collect()
}
