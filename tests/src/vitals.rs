//! What the kernel says a process holds: to see whether it leaks.

use anyhow::Context;

/// What a process held at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vitals {
    /// Its process id.
    pub process: u32,
    /// Open descriptors.
    pub descriptors: usize,
    /// Threads.
    pub threads: usize,
    /// Resident memory in KiB.
    pub resident: usize,
}

impl Vitals {
    /// Of this process, now.
    ///
    /// # Errors
    /// When it is gone.
    pub fn of(process: u32) -> anyhow::Result<Self> {
        let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
        let number = |field: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
            let word = line.and_then(|line| line.split_whitespace().next());
            word.and_then(|word| word.parse().ok()).with_context(|| format!("/proc says no {field}"))
        };
        let descriptors = std::fs::read_dir(format!("/proc/{process}/fd"))?.count();
        Ok(Self { process, descriptors, threads: number("Threads")?, resident: number("VmRSS")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_file_is_counted() {
        let own = std::process::id();
        let files: Vec<_> = (0..50).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
        let during = Vitals::of(own).unwrap();
        assert!(during.descriptors >= 50 && during.threads >= 1 && during.resident > 100, "{during:?}");
        drop(files);
        assert!(Vitals::of(4_194_305).is_err());
    }
}
