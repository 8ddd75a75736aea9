//! Which container this program runs in, if it runs in one.

use std::collections::BTreeSet;

/// Files that a container engine mounts into each container, from a directory named by the container's id.
const MOUNTED: [&str; 3] = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];

/// Ids and short ids to ask the engine about, the surest first. None of them is certain: on a host that is itself a
/// container of another engine they name that one.
pub(super) fn candidates() -> Vec<String> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let hostname = read("/proc/sys/kernel/hostname");
    find(&read("/proc/self/cgroup"), &read("/proc/self/mountinfo"), hostname.trim())
}

fn find(cgroup: &str, mountinfo: &str, hostname: &str) -> Vec<String> {
    let mounted = mountinfo.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(3);
        let (root, mount_point) = (fields.next()?, fields.next()?);
        if !MOUNTED.contains(&mount_point) {
            return None;
        }
        root.split('/').find(|part| is_id(part)).map(str::to_owned)
    });
    let grouped = cgroup.lines().filter_map(|line| {
        let path = line.splitn(3, ':').nth(2)?;
        let last = path.rsplit('/').find(|part| !part.is_empty())?;
        let last = last.strip_suffix(".scope").unwrap_or(last);
        let id = last.rsplit('-').next()?;
        is_id(id).then(|| id.to_owned())
    });
    let named = (hostname.len() == 12 && is_hex(hostname)).then(|| hostname.to_owned());
    let mut seen = BTreeSet::new();
    mounted.chain(grouped).chain(named).filter(|id| seen.insert(id.clone())).collect()
}

fn is_id(text: &str) -> bool {
    text.len() == 64 && is_hex(text)
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use roadstead_protocol::fuzz::{fuzz, text};

    use super::*;

    const ID: &str = "e0640a4e3412e04ead2f89260678de88e27d35ae40b773c941045574f8a64f9e";
    const OTHER: &str = "021f370d591eda712cc628ac42de5e0213880b112f9ede5b6eaef3ca46c0c688";

    #[test]
    fn inside_a_container() {
        let v1 = format!("12:pids:/docker/{ID}\n1:name=systemd:/docker/{ID}\n");
        assert_eq!(find(&v1, "", "web"), [ID]);
        let systemd = format!("0::/system.slice/docker-{ID}.scope\n");
        assert_eq!(find(&systemd, "", "web"), [ID]);
        let mounts = format!(
            "641 630 254:0 /var/lib/docker/containers/{ID}/resolv.conf /etc/resolv.conf rw - ext4 /dev/vda rw\n"
        );
        assert_eq!(find("0::/\n", &mounts, &ID[..12]), [ID, &ID[..12]]);
    }

    #[test]
    fn on_the_host_itself() {
        let mounts = format!(
            "90 25 0:50 / /var/lib/docker/containers/{OTHER}/mounts/shm rw - tmpfs shm rw\n\
             91 25 254:0 / / rw - ext4 /dev/vda rw\n"
        );
        let cgroup = "0::/system.slice/roadstead-agent.service\n";
        assert_eq!(find(cgroup, &mounts, "host-name-1"), Vec::<String>::new());
    }

    #[test]
    fn fuzz_own_container() {
        let cgroup = format!("12:pids:/docker/{ID}\n0::/system.slice/docker-{OTHER}.scope\n");
        let mounts =
            format!("641 630 254:0 /var/lib/docker/containers/{ID}/hosts /etc/hosts rw - ext4 /dev/vda rw\n");
        fuzz(
            "cgroup and mountinfo",
            &text(&[&cgroup, &mounts], &["/etc/hostname", ".scope", "::"]),
            |text| {
                let found = find(&text, &text, &text);
                assert!(found.iter().all(|id| is_hex(id) && (id.len() == 64 || id.len() == 12)), "{found:?}");
                !found.is_empty()
            },
        );
    }
}
