//! What the files of a control group say, in both versions, and a process's network devices. Pure.

/// A file that holds one number.
pub(super) fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// The number after `name` in a file of lines `name number`.
pub(super) fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| number(line.strip_prefix(name)?.strip_prefix(' ')?))
}

/// Memory in use as `docker stats` reckons it: without the page cache that nothing has used lately. `stat` is
/// `memory.stat`; the name is that of version 1, which has a line for the group alone too, or that of version 2.
pub(super) fn without_cache(usage: u64, stat: &str) -> u64 {
    let cache = field(stat, "total_inactive_file").or_else(|| field(stat, "inactive_file"));
    cache.and_then(|cache| usage.checked_sub(cache)).filter(|rest| *rest > 0).unwrap_or(usage)
}

/// Read from block devices and written to them, in bytes: lines `8:0 Read 4096` of version 1 or
/// `8:0 rbytes=4096 wbytes=0 rios=1 …` of version 2.
pub(super) fn blocks(text: &str) -> (u64, u64) {
    let (mut read, mut written) = (0_u64, 0_u64);
    for line in text.lines() {
        let mut fields = line.split_ascii_whitespace().skip(1);
        while let Some(word) = fields.next() {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, number(value)),
                None => (word, fields.next().and_then(number)),
            };
            let Some(value) = value else { continue };
            match name {
                "Read" | "rbytes" => read = read.saturating_add(value),
                "Write" | "wbytes" => written = written.saturating_add(value),
                _ => {}
            }
        }
    }
    (read, written)
}

/// Received and sent by all devices of `/proc/<pid>/net/dev` but the one that leads back, in bytes.
pub(super) fn traffic(text: &str) -> (u64, u64) {
    let (mut received, mut sent) = (0_u64, 0_u64);
    for line in text.lines() {
        let Some((device, counters)) = line.split_once(':') else { continue };
        if device.trim() == "lo" {
            continue;
        }
        let mut counters = counters.split_ascii_whitespace().map(number);
        // Eight numbers of what came, then as many of what went.
        let (Some(Some(came)), Some(Some(went))) = (counters.next(), counters.nth(7)) else { continue };
        (received, sent) = (received.saturating_add(came), sent.saturating_add(went));
    }
    (received, sent)
}

/// The first process in `cgroup.procs` that can be seen from here; 0 stands for one of another namespace.
pub(super) fn first_process(text: &str) -> Option<u32> {
    text.lines().filter_map(|line| line.trim().parse().ok()).find(|process| *process != 0)
}

/// The id of the container whose group a folder is, by the folder's name: the id itself, or `docker-<id>.scope` where
/// systemd makes the groups.
pub(super) fn container(name: &str) -> Option<&str> {
    let name = name.strip_suffix(".scope").unwrap_or(name);
    let id = name.rsplit('-').next()?;
    let hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (id.len() == 64 && id.bytes().all(hexadecimal)).then_some(id)
}

#[cfg(test)]
mod tests {
    use roadstead_protocol::fuzz::{fuzz, text};

    use super::*;

    const MEMORY_V1: &str = "cache 4730880\nrss 1081344\nrss_huge 0\nshmem 0\nmapped_file 2703360\nswap 0\n\
        inactive_anon 0\nactive_anon 1216512\ninactive_file 2027520\nactive_file 2433024\nunevictable 0\n\
        hierarchical_memory_limit 67108864\ntotal_cache 4730880\ntotal_rss 1081344\ntotal_inactive_anon 0\n\
        total_active_anon 1216512\ntotal_inactive_file 2162688\ntotal_active_file 2433024\n";
    const MEMORY_V2: &str = "anon 1351680\nfile 5406720\nkernel_stack 49152\nsock 0\nshmem 0\nfile_mapped 3379200\n\
        inactive_anon 1343488\nactive_anon 8192\ninactive_file 3055616\nactive_file 2351104\nunevictable 0\n";
    const BLOCKS_V1: &str = "254:0 Read 3231744\n254:0 Write 8192\n254:0 Sync 3231744\n254:0 Async 8192\n\
        254:0 Discard 0\n254:0 Total 3239936\n7:0 Read 1000\n7:0 Write 0\nTotal 3240936\n";
    const BLOCKS_V2: &str = "254:0 rbytes=3231744 wbytes=8192 rios=120 wios=2 dbytes=0 dios=0\n\
        7:0 rbytes=1000 wbytes=0 rios=1 wios=0 dbytes=0 dios=0\n8:16 \n";
    const DEVICES: &str = "Inter-|   Receive                                                |  Transmit\n \
        face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n    \
        lo:     840      10    0    0    0     0          0         0      840      10    0    0    0     0       0          0\n  \
        eth0: 5012847    3801    0    0    0     0          0         0   190211    2904    0    0    0     0       0          0\n  \
        eth1:1306 15 0 0 0 0 0 0 90 1 0 0 0 0 0 0\n";

    #[test]
    fn files_of_one_number() {
        assert_eq!(number("1403904\n"), Some(1_403_904));
        assert_eq!(number("9223372036854771712\n"), Some(9_223_372_036_854_771_712));
        assert_eq!(number("max\n"), None);
        assert_eq!(number(""), None);
        let cpu = "usage_usec 52193\nuser_usec 30321\nsystem_usec 21872\nnr_periods 0\n";
        assert_eq!((field(cpu, "usage_usec"), field(cpu, "usage")), (Some(52_193), None));
    }

    #[test]
    fn memory_is_what_docker_calls_it() {
        assert_eq!(without_cache(6_000_000, MEMORY_V1), 6_000_000 - 2_162_688, "with the groups below");
        assert_eq!(without_cache(7_000_000, MEMORY_V2), 7_000_000 - 3_055_616);
        assert_eq!(without_cache(1_000, MEMORY_V2), 1_000, "more cache than use is none");
        assert_eq!(without_cache(1_000, ""), 1_000);
    }

    #[test]
    fn block_devices_are_added_up() {
        assert_eq!(blocks(BLOCKS_V1), (3_232_744, 8_192));
        assert_eq!(blocks(BLOCKS_V2), (3_232_744, 8_192));
        assert_eq!(blocks("Total 0\n"), (0, 0));
    }

    #[test]
    fn devices_are_added_up_but_the_loop() {
        assert_eq!(traffic(DEVICES), (5_012_847 + 1_306, 190_211 + 90));
        assert_eq!(traffic(""), (0, 0));
    }

    #[test]
    fn processes_of_other_namespaces_are_not_seen() {
        assert_eq!(first_process("0\n0\n4711\n4712\n"), Some(4711));
        assert_eq!(first_process("0\n"), None);
        assert_eq!(first_process(""), None);
    }

    #[test]
    fn folders_of_containers() {
        let id = "e0640a4e3412e04ead2f89260678de88e27d35ae40b773c941045574f8a64f9e";
        for name in [id.to_owned(), format!("docker-{id}.scope"), format!("libpod-{id}.scope")] {
            assert_eq!(container(&name), Some(id));
        }
        for name in ["docker", "system.slice", &id[1..], &id.to_uppercase(), &format!("docker-{id}.slice")] {
            assert_eq!(container(name), None, "{name}");
        }
    }

    #[test]
    fn fuzz_control_groups() {
        let samples = [MEMORY_V1, MEMORY_V2, BLOCKS_V1, BLOCKS_V2, DEVICES, "0\n4711\n"];
        let words = ["total_inactive_file ", "rbytes=", " Read ", "eth0:", "max"];
        fuzz("control groups", &text(&samples, &words), |text| {
            assert!(without_cache(5_000_000, &text) <= 5_000_000);
            let (blocks, traffic, process) = (blocks(&text), traffic(&text), first_process(&text));
            assert!(process != Some(0));
            if let Some(id) = container(&text) {
                assert!(id.len() == 64 && text.contains(id));
            }
            blocks != (0, 0) || traffic != (0, 0) || field(&text, "inactive_file").is_some()
        });
    }
}
