//! A network with more endpoints than a bridge of the kernel has ports.

use sealane_core::model::{EndpointSpec, NameserverConfig, Policy, SandboxId, derive_id};
use sealane_engine::{
    CreateNetwork, DefaultBridge, Depot, Engine, EngineConfig, RequestedSubnet, SandboxSpec,
};
use sealane_store::Store;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// More than the 1,023 ports of one bridge.
const ENDPOINTS: u16 = 1_100;

fn config(folder: &Path) -> EngineConfig {
    EngineConfig {
        owner: sealane_core::model::Owner::default(),
        data_root: folder.join("data"),
        exec_root: folder.join("exec"),
        pools: vec![],
        default_bridge: DefaultBridge::default(),
        ip_forward: true,
        ip_forward_no_drop: false,
        default_network_options: Default::default(),
        userland_proxy: false,
        nameserver: NameserverConfig::default(),
        host_gateway: vec![],
        firewall_integration: true,
        policy: Policy::default(),
        resolv_conf: folder.join("resolv.conf"),
        depot: Depot::default(),
        one_call: false,
    }
}

fn sandbox(index: u16) -> SandboxId {
    derive_id(&[&index.to_be_bytes()])
}

fn spec(index: u16, folder: &Path) -> SandboxSpec {
    SandboxSpec {
        id: sandbox(index),
        name: format!("c{index}"),
        hostname: format!("c{index}"),
        domainname: String::new(),
        host: false,
        given: None,
        endpoints: vec![("crowd".into(), EndpointSpec::default())],
        ports: vec![],
        nameserver: NameserverConfig::default(),
        extra_hosts: vec![],
        links: vec![],
        ipv6_disabled: false,
        sticky: false,
        files: folder.join(format!("files/{index}")),
    }
}

#[test]
fn c_22_the_last_of_eleven_hundred_reaches_the_first() {
    sealane_ports::raise_file_limit().expect("a sandbox has a few open files");
    // Outlives the namespaces, since what is mounted in it does not.
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    sealane_kernel::netns::isolated(|| {
        let store = Arc::new(Store::open(&folder.join("data")).expect("a store"));
        let engine = Engine::open(config(folder), store, Arc::new(|_| {})).expect("an engine");
        engine
            .recover(&BTreeSet::new())
            .expect("nothing to recover");
        let subnet = RequestedSubnet {
            subnet: "10.22.0.0/16".into(),
            ..RequestedSubnet::default()
        };
        let request = CreateNetwork {
            name: "crowd".into(),
            subnets: vec![subnet],
            ..CreateNetwork::default()
        };
        engine.create_network(&request).expect("a network");
        for index in 0..ENDPOINTS {
            let made = engine.create_sandbox(spec(index, folder));
            made.unwrap_or_else(|error| panic!("sandbox {index}: {error}"));
        }
        let path = |index| engine.namespace_path(&sandbox(index)).expect("it exists");
        for (from, to) in [(ENDPOINTS - 1, 0), (0, ENDPOINTS - 1), (1_000, 999)] {
            let [high, low] = u16::to_be_bytes(to + 2);
            let to = format!("10.22.{high}.{low}");
            let netns = format!("--net={}", path(from).display());
            let ping = Command::new("nsenter")
                .args([&netns, "ping", "-n", "-c", "1", "-W", "5", &to])
                .output()
                .expect("nsenter starts");
            assert!(
                ping.status.success(),
                "{from} to {to}: {}",
                String::from_utf8_lossy(&ping.stdout)
            );
        }
        let bridges = Command::new("ip")
            .args(["-o", "link", "show", "type", "bridge"])
            .output();
        let bridges = String::from_utf8(bridges.expect("ip starts").stdout).expect("text");
        assert_eq!(
            bridges.lines().count(),
            3,
            "docker0 and two of the network: {bridges}"
        );
    })
    .expect("new namespaces; tests of the kernel run as root");
}
