//! `GET /containers/NAME/stats`: what a container uses, once or every second.

use crate::call::Call;
use crate::error::ApiError;
use crate::respond::{self, Response};
use crate::version::ApiVersion;
use bytes::Bytes;
use futures_util::stream;
use jiff::Timestamp;
use sealane_containers::{CpuUsage, LinkCounters, Stats, Usage};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// How often usage is sent, and how far apart the two looks are that a load is computed from.
const INTERVAL: Duration = Duration::from_secs(1);
/// What Docker says where there is no time.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// Sends what a container uses.
pub(crate) async fn stats(call: Call, name: String) -> Result<Response, ApiError> {
    let streams = call.query.text("stream").is_none() || call.query.flag("stream");
    let once = call.query.flag("one-shot");
    if streams && once {
        return Err(ApiError::invalid(
            "cannot have stream=true and one-shot=true",
        ));
    }
    let first = look(&call, name).await?;
    if streams {
        return Ok(as_stream(call, first));
    }
    if once || first.usage.is_none() {
        return Ok(respond::ok(&wire(&first, None, call.version)));
    }
    tokio::time::sleep(INTERVAL).await;
    let second = look(&call, first.id.to_string()).await?;
    Ok(respond::ok(&wire(&second, Some(&first), call.version)))
}

async fn look(call: &Call, name: String) -> Result<Stats, ApiError> {
    let look = move |api: &crate::api::Api| api.containers.stats(&name);
    call.blocking(move |api| look(api)).await
}

/// The first is sent at once, without one before it; clients wait for the second.
fn as_stream(call: Call, first: Stats) -> Response {
    let version = call.version;
    let id = first.id.to_string();
    let begun = (call, id, None, Some(first));
    let pieces = stream::unfold(begun, move |(call, id, before, next)| async move {
        let now = match next {
            Some(first) => first,
            None => {
                tokio::time::sleep(INTERVAL).await;
                // One that was removed ends the stream.
                look(&call, id.clone()).await.ok()?
            }
        };
        let piece = line(&wire(&now, before.as_ref(), version));
        Some((piece, (call, id, Some(now), None)))
    });
    respond::stream("application/json", pieces)
}

fn line(value: &Value) -> Bytes {
    format!("{value}\n").into()
}

/// What a container uses, in Docker's words, beside what it used before.
fn wire(now: &Stats, before: Option<&Stats>, version: ApiVersion) -> Value {
    let mut told = json!({ "name": now.name, "id": now.id.to_string() });
    let Some(usage) = &now.usage else {
        merge(&mut told, idle());
        return told;
    };
    merge(&mut told, used(usage));
    let networks = now.networks.iter();
    let networks: Map<String, Value> = networks
        .map(|(name, counters)| (name.clone(), counted(counters)))
        .collect();
    if !networks.is_empty() {
        merge(&mut told, json!({ "networks": networks }));
    }
    let before = before.and_then(|before| Some((before.read, before.usage.as_ref()?)));
    let nothing = CpuUsage::default();
    merge(
        &mut told,
        json!({
            "read": time(now.read),
            "preread": before.map_or(NEVER.to_owned(), |(read, _)| time(read)),
            "precpu_stats": cpu(before.map_or(&nothing, |(_, usage)| &usage.cpu)),
        }),
    );
    if version.at_least(52) {
        merge(&mut told, json!({ "os_type": "linux" }));
    }
    told
}

/// What Docker tells of a container that does not run.
fn idle() -> Value {
    let cpu = cpu(&CpuUsage::default());
    json!({
        "read": NEVER, "preread": NEVER, "pids_stats": {}, "num_procs": 0, "storage_stats": {},
        "cpu_stats": cpu, "precpu_stats": cpu, "memory_stats": {},
        "blkio_stats": { "io_service_bytes_recursive": null },
    })
}

fn used(usage: &Usage) -> Value {
    let memory = &usage.memory;
    let blocks = usage.blocks.iter().map(|moved| {
        let direction = if moved.written { "write" } else { "read" };
        json!({ "major": moved.major, "minor": moved.minor, "op": direction, "value": moved.bytes })
    });
    let mut told = json!({
        "cpu_stats": cpu(&usage.cpu),
        "memory_stats": { "usage": memory.usage, "limit": memory.limit, "stats": memory.details },
        "pids_stats": { "current": usage.pids.current },
        "blkio_stats": { "io_service_bytes_recursive": blocks.collect::<Vec<_>>() },
        "num_procs": 0,
        "storage_stats": {},
    });
    let optional = [
        ("max_usage", memory.peak),
        ("failcnt", memory.failures.filter(|count| *count > 0)),
    ];
    for (key, value) in optional {
        if let Some(value) = value {
            told["memory_stats"][key] = value.into();
        }
    }
    if let Some(limit) = usage.pids.limit {
        told["pids_stats"]["limit"] = limit.into();
    }
    told
}

fn cpu(usage: &CpuUsage) -> Value {
    let mut told = json!({
        "cpu_usage": {
            "total_usage": usage.total,
            "usage_in_kernelmode": usage.system,
            "usage_in_usermode": usage.user,
        },
        "throttling_data": {
            "periods": usage.periods,
            "throttled_periods": usage.throttled_periods,
            "throttled_time": usage.throttled,
        },
    });
    if !usage.per_processor.is_empty() {
        told["cpu_usage"]["percpu_usage"] = json!(usage.per_processor);
    }
    if usage.host > 0 {
        told["system_cpu_usage"] = usage.host.into();
        told["online_cpus"] = usage.processors.into();
    }
    told
}

fn counted(link: &LinkCounters) -> Value {
    json!({
        "rx_bytes": link.rx_bytes, "rx_packets": link.rx_packets,
        "rx_errors": link.rx_errors, "rx_dropped": link.rx_dropped,
        "tx_bytes": link.tx_bytes, "tx_packets": link.tx_packets,
        "tx_errors": link.tx_errors, "tx_dropped": link.tx_dropped,
    })
}

fn time(time: Timestamp) -> String {
    format!("{time:.9}")
}

fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealane_containers::BlockUsage;
    use std::collections::BTreeMap;

    fn stats(second: i64, total: u64) -> Stats {
        let mut usage = Usage::default();
        usage.cpu.total = total;
        usage.cpu.host = 10 * total;
        usage.cpu.processors = 2;
        usage.memory.usage = 4096;
        usage.blocks.push(BlockUsage {
            major: 8,
            written: true,
            bytes: 512,
            ..BlockUsage::default()
        });
        let counters = LinkCounters {
            rx_bytes: 7,
            ..LinkCounters::default()
        };
        Stats {
            id: "ab".repeat(32).as_str().try_into().expect("an id"),
            name: "/web".into(),
            read: Timestamp::new(second, 0).expect("a time"),
            usage: Some(usage),
            networks: BTreeMap::from([("eth0".into(), counters)]),
        }
    }

    #[test]
    fn a_load_is_the_difference_of_two_looks() {
        let told = wire(&stats(2, 50), Some(&stats(1, 40)), ApiVersion::MAX);
        assert_eq!(told["read"], "1970-01-01T00:00:02.000000000Z");
        assert_eq!(told["preread"], "1970-01-01T00:00:01.000000000Z");
        assert_eq!(told["cpu_stats"]["cpu_usage"]["total_usage"], 50);
        assert_eq!(told["cpu_stats"]["online_cpus"], 2);
        assert_eq!(told["precpu_stats"]["system_cpu_usage"], 400);
        assert_eq!(told["networks"]["eth0"]["rx_bytes"], 7);
        let moved = &told["blkio_stats"]["io_service_bytes_recursive"][0];
        assert_eq!(
            (&moved["op"], &moved["value"]),
            (&json!("write"), &json!(512))
        );
    }

    #[test]
    fn what_does_not_run_uses_nothing() {
        let ended = Stats {
            usage: None,
            ..stats(1, 1)
        };
        let told = wire(&ended, None, ApiVersion::MAX);
        assert_eq!(told["name"], "/web");
        assert_eq!(told["read"], NEVER);
        assert_eq!(told.get("networks"), None);
    }
}
