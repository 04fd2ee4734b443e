use super::*;
use crate::model::{
    DriverName, EndpointSpec, IpamSpec, NetworkSpec, Policy, Scope, SubnetSpec, UsersDevice,
    derive_id,
};
use expect_test::expect;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn facts() -> Facts {
    Facts {
        bridge_netfilter: false,
        ipv4_forwarding: false,
        ipv6_forwarding: false,
        ipv6: true,
        ipv4_forward_drops: false,
        ipv6_forward_drops: false,
        advertised: BTreeSet::new(),
        foreign_bridges: BTreeSet::new(),
        policy: Policy::default(),
    }
}

pub(crate) fn network() -> Network {
    let subnet = |subnet: &str, gateway: &str| SubnetSpec {
        subnet: subnet.parse().unwrap(),
        ip_range: None,
        gateway: Some(gateway.parse().unwrap()),
        auxiliary: BTreeMap::new(),
    };
    Network {
        id: derive_id(&[b"blue"]),
        created: "2026-01-01T00:00:00Z".into(),
        segments: 0,
        spec: NetworkSpec {
            name: "blue".into(),
            driver: DriverName::known("bridge"),
            scope: Scope::Local,
            internal: false,
            attachable: false,
            ingress: false,
            config_only: false,
            config_from: None,
            enable_ipv4: true,
            enable_ipv6: false,
            ipam: IpamSpec {
                driver: "default".into(),
                options: None,
                subnets: vec![
                    subnet("10.1.0.0/24", "10.1.0.1"),
                    subnet("fd00:1::/64", "fd00:1::1"),
                ],
            },
            options: BTreeMap::from([(options::NAME.into(), "br-blue".into())]),
            labels: BTreeMap::new(),
        },
        users_device: None,
    }
}

pub(crate) fn endpoint(network: &Network, sandbox: &SandboxId) -> Endpoint {
    let id = Endpoint::id_of(sandbox, &network.id);
    let v6 = network.spec.enable_ipv6;
    Endpoint {
        id,
        network: network.id,
        interface: InterfaceName::try_from("eth0").unwrap(),
        host_interface: Endpoint::host_interface_of(&id),
        segment: 0,
        mac: "02:42:0a:01:00:02".try_into().unwrap(),
        ipv4: Some("10.1.0.2/24".parse().unwrap()),
        ipv6: v6.then(|| "fd00:1::2/64".parse().unwrap()),
        gateway4: Some("10.1.0.1".parse().unwrap()),
        gateway6: v6.then(|| "fd00:1::1".parse().unwrap()),
        host6: vec![],
        alias: None,
        spec: EndpointSpec::default(),
    }
}

fn planned(network: &Network, facts: &Facts) -> String {
    plan_network(network, &BridgeOptions::of(network).unwrap(), facts).to_string()
}

#[test]
fn a_network_is_a_bridge_with_its_gateway_and_one_element_per_question() {
    expect![[r#"
        link   host/br-blue bridge mtu 1500 mac 72:a9:20:00:e7:4f
        nft    host/bridges "br-blue"
        nft    host/handed 72:a9:20:00:e7:4f
        nft    host/masquerade4 "br-blue"
        nft    host/published ipv4 . "br-blue"
        nft    host/published ipv6 . "br-blue"
        nft    host/siblings "br-blue" . "br-blue"
        nft    host/sourced "br-blue"
        nft    host/translated ipv4 . "br-blue"
        nft    host/within "br-blue" . "br-blue" : accept
        sysctl host/ipv4/conf/br-blue/route_localnet = 1
        addr   host/br-blue 10.1.0.1/24
        up     host/br-blue
        route  host 10.1.0.0/24 dev br-blue
    "#]]
    .assert_eq(&planned(&network(), &facts()));
}

#[test]
fn an_internal_network_has_no_way_in_or_out() {
    let mut network = network();
    network.spec.internal = true;
    expect![[r#"
        link   host/br-blue bridge mtu 1500 mac 72:a9:20:00:e7:4f
        nft    host/bridges "br-blue"
        nft    host/entering ipv4 . "br-blue" : drop
        nft    host/entering ipv6 . "br-blue" : drop
        nft    host/handed 72:a9:20:00:e7:4f
        nft    host/leaving "br-blue" : drop
        nft    host/siblings "br-blue" . "br-blue"
        nft    host/sourced "br-blue"
        nft    host/within "br-blue" . "br-blue" : accept
        addr   host/br-blue 10.1.0.1/24
        up     host/br-blue
        route  host 10.1.0.0/24 dev br-blue
    "#]]
    .assert_eq(&planned(&network, &facts()));
}

#[test]
fn a_foreign_chain_that_drops_is_passed_for_the_families_in_use() {
    let facts = Facts {
        ipv4_forward_drops: true,
        ipv6_forward_drops: true,
        ..facts()
    };
    let plan = planned(&network(), &facts);
    assert!(
        plan.contains("pass   host/br-blue in ip filter FORWARD"),
        "{plan}"
    );
    assert!(!plan.contains("in ip6 filter"), "{plan}");
}

#[test]
fn an_endpoint_is_a_veth_pair_with_addresses_and_known_neighbors() {
    let (network, sandbox) = (network(), derive_id(&[b"web"]));
    let options = BridgeOptions::of(&network).unwrap();
    let plan = plan_endpoint(
        &network,
        &options,
        &sandbox,
        &endpoint(&network, &sandbox),
        &facts(),
    );
    expect![[r#"
        link   host/veth64ae126 veth peer cd7dafb18aa0/eth0 02:42:0a:01:00:02 mtu 1500 master br-blue hairpin mac 5e:a1:4e:64:ae:12
        addr   cd7dafb18aa0/eth0 10.1.0.2/24
        up     cd7dafb18aa0/eth0
        neigh  host/br-blue 10.1.0.2 is at 02:42:0a:01:00:02
        neigh  cd7dafb18aa0/eth0 10.1.0.1 is at 72:a9:20:00:e7:4f
        then   wait for host/veth64ae126
        then   wait for host/br-blue
        then   announce 10.1.0.2 at 02:42:0a:01:00:02 from cd7dafb18aa0/eth0
    "#]].assert_eq(&plan.to_string());
}

#[test]
fn a_bridge_of_the_users_is_not_made_and_keeps_what_it_had() {
    let adopted = |addresses: &[&str], up| {
        let addresses = addresses.iter().map(|net| net.parse().unwrap()).collect();
        let network = Network {
            users_device: Some(UsersDevice { addresses, up }),
            ..network()
        };
        planned(&network, &facts())
    };
    let untouched = adopted(&["10.1.0.1/24", "192.0.2.1/24"], true);
    assert!(!untouched.contains("link   "), "{untouched}");
    assert!(!untouched.contains("addr   "), "{untouched}");
    assert!(!untouched.contains("up     "), "{untouched}");
    let completed = adopted(&["192.0.2.1/24"], false);
    assert!(completed.contains("addr   host/br-blue 10.1.0.1/24"));
    assert!(completed.contains("up     host/br-blue"), "{completed}");
}

#[test]
fn an_overlapping_network_has_no_route_to_its_subnet_but_one_to_each_endpoint() {
    let (mut network, sandbox) = (network(), derive_id(&[b"web"]));
    let overlapping = (options::OVERLAPPING.into(), "true".into());
    network.spec.options.extend([overlapping]);
    let plan = planned(&network, &facts());
    assert!(plan.contains("addr   host/br-blue 10.1.0.1/32"), "{plan}");
    assert!(!plan.contains("route  "), "{plan}");
    let options = BridgeOptions::of(&network).unwrap();
    let endpoint = Endpoint {
        alias: Some("198.18.0.9".parse().unwrap()),
        ..endpoint(&network, &sandbox)
    };
    let plan = plan_endpoint(&network, &options, &sandbox, &endpoint, &facts()).to_string();
    for line in [
        "nft    host/alias4 \"br-blue\" . 10.1.0.2 : 198.18.0.9",
        "nft    host/real4 \"br-blue\" . 198.18.0.9 : 10.1.0.2",
        "neigh  host/br-blue 198.18.0.9 is at",
        "route  host 198.18.0.9/32 dev br-blue",
    ] {
        assert!(plan.contains(line), "{line}: {plan}");
    }
}

#[test]
fn ports_are_isolated_only_where_the_filter_does_not_see_bridged_packets() {
    let (mut network, sandbox) = (network(), derive_id(&[b"web"]));
    network
        .spec
        .options
        .insert(options::ICC.into(), "false".into());
    let options = BridgeOptions::of(&network).unwrap();
    let endpoint = endpoint(&network, &sandbox);
    let isolated = |bridge_netfilter| {
        let facts = Facts {
            bridge_netfilter,
            ..facts()
        };
        plan_endpoint(&network, &options, &sandbox, &endpoint, &facts)
            .to_string()
            .contains("isolated")
    };
    assert!(isolated(false));
    assert!(!isolated(true));
}

#[test]
fn an_option_that_cannot_be_read_is_named() {
    let mut network = network();
    network
        .spec
        .options
        .insert(options::ICC.into(), "maybe".into());
    let error = BridgeOptions::of(&network).unwrap_err().to_string();
    assert!(error.starts_with("failed to parse com.docker.network.bridge.enable_icc value: maybe"));
}
