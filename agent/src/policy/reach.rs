//! What a container has of its host beyond what a plain one has. Pure.

use roadstead_protocol::message::command::InstallWork;
use serde_json::Value;

mod volume;

/// What a container has, or would have, of its host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// In words: `privileged mode`, `capability SYS_ADMIN`, `the host's network`, …
    pub privileges: Vec<String>,
    /// Host paths mounted in it. What is not absolute cannot be judged, and is below no root.
    pub host_paths: Vec<String>,
}

/// Capabilities that the engine gives every container.
const USUAL: [&str; 14] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

impl Reach {
    /// Of the container that an order to install would create.
    #[must_use]
    pub fn of_install(work: &InstallWork) -> Self {
        let mut reach = Self::default();
        reach.namespace("network", &Value::from(work.network.as_deref()));
        let sources = work.mounts.iter().filter_map(|mount| mount.split(':').next());
        reach.host_paths.extend(sources.filter(|source| source.contains('/')).map(str::to_owned));
        reach
    }

    /// Of a container, from the engine's inspection of it.
    #[must_use]
    pub fn of_inspection(inspection: &Value) -> Self {
        let host = &inspection["HostConfig"];
        let mut reach = Self::default();
        reach.flag("privileged mode", &host["Privileged"]);
        reach.capabilities(&host["CapAdd"]);
        for setting in ["Devices", "DeviceCgroupRules", "DeviceRequests"] {
            reach.devices(&host[setting]);
        }
        for (name, mode) in [
            ("network", "NetworkMode"),
            ("process", "PidMode"),
            ("IPC", "IpcMode"),
            ("UTS", "UTSMode"),
            ("user", "UsernsMode"),
        ] {
            reach.namespace(name, &host[mode]);
        }
        reach.security(&host["SecurityOpt"]);
        reach.system_paths(host);
        for mount in entries(&inspection["Mounts"]).filter(|mount| mount["Type"] == "bind") {
            reach.path(&mount["Source"]);
        }
        // A container that was never started has no mounts yet, only wishes.
        for bind in entries(&host["Binds"]).filter_map(Value::as_str).filter(|bind| bind.starts_with('/')) {
            reach.path(&Value::from(bind.split(':').next()));
        }
        for mount in entries(&host["Mounts"]) {
            if mount["Type"] == "bind" {
                reach.path(&mount["Source"]);
            }
            let driver = &mount["VolumeOptions"]["DriverConfig"];
            reach.of_volume(&driver["Name"], &driver["Options"]);
        }
        reach.sorted()
    }

    /// Of a service, from what compose makes of a project's files.
    #[must_use]
    pub fn of_service(project: &Value, service: &Value) -> Self {
        let mut reach = Self::default();
        reach.flag("privileged mode", &service["privileged"]);
        reach.flag("the engine's socket", &service["use_api_socket"]);
        if !service["provider"].is_null() {
            reach.privileges.push("a program of the host as its provider".to_owned());
        }
        for hook in ["post_start", "pre_stop"] {
            entries(&service[hook]).for_each(|hook| reach.flag("a privileged hook", &hook["privileged"]));
        }
        reach.capabilities(&service["cap_add"]);
        for setting in ["devices", "device_cgroup_rules", "gpus"] {
            reach.devices(&service[setting]);
        }
        for (name, mode) in [
            ("network", "network_mode"),
            ("process", "pid"),
            ("IPC", "ipc"),
            ("UTS", "uts"),
            ("user", "userns_mode"),
        ] {
            reach.namespace(name, &service[mode]);
        }
        reach.security(&service["security_opt"]);
        for volume in entries(&service["volumes"]) {
            reach.volume(project, volume);
        }
        for other in entries(&service["volumes_from"]).filter_map(Value::as_str) {
            reach.host_paths.push(format!("the mounts of {other}"));
        }
        for kind in ["secrets", "configs"] {
            for used in entries(&service[kind]) {
                let name = used.as_str().or_else(|| used["source"].as_str()).unwrap_or_default();
                reach.path(&project[kind][name]["file"]);
            }
        }
        reach.sorted()
    }

    /// One mount of a service: `source:target[:mode]`, or the same spelt out.
    fn volume(&mut self, project: &Value, volume: &Value) {
        let source = match volume.as_str() {
            Some(text) => text.split_once(':').map(|(source, _)| source),
            None => volume["source"].as_str(),
        };
        let Some(source) = source else { return };
        let is_path = volume["type"] == "bind" || source.starts_with(['/', '.', '~', '\\']);
        if is_path {
            self.host_paths.push(source.to_owned());
        } else {
            let volume = &project["volumes"][source];
            self.of_volume(&volume["driver"], &volume["driver_opts"]);
        }
    }

    /// A named volume may be something of the host by another name.
    fn of_volume(&mut self, driver: &Value, options: &Value) {
        let found = volume::look(driver, options);
        self.privileges.extend(found.file_system.map(|kind| format!("a file system of the host, {kind:?}")));
        self.host_paths.extend(found.paths);
    }

    fn path(&mut self, path: &Value) {
        self.host_paths.extend(path.as_str().filter(|path| !path.is_empty()).map(str::to_owned));
    }

    fn flag(&mut self, what: &str, value: &Value) {
        // Some programs write it in quotes.
        if *value == Value::Bool(true) || value.as_str().is_some_and(|text| text.eq_ignore_ascii_case("true"))
        {
            self.privileges.push(what.to_owned());
        }
    }

    fn capabilities(&mut self, list: &Value) {
        for name in entries(list).filter_map(Value::as_str) {
            let upper = name.to_ascii_uppercase();
            let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
            if !USUAL.contains(&bare) {
                self.privileges.push(format!("capability {bare}"));
            }
        }
    }

    fn devices(&mut self, value: &Value) {
        let some = value.as_array().is_some_and(|list| !list.is_empty()) || value.is_string();
        if some {
            self.privileges.push("devices of the host".to_owned());
        }
    }

    fn namespace(&mut self, name: &str, mode: &Value) {
        if mode == "host" {
            self.privileges.push(format!("the host's {name} namespace"));
        }
    }

    fn security(&mut self, options: &Value) {
        for option in entries(options).filter_map(Value::as_str) {
            let lax = option.contains("unconfined")
                || option.contains("disable")
                || option.starts_with("seccomp")
                || option.starts_with("apparmor")
                || option.starts_with("systempaths")
                || (option.starts_with("label") && !option.contains("level"));
            if lax && !option.ends_with("docker-default") {
                let name: String = option.chars().take(64).collect();
                self.privileges.push(format!("security option {name:?}"));
            }
        }
    }

    /// What the engine covers in every container: writing there is as good as being the host's root.
    fn system_paths(&mut self, host: &Value) {
        let uncovered = |setting: &str, path: &str| {
            host[setting].as_array().is_some_and(|covered| !covered.contains(&Value::from(path)))
        };
        if uncovered("ReadonlyPaths", "/proc/sys") || uncovered("MaskedPaths", "/proc/kcore") {
            self.privileges.push("system paths of the host without their cover".to_owned());
        }
    }

    fn sorted(mut self) -> Self {
        for list in [&mut self.privileges, &mut self.host_paths] {
            list.sort();
            list.dedup();
        }
        self
    }
}

fn entries(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plain_container_has_nothing() {
        let plain = json!({
            "HostConfig": { "Privileged": false, "CapAdd": ["CHOWN", "CAP_NET_RAW"], "Devices": [], "NetworkMode": "shop_default",
                "PidMode": "", "IpcMode": "private", "SecurityOpt": ["no-new-privileges:true"], "Binds": ["data:/data:rw"] },
            "Mounts": [{ "Type": "volume", "Name": "data", "Source": "/var/lib/docker/volumes/data/_data" }],
        });
        let covered = json!({ "MaskedPaths": ["/proc/acpi", "/proc/kcore"], "ReadonlyPaths": ["/proc/bus", "/proc/sys"],
            "SecurityOpt": ["label=level:s0:c1,c2"] });
        assert_eq!(Reach::of_inspection(&json!({ "HostConfig": covered })), Reach::default());
        assert_eq!(Reach::of_inspection(&plain), Reach::default());
        assert_eq!(Reach::of_inspection(&Value::Null), Reach::default());
    }

    #[test]
    fn every_way_to_the_host_is_seen_in_an_inspection() {
        for (host, found) in [
            (json!({ "Privileged": true }), "privileged mode"),
            (json!({ "CapAdd": ["sys_admin"] }), "capability SYS_ADMIN"),
            (json!({ "CapAdd": ["ALL"] }), "capability ALL"),
            (json!({ "Devices": [{ "PathOnHost": "/dev/mem" }] }), "devices of the host"),
            (json!({ "DeviceRequests": [{}] }), "devices of the host"),
            (json!({ "NetworkMode": "host" }), "the host's network namespace"),
            (json!({ "PidMode": "host" }), "the host's process namespace"),
            (json!({ "UsernsMode": "host" }), "the host's user namespace"),
            (json!({ "SecurityOpt": ["seccomp=unconfined"] }), "security option \"seccomp=unconfined\""),
            (json!({ "SecurityOpt": ["label=disable"] }), "security option \"label=disable\""),
            (json!({ "SecurityOpt": ["label=type:spc_t"] }), "security option \"label=type:spc_t\""),
            // What the client makes of `systempaths=unconfined`.
            (json!({ "ReadonlyPaths": [] }), "system paths of the host without their cover"),
            (json!({ "MaskedPaths": ["/proc/acpi"] }), "system paths of the host without their cover"),
        ] {
            let reach = Reach::of_inspection(&json!({ "HostConfig": host }));
            assert_eq!(reach.privileges, [found]);
        }
        let reach = Reach::of_inspection(&json!({
            "HostConfig": { "Binds": ["/srv:/srv:ro"], "Mounts": [
                { "Type": "bind", "Source": "/etc" },
                { "Type": "volume", "VolumeOptions": { "DriverConfig": { "Options": { "device": "/root", "o": "bind" } } } },
            ] },
            "Mounts": [{ "Type": "bind", "Source": "/var/run/docker.sock" }],
        }));
        assert_eq!(reach.host_paths, ["/etc", "/root", "/srv", "/var/run/docker.sock"]);
    }

    #[test]
    fn every_way_to_the_host_is_seen_in_a_compose_file() {
        let project = json!({
            "volumes": { "hidden": { "driver_opts": { "type": "none", "o": "bind", "device": "/etc" } }, "data": null },
            "secrets": { "key": { "file": "/root/key" } },
            "configs": { "conf": { "file": "/srv/conf" } },
        });
        let reach = |service: Value| Reach::of_service(&project, &service);
        for (service, found) in [
            (json!({ "privileged": true }), "privileged mode"),
            (json!({ "privileged": "true" }), "privileged mode"),
            (json!({ "cap_add": ["NET_ADMIN"] }), "capability NET_ADMIN"),
            (json!({ "devices": ["/dev/kvm:/dev/kvm"] }), "devices of the host"),
            (json!({ "gpus": "all" }), "devices of the host"),
            (json!({ "pid": "host" }), "the host's process namespace"),
            (json!({ "network_mode": "host" }), "the host's network namespace"),
            (json!({ "security_opt": ["apparmor:unconfined"] }), "security option \"apparmor:unconfined\""),
            (json!({ "use_api_socket": true }), "the engine's socket"),
            (json!({ "provider": { "type": "x" } }), "a program of the host as its provider"),
            (json!({ "post_start": [{ "privileged": true }] }), "a privileged hook"),
        ] {
            assert_eq!(reach(service).privileges, [found]);
        }
        for (service, found) in [
            (json!({ "volumes": ["/srv/conf:/conf:ro"] }), "/srv/conf"),
            (json!({ "volumes": [{ "type": "bind", "source": "/srv", "target": "/x" }] }), "/srv"),
            (json!({ "volumes": ["hidden:/x"] }), "/etc"),
            (json!({ "volumes": [{ "type": "volume", "source": "hidden" }] }), "/etc"),
            (json!({ "volumes_from": ["db:ro"] }), "the mounts of db:ro"),
            (json!({ "secrets": [{ "source": "key" }] }), "/root/key"),
            (json!({ "configs": ["conf"] }), "/srv/conf"),
        ] {
            assert_eq!(reach(service).host_paths, [found]);
        }
        assert_eq!(
            reach(json!({ "volumes": ["data:/data", "/scratch"], "network_mode": "bridge" })),
            Reach::default()
        );
    }
}
