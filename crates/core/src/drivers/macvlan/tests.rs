use super::*;
use crate::drivers::bridge::tests::{endpoint, network as bridge};
use crate::drivers::parent::{HOST_ACCESS, PARENT};
use crate::model::{DriverName, UsersDevice, derive_id};
use expect_test::expect;

fn network(options: &[(&str, &str)]) -> Network {
    let mut network = bridge();
    network.spec.driver = DriverName::known("macvlan");
    network.users_device = Some(UsersDevice::default());
    let options = options.iter().chain(&[(PARENT, "eth0")]);
    network.spec.options = options
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    network
}

fn planned(options: &[(&str, &str)]) -> String {
    let (network, sandbox) = (network(options), derive_id(&[b"web"]));
    let options = MacvlanOptions::of(&network).unwrap();
    let mut plan = plan_network(&network, &options);
    plan.merge(plan_endpoint(
        &network,
        &options,
        &sandbox,
        &endpoint(&network, &sandbox),
    ));
    plan.to_string()
}

#[test]
fn an_endpoint_is_a_link_over_the_parent() {
    expect![[r#"
        link   cd7dafb18aa0/eth0 macvlan private on eth0 mac 02:42:0a:01:00:02
        addr   cd7dafb18aa0/eth0 10.1.0.2/24
        up     cd7dafb18aa0/eth0
        then   wait for cd7dafb18aa0/eth0
        then   announce 10.1.0.2 at 02:42:0a:01:00:02 from cd7dafb18aa0/eth0
    "#]]
    .assert_eq(&planned(&[(options::MODE, "private")]));
}

#[test]
fn with_host_access_the_host_has_a_link_and_a_route_to_each_endpoint() {
    expect![[r#"
        link   host/sh-73a92000e74f macvlan bridge on eth0 mac 72:a9:20:00:e7:4f
        link   cd7dafb18aa0/eth0 macvlan bridge on eth0 mac 02:42:0a:01:00:02
        sysctl host/ipv4/conf/sh-73a92000e74f/arp_filter = 1
        addr   cd7dafb18aa0/eth0 10.1.0.2/24
        up     host/sh-73a92000e74f
        up     cd7dafb18aa0/eth0
        neigh  host/sh-73a92000e74f 10.1.0.2 is at 02:42:0a:01:00:02
        route  host 10.1.0.2/32 dev sh-73a92000e74f
        then   wait for cd7dafb18aa0/eth0
        then   announce 10.1.0.2 at 02:42:0a:01:00:02 from cd7dafb18aa0/eth0
    "#]]
    .assert_eq(&planned(&[(HOST_ACCESS, "true")]));
}

#[test]
fn an_option_that_cannot_be_read_is_refused_in_dockers_words() {
    let fault = |options: &[_]| {
        MacvlanOptions::of(&network(options))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        fault(&[(options::MODE, "bogus")]),
        "requested macvlan mode 'bogus' is not valid, 'bridge' mode is the macvlan driver default"
    );
    assert_eq!(
        fault(&[(HOST_ACCESS, "maybe")]),
        "failed to parse host_access value: maybe (strconv.ParseBool: parsing \"maybe\": invalid \
         syntax)"
    );
}
