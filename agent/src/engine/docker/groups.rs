//! What running containers use, read from their control groups where this program can see them: the engine is asked
//! nothing. Version 1 and 2, whoever named the groups: the folder of a container's group has the container's id in its
//! name, so what is found can be nobody else's, whatever namespace this program is in.

mod usage;

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, TryLockError};
use std::time::Duration;

use roadstead_protocol::message::container::Figures;
use roadstead_protocol::message::ids::ContainerId;
use roadstead_protocol::message::time::UnixMicros;
use tokio::time::Instant;

use super::figures::{CpuSample, percent};

/// Largest file that is read, in bytes; the rest of a larger one is left out.
const MAX_FILE: usize = 64 * 1024;

/// What there is room for at each read, in bytes. The kernel fills a page with whole lines, so less than half of one is the
/// end, and need not be read for.
const PAGE: usize = 4096;

/// How far a search goes down, and how many folders it looks into. Containers are two to five steps down.
const DEEPEST: usize = 8;
const MOST_FOLDERS: usize = 4096;

/// How long after a search that did not find everything the next one may be.
const SEARCH_AGAIN: Duration = Duration::from_secs(300);

/// Places that are remembered as those of containers.
const HOMES: usize = 16;

/// Where no limit is set, version 1 gives the largest number of whole pages.
const NO_LIMIT: u64 = 1 << 62;

/// Reads the figures of those of `containers` whose groups and processes are to be seen from here, on a thread that may
/// wait. None while an earlier call still reads.
pub(super) async fn read(
    groups: &Arc<Mutex<Groups>>,
    containers: &[ContainerId],
    host_memory: u64,
) -> Vec<Figures> {
    let (groups, containers) = (Arc::clone(groups), containers.to_vec());
    let reading = tokio::task::spawn_blocking(move || match groups.try_lock() {
        Ok(mut groups) => groups.sample(&containers, host_memory),
        Err(TryLockError::Poisoned(groups)) => groups.into_inner().sample(&containers, host_memory),
        Err(TryLockError::WouldBlock) => Vec::new(),
    });
    reading.await.unwrap_or_default()
}

/// The control groups of this host.
#[derive(Debug)]
pub(super) struct Groups {
    layout: Layout,
    /// Where processes are described.
    processes: PathBuf,
    /// The containers' folders, below each hierarchy.
    found: HashMap<ContainerId, PathBuf>,
    homes: Vec<Home>,
    search_at: Instant,
    before: HashMap<ContainerId, CpuSample>,
    began: Instant,
    /// What was last read of a file.
    buffer: Vec<u8>,
}

/// Where the files of each kind are.
#[derive(Debug)]
enum Layout {
    /// Version 1: a hierarchy for each.
    Split { cpu: PathBuf, memory: PathBuf, blocks: PathBuf },
    /// Version 2.
    Unified(PathBuf),
}

/// A folder that has containers' folders in it, and what is around the id in their names.
#[derive(Debug, PartialEq, Eq)]
struct Home {
    folder: PathBuf,
    before: String,
    after: String,
}

impl Layout {
    fn of(root: &Path) -> Self {
        if root.join("cgroup.controllers").exists() {
            return Self::Unified(root.to_owned());
        }
        // Where both are one, the single name is a link that a container may not have.
        let alone = root.join("cpuacct");
        let cpu = if alone.exists() { alone } else { root.join("cpu,cpuacct") };
        Self::Split { cpu, memory: root.join("memory"), blocks: root.join("blkio") }
    }

    /// The hierarchy that is searched; the others look the same.
    fn searched(&self) -> &Path {
        match self {
            Self::Split { cpu, .. } => cpu,
            Self::Unified(root) => root,
        }
    }
}

impl Groups {
    pub(super) fn new() -> Self {
        Self::at(Path::new("/sys/fs/cgroup"), Path::new("/proc"))
    }

    fn at(root: &Path, processes: &Path) -> Self {
        let now = Instant::now();
        Self {
            layout: Layout::of(root),
            processes: processes.to_owned(),
            found: HashMap::new(),
            homes: Vec::new(),
            search_at: now,
            before: HashMap::new(),
            began: now,
            buffer: Vec::new(),
        }
    }

    /// Figures of those of `containers` of which all can be read. `host_memory` is the host's, in bytes; 0 if it is
    /// not known.
    fn sample(&mut self, containers: &[ContainerId], host_memory: u64) -> Vec<Figures> {
        let wanted: HashSet<_> = containers.iter().collect();
        self.found.retain(|id, _| wanted.contains(id));
        self.before.retain(|id, _| wanted.contains(id));
        self.find(containers);
        let host_network = network(&self.devices(1));
        let mut all = Vec::with_capacity(containers.len());
        for id in containers {
            match self.read_one(id, host_memory, host_network) {
                Some(figures) => all.push(figures),
                None => drop(self.found.remove(id)),
            }
        }
        all
    }

    fn find(&mut self, containers: &[ContainerId]) {
        let mut missing = HashSet::new();
        for id in containers {
            if self.found.contains_key(id) {
                continue;
            }
            let mut places = self.homes.iter().map(|home| home.place(id));
            let place = places.find(|place| self.layout.searched().join(place).is_dir());
            if let Some(place) = place {
                self.found.insert(id.clone(), place);
            } else {
                missing.insert(id.as_str());
            }
        }
        let now = Instant::now();
        if missing.is_empty() || now < self.search_at {
            return;
        }
        for place in search(self.layout.searched()) {
            let Some(home) = Home::of(&place) else { continue };
            let id = place.file_name().and_then(|name| usage::container(name.to_str()?));
            if let Some(id) = id.filter(|id| missing.remove::<str>(id)).and_then(|id| id.parse().ok()) {
                self.found.insert(id, place);
                if !self.homes.contains(&home) && self.homes.len() < HOMES {
                    self.homes.push(home);
                }
            }
        }
        if !missing.is_empty() {
            self.search_at = now + SEARCH_AGAIN;
        }
    }

    fn read_one(
        &mut self,
        id: &ContainerId,
        host_memory: u64,
        host_network: Option<Network>,
    ) -> Option<Figures> {
        let place = self.found.get(id)?.clone();
        let at = i64::try_from(self.began.elapsed().as_micros()).ok()?;
        let (used_nanos, memory, limit, blocks, group) = match &self.layout {
            Layout::Split { cpu, memory, blocks } => {
                let (group, memory, blocks) = (cpu.join(&place), memory.join(&place), blocks.join(&place));
                let used =
                    read_text(&group.join("cpuacct.usage"), &mut self.buffer).and_then(usage::number)?;
                let files = ["memory.usage_in_bytes", "memory.limit_in_bytes", "memory.stat"];
                let (bytes, limit) = read_memory(&memory, files, &mut self.buffer)?;
                // Of the group and of those in it, where the kernel tells both.
                let blocks = ["blkio.throttle.io_service_bytes_recursive", "blkio.throttle.io_service_bytes"]
                    .iter()
                    .find_map(|name| Some(usage::blocks(read_text(&blocks.join(name), &mut self.buffer)?)));
                (used, bytes, limit.filter(|limit| *limit < NO_LIMIT), blocks.unwrap_or_default(), group)
            }
            Layout::Unified(root) => {
                let group = root.join(&place);
                let stat = read_text(&group.join("cpu.stat"), &mut self.buffer)?;
                let used = usage::field(stat, "usage_usec")?.saturating_mul(1000);
                let files = ["memory.current", "memory.max", "memory.stat"];
                let (bytes, limit) = read_memory(&group, files, &mut self.buffer)?;
                // Not there where nothing accounts for devices.
                let blocks = read_text(&group.join("io.stat"), &mut self.buffer).map(usage::blocks);
                (used, bytes, limit, blocks.unwrap_or_default(), group)
            }
        };
        let (network_rx_bytes, network_tx_bytes) = self.traffic(&group, host_network)?;
        let cpu = CpuSample { at_micros: at, used_nanos };
        let earlier = self.before.insert(id.clone(), cpu);
        Some(Figures {
            container: id.clone(),
            at: UnixMicros::now(),
            cpu_percent: earlier.and_then(|earlier| percent(earlier, cpu)),
            memory_bytes: memory,
            memory_limit_bytes: limit.filter(|limit| host_memory == 0 || *limit < host_memory),
            network_rx_bytes,
            network_tx_bytes,
            block_read_bytes: blocks.0,
            block_write_bytes: blocks.1,
        })
    }

    /// What a container received and sent; none if none of its processes is to be seen. The devices of one that has its
    /// host's network are not its own, so the engine counts nothing for it either.
    fn traffic(&mut self, group: &Path, host_network: Option<Network>) -> Option<(u64, u64)> {
        let process =
            read_text(&group.join("cgroup.procs"), &mut self.buffer).and_then(usage::first_process)?;
        let devices = self.devices(process);
        let own_network = network(&devices)?;
        if host_network == Some(own_network) {
            return Some((0, 0));
        }
        read_text(&devices, &mut self.buffer).map(usage::traffic)
    }

    /// The file that describes the network devices of a process.
    fn devices(&self, process: u32) -> PathBuf {
        self.processes.join(process.to_string()).join("net/dev")
    }
}

impl Home {
    /// Of a container's folder.
    fn of(place: &Path) -> Option<Self> {
        let name = place.file_name()?.to_str()?;
        let (before, after) = name.split_once(usage::container(name)?)?;
        let folder = place.parent()?.to_owned();
        Some(Self { folder, before: before.to_owned(), after: after.to_owned() })
    }

    /// The folder that a container has if it lives here.
    fn place(&self, id: &ContainerId) -> PathBuf {
        self.folder.join(format!("{}{id}{}", self.before, self.after))
    }
}

/// The folders of containers below `root`, those further up first; not what is within them.
fn search(root: &Path) -> Vec<PathBuf> {
    let mut containers = Vec::new();
    let mut queue = VecDeque::from([(PathBuf::new(), 0)]);
    let mut looked = 0;
    while let Some((place, depth)) = queue.pop_front() {
        looked += 1;
        if looked > MOST_FOLDERS {
            tracing::debug!(looked, "not every control group was searched for containers");
            break;
        }
        for entry in fs::read_dir(root.join(&place)).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            if name.to_str().is_some_and(|name| usage::container(name).is_some()) {
                containers.push(place.join(name));
            } else if depth < DEEPEST {
                queue.push_back((place.join(name), depth + 1));
            }
        }
    }
    containers
}

/// Memory in use and its limit, from the files for the use, the limit and the details.
fn read_memory(group: &Path, files: [&str; 3], buffer: &mut Vec<u8>) -> Option<(u64, Option<u64>)> {
    let [used, limit, details] = files.map(|name| group.join(name));
    let used = read_text(&used, buffer).and_then(usage::number)?;
    let limit = read_text(&limit, buffer).and_then(usage::number);
    Some((usage::without_cache(used, read_text(&details, buffer)?), limit))
}

/// A network, by its file of devices: that of one and the same network is one and the same file.
type Network = (u64, u64);

fn network(devices: &Path) -> Option<Network> {
    fs::metadata(devices).ok().map(|file| (file.dev(), file.ino()))
}

fn read_text<'b>(path: &Path, buffer: &'b mut Vec<u8>) -> Option<&'b str> {
    let mut file = File::open(path).ok()?;
    let mut length = 0;
    loop {
        if buffer.len() < length + PAGE {
            buffer.resize(length + PAGE, 0);
        }
        let read = file.read(&mut buffer[length..]).ok()?;
        length += read;
        if read < PAGE / 2 || length >= MAX_FILE {
            break;
        }
    }
    // A file that was cut in the middle of its last character is none of these.
    std::str::from_utf8(&buffer[..length.min(MAX_FILE)]).ok()
}

#[cfg(test)]
mod tests;
