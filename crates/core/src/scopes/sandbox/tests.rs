use super::*;
use crate::drivers::bridge::tests::{endpoint, facts, network};
use crate::model::{NameserverConfig, Network, PortMapping, derive_id};
use crate::plan::{check, diff};
use crate::scopes::host_table;
use expect_test::expect;
use std::collections::BTreeSet;
use std::sync::Arc;

fn sandbox(networks: &[&Network]) -> Sandbox {
    let id = derive_id(&[b"web"]);
    let endpoints = networks
        .iter()
        .map(|network| (network.id, endpoint(network, &id)));
    Sandbox {
        id,
        name: "web".into(),
        hostname: "web".into(),
        domainname: String::new(),
        host: false,
        endpoints: endpoints.collect(),
        ports: vec![],
        given: None,
        closed: BTreeSet::new(),
        nameserver: NameserverConfig::default(),
        extra_hosts: vec![],
        links: vec![],
        resolver_ports: None,
        ipv6_disabled: false,
        sticky: false,
        files: "/files".into(),
    }
}

fn known(networks: &[&Network]) -> Networks {
    let driven = |network: &&Network| Driven::of((*network).clone()).unwrap();
    let networks = networks.iter().map(driven);
    networks
        .map(|network| (network.id, Arc::new(network)))
        .collect()
}

fn mapping(host_ip: Option<&str>, host_port: u16, container_port: u16) -> PortMapping {
    PortMapping {
        protocol: Protocol::Tcp,
        host_ip: host_ip.map(|ip| ip.parse().unwrap()),
        host_port,
        container_port,
    }
}

#[test]
fn a_sandbox_has_a_default_route_a_resolver_and_its_ports() {
    let network = network();
    let mut sandbox = sandbox(&[&network]);
    sandbox.ports = vec![
        mapping(None, 8080, 80),
        mapping(Some("127.0.0.1"), 8443, 443),
    ];
    sandbox.resolver_ports = Some((4000, 4001));
    let plan = plan_sandbox(&sandbox, &known(&[&network]), &facts());
    assert_eq!(check(&plan, &host_table()), []);
    expect![[r#"
        netns  cd7dafb18aa0
        link   host/veth64ae126 veth peer cd7dafb18aa0/eth0 02:42:0a:01:00:02 mtu 1500 master br-blue hairpin mac 5e:a1:4e:64:ae:12
        table  cd7dafb18aa0/sealane-dns 0 sets, 1 chains
        nft    host/publish-address4 tcp . 127.0.0.1 . 8443 : 10.1.0.2 . 443
        nft    host/publish-port4 tcp . 8080 : 10.1.0.2 . 80
        nft    host/self4 10.1.0.2 . 10.1.0.2
        addr   cd7dafb18aa0/eth0 10.1.0.2/24
        up     cd7dafb18aa0/eth0
        neigh  host/br-blue 10.1.0.2 is at 02:42:0a:01:00:02
        neigh  cd7dafb18aa0/eth0 10.1.0.1 is at 72:a9:20:00:e7:4f
        route  cd7dafb18aa0 default via 10.1.0.1 dev eth0
        then   wait for host/veth64ae126
        then   wait for host/br-blue
        then   announce 10.1.0.2 at 02:42:0a:01:00:02 from cd7dafb18aa0/eth0
        then   forget connections of 10.1.0.2
    "#]].assert_eq(&plan.to_string());
}

#[test]
fn a_long_run_of_equal_ports_is_one_interval_and_a_shifted_run_is_not() {
    let network = network();
    let mut sandbox = sandbox(&[&network]);
    sandbox.ports = (7000..7100).map(|port| mapping(None, port, port)).collect();
    sandbox
        .ports
        .extend((9000..9020).map(|port| mapping(None, port, port + 1)));
    let plan = plan_sandbox(&sandbox, &known(&[&network]), &facts()).to_string();
    assert_eq!(plan.matches("publish-range4").count(), 1, "{plan}");
    assert_eq!(plan.matches("publish-port4").count(), 20, "{plan}");
}

#[test]
fn the_gateway_goes_by_priority_then_families_then_name_and_never_to_an_internal_network() {
    let blue = network();
    let mut amber = network();
    amber.id = derive_id(&[b"amber"]);
    amber.spec.name = "amber".into();
    let mut sandbox = sandbox(&[&blue, &amber]);
    let chosen = |sandbox: &Sandbox, networks: &[&Network]| {
        Gateways::choose(sandbox, &known(networks))
            .v4
            .map(|endpoint| endpoint.network)
    };
    assert_eq!(chosen(&sandbox, &[&blue, &amber]), Some(amber.id));
    if let Some(endpoint) = sandbox.endpoints.get_mut(&blue.id) {
        endpoint.gateway6 = Some("fd00::1".parse().unwrap());
    }
    assert_eq!(chosen(&sandbox, &[&blue, &amber]), Some(blue.id));
    if let Some(endpoint) = sandbox.endpoints.get_mut(&amber.id) {
        endpoint.spec.gw_priority = 1;
    }
    assert_eq!(chosen(&sandbox, &[&blue, &amber]), Some(amber.id));
    amber.spec.internal = true;
    assert_eq!(chosen(&sandbox, &[&blue, &amber]), Some(blue.id));
}

#[test]
fn the_host_sandbox_changes_nothing() {
    let network = network();
    let mut sandbox = sandbox(&[&network]);
    sandbox.host = true;
    assert!(plan_sandbox(&sandbox, &known(&[&network]), &facts()).is_empty());
}

#[test]
fn a_diff_makes_forwards_and_removes_backwards() {
    let network = network();
    let sandbox = sandbox(&[&network]);
    let plan = plan_sandbox(&sandbox, &known(&[&network]), &facts());
    let phases = |changes: Vec<crate::plan::Change>| -> Vec<_> {
        changes.iter().map(|change| change.key().phase()).collect()
    };
    let made = phases(diff(&Plan::default(), &plan));
    let removed = phases(diff(&plan, &Plan::default()));
    assert!(made.is_sorted());
    assert!(removed.iter().rev().is_sorted());
    assert_eq!(diff(&plan, &plan), []);
}
