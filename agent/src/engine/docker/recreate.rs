//! From the inspection of a container to the request that creates one like it. Pure.
//!
//! Works on JSON and not on types: whatever an engine tells about a container goes back to it, also what nobody here
//! has heard of.

use serde_json::{Map, Value, json};

use crate::engine::COMPOSE_FILES;

/// A network, by name or id, and a container's settings there.
pub(super) type Endpoint = (String, Value);

/// How to create a container like another.
#[derive(Debug, PartialEq)]
pub(super) struct Recreation {
    /// Body of the create request, with the network that the engine takes there.
    pub(super) body: Value,
    /// Further networks to connect it to.
    pub(super) networks: Vec<Endpoint>,
}

/// What the new container is to be made from.
pub(super) struct NewImage<'a> {
    /// Its reference.
    pub(super) reference: &'a str,
    /// Its id (`sha256:…`).
    pub(super) id: &'a str,
    /// Its own labels: an object, or null.
    pub(super) labels: &'a Value,
}

/// Compose keeps the image's id in this label, and takes a container where it differs for outdated.
const COMPOSE_IMAGE: &str = "com.docker.compose.image";

/// Settings of a network endpoint that somebody chose; the rest the engine found out.
const CHOSEN: [&str; 5] = ["IPAMConfig", "Links", "Aliases", "DriverOpts", "GwPriority"];

/// Plans a container like `inspection` from `image`. What equals `old_defaults`, the `Config` of the image it was made
/// from, is left out, so that the new image's own takes its place; without them everything is kept.
pub(super) fn plan(inspection: &Value, old_defaults: Option<&Value>, image: &NewImage<'_>) -> Recreation {
    let id = inspection["Id"].as_str().unwrap_or_default();
    let mut config = object(&inspection["Config"]);
    let mut host = object(&inspection["HostConfig"]);
    if let Some(defaults) = old_defaults {
        leave_to_image(&mut config, defaults, &host);
    }
    config.insert("Image".to_owned(), json!(image.reference));
    if let Some(label) = config.get_mut("Labels").and_then(|labels| labels.get_mut(COMPOSE_IMAGE)) {
        *label = json!(image.id);
    }
    silence_image(&mut config, image.labels);
    name_anonymous_volumes(&mut host, &inspection["Mounts"]);
    restore_links(&mut host);

    let mode = host.get("NetworkMode").and_then(Value::as_str).unwrap_or("default").to_owned();
    let shares = mode.starts_with("container:");
    // The engine fills in a name from the id, and refuses one where the host's or another container's is used.
    let generated = config
        .get("Hostname")
        .and_then(Value::as_str)
        .is_some_and(|name| !name.is_empty() && id.starts_with(name));
    let foreign = shares || host.get("UTSMode").and_then(Value::as_str) == Some("host");
    if generated || foreign {
        config.remove("Hostname");
    }
    if foreign {
        config.remove("Domainname");
    }
    if shares {
        for setting in ["ExposedPorts", "MacAddress"] {
            config.remove(setting);
        }
    }

    let mut networks = Vec::new();
    if !shares && mode != "host" && mode != "none" {
        let (primary, others) = endpoints(&inspection["NetworkSettings"]["Networks"], &mode, id);
        if let Some((name, settings)) = primary {
            if mode != "default" {
                // It may have been given by id; from here on both places say the same.
                host.insert("NetworkMode".to_owned(), json!(name));
            }
            config.insert("NetworkingConfig".to_owned(), json!({ "EndpointsConfig": { name: settings } }));
        }
        networks = others;
    }
    config.insert("HostConfig".to_owned(), Value::Object(host));
    Recreation { body: Value::Object(config), networks }
}

/// Why a container must not be replaced, if so.
pub(super) fn obstacle(inspection: &Value) -> Option<String> {
    let gone = inspection["HostConfig"]["AutoRemove"] == json!(true);
    gone.then(|| {
        "it was started with --rm: the engine would remove it as soon as it is stopped, and it could not be put back"
            .to_owned()
    })
}

/// The names of those in the engine's list of containers that use the network of the container with this id.
pub(super) fn sharers(list: &Value, id: &str) -> Vec<String> {
    let mode = format!("container:{id}");
    let uses = |container: &&Value| container["HostConfig"]["NetworkMode"] == json!(mode);
    let name = |container: &Value| {
        container["Names"][0].as_str().map(|name| name.trim_start_matches('/').to_owned())
    };
    list.as_array().into_iter().flatten().filter(uses).filter_map(name).collect()
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

/// The engine adds the image's own labels: it must not say where a project's files are.
fn silence_image(config: &mut Map<String, Value>, image: &Value) {
    for label in COMPOSE_FILES.into_iter().filter(|label| image.get(label).is_some()) {
        let labels = config.entry("Labels").or_insert_with(|| json!({}));
        if labels.is_null() {
            *labels = json!({});
        }
        if let Value::Object(labels) = labels {
            labels.entry(label).or_insert_with(|| json!(""));
        }
    }
}

/// Takes out of `config` what came from the old image.
fn leave_to_image(config: &mut Map<String, Value>, defaults: &Value, host: &Map<String, Value>) {
    if let (Some(Value::Array(env)), Some(default)) = (config.get_mut("Env"), defaults["Env"].as_array()) {
        env.retain(|entry| !default.contains(entry));
    }
    if let (Some(Value::Object(labels)), Some(default)) =
        (config.get_mut("Labels"), defaults["Labels"].as_object())
    {
        labels.retain(|key, value| default.get(key) != Some(value));
    }
    let published = host.get("PortBindings").and_then(Value::as_object);
    for setting in ["ExposedPorts", "Volumes"] {
        if let (Some(Value::Object(set)), Some(default)) =
            (config.get_mut(setting), defaults[setting].as_object())
        {
            // A published port must stay exposed, whatever the new image exposes.
            set.retain(|key, _| {
                !default.contains_key(key) || published.is_some_and(|ports| ports.contains_key(key))
            });
        }
    }
    let same = |config: &Map<String, Value>, setting: &str| {
        let ours = config.get(setting).unwrap_or(&Value::Null);
        let empty = |value: &Value| value.is_null() || *value == json!("") || *value == json!([]);
        *ours == defaults[setting] || (empty(ours) && empty(&defaults[setting]))
    };
    // An image's command is for its own entrypoint only: the engine drops it where an entrypoint is given.
    if same(config, "Entrypoint") {
        if same(config, "Cmd") {
            config.remove("Cmd");
        }
        config.remove("Entrypoint");
    }
    for setting in ["User", "WorkingDir", "Healthcheck", "StopSignal", "Shell", "OnBuild"] {
        if same(config, setting) {
            config.remove(setting);
        }
    }
}

/// Binds each volume that has no name in `host` by the name the engine gave it, so that its data is kept.
fn name_anonymous_volumes(host: &mut Map<String, Value>, mounts: &Value) {
    let volumes = mounts.as_array().into_iter().flatten().filter(|mount| mount["Type"] == "volume");
    for volume in volumes {
        let (Some(name), Some(target)) = (volume["Name"].as_str(), volume["Destination"].as_str()) else {
            continue;
        };
        let bind = if volume["RW"] == json!(false) {
            format!("{name}:{target}:ro")
        } else {
            format!("{name}:{target}")
        };
        let mounted = host.get_mut("Mounts").and_then(Value::as_array_mut).into_iter().flatten();
        if let Some(mount) = mounted.into_iter().find(|mount| mount["Target"] == target) {
            if mount["Type"] == "volume" && mount["Source"].as_str().unwrap_or_default().is_empty() {
                mount["Source"] = json!(name);
            }
            continue;
        }
        let binds = host.entry("Binds").or_insert(Value::Null);
        if binds.is_null() {
            *binds = json!([]);
        }
        let Some(binds) = binds.as_array_mut() else { continue };
        // A bind is `source:target[:options]`, or a target alone for a volume without a name.
        let at = binds.iter().position(|bind| {
            let mut parts = bind.as_str().unwrap_or_default().split(':');
            let first = parts.next();
            parts.next().or(first) == Some(target)
        });
        match at {
            Some(at) if binds[at] == target => binds[at] = json!(bind),
            Some(_) => {}
            None => binds.push(json!(bind)),
        }
    }
}

/// Links are told as `/other:/this/alias` and taken as `other:alias`.
fn restore_links(host: &mut Map<String, Value>) {
    for link in host.get_mut("Links").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some((other, alias)) = link.as_str().and_then(|link| link.split_once(':')) else { continue };
        let alias = alias.rsplit('/').next().unwrap_or(alias);
        *link = json!(format!("{}:{alias}", other.trim_start_matches('/')));
    }
}

/// The endpoint that goes into the create request, by network name, and the others, by network id where it is known.
/// Engines before API 1.44 take only one at creation.
fn endpoints(networks: &Value, mode: &str, id: &str) -> (Option<Endpoint>, Vec<Endpoint>) {
    let mut primary = None;
    let mut others = Vec::new();
    let wanted = if mode == "default" { "bridge" } else { mode };
    let networks = networks.as_object();
    let is_wanted = |name: &str, endpoint: &Value| name == wanted || endpoint["NetworkID"] == wanted;
    let found =
        networks.is_some_and(|networks| networks.iter().any(|(name, endpoint)| is_wanted(name, endpoint)));
    for (name, endpoint) in networks.into_iter().flatten() {
        let mut settings: Map<String, Value> = CHOSEN
            .iter()
            .filter_map(|key| {
                Some(((*key).to_owned(), endpoint.get(*key).filter(|value| !value.is_null())?.clone()))
            })
            .collect();
        if let Some(Value::Array(aliases)) = settings.get_mut("Aliases") {
            // The engine adds the container's short id by itself.
            aliases.retain(|alias| {
                alias.as_str().is_none_or(|alias| alias.len() != 12 || !id.starts_with(alias))
            });
            if aliases.is_empty() {
                settings.remove("Aliases");
            }
        }
        if primary.is_none() && (is_wanted(name, endpoint) || !found) {
            primary = Some((name.clone(), Value::Object(settings)));
        } else {
            let network = endpoint["NetworkID"].as_str().filter(|id| !id.is_empty()).unwrap_or(name);
            others.push((network.to_owned(), Value::Object(settings)));
        }
    }
    (primary, others)
}

#[cfg(test)]
mod tests;
