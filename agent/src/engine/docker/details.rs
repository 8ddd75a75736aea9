//! From the engine's inspection of a container and its image to what is shown of it on demand. Pure, and bounded so
//! that the answer fits into one message. Nothing is masked here.

use roadstead_protocol::message::codec::{MAX_MESSAGE, encoded_size};
use roadstead_protocol::message::ids::ContainerId;
use roadstead_protocol::message::inspection::{
    ContainerDetails, HealthEntry, MountDetails, NetworkDetails, Setting,
};
use serde_json::Value;

use super::times;
use crate::policy::Reach;

/// Largest answer in bytes, with room for its envelope and for masks.
const MAX_DETAILS: usize = MAX_MESSAGE - 8 * 1024;

/// Results of a health check that are kept, and the bytes of each one's output.
const HEALTH_ENTRIES: usize = 5;
const HEALTH_OUTPUT: usize = 2 * 1024;

/// The details; none if the engine gave no proper id.
pub(super) fn details(inspection: &Value, image: &Value, reach: &Reach) -> Option<ContainerDetails> {
    let id = ContainerId::try_from(text(&inspection["Id"])).ok()?;
    let (config, host) = (&inspection["Config"], &inspection["HostConfig"]);
    let whole = ContainerDetails {
        env: strings(&config["Env"]).into_iter().map(variable).collect(),
        labels: labels(&config["Labels"]),
        entrypoint: strings(&config["Entrypoint"]),
        command: strings(&config["Cmd"]),
        working_dir: text(&config["WorkingDir"]),
        user: text(&config["User"]),
        hostname: text(&config["Hostname"]),
        mounts: entries(&inspection["Mounts"]).map(mount).collect(),
        networks: networks(&inspection["NetworkSettings"]["Networks"]),
        restart_policy: text(&host["RestartPolicy"]["Name"]),
        restart_retries: number(&host["RestartPolicy"]["MaximumRetryCount"])
            .and_then(|count| u32::try_from(count).ok())
            .unwrap_or_default(),
        memory_limit_bytes: number(&host["Memory"]),
        cpu_limit_thousandths: cpu_limit(host),
        process_limit: number(&host["PidsLimit"]),
        privileges: reach.privileges.clone(),
        health_check: strings(&config["Healthcheck"]["Test"]),
        health_log: health_log(&inspection["State"]["Health"]["Log"]),
        image_id: text(&inspection["Image"]),
        image_digests: strings(&image["RepoDigests"]),
        ..ContainerDetails::of(id)
    };
    Some(bounded(whole))
}

/// Cuts in steps until the whole fits: long values first, then long lists.
fn bounded(mut details: ContainerDetails) -> ContainerDetails {
    for (bytes, count) in [(16 * 1024, 2_000), (2 * 1024, 500), (512, 100), (128, 40)] {
        if encoded_size(&details).is_ok_and(|size| size <= MAX_DETAILS) {
            break;
        }
        details.truncated = true;
        trim(&mut details, bytes, count);
    }
    details
}

fn trim(details: &mut ContainerDetails, bytes: usize, count: usize) {
    let cut = |text: &mut String| text.truncate(text.floor_char_boundary(bytes));
    for settings in [&mut details.env, &mut details.labels] {
        settings.truncate(count);
        for Setting { name, value } in settings {
            cut(name);
            value.iter_mut().for_each(cut);
        }
    }
    for list in [
        &mut details.entrypoint,
        &mut details.command,
        &mut details.privileges,
        &mut details.health_check,
        &mut details.image_digests,
    ] {
        list.truncate(count);
        list.iter_mut().for_each(cut);
    }
    details.mounts.truncate(count);
    for mount in &mut details.mounts {
        [&mut mount.kind, &mut mount.source, &mut mount.target].into_iter().for_each(cut);
    }
    details.networks.truncate(count);
    for network in &mut details.networks {
        [&mut network.name, &mut network.gateway, &mut network.mac].into_iter().for_each(cut);
        network.aliases.truncate(count.min(20));
        network.aliases.iter_mut().chain(&mut network.addresses).for_each(cut);
    }
    details.health_log.iter_mut().for_each(|entry| cut(&mut entry.output));
    [&mut details.working_dir, &mut details.user, &mut details.hostname, &mut details.image_id]
        .into_iter()
        .for_each(cut);
}

fn variable(text: String) -> Setting {
    match text.split_once('=') {
        Some((name, value)) => Setting { name: name.to_owned(), value: Some(value.to_owned()) },
        None => Setting { name: text, value: Some(String::new()) },
    }
}

fn labels(labels: &Value) -> Vec<Setting> {
    let labels = labels.as_object().into_iter().flatten();
    let mut labels: Vec<_> =
        labels.map(|(name, value)| Setting { name: name.clone(), value: Some(text(value)) }).collect();
    labels.sort_by(|a, b| a.name.cmp(&b.name));
    labels
}

fn mount(mount: &Value) -> MountDetails {
    // A volume's place on the host says less than its name.
    let name = text(&mount["Name"]);
    let source = if name.is_empty() { text(&mount["Source"]) } else { name };
    MountDetails {
        kind: text(&mount["Type"]),
        source,
        target: text(&mount["Destination"]),
        read_only: mount["RW"] == Value::Bool(false),
    }
}

fn networks(networks: &Value) -> Vec<NetworkDetails> {
    let network = |(name, endpoint): (&String, &Value)| {
        let addresses = ["IPAddress", "GlobalIPv6Address"].map(|key| text(&endpoint[key]));
        NetworkDetails {
            name: name.clone(),
            addresses: addresses.into_iter().filter(|address| !address.is_empty()).collect(),
            gateway: text(&endpoint["Gateway"]),
            mac: text(&endpoint["MacAddress"]),
            aliases: strings(&endpoint["Aliases"]),
        }
    };
    let mut networks: Vec<_> = networks.as_object().into_iter().flatten().map(network).collect();
    networks.sort_by(|a, b| a.name.cmp(&b.name));
    networks
}

/// Thousandths of a processor, from either way to say it.
fn cpu_limit(host: &Value) -> Option<u64> {
    let by_time = || {
        Some(number(&host["CpuQuota"])?.saturating_mul(1000) / number(&host["CpuPeriod"]).unwrap_or(100_000))
    };
    number(&host["NanoCpus"]).map(|nanos| nanos / 1_000_000).or_else(by_time)
}

fn health_log(log: &Value) -> Vec<HealthEntry> {
    let entry = |entry: &Value| {
        let mut output = text(&entry["Output"]);
        let excess = output.len().saturating_sub(HEALTH_OUTPUT);
        output.drain(..output.ceil_char_boundary(excess));
        HealthEntry {
            at: times::parse(&text(&entry["End"])).unwrap_or_default(),
            exit_code: entry["ExitCode"].as_i64().unwrap_or_default(),
            output,
        }
    };
    let all: Vec<_> = entries(log).collect();
    all[all.len().saturating_sub(HEALTH_ENTRIES)..].iter().map(|one| entry(one)).collect()
}

/// A limit that is one: the engine writes none as 0, -1 or nothing.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().filter(|number| *number > 0)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn strings(value: &Value) -> Vec<String> {
    entries(value).filter_map(Value::as_str).map(str::to_owned).collect()
}

fn entries(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const RUNNING: &str = include_str!("fixtures/engine_20_10_running.json");

    #[test]
    fn a_real_inspection_is_read() {
        let inspection: Value = serde_json::from_str(RUNNING).unwrap();
        let image = json!({ "RepoDigests": ["web@sha256:00"] });
        let details = details(&inspection, &image, &Reach::of_inspection(&inspection)).unwrap();
        assert_eq!(details.id.as_str(), inspection["Id"].as_str().unwrap());
        assert_eq!(details.env.len(), inspection["Config"]["Env"].as_array().unwrap().len());
        assert!(details.env.iter().all(|setting| !setting.name.contains('=')));
        assert_eq!(details.mounts.len(), inspection["Mounts"].as_array().unwrap().len());
        assert_eq!(
            details.networks.len(),
            inspection["NetworkSettings"]["Networks"].as_object().unwrap().len()
        );
        assert_eq!(details.image_digests, ["web@sha256:00"]);
        assert!(!details.truncated);
        assert_eq!(super::details(&json!({ "Id": "../x" }), &Value::Null, &Reach::default()), None);
    }

    #[test]
    fn the_largest_container_fits_into_a_message() {
        let long = "ä".repeat(200_000);
        let many: Vec<_> = (0..5_000).map(|number| format!("V{number}={long}")).take(40).collect();
        let short: Vec<_> = (0..5_000).map(|number| format!("V{number}=1")).collect();
        for env in [many, short] {
            let inspection = json!({
                "Id": "0".repeat(64),
                "Config": { "Env": env, "Cmd": [long, long], "Labels": { "a": long }, "User": long },
                "Mounts": vec![json!({ "Type": "bind", "Source": long }); 300],
                "NetworkSettings": { "Networks": { "a": { "Aliases": vec![&long; 30] } } },
                "State": { "Health": { "Log": vec![json!({ "Output": long, "ExitCode": 1 }); 9] } },
            });
            let details = details(&inspection, &Value::Null, &Reach::default()).unwrap();
            assert!(encoded_size(&details).unwrap() <= MAX_DETAILS);
            assert!(details.truncated && details.health_log.len() == HEALTH_ENTRIES);
        }
    }

    #[test]
    fn limits_are_none_where_the_engine_says_nothing_or_no_end() {
        let limit = |host: Value| cpu_limit(&host);
        assert_eq!(limit(json!({ "NanoCpus": 1_500_000_000_u64 })), Some(1500));
        assert_eq!(limit(json!({ "NanoCpus": 0, "CpuQuota": 50_000, "CpuPeriod": 100_000 })), Some(500));
        assert_eq!(limit(json!({ "CpuQuota": -1 })), None);
        assert_eq!(number(&json!(-1)), None);
    }
}
