//! Chapter B8: where addresses come from.

use sealane_conformance::*;

fn subnets(world: &World, network: &str) -> Vec<String> {
    let seen = world.get(&format!("/networks/{network}"));
    let config = seen["IPAM"]["Config"].as_array().expect("a list").iter();
    config
        .filter_map(|entry| entry["Subnet"].as_str().map(str::to_owned))
        .collect()
}

/// The IPv4 address that the kernel says a container has.
fn inside(world: &World, container: &str) -> String {
    let seen = world.sandbox(container).ip_json("-4 address show eth0");
    seen[0]["addr_info"][0]["local"]
        .as_str()
        .expect("an address")
        .to_owned()
}

#[test]
fn b8_1_the_default_pools_are_dockers() {
    let world = World::new();
    let sixteen = (18..=31).map(|second| format!("172.{second}.0.0/16"));
    let twenty = (0..16).map(|index| format!("192.168.{}.0/20", index * 16));
    let expected: Vec<String> = sixteen.chain(twenty).collect();
    for (index, subnet) in expected.iter().enumerate() {
        create_network(&world, &format!("n{index}"), json!({}));
        assert_eq!(subnets(&world, &format!("n{index}")), [subnet.as_str()]);
    }
    // Where Docker's end, small ones follow.
    world.network("one-more");
    assert_eq!(subnets(&world, "one-more"), ["10.128.0.0/24"]);
    let routes = world.host().sh("ip route").ok();
    assert!(
        expected
            .iter()
            .all(|subnet| routes.contains(subnet.as_str())),
        "{routes}"
    );
}

#[test]
fn b8_2_pools_can_be_given_and_sizes_asked_for() {
    let world = World::with_flags(&[
        "--default-address-pool",
        "base=10.210.0.0/16,size=24",
        "--default-address-pool",
        "base=fd82::/48,size=64",
    ]);
    assert_eq!(subnets(&world, "bridge"), ["10.210.0.0/24"]);
    create_network(&world, "next", json!({"EnableIPv6": true}));
    assert_eq!(subnets(&world, "next"), ["10.210.1.0/24", "fd82::/64"]);
    create_network(
        &world,
        "small",
        json!({"IPAM": {"Config": [{"Subnet": "0.0.0.0/28"}]}}),
    );
    let small = subnets(&world, "small");
    assert!(
        small[0].starts_with("10.210.") && small[0].ends_with("/28"),
        "{small:?}"
    );
    create_network(
        &world,
        "small6",
        json!({"EnableIPv4": false, "EnableIPv6": true, "IPAM": {"Config": [{"Subnet": "::/80"}]}}),
    );
    let small = subnets(&world, "small6");
    assert!(
        small[0].starts_with("fd82:") && small[0].ends_with("/80"),
        "{small:?}"
    );
    let listed = world.get("/info")["DefaultAddressPools"].clone();
    assert_eq!(listed[0], json!({"Base": "10.210.0.0/16", "Size": 24}));
}

#[test]
fn b8_3_pools_that_the_host_uses_are_skipped() {
    let world = World::prepared(&[], |lab| {
        lab.host(0)
            .sh("ip link add office type bridge && ip link set office up
                 ip address add 172.18.5.1/24 dev office && ip route add 172.20.0.0/16 dev office")
            .ok();
        lab.host(0)
            .write("/run/lab/resolv.conf", "nameserver 172.21.0.53\n");
    });
    create_network(&world, "one", json!({}));
    assert_eq!(subnets(&world, "one"), ["172.19.0.0/16"]);
    create_network(&world, "two", json!({}));
    assert_eq!(subnets(&world, "two"), ["172.22.0.0/16"]);
    world
        .host()
        .sh("ip route add 172.23.0.0/16 dev office")
        .ok();
    create_network(&world, "three", json!({}));
    assert_eq!(
        subnets(&world, "three"),
        ["172.24.0.0/16"],
        "routes added later count too"
    );
}

#[test]
fn b8_4_addresses_rest_before_they_are_given_again() {
    let world = World::new();
    world.network("--subnet 10.84.0.0/24 net1");
    for name in ["a", "b"] {
        world.idle(&format!("--network net1 --name {name}"));
    }
    assert_eq!(
        (inside(&world, "a").as_str(), inside(&world, "b").as_str()),
        ("10.84.0.2", "10.84.0.3")
    );
    world.docker("rm -f a").ok();
    world.idle("--network net1 --name c");
    assert_eq!(inside(&world, "c"), "10.84.0.4", ".2 is in quarantine");
    world.docker("restart -t 0 b").ok();
    assert_eq!(inside(&world, "b"), "10.84.0.3", "one gets one's own back");
    world.idle("--network net1 --ip 10.84.0.100 --name fixed");
    world.docker("stop -t 0 fixed").ok();
    world.docker("start fixed").ok();
    assert_eq!(inside(&world, "fixed"), "10.84.0.100");
    world.idle("--network net1 --ip 10.84.0.2 --name asked");
    assert_eq!(
        inside(&world, "asked"),
        "10.84.0.2",
        "who asks for it by name may have it"
    );

    // Where nothing else is left, the one that has rested longest.
    world.network("--subnet 10.84.1.0/29 tiny");
    for index in 0..5 {
        world.idle(&format!("--network tiny --name t{index}"));
    }
    world.docker("rm -f t3").ok();
    world.docker("rm -f t1").ok();
    world.idle("--network tiny --name again");
    assert_eq!(inside(&world, "again"), "10.84.1.5");
}

#[test]
fn b8_5_small_and_large_subnets_and_reserved_addresses() {
    let world = World::new();
    world.network("--subnet 10.85.0.0/24 --aux-address router=10.85.0.2 aux");
    world.idle("--network aux --name a");
    assert_eq!(inside(&world, "a"), "10.85.0.3");

    world.network("--subnet 10.85.1.0/30 four");
    world.idle("--network four --name only");
    assert_eq!(inside(&world, "only"), "10.85.1.2");
    let full = world.docker("run -d --network four img sleep 1000");
    full.fails_with(
        125,
        "no available IPv4 addresses on this network's address pools: four (",
    );

    world.network("--subnet 10.85.2.0/31 two");
    let seen = world.get("/networks/two")["IPAM"]["Config"][0].clone();
    assert_eq!(seen["Gateway"], "10.85.2.0");
    world.idle("--network two --name pair");
    assert_eq!(inside(&world, "pair"), "10.85.2.1");

    create_network(
        &world,
        "six",
        json!({"EnableIPv6": true, "EnableIPv4": false, "IPAM": {"Config": [{"Subnet": "fd85::/16"}]}}),
    );
    world.idle("--network six --name large");
    let address = world
        .sandbox("large")
        .ip_json("-6 address show eth0 scope global");
    assert_eq!(address[0]["addr_info"][0]["local"], "fd85::2");
    assert_eq!(
        world.sandbox("large").ip_json("-4 address show eth0"),
        json!([])
    );

    world.network("--subnet 10.85.3.0/24 --gateway 10.85.3.254 last");
    world.idle("--network last --name l");
    assert_eq!(
        world.sandbox("l").routes("route show default"),
        ["default via 10.85.3.254 dev eth0"]
    );
    assert_eq!(inside(&world, "l"), "10.85.3.1");
}

#[test]
fn b8_6_an_ip_range_limits_only_what_is_given() {
    let world = World::new();
    world.network("--subnet 10.86.0.0/16 --ip-range 10.86.9.0/29 ranged");
    let mut given = Vec::new();
    for index in 0..7 {
        world.idle(&format!("--network ranged --name r{index}"));
        given.push(inside(&world, &format!("r{index}")));
    }
    assert!(
        given.iter().all(|address| address.starts_with("10.86.9.")),
        "{given:?}"
    );
    world.idle("--network ranged --ip 10.86.200.1 --name fixed");
    assert_eq!(inside(&world, "fixed"), "10.86.200.1");
    assert!(world.sandbox("fixed").pings(&given[0]));
    world
        .docker("run -d --network ranged --ip 10.87.0.1 img true")
        .fails_with(125, "no configured subnet contains IP address 10.87.0.1");
}

#[test]
fn b8_8_ipv6_without_a_subnet_is_a_ula() {
    let world = World::new();
    world.network("--ipv6 one");
    world.network("--ipv6 two");
    let six = |name: &str| {
        subnets(&world, name)
            .into_iter()
            .find(|s| s.contains(':'))
            .expect("an IPv6 subnet")
    };
    let (one, two) = (six("one"), six("two"));
    assert!(one.starts_with("fd") && one.ends_with("/64"), "{one}");
    assert_ne!(one, two);
    let prefix = |subnet: &str| {
        subnet
            .split(':')
            .take(3)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(prefix(&one), prefix(&two), "one /48 for a daemon");
    world.serve("--network one --name server");
    world.idle("--network one --name client");
    let address =
        world.inspect("server")["NetworkSettings"]["Networks"]["one"]["GlobalIPv6Address"].clone();
    let target = format!("[{}]:80", address.as_str().expect("an address"));
    assert_eq!(
        world.sandbox("client").fetch(&target).as_deref(),
        Some(HELLO)
    );
    let other = World::new();
    other.network("--ipv6 one");
    let foreign = subnets(&other, "one")
        .into_iter()
        .find(|s| s.contains(':'))
        .expect("an IPv6 subnet");
    assert_ne!(
        prefix(&foreign),
        prefix(&one),
        "another daemon, another /48"
    );
}
