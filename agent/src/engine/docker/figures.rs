//! What containers use, asked through the engine's API, where their control groups cannot be read.
//!
//! The API is the way that works wherever the engine is. Up to engine 24 every single sample takes a second (the
//! engine waits for its own collector), so many are asked for at once; newer engines answer at once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use roadstead_protocol::message::container::Figures;
use roadstead_protocol::message::ids::ContainerId;
use roadstead_protocol::message::time::UnixMicros;
use serde::Deserialize;

use super::times;
use super::wire::Wire;

/// Samples asked for at once.
const AT_ONCE: usize = 32;

/// A sample takes an old engine one second; one that takes this long is left out.
const SAMPLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest time over which CPU use says what a container does now.
const LONGEST_SPAN: Duration = Duration::from_secs(120);

/// The samples before, from which CPU use is reckoned.
#[derive(Default)]
pub(super) struct Sampler {
    before: Mutex<HashMap<ContainerId, CpuSample>>,
}

/// CPU time used until a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct CpuSample {
    /// By the clock of whoever counts, in microseconds.
    pub(super) at_micros: i64,
    /// Since the container started, nanoseconds over all cores.
    pub(super) used_nanos: u64,
}

impl Sampler {
    /// Samples `containers`; leaves out those that do not run or do not answer. `host_memory` is the host's memory in
    /// bytes, which the engine gives as the limit of a container without one; 0 if it is not known.
    pub(super) async fn sample(
        &self,
        wire: &Wire,
        containers: &[ContainerId],
        host_memory: u64,
    ) -> Vec<Figures> {
        let asked = stream::iter(containers.iter().cloned().map(|id| async move {
            let path = format!("/containers/{id}/stats?stream=false&one-shot=true");
            match wire.get::<Statistics>(&path, SAMPLE_TIMEOUT).await {
                Ok(statistics) => Some((id, statistics)),
                Err(error) => {
                    tracing::debug!(container = %id, %error, "no figures");
                    None
                }
            }
        }));
        let answers: Vec<_> = asked.buffer_unordered(AT_ONCE).filter_map(std::future::ready).collect().await;
        let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        // What is not asked for any more is forgotten, so that this cannot grow.
        before.retain(|id, _| containers.contains(id));
        let now = UnixMicros::now();
        answers
            .into_iter()
            .filter_map(|(id, statistics)| {
                let cpu = statistics.cpu()?;
                let earlier = before.insert(id.clone(), cpu);
                Some(statistics.figures(
                    id,
                    now,
                    earlier.and_then(|earlier| percent(earlier, cpu)),
                    host_memory,
                ))
            })
            .collect()
    }
}

/// CPU use between two samples, in percent of one core; none if the container was restarted in between, or no time or
/// too much of it went by.
pub(super) fn percent(earlier: CpuSample, later: CpuSample) -> Option<f64> {
    let micros = u32::try_from(later.at_micros.checked_sub(earlier.at_micros)?).ok()?;
    if micros == 0 || Duration::from_micros(micros.into()) > LONGEST_SPAN {
        return None;
    }
    let used = Duration::from_nanos(later.used_nanos.checked_sub(earlier.used_nanos)?);
    Some(used.as_secs_f64() / (f64::from(micros) / 1e6) * 100.0)
}

/// What is read of the engine's statistics.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Statistics {
    read: String,
    cpu_stats: CpuStats,
    memory_stats: MemoryStats,
    networks: Option<HashMap<String, NetworkStats>>,
    blkio_stats: BlockStats,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CpuStats {
    cpu_usage: CpuUsage,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CpuUsage {
    total_usage: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct MemoryStats {
    usage: u64,
    limit: u64,
    stats: Option<MemoryDetails>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct MemoryDetails {
    /// cgroup v1.
    total_inactive_file: Option<u64>,
    /// cgroup v2.
    inactive_file: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NetworkStats {
    rx_bytes: u64,
    tx_bytes: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct BlockStats {
    io_service_bytes_recursive: Option<Vec<BlockEntry>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct BlockEntry {
    op: String,
    value: u64,
}

impl Statistics {
    /// None for a container that does not run: the engine then answers with zeros, read in the year 1.
    fn cpu(&self) -> Option<CpuSample> {
        let at = times::parse(&self.read)?;
        Some(CpuSample { at_micros: at.0, used_nanos: self.cpu_stats.cpu_usage.total_usage })
    }

    fn figures(
        &self,
        container: ContainerId,
        at: UnixMicros,
        cpu_percent: Option<f64>,
        host_memory: u64,
    ) -> Figures {
        let memory = &self.memory_stats;
        let cache = memory
            .stats
            .as_ref()
            .and_then(|stats| stats.total_inactive_file.or(stats.inactive_file))
            .filter(|cache| *cache < memory.usage)
            .unwrap_or(0);
        let unlimited = memory.limit == 0 || (host_memory > 0 && memory.limit >= host_memory);
        let networks = self.networks.iter().flat_map(HashMap::values);
        let (rx, tx) = networks.fold((0u64, 0u64), |(rx, tx), network| {
            (rx.saturating_add(network.rx_bytes), tx.saturating_add(network.tx_bytes))
        });
        let blocks = |op: &str| {
            let entries = self.blkio_stats.io_service_bytes_recursive.iter().flatten();
            let values = entries.filter(|entry| entry.op.eq_ignore_ascii_case(op)).map(|entry| entry.value);
            values.fold(0, u64::saturating_add)
        };
        Figures {
            container,
            at,
            cpu_percent,
            memory_bytes: memory.usage - cache,
            memory_limit_bytes: (!unlimited).then_some(memory.limit),
            network_rx_bytes: rx,
            network_tx_bytes: tx,
            block_read_bytes: blocks("read"),
            block_write_bytes: blocks("write"),
        }
    }
}

#[cfg(test)]
mod tests {
    use roadstead_protocol::fuzz::{fuzz, text};

    use super::*;

    const HOST_MEMORY: u64 = 25_000_000_000;

    fn statistics(json: serde_json::Value) -> Statistics {
        serde_json::from_value(json).unwrap()
    }

    fn figures(json: serde_json::Value) -> Figures {
        let id = ContainerId::try_from("e0640a4e3412".to_owned()).unwrap();
        statistics(json).figures(id, UnixMicros(7), None, HOST_MEMORY)
    }

    #[test]
    fn both_generations_of_cgroups() {
        let first = figures(serde_json::json!({
            "read": "2026-11-20T13:40:00.5Z",
            "memory_stats": {"usage": 10_000, "limit": 25_000_000_000u64, "stats": {"total_inactive_file": 4_000, "inactive_file": 1}},
            "networks": {"eth0": {"rx_bytes": 5, "tx_bytes": 6}, "eth1": {"rx_bytes": 50, "tx_bytes": 60}},
            "blkio_stats": {"io_service_bytes_recursive": [
                {"major": 254, "minor": 0, "op": "Read", "value": 100},
                {"major": 254, "minor": 0, "op": "Write", "value": 200},
                {"major": 254, "minor": 0, "op": "Total", "value": 300}]},
        }));
        assert_eq!((first.memory_bytes, first.memory_limit_bytes), (6_000, None));
        assert_eq!((first.network_rx_bytes, first.network_tx_bytes), (55, 66));
        assert_eq!((first.block_read_bytes, first.block_write_bytes), (100, 200));
        let second = figures(serde_json::json!({
            "read": "2026-11-20T13:40:00.5Z",
            "memory_stats": {"usage": 10_000, "limit": 64_000, "stats": {"inactive_file": 1_000}},
            "blkio_stats": {"io_service_bytes_recursive": [{"op": "read", "value": 1}, {"op": "write", "value": 2}]},
        }));
        assert_eq!((second.memory_bytes, second.memory_limit_bytes), (9_000, Some(64_000)));
        assert_eq!((second.block_read_bytes, second.block_write_bytes), (1, 2));
    }

    #[test]
    fn a_stopped_container_has_no_figures() {
        let stopped = statistics(serde_json::json!({
            "read": "0001-01-01T00:00:00Z", "cpu_stats": {"cpu_usage": {"total_usage": 0}}, "memory_stats": {},
            "blkio_stats": {"io_service_bytes_recursive": null},
        }));
        assert!(stopped.cpu().is_none());
    }

    #[test]
    fn cpu_use_is_of_one_core_over_the_time_between() {
        let sample = |seconds: i64, used_nanos| CpuSample { at_micros: seconds * 1_000_000, used_nanos };
        let half = percent(sample(10, 1_000_000_000), sample(12, 2_000_000_000)).unwrap();
        assert!((half - 50.0).abs() < 1e-9, "{half}");
        assert_eq!(percent(sample(10, 5), sample(12, 4)), None, "restarted in between");
        assert_eq!(percent(sample(10, 5), sample(10, 5)), None, "no time went by");
        assert_eq!(percent(sample(10, 5), sample(600, 5)), None, "nobody looked for a long time");
    }

    #[test]
    fn fuzz_statistics() {
        let samples = [
            r#"{"read":"2026-11-20T13:40:00.5Z","cpu_stats":{"cpu_usage":{"total_usage":5}},"memory_stats":{"usage":10000,"limit":64000,"stats":{"total_inactive_file":4000,"inactive_file":1}}}"#,
            r#"{"read":"2026-11-20T13:40:00.5Z","networks":{"eth0":{"rx_bytes":5,"tx_bytes":6},"eth1":{"rx_bytes":1}},"blkio_stats":{"io_service_bytes_recursive":[{"op":"Read","value":18446744073709551615},{"op":"read","value":100},{"op":"Write","value":200}]}}"#,
        ];
        let words = ["\"value\":18446744073709551615", "{\"op\":\"read\",\"value\":18446744073709551615},"];
        fuzz("statistics", &text(&samples, &words), |text| {
            let Ok(statistics) = serde_json::from_str::<Statistics>(&text) else { return false };
            let id = ContainerId::try_from("e0640a4e3412".to_owned()).unwrap();
            let figures = statistics.figures(id, UnixMicros(7), None, HOST_MEMORY);
            assert!(figures.memory_bytes <= statistics.memory_stats.usage);
            if let Some(cpu) = statistics.cpu() {
                let earlier = CpuSample { at_micros: 0, used_nanos: 0 };
                assert!(percent(earlier, cpu).is_none_or(|percent| percent.is_finite() && percent >= 0.0));
            }
            true
        });
    }
}
