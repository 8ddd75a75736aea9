//! What the figures were measured on.

use roadstead_tests::{Dockerd, tool};
use serde_json::{Value, json};

/// Machine, system, engine, commit and date.
pub async fn describe(engine: Option<&Dockerd>) -> Value {
    let cpu = line("/proc/cpuinfo", "model name");
    let memory = line("/proc/meminfo", "MemTotal");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let engine = match engine {
        Some(engine) => engine.docker(["version", "--format", "{{.Server.Version}}"]).await,
        None => String::new(),
    };
    let folder = tool::run("stat", ["--file-system", "--format", "%T", "/tmp"]).await.unwrap_or_default();
    json!({
        "cpu": cpu,
        "cores": cores,
        "memory": memory,
        "kernel": tool::run("uname", ["-sr"]).await.unwrap_or_default(),
        "file_system": folder,
        "engine": engine,
        "load_average": std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim(),
        "commit": tool::run("git", ["describe", "--always", "--dirty"]).await.unwrap_or_default(),
        "date": tool::run("date", ["--utc", "+%Y-%m-%d %H:%M UTC"]).await.unwrap_or_default(),
    })
}

fn line(file: &str, name: &str) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let found = text.lines().find_map(|line| line.strip_prefix(name)?.split_once(':'));
    found.map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
}
