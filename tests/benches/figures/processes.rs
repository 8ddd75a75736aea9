//! What processes used, by the kernel's account in `/proc`.

use std::fs;
use std::path::Path;

use anyhow::Context;

/// Clock ticks a second in `/proc/<id>/stat`: the same on every Linux that Rust runs on.
const TICKS: f64 = 100.0;

/// Memory of a process in KiB.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Resident, with shared pages of its file.
    pub resident: u64,
    /// Resident and its own alone.
    pub anonymous: u64,
    /// The most that was ever resident.
    pub peak: u64,
}

/// Memory of a process now.
///
/// # Errors
/// When it is gone.
pub fn memory(process: u32) -> anyhow::Result<Memory> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok())
            .with_context(|| format!("no {name} in the status of {process}"))
    };
    Ok(Memory { resident: field("VmRSS")?, anonymous: field("RssAnon")?, peak: field("VmHWM")? })
}

/// Lets [`Memory::peak`] count from now on.
///
/// # Errors
/// When that is not allowed.
pub fn reset_peak(process: u32) -> anyhow::Result<()> {
    fs::write(format!("/proc/{process}/clear_refs"), "5")
        .context("cannot reset the peak of memory; run it as root")
}

/// CPU seconds that a process has used, in steps of 10 ms.
///
/// # Errors
/// When it is gone.
pub fn cpu_seconds(process: u32) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name in parentheses may hold spaces.
    let (_, fields) = stat.rsplit_once(')').context("no name in stat")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    Ok((ticks(11) + ticks(12)) / TICKS)
}

/// CPU seconds of the engine that lives in `folder`.
#[derive(Debug, Clone, Copy, Default)]
pub struct EngineCpu {
    /// `dockerd` and `containerd`.
    pub daemons: f64,
    /// One shim for each container.
    pub shims: f64,
}

/// What an engine has used until now. Its processes are those whose arguments name its folder.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn engine_cpu(folder: &Path) -> anyhow::Result<EngineCpu> {
    let folder = folder.display().to_string();
    let mut used = EngineCpu::default();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let arguments = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if !String::from_utf8_lossy(&arguments).contains(&format!("{folder}/")) {
            continue;
        }
        let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        match name.trim() {
            "dockerd" | "containerd" => used.daemons += cpu_seconds(process).unwrap_or(0.0),
            name if name.starts_with("containerd-shim") => used.shims += cpu_seconds(process).unwrap_or(0.0),
            _ => {}
        }
    }
    Ok(used)
}
