//! `GET /info`: the daemon and its host at a glance.

use crate::api::DaemonFacts;
use crate::call::Call;
use crate::error::ApiError;
use crate::respond::{self, Response};
use crate::version::ApiVersion;
use sealane_containers::Counts;
use serde_json::{Map, Value, json};

/// Tells what the daemon is, has and runs on.
pub(crate) async fn info(call: Call) -> Result<Response, ApiError> {
    let (counts, images) = call
        .blocking(|api| {
            let images = api.images.list()?.len();
            Ok::<_, ApiError>((api.containers.counts(), images))
        })
        .await?;
    let now = jiff::Timestamp::now();
    let mut wire = wire(&call.api.facts(), counts, images);
    wire.insert("SystemTime".into(), format!("{now:.9}").into());
    switch_by_version(&mut wire, call.version);
    Ok(respond::ok(&wire))
}

fn wire(facts: &DaemonFacts, counts: Counts, images: usize) -> Map<String, Value> {
    let mut info = Map::new();
    info.extend(entries(counted(counts, images)));
    info.extend(entries(host(facts)));
    info.extend(entries(networking(facts)));
    info.extend(entries(runtimes(facts)));
    info.extend(entries(absent()));
    info.insert("Warnings".into(), json!(facts.warnings));
    info
}

fn counted(counts: Counts, images: usize) -> Value {
    json!({
        "Containers": counts.total,
        "ContainersRunning": counts.running,
        "ContainersPaused": counts.paused,
        "ContainersStopped": counts.stopped,
        "Images": images,
    })
}

fn host(facts: &DaemonFacts) -> Value {
    json!({
        "ID": facts.id,
        "Name": facts.hostname,
        "ServerVersion": facts.version,
        "Driver": facts.storage_driver,
        "DriverStatus": [],
        "DockerRootDir": facts.data_root,
        "Debug": facts.reloadable.debug,
        "Labels": facts.reloadable.labels,
        "LiveRestoreEnabled": facts.reloadable.live_restore,
        "ExperimentalBuild": false,
        "KernelVersion": facts.kernel,
        "OperatingSystem": facts.operating_system,
        "OSVersion": facts.os_version,
        "OSType": "linux",
        "Architecture": facts.machine,
        "NCPU": facts.processors,
        "MemTotal": facts.memory,
        "CgroupDriver": facts.cgroup_driver,
        "CgroupVersion": facts.cgroup_version,
        "LoggingDriver": "json-file",
    })
}

fn networking(facts: &DaemonFacts) -> Value {
    let pools = facts.address_pools.iter();
    let pools: Vec<Value> = pools
        .map(|(base, size)| json!({"Base": base, "Size": size}))
        .collect();
    json!({
        "Plugins": {
            "Volume": [],
            "Network": ["bridge", "host", "null"],
            "Authorization": null,
            "Log": ["json-file"],
        },
        "IPv4Forwarding": true,
        "DefaultAddressPools": pools,
        "FirewallBackend": {"Driver": "nftables"},
        "Swarm": {
            "NodeID": "",
            "NodeAddr": "",
            "LocalNodeState": "inactive",
            "ControlAvailable": false,
            "Error": "",
            "RemoteManagers": null,
        },
    })
}

fn runtimes(facts: &DaemonFacts) -> Value {
    let runtimes: Map<String, Value> = facts
        .runtimes
        .iter()
        .map(|(name, path)| (name.clone(), json!({"path": path})))
        .collect();
    json!({
        "Runtimes": runtimes,
        "DefaultRuntime": facts.default_runtime,
        "RuncCommit": {"ID": facts.runtime_version},
        "ContainerdCommit": {"ID": ""},
        "InitBinary": "",
        "InitCommit": {"ID": ""},
        "SecurityOptions": ["name=seccomp,profile=builtin"],
    })
}

/// What clients expect to find although this engine has none of it.
fn absent() -> Value {
    json!({
        "MemoryLimit": true,
        "SwapLimit": true,
        "CpuCfsPeriod": true,
        "CpuCfsQuota": true,
        "CPUShares": true,
        "CPUSet": true,
        "PidsLimit": true,
        "OomKillDisable": false,
        "NFd": 0,
        "NGoroutines": 0,
        "NEventsListener": 0,
        "IndexServerAddress": "",
        "RegistryConfig": {"InsecureRegistryCIDRs": [], "IndexConfigs": {}, "Mirrors": null},
        "GenericResources": null,
        "HttpProxy": "",
        "HttpsProxy": "",
        "NoProxy": "",
        "Isolation": "",
        "CDISpecDirs": [],
    })
}

/// Takes out what a version does not have yet, and puts in what it had still.
fn switch_by_version(info: &mut Map<String, Value>, version: ApiVersion) {
    if !version.at_least(49) {
        info.shift_remove("FirewallBackend");
    }
    if !version.at_least(50) {
        info.insert("BridgeNfIptables".into(), false.into());
        info.insert("BridgeNfIp6tables".into(), false.into());
    }
}

fn entries(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Map::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_and_go_with_the_version() {
        let fields = |version| {
            let mut info = wire(&DaemonFacts::default(), Counts::default(), 0);
            switch_by_version(&mut info, version);
            ["FirewallBackend", "BridgeNfIptables"].map(|field| info.contains_key(field))
        };
        assert_eq!(fields(ApiVersion::MAX), [true, false]);
        assert_eq!(fields(ApiVersion::new(1, 49)), [true, true]);
        assert_eq!(fields(ApiVersion::new(1, 48)), [false, true]);
    }
}
