//! Control groups as kernels show them, in folders of a test's own.

use super::*;

const HOST_MEMORY: u64 = 25_000_000_000;

/// A made-up host.
struct Host {
    folder: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        let host = Self { folder: tempfile::tempdir().unwrap() };
        host.write("proc/1/net/dev", "  eth9: 7 1 0 0 0 0 0 0 8 1 0 0 0 0 0 0\n");
        host
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn groups(&self) -> Groups {
        Groups::at(&self.folder.path().join("cgroup"), &self.folder.path().join("proc"))
    }

    /// A container of version 1 whose first process is `process`.
    fn first_generation(&self, place: &str, process: u32, used_nanos: u64) {
        let files = [
            ("cpuacct", "cpuacct.usage", format!("{used_nanos}\n")),
            ("cpuacct", "cgroup.procs", format!("{process}\n")),
            ("memory", "memory.usage_in_bytes", "6000000\n".to_owned()),
            ("memory", "memory.limit_in_bytes", "67108864\n".to_owned()),
            ("memory", "memory.stat", "inactive_file 5\ntotal_inactive_file 2000000\n".to_owned()),
            ("blkio", "blkio.throttle.io_service_bytes", "254:0 Read 4096\n254:0 Write 512\n".to_owned()),
        ];
        for (hierarchy, file, text) in files {
            self.write(&format!("cgroup/{hierarchy}/{place}/{file}"), &text);
        }
        self.write(&format!("proc/{process}/net/dev"), "  eth0: 100 1 0 0 0 0 0 0 200 1 0 0 0 0 0 0\n");
    }

    /// The same of version 2, without a limit and without accounts of devices.
    fn second_generation(&self, place: &str, process: u32, used_micros: u64) {
        let files = [
            ("cpu.stat", format!("usage_usec {used_micros}\nuser_usec 1\n")),
            ("cgroup.procs", format!("{process}\n")),
            ("memory.current", "6000000\n".to_owned()),
            ("memory.max", "max\n".to_owned()),
            ("memory.stat", "anon 1\ninactive_file 1000000\n".to_owned()),
        ];
        for (file, text) in files {
            self.write(&format!("cgroup/{place}/{file}"), &text);
        }
        self.write("cgroup/cgroup.controllers", "cpu memory pids\n");
        self.write(&format!("proc/{process}/net/dev"), "  eth0: 100 1 0 0 0 0 0 0 200 1 0 0 0 0 0 0\n");
    }
}

fn id(digit: char) -> ContainerId {
    digit.to_string().repeat(64).parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn both_versions_wherever_the_groups_are() {
    let a = id('a');
    for place in [format!("docker/{a}"), format!("system.slice/docker-{a}.scope"), format!("x/y/z/{a}")] {
        let host = Host::new();
        host.first_generation(&place, 41, 1_000_000_000);
        let mut groups = host.groups();
        let first = groups.sample(&[a.clone(), id('b')], HOST_MEMORY).remove(0);
        assert_eq!((first.cpu_percent, first.memory_bytes), (None, 4_000_000));
        assert_eq!(first.memory_limit_bytes, Some(67_108_864));
        assert_eq!((first.network_rx_bytes, first.network_tx_bytes), (100, 200));
        assert_eq!((first.block_read_bytes, first.block_write_bytes), (4096, 512));
        tokio::time::advance(Duration::from_secs(2)).await;
        host.first_generation(&place, 41, 2_000_000_000);
        let cpu = groups.sample(std::slice::from_ref(&a), HOST_MEMORY)[0].cpu_percent.unwrap();
        assert!((cpu - 50.0).abs() < 1e-6, "{cpu}");

        let host = Host::new();
        host.second_generation(&place, 41, 1_000_000);
        let mut groups = host.groups();
        let first = groups.sample(std::slice::from_ref(&a), HOST_MEMORY).remove(0);
        assert_eq!((first.memory_bytes, first.memory_limit_bytes), (5_000_000, None));
        tokio::time::advance(Duration::from_secs(4)).await;
        host.second_generation(&place, 41, 2_000_000);
        let cpu = groups.sample(std::slice::from_ref(&a), HOST_MEMORY)[0].cpu_percent.unwrap();
        assert!((cpu - 25.0).abs() < 1e-6, "{cpu}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_limit_is_none() {
    let host = Host::new();
    let place = format!("docker/{}", id('a'));
    host.first_generation(&place, 41, 1);
    for (limit, host_memory) in [("9223372036854771712", 0), ("30000000000", HOST_MEMORY)] {
        host.write(&format!("cgroup/memory/{place}/memory.limit_in_bytes"), limit);
        assert_eq!(host.groups().sample(&[id('a')], host_memory)[0].memory_limit_bytes, None);
    }
}

#[tokio::test(start_paused = true)]
async fn the_hosts_own_network_is_not_the_containers() {
    let host = Host::new();
    host.first_generation(&format!("docker/{}", id('a')), 41, 1);
    let (proc, own) = (host.folder.path().join("proc"), host.folder.path().join("proc/41/net/dev"));
    fs::remove_file(&own).unwrap();
    fs::hard_link(proc.join("1/net/dev"), own).unwrap();
    let figures = host.groups().sample(&[id('a')], HOST_MEMORY).remove(0);
    assert_eq!((figures.network_rx_bytes, figures.network_tx_bytes), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_container_whose_processes_are_not_to_be_seen_has_no_figures() {
    let host = Host::new();
    host.first_generation(&format!("docker/{}", id('a')), 0, 1);
    assert!(host.groups().sample(&[id('a')], HOST_MEMORY).is_empty(), "its traffic is not known");
    assert!(Host::new().groups().sample(&[id('a')], HOST_MEMORY).is_empty(), "there are no groups at all");
}

#[tokio::test(start_paused = true)]
async fn a_neighbour_is_found_without_a_search_and_what_is_not_there_is_searched_for_rarely() {
    let host = Host::new();
    host.first_generation(&format!("docker/{}", id('a')), 41, 1);
    let mut groups = host.groups();
    assert_eq!(groups.sample(&[id('a'), id('c')], HOST_MEMORY).len(), 1);
    host.first_generation(&format!("docker/{}", id('b')), 42, 1);
    host.first_generation(&format!("elsewhere/{}", id('c')), 43, 1);
    let all = [id('a'), id('b'), id('c')];
    assert_eq!(groups.sample(&all, HOST_MEMORY).len(), 2, "the last search failed a moment ago");
    tokio::time::advance(SEARCH_AGAIN).await;
    assert_eq!(groups.sample(&all, HOST_MEMORY).len(), 3);
    fs::remove_dir_all(host.folder.path().join("cgroup/cpuacct/docker")).unwrap();
    assert_eq!(groups.sample(&all, HOST_MEMORY).len(), 1);
    assert_eq!(groups.sample(&[], HOST_MEMORY), []);
    assert!(groups.found.is_empty() && groups.before.is_empty(), "nothing is kept of what is gone");
}

#[tokio::test(start_paused = true)]
async fn a_search_has_an_end() {
    let host = Host::new();
    let deep = format!("{}{}", "d/".repeat(DEEPEST + 1), id('a'));
    host.first_generation(&deep, 41, 1);
    host.first_generation(&format!("docker/{}/docker/{}", id('b'), id('c')), 42, 1);
    let found = host.groups().sample(&[id('a'), id('c')], HOST_MEMORY);
    assert!(found.is_empty(), "too deep, and of an engine in a container");
    for number in 0..=MOST_FOLDERS {
        fs::create_dir_all(host.folder.path().join(format!("cgroup/cpuacct/a/{number}"))).unwrap();
    }
    assert!(search(&host.folder.path().join("cgroup/cpuacct")).len() <= 1);
}

#[test]
fn long_files_are_read_to_their_end_and_longer_ones_to_a_limit() {
    let host = Host::new();
    let mut buffer = Vec::new();
    for length in [0, 1, PAGE / 2, PAGE, 2 * PAGE + 1, 5 * PAGE, MAX_FILE + 1, 0, 7] {
        let text = "x".repeat(length);
        host.write("file", &text);
        let read = read_text(&host.folder.path().join("file"), &mut buffer).unwrap();
        assert_eq!(read.len(), length.min(MAX_FILE));
    }
}
