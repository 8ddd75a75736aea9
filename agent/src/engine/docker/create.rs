//! From an install order to the request that creates its container. Pure.

use roadstead_protocol::message::command::InstallWork;
use serde_json::{Map, Value, json};

use super::names::{checked, checked_image};
use crate::engine::{COMPOSE_FILES, EngineError};

/// The body of the create request for `work`.
pub(super) fn body(work: &InstallWork) -> Result<Value, EngineError> {
    let bindings = ports(&work.ports)?;
    // The engine publishes only what is exposed.
    let exposed: Map<_, _> = bindings.keys().map(|port| (port.clone(), json!({}))).collect();
    let binds = work.mounts.iter().map(|mount| bind(mount)).collect::<Result<Vec<_>, _>>()?;
    let policy = work.restart_policy.as_deref().unwrap_or("no");
    if !["no", "always", "unless-stopped", "on-failure"].contains(&policy) {
        return Err(invalid(format!(
            "restart policy {policy:?}: use no, always, unless-stopped or on-failure"
        )));
    }
    let env: Vec<String> = work.env.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let mut host = json!({
        "Binds": binds,
        "PortBindings": bindings,
        "RestartPolicy": { "Name": policy },
    });
    if let Some(network) = &work.network {
        host["NetworkMode"] = json!(checked(network)?);
    }
    // The engine adds the image's own labels, except where one is given.
    let mut labels: Map<_, _> =
        COMPOSE_FILES.map(|label| (label.to_owned(), json!(""))).into_iter().collect();
    labels.extend(work.labels.iter().map(|(label, value)| (label.clone(), json!(value))));
    let mut body = json!({
        "Image": checked_image(&work.image)?,
        "Env": env,
        "Labels": labels,
        "ExposedPorts": exposed,
        "HostConfig": host,
    });
    if !work.command.is_empty() {
        body["Cmd"] = json!(work.command);
    }
    Ok(body)
}

fn invalid(reason: String) -> EngineError {
    EngineError::Refused(reason)
}

/// The engine's port bindings from `[host-ip:]host-port:container-port[/protocol]`; an empty host port lets the engine
/// choose.
fn ports(ports: &[String]) -> Result<Map<String, Value>, EngineError> {
    let mut bindings = Map::new();
    for text in ports {
        let bad = || invalid(format!("port {text:?}: use [host-ip:]host-port:container-port[/protocol]"));
        let (rest, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let (rest, private) = rest.rsplit_once(':').ok_or_else(bad)?;
        let (ip, public) = rest.rsplit_once(':').unwrap_or(("", rest));
        let ip = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(ip);
        let fits = ["tcp", "udp", "sctp"].contains(&protocol)
            && private.parse::<u16>().is_ok_and(|port| port > 0)
            && (public.is_empty() || public.parse::<u16>().is_ok())
            && (ip.is_empty() || ip.parse::<std::net::IpAddr>().is_ok());
        if !fits {
            return Err(bad());
        }
        let port = format!("{private}/{protocol}");
        let binding = json!({ "HostIp": ip, "HostPort": public });
        match bindings.entry(port).or_insert_with(|| json!([])) {
            Value::Array(all) => all.push(binding),
            _ => return Err(bad()),
        }
    }
    Ok(bindings)
}

/// Checks `volume-or-host-path:container-path[:ro]`, which is what the engine takes too.
fn bind(text: &str) -> Result<&str, EngineError> {
    let mut parts = text.split(':');
    let (source, target, mode) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    let fits = (source.starts_with('/') || checked(source).is_ok())
        && target.is_some_and(|target| target.starts_with('/'))
        && matches!(mode, None | Some("ro" | "rw"))
        && parts.next().is_none();
    if fits {
        Ok(text)
    } else {
        Err(invalid(format!("mount {text:?}: use volume-or-host-path:container-path[:ro]")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work() -> InstallWork {
        serde_json::from_value(json!({ "name": "web", "image": "127.0.0.1:5000/web:1" })).unwrap()
    }

    #[test]
    fn everything_finds_its_place() {
        let work = InstallWork {
            command: vec!["serve".to_owned(), "--all".to_owned()],
            env: [("A".to_owned(), "1=2".to_owned())].into(),
            labels: [("team".to_owned(), "x".to_owned())].into(),
            ports: ["8080:80", "127.0.0.1:8081:80/tcp", "[::1]::53/udp"].map(str::to_owned).to_vec(),
            mounts: ["data:/data", "/srv:/srv:ro"].map(str::to_owned).to_vec(),
            network: Some("front".to_owned()),
            restart_policy: Some("always".to_owned()),
            ..work()
        };
        let want = json!({
            "Image": "127.0.0.1:5000/web:1",
            "Cmd": ["serve", "--all"],
            "Env": ["A=1=2"],
            "Labels": {
                "team": "x",
                // Whatever the image says.
                "com.docker.compose.project.working_dir": "",
                "com.docker.compose.project.config_files": "",
                "com.docker.compose.project.environment_file": "",
            },
            "ExposedPorts": { "80/tcp": {}, "53/udp": {} },
            "HostConfig": {
                "Binds": ["data:/data", "/srv:/srv:ro"],
                "NetworkMode": "front",
                "PortBindings": {
                    "80/tcp": [
                        { "HostIp": "", "HostPort": "8080" },
                        { "HostIp": "127.0.0.1", "HostPort": "8081" },
                    ],
                    "53/udp": [{ "HostIp": "::1", "HostPort": "" }],
                },
                "RestartPolicy": { "Name": "always" },
            },
        });
        assert_eq!(body(&work), Ok(want));
        let plain = serde_json::from_value(json!({ "name": "web", "image": "web" })).unwrap();
        assert!(body(&plain).unwrap().get("Cmd").is_none());
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_the_form_to_use() {
        for port in ["80", "80:0", "80:99999", "x:80", "1.2.3:80:80", "80:80/icmp", ""] {
            let work = InstallWork { ports: vec![port.to_owned()], ..work() };
            assert!(body(&work).unwrap_err().to_string().contains("container-port"), "{port}");
        }
        for mount in ["/a", "a:b", "../a:/b", "a:/b:rw,z", "a:/b:ro:x", ":/b"] {
            let work = InstallWork { mounts: vec![mount.to_owned()], ..work() };
            assert!(body(&work).unwrap_err().to_string().contains("container-path"), "{mount}");
        }
        assert!(body(&InstallWork { restart_policy: Some("never".to_owned()), ..work() }).is_err());
        assert!(body(&InstallWork { network: Some("a/b".to_owned()), ..work() }).is_err());
        assert!(body(&InstallWork { image: "../x".to_owned(), ..work() }).is_err());
    }
}
