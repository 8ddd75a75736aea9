//! What a named volume really is: its options can make it any part of the host. Pure.

use serde_json::Value;

/// File systems that live in memory or on another machine.
const ELSEWHERE: [&str; 7] = ["tmpfs", "ramfs", "nfs", "nfs4", "cifs", "smb3", "ceph"];

/// Where an overlay takes its files from and puts them.
const LAYERS: [&str; 5] = ["lowerdir", "lowerdir+", "datadir+", "upperdir", "workdir"];

/// What of the host is in a volume.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Paths, as they are written; one that is not absolute leads somewhere all the same.
    pub(super) paths: Vec<String>,
    /// Kind of a file system that only the host has: its devices, its kernel's settings, its disks.
    pub(super) file_system: Option<String>,
}

/// Looks at what a volume's driver is told.
pub(super) fn look(driver: &Value, options: &Value) -> Found {
    let Some(options) = options.as_object().filter(|options| !options.is_empty()) else {
        return Found::default();
    };
    let texts = || options.values().filter_map(Value::as_str);
    if driver.as_str().is_some_and(|name| !name.is_empty() && name != "local") {
        // Nobody knows what a driver makes of its options, but a path is a path.
        let paths = texts().filter(|text| text.starts_with('/')).map(str::to_owned).collect();
        return Found { paths, file_system: None };
    }
    let option = |name: &str| options.get(name).and_then(Value::as_str).unwrap_or_default();
    let (kind, flags) = (option("type").trim().to_ascii_lowercase(), option("o"));
    // It is mounted as it says here, whatever its type is called.
    let bound = flags.split(',').any(|flag| ["bind", "rbind"].contains(&flag.trim()));
    if bound || kind.is_empty() || kind == "none" {
        let device = options.get("device").and_then(Value::as_str).map(str::to_owned);
        return Found { paths: device.into_iter().collect(), file_system: None };
    }
    if kind == "overlay" {
        let layers = flags.split(',').filter_map(|flag| flag.split_once('='));
        let layers = layers.filter(|(name, _)| LAYERS.contains(&name.trim()));
        let paths = layers.flat_map(|(_, paths)| paths.split(':')).filter(|path| !path.is_empty());
        return Found { paths: paths.map(str::to_owned).collect(), file_system: None };
    }
    if ELSEWHERE.contains(&kind.as_str()) {
        return Found::default();
    }
    let device = Some(option("device")).filter(|device| device.starts_with('/'));
    Found {
        paths: device.into_iter().map(str::to_owned).collect(),
        file_system: Some(kind.chars().take(64).collect()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Reach;
    use super::*;

    #[test]
    fn a_volume_is_what_its_options_make_of_it() {
        let reach = |volume: Value| {
            let project = json!({ "volumes": { "v": volume } });
            let compose = Reach::of_service(&project, &json!({ "volumes": ["v:/x"] }));
            let (name, options) = (&volume["driver"], &volume["driver_opts"]);
            let mount = json!({ "Type": "volume",
                "VolumeOptions": { "DriverConfig": { "Name": name, "Options": options } } });
            let inspected = Reach::of_inspection(&json!({ "HostConfig": { "Mounts": [mount] } }));
            assert_eq!(compose, inspected, "{volume}");
            compose
        };
        for (options, paths) in [
            // Relative to where the engine runs, which is the root.
            (json!({ "type": "none", "o": "bind", "device": "etc" }), &["etc"][..]),
            (json!({ "type": "nfs", "o": "ro,rbind", "device": "/etc" }), &["/etc"]),
            (json!({ "device": "/etc" }), &["/etc"]),
            (
                json!({ "type": "overlay", "o": "lowerdir=/etc:/root,upperdir=/srv/u,workdir=/srv/w", "device": "x" }),
                &["/etc", "/root", "/srv/u", "/srv/w"],
            ),
            (json!({ "type": "nfs", "o": "addr=10.0.0.1,rw", "device": ":/export" }), &[]),
            (json!({ "type": "cifs", "o": "username=a,password=/b", "device": "//nas/share" }), &[]),
            (json!({ "type": "tmpfs", "o": "size=100m", "device": "tmpfs" }), &[]),
            (Value::Null, &[]),
        ] {
            let found = reach(json!({ "driver_opts": options }));
            assert_eq!(
                (found.host_paths, found.privileges),
                (paths.iter().map(|p| (*p).to_owned()).collect(), vec![])
            );
        }
        for kind in ["sysfs", "proc", "devtmpfs", "ext4"] {
            let found =
                reach(json!({ "driver": "local", "driver_opts": { "type": kind, "device": "none" } }));
            assert_eq!(found.privileges, [format!("a file system of the host, {kind:?}")]);
        }
        let disk = reach(json!({ "driver_opts": { "type": "ext4", "device": "/dev/sda1" } }));
        assert_eq!(disk.host_paths, ["/dev/sda1"]);
        let plugin = reach(json!({ "driver": "local-persist", "driver_opts": { "mountpoint": "/etc" } }));
        assert_eq!(plugin.host_paths, ["/etc"]);
    }
}
