//! Row C-11: subnets that never run out, and routes that come later.

use sealane_conformance::*;

fn subnet(world: &World, network: &str) -> String {
    let seen = world.get(&format!("/networks/{network}"));
    seen["IPAM"]["Config"][0]["Subnet"]
        .as_str()
        .expect("a subnet")
        .to_owned()
}

#[test]
fn c_11_networks_go_on_after_the_predefined_pools() {
    let world = World::prepared(&[], |lab| {
        lab.host(0)
            .sh("ip link add office type bridge && ip link set office up
                 ip route add 10.128.1.0/24 dev office")
            .ok();
    });
    for index in 0..34 {
        create_network(&world, &format!("n{index}"), json!({}));
    }
    assert_eq!(subnet(&world, "n29"), "192.168.240.0/20");
    let further = ["n30", "n31", "n32", "n33"].map(|name| subnet(&world, name));
    assert_eq!(
        further,
        [
            "10.128.0.0/24",
            "10.128.2.0/24",
            "10.128.3.0/24",
            "10.128.4.0/24"
        ]
    );
    world.serve("--network n33 --name web -p 8080:80");
    world.idle("--network n33 --name c");
    assert_eq!(
        world.sandbox("c").fetch("10.128.4.2:80").as_deref(),
        Some(HELLO)
    );
    assert_eq!(world.peer().fetch("10.99.0.1:8080").as_deref(), Some(HELLO));
}

#[test]
fn c_11_a_route_that_comes_later_is_told_and_avoided() {
    let mut world = World::new();
    world.network("one");
    assert_eq!(subnet(&world, "one"), "172.18.0.0/16");
    world.idle("--network one --name c");
    assert_eq!(world.get("/networks/one")["Conflicts"], Value::Null);
    let host = world.host();
    host.sh(
        "ip link add vpn type bridge && ip link set vpn up && ip route add 172.18.4.0/24 dev vpn
             ip route add 172.19.0.0/16 via 10.99.0.100",
    )
    .ok();
    let told = eventually(SOON, || {
        let found = world.get("/networks/one")["Conflicts"].clone();
        found[0].as_str().map(str::to_owned)
    });
    assert_eq!(
        told,
        "the host has a route to 172.18.4.0/24 by vpn, which overlaps subnet 172.18.0.0/16 of network one: its containers cannot reach who is there; make the network again, and it gets another subnet"
    );
    let warned = |world: &World| {
        world.docker("events --since 1 --until $(date +%s.%N) --filter event=warn --format '{{.Actor.Attributes.name}} {{.Actor.Attributes.message}}'").ok()
    };
    assert_eq!(warned(&world), format!("one {told}"), "once");
    assert!(world.log().contains(&told));
    world.network("two");
    assert_eq!(
        subnet(&world, "two"),
        "172.20.0.0/16",
        "a route by a gateway is avoided, too"
    );

    // Made again, it is out of the way.
    world.docker("rm -f c").ok();
    world.docker("network rm one").ok();
    world.network("one");
    assert_eq!(subnet(&world, "one"), "172.21.0.0/16");
    world
        .host()
        .sh("ip route del 172.18.4.0/24 dev vpn && ip route add 172.21.9.0/24 dev vpn")
        .ok();
    eventually(SOON, || {
        (!world.get("/networks/one")["Conflicts"].is_null()).then_some(())
    });
    world.relaunch();
    assert!(
        !world.get("/networks/one")["Conflicts"].is_null(),
        "also after a start"
    );
    world.host().sh("ip link del vpn").ok();
    eventually(SOON, || {
        world.get("/networks/one")["Conflicts"]
            .is_null()
            .then_some(())
    });
    // Where nothing else is left, what lies behind a gateway is taken after all.
    let small = World::with_flags(&["--default-address-pool", "base=10.200.0.0/24,size=25"]);
    small
        .host()
        .sh("ip route add 10.200.0.128/25 via 10.99.0.100")
        .ok();
    small.network("last");
    assert_eq!(subnet(&small, "last"), "10.200.0.128/25");
}

#[test]
fn c_11_pools_that_run_low_are_told_early() {
    let world = World::with_flags(&["--default-address-pool", "base=10.200.0.0/24,size=28"]);
    for index in 0..13 {
        let (_, answer) = world.api(
            "POST",
            "/networks/create",
            &json!({"Name": format!("n{index}")}),
        );
        assert_eq!(answer["Warning"], "", "{index}");
    }
    let (_, answer) = world.api("POST", "/networks/create", &json!({"Name": "n13"}));
    assert_eq!(
        answer["Warning"],
        "the address pools have room for 1 more networks of 16; give the daemon another --default-address-pool before they are used up"
    );
    let (_, answer) = world.api(
        "POST",
        "/networks/create",
        &json!({"Name": "own", "IPAM": {"Config": [{"Subnet": "10.9.0.0/24"}]}}),
    );
    assert_eq!(answer["Warning"], "", "it took none of them");
    world.network("n14");
    world
        .docker("network create n15")
        .fails_with(1, "all predefined address pools have been fully subnetted");
}
