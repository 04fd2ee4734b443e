use super::*;
use crate::drivers::bridge::tests::{endpoint, network as bridge};
use crate::drivers::parent::{HOST_ACCESS, PARENT};
use crate::model::{DriverName, UsersDevice, derive_id};
use expect_test::expect;

fn network(options: &[(&str, &str)]) -> Network {
    let mut network = bridge();
    network.spec.driver = DriverName::known("ipvlan");
    network.users_device = Some(UsersDevice::default());
    let options = options.iter().chain(&[(PARENT, "eth0")]);
    network.spec.options = options
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    network
}

fn planned(options: &[(&str, &str)]) -> String {
    let (network, sandbox) = (network(options), derive_id(&[b"web"]));
    let options = IpvlanOptions::of(&network).unwrap();
    let mut plan = plan_network(&options);
    plan.merge(plan_endpoint(
        &options,
        &sandbox,
        &endpoint(&network, &sandbox),
    ));
    plan.to_string()
}

#[test]
fn an_endpoint_is_a_link_with_the_parents_hardware_address() {
    expect![[r#"
        link   cd7dafb18aa0/eth0 ipvlan l2 vepa on eth0
        addr   cd7dafb18aa0/eth0 10.1.0.2/24
        up     cd7dafb18aa0/eth0
        then   wait for cd7dafb18aa0/eth0
        then   announce 10.1.0.2 from cd7dafb18aa0/eth0
    "#]]
    .assert_eq(&planned(&[(options::FLAG, "vepa")]));
}

#[test]
fn a_link_that_routes_announces_nothing() {
    for mode in ["l3", "l3s"] {
        let plan = planned(&[(options::MODE, mode)]);
        assert!(
            plan.contains(&format!("ipvlan {mode} bridge on eth0")),
            "{plan}"
        );
        assert!(!plan.contains("announce"), "{plan}");
    }
}

#[test]
fn with_host_access_the_host_has_a_link_of_the_same_kind_and_a_route_to_each_endpoint() {
    expect![[r#"
        link   host/sh-73a92000e74f ipvlan l2 bridge on eth0
        link   cd7dafb18aa0/eth0 ipvlan l2 bridge on eth0
        addr   cd7dafb18aa0/eth0 10.1.0.2/24
        up     host/sh-73a92000e74f
        up     cd7dafb18aa0/eth0
        neigh  host/sh-73a92000e74f 10.1.0.2 is at its own
        route  host 10.1.0.2/32 dev sh-73a92000e74f
        then   wait for cd7dafb18aa0/eth0
        then   announce 10.1.0.2 from cd7dafb18aa0/eth0
    "#]]
    .assert_eq(&planned(&[(HOST_ACCESS, "true")]));
}

#[test]
fn an_option_that_cannot_be_read_is_refused_in_dockers_words() {
    let fault = |options: &[_]| {
        IpvlanOptions::of(&network(options))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        fault(&[(options::MODE, "l4")]),
        "requested ipvlan mode 'l4' is not valid, 'l2' mode is the ipvlan driver default"
    );
    assert_eq!(
        fault(&[(options::FLAG, "loose")]),
        "requested ipvlan flag 'loose' is not valid, 'bridge' is the ipvlan driver default"
    );
}
