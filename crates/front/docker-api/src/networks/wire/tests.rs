use super::*;
use expect_test::expect;
use sealane_core::model::{DriverName, IpamSpec, Network, NetworkSpec, Scope, derive_id};
use std::sync::Arc;

/// A bridge network with one subnet and a label.
pub(crate) fn network(name: &str) -> Driven {
    let subnet = SubnetSpec {
        subnet: "10.1.0.0/24".parse().unwrap(),
        ip_range: None,
        gateway: Some("10.1.0.1".parse().unwrap()),
        auxiliary: BTreeMap::new(),
    };
    Driven::of(Network {
        id: derive_id(&[name.as_bytes()]),
        users_device: None,
        created: "2026-11-21T10:00:00.123456789Z".into(),
        segments: 0,
        spec: NetworkSpec {
            name: name.into(),
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
                subnets: vec![subnet],
            },
            options: BTreeMap::new(),
            labels: BTreeMap::from([("team".into(), "net".into())]),
        },
    })
    .unwrap()
}

fn view() -> NetworkView {
    let network = Arc::new(network("blue"));
    let sandbox = derive_id(&[b"web"]);
    let endpoint = Endpoint {
        id: Endpoint::id_of(&sandbox, &network.id),
        network: network.id,
        interface: "eth0".try_into().unwrap(),
        host_interface: "veth0".try_into().unwrap(),
        segment: 0,
        mac: "02:42:0a:01:00:02".try_into().unwrap(),
        ipv4: Some("10.1.0.2/24".parse().unwrap()),
        ipv6: None,
        gateway4: None,
        gateway6: None,
        host6: vec![],
        alias: None,
        spec: sealane_core::model::EndpointSpec::default(),
    };
    let usage = SubnetUsage {
        subnet: "10.1.0.0/24".parse().unwrap(),
        in_use: 4,
        available: 252,
    };
    NetworkView {
        network,
        endpoints: vec![(sandbox, "web".into(), endpoint)],
        usage: vec![usage],
        conflicts: vec![],
    }
}

fn shown(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

#[test]
fn inspect_shows_members_and_how_full_the_subnets_are() {
    expect![[r#"
        {
          "Name": "blue",
          "Id": "73a92000e74f4dc874d4d677006cb90c3cd2b755c3f80db3659029f2ef7b60bf",
          "Created": "2026-11-21T10:00:00.123456789Z",
          "Scope": "local",
          "Driver": "bridge",
          "EnableIPv4": true,
          "EnableIPv6": false,
          "IPAM": {
            "Driver": "default",
            "Options": null,
            "Config": [
              {
                "Subnet": "10.1.0.0/24",
                "Gateway": "10.1.0.1"
              }
            ]
          },
          "Internal": false,
          "Attachable": false,
          "Ingress": false,
          "ConfigFrom": {
            "Network": ""
          },
          "ConfigOnly": false,
          "Options": {},
          "Labels": {
            "team": "net"
          },
          "Containers": {
            "cd7dafb18aa02b54273b2f99905a188ed78f02ade3e7dbf113d6bda82223a5cf": {
              "Name": "web",
              "EndpointID": "64ae12685708971a67d9787af8d9c817f5ca03a2be170760d55d13fdf4b8f710",
              "MacAddress": "02:42:0a:01:00:02",
              "IPv4Address": "10.1.0.2/24",
              "IPv6Address": ""
            }
          },
          "Status": {
            "IPAM": {
              "Subnets": {
                "10.1.0.0/24": {
                  "IPsInUse": 4,
                  "DynamicIPsAvailable": 252
                }
              }
            }
          }
        }"#]]
    .assert_eq(&shown(&inspect(&view(), ApiVersion::MAX, false)));
}

#[test]
fn fields_come_with_their_version() {
    let keys = |version| {
        let value = serde_json::to_value(inspect(&view(), version, true)).unwrap();
        ["EnableIPv4", "Status", "Services"].map(|key| value.get(key).is_some())
    };
    assert_eq!(keys(ApiVersion::new(1, 52)), [true, true, false]);
    assert_eq!(keys(ApiVersion::new(1, 51)), [true, false, false]);
    assert_eq!(keys(ApiVersion::new(1, 47)), [false, false, false]);
}

#[test]
fn a_list_has_no_members() {
    let value = serde_json::to_value(summary(&network("blue"), ApiVersion::MAX)).unwrap();
    assert!(value.get("Containers").is_none());
}

#[test]
fn a_configuration_network_has_neither_driver_nor_subnets() {
    let mut network = Network::clone(&network("conf"));
    network.spec.config_only = true;
    network.spec.ipam.subnets.clear();
    let network = Driven::of(network).unwrap();
    let value = serde_json::to_value(summary(&network, ApiVersion::MAX)).unwrap();
    assert_eq!(value["Driver"], "null");
    assert_eq!(value["IPAM"]["Config"], serde_json::Value::Null);
}
